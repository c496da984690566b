"""
Where the samples of a site come from, cut into pages ordered by time, then name.

Pages are made of text fragments joined once: a page of 50,000 samples costs some 10 ms, because
benchmarks of millions of samples must measure their subject and not this server.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from demo.instants import BUCKET_MS, HOUR_MS, iso_text, naive_text

Item = dict[str, object]

# Making the columns of many points costs the most; a block serves several pages.
PAGES_PER_BLOCK = 3
BLOCK_SAMPLES = 500_000
BLOCK_HOURS = (1, 2, 3, 4, 6, 8, 12, 24)
KEPT_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page starts: the samples at *ms*, without the first *skip* of them."""

    ms: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """
    Which samples are asked for.

    Attributes:
        names: Point names, or None for the whole site.
        start_ms, end_ms: Half-open range, epoch milliseconds UTC.
        is_raw: As collected; otherwise in buckets of five minutes.
        is_naive: Times are written without a zone.
    """

    names: frozenset[str] | None
    start_ms: int
    end_ms: int
    is_raw: bool = True
    is_naive: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """
    Consecutive samples.

    Attributes:
        items: The JSON object of each sample.
        after: The last sample's time, and how many of that time have been passed with it; None
            when this is the last page.
    """

    items: list[str]
    after: Position | None = None


class Source(Protocol):
    """The points and samples of one site."""

    @property
    def points(self) -> Sequence[Item]:
        """The configured points, as the upstream lists them."""

    def page(self, query: Query, position: Position, limit: int, now_ms: int) -> Page:
        """Return at most *limit* samples of *query* from *position* on, none after *now_ms*."""


class Series(Protocol):
    """The samples of one point at every multiple of its interval."""

    @property
    def name(self) -> str:
        """The point's name."""

    @property
    def interval_ms(self) -> int:
        """Milliseconds between samples."""

    def texts(self, first: int, count: int) -> list[str | None]:
        """
        Return the JSON texts of *count* values; None where there is no sample.

        Args:
            first: Number of the first sample; sample n was taken at `n * interval_ms`.
            count: How many numbers follow, the first included.
        """


def name_text(name: str) -> str:
    """Return the beginning of a sample's JSON object, up to its value."""
    return f'{{"name":{json.dumps(name)},"value":'


def time_text(ms: int, *, is_naive: bool) -> str:
    """Return the end of a sample's JSON object, after its value."""
    return f',"time":"{naive_text(ms) if is_naive else iso_text(ms)}"}}'


def bucket_text(texts: Sequence[str]) -> str:
    """Return the mean of JSON values that are numbers, else the last of them."""
    values = [json.loads(text) for text in texts]
    try:
        numbers = [float(value) for value in values if not isinstance(value, bool)]
    except (TypeError, ValueError):
        return texts[-1]
    if len(numbers) != len(values):
        return texts[-1]
    return json.dumps(f"{sum(numbers) / len(numbers):.2f}")


class _Bucketed:
    """A series in buckets of five minutes, made from one with a shorter interval."""

    interval_ms = BUCKET_MS

    def __init__(self, series: Series) -> None:
        self.name = series.name
        self._series = series

    def texts(self, first: int, count: int) -> list[str | None]:
        """Return the texts of *count* buckets."""
        per_bucket = BUCKET_MS // self._series.interval_ms
        raw = self._series.texts(first * per_bucket, count * per_bucket)
        buckets: list[str | None] = []
        for at in range(0, len(raw), per_bucket):
            present = [text for text in raw[at : at + per_bucket] if text is not None]
            buckets.append(bucket_text(present) if present else None)
        return buckets


class _Lane:
    """The chosen series of one interval, sorted by name."""

    def __init__(self, interval_ms: int, series: Sequence[Series]) -> None:
        self.interval_ms = interval_ms
        self.series = sorted(series, key=lambda one: one.name)
        self.names = [one.name for one in self.series]
        self.openings = [name_text(name) for name in self.names]
        self._kept_rows = lru_cache(maxsize=KEPT_BLOCKS)(self._make_rows)

    def rows(
        self, start_ms: int, end_ms: int, block: range | None
    ) -> Iterable[tuple[int, tuple[str | None, ...]]]:
        """
        Yield the time and the values, one per series, of each moment in the range.

        Args:
            start_ms: Start of the range.
            end_ms: Its end, which is outside.
            block: The range, or one around it, of which all moments are made and kept for the
                next page; None makes what is asked for alone.
        """
        first, count = self._numbers(start_ms, end_ms)
        if count <= 0:
            return ()
        if block is None:
            made_first, rows = first, self._make_rows(first, count)
        else:
            made_first, made_count = self._numbers(block.start, block.stop)
            rows = self._kept_rows(made_first, made_count)[first - made_first :]
        times = range(
            first * self.interval_ms, (first + count) * self.interval_ms, self.interval_ms
        )
        return zip(times, rows, strict=False)

    def _numbers(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Return the number of the first moment in a range, and how many there are."""
        first = -(-start_ms // self.interval_ms)
        return first, -(-end_ms // self.interval_ms) - first

    def _make_rows(self, first: int, count: int) -> list[tuple[str | None, ...]]:
        columns = [one.texts(first, count) for one in self.series]
        return list(zip(*columns, strict=True))


class _Merge:
    """Samples of several lanes, time by time, each time sorted by name."""

    def __init__(self, lanes: Sequence[_Lane]) -> None:
        self._lanes = lanes
        self._orders: dict[tuple[int, ...], tuple[list[str], list[int]]] = {}
        self.samples_per_ms = sum(len(lane.series) / lane.interval_ms for lane in lanes)

    def moments(
        self, start_ms: int, end_ms: int, block: range | None, *, is_naive: bool
    ) -> Iterable[tuple[int, list[str]]]:
        """Yield the time and the sample texts of each moment in the range (see _Lane.rows)."""
        due: defaultdict[int, list[tuple[int, tuple[str | None, ...]]]] = defaultdict(list)
        for number, lane in enumerate(self._lanes):
            for ms, row in lane.rows(start_ms, end_ms, block):
                due[ms].append((number, row))
        for ms in sorted(due) if len(self._lanes) > 1 else due:
            rows = due[ms]
            tail = time_text(ms, is_naive=is_naive)
            if len(rows) == 1:
                number, values = rows[0]
                openings: Sequence[str] = self._lanes[number].openings
            else:
                openings, order = self._order(tuple(number for number, _ in rows))
                joined = [value for _, row in rows for value in row]
                values = tuple([joined[index] for index in order])
            yield (
                ms,
                [
                    f"{opening}{value}{tail}"
                    for opening, value in zip(openings, values, strict=True)
                    if value is not None
                ],
            )

    def _order(self, numbers: tuple[int, ...]) -> tuple[list[str], list[int]]:
        """Return the openings by name of the lanes *numbers*, and where each one's value is."""
        if numbers not in self._orders:
            names = [name for number in numbers for name in self._lanes[number].names]
            order = sorted(range(len(names)), key=names.__getitem__)
            self._orders[numbers] = ([name_text(names[index]) for index in order], order)
        return self._orders[numbers]


class GridSource:
    """
    A site whose points each have a sample at every multiple of their interval.

    Args:
        points: What configured_points lists; may hold points without a series.
        series: Names unique.
        first_ms, end_ms: The samples' range, half-open; no end when None.
    """

    def __init__(
        self,
        points: Sequence[Item],
        series: Iterable[Series],
        *,
        first_ms: int,
        end_ms: int | None = None,
    ) -> None:
        self.points = points
        self._series = {one.name: one for one in series}
        self._first_ms = first_ms
        self._end_ms = end_ms
        self._merge = lru_cache(maxsize=16)(self._merge_of)

    def _merge_of(self, names: frozenset[str] | None, is_raw: bool) -> _Merge:
        chosen = self._series.keys() if names is None else self._series.keys() & names
        by_interval: defaultdict[int, list[Series]] = defaultdict(list)
        for name in chosen:
            one = self._series[name]
            if not is_raw and one.interval_ms < BUCKET_MS:
                one = _Bucketed(one)
            by_interval[one.interval_ms].append(one)
        return _Merge([_Lane(interval, by_interval[interval]) for interval in sorted(by_interval)])

    def page(self, query: Query, position: Position, limit: int, now_ms: int) -> Page:
        """Return at most *limit* samples of *query* from *position* on, none after *now_ms*."""
        merge = self._merge(query.names, query.is_raw)
        if not merge.samples_per_ms:
            return Page([])
        end_ms = min(query.end_ms, now_ms + 1)
        if self._end_ms is not None:
            end_ms = min(end_ms, self._end_ms)
        block_ms = _block_ms(limit, merge.samples_per_ms)
        items: list[str] = []
        after = position
        block_start = max(position.ms, self._first_ms)
        while block_start < end_ms:
            floor = block_start // block_ms * block_ms
            block_end = min(floor + block_ms, end_ms)
            # What of a block no page of this query can need is not made.
            is_needed = block_end - max(query.start_ms, floor) > block_ms // 2
            block = range(floor, floor + block_ms) if is_needed else None
            for ms, texts in merge.moments(block_start, block_end, block, is_naive=query.is_naive):
                skip = position.skip if ms == position.ms else 0
                fresh = texts[skip:] if skip else texts
                room = limit - len(items)
                if len(fresh) > room:
                    items += fresh[:room]
                    return Page(items, Position(ms, skip + room) if room else after)
                if fresh:
                    after = Position(ms, len(texts))
                items += fresh
            block_start = block_end
        return Page(items)


def _block_ms(limit: int, samples_per_ms: float) -> int:
    """Return how much of the columns is made at once: some pages of *limit*, in whole hours."""
    pages = min(max(BLOCK_SAMPLES // limit, 1), PAGES_PER_BLOCK)
    hours = int(limit * pages / samples_per_ms / HOUR_MS) + 1
    return next((each for each in BLOCK_HOURS if each >= hours), BLOCK_HOURS[-1]) * HOUR_MS


class ListedSource:
    """
    A site whose samples are listed one by one.

    Args:
        points: What configured_points lists.
        samples: For each point its (ms, JSON text of the value), in any order. Of samples with
            the same time, the one listed later is sent later.
    """

    def __init__(
        self, points: Sequence[Item], samples: Mapping[str, Sequence[tuple[int, str]]]
    ) -> None:
        self.points = points
        self._raw = sorted(
            ((ms, name, text) for name, listed in samples.items() for ms, text in listed),
            key=lambda sample: sample[:2],
        )
        self._buckets: list[tuple[int, str, str]] | None = None

    def page(self, query: Query, position: Position, limit: int, now_ms: int) -> Page:
        """Return at most *limit* samples of *query* from *position* on, none after *now_ms*."""
        samples = self._raw if query.is_raw else self._bucketed()
        end_ms = min(query.end_ms, now_ms + 1)
        items: list[str] = []
        passed, after = 0, position
        for index in range(bisect_left(samples, (position.ms,)), len(samples)):
            ms, name, text = samples[index]
            if ms >= end_ms:
                break
            if not wants(query.names, name):
                continue
            if ms == position.ms and passed < position.skip:
                passed += 1
                continue
            if len(items) == limit:
                return Page(items, after)
            after = Position(ms, after.skip + 1 if ms == after.ms else 1)
            items.append(name_text(name) + text + time_text(ms, is_naive=query.is_naive))
        return Page(items)

    def _bucketed(self) -> list[tuple[int, str, str]]:
        if self._buckets is None:
            collected: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
            for ms, name, text in self._raw:
                collected[ms // BUCKET_MS * BUCKET_MS, name].append(text)
            self._buckets = [
                (ms, name, bucket_text(texts)) for (ms, name), texts in sorted(collected.items())
            ]
        return self._buckets


def wants(names: Collection[str] | None, name: str) -> bool:
    """Tell whether a filter of *names* lets *name* pass; no filter lets all pass."""
    return names is None or name in names
