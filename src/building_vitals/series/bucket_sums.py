"""
Counts, sums and means of a point's buckets, of hours that are summed up already and of samples.

Separate from `aggregates`, which goes through samples in their order: sums of hours may come in any
order, thousands at a time. What comes out is the same, to the last digit. Imported late, with the
buckets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import compress, repeat
from operator import add, lshift, mul, truediv
from typing import Any

import msgspec

from building_vitals.instants import HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.aggregates import numbers_of
from building_vitals.series.buckets import Buckets
from building_vitals.series.exact import Number, exact_parts, ratio
from building_vitals.series.levels import bucket_start
from building_vitals.series.rollups import Places, Rollup

# Numbers from here up to there are written without an exponent, by all who write the fewest digits.
PLAIN_MIN, PLAIN_MAX = 1e-4, 1e16
# Units of 2^-bits, to here, are doubles by which others are multiplied without an error.
UNIT_BITS_MAX = 1_000
_NUMBERS = frozenset({int, float})
# Rows that are put together at a time.
ROWS_AT_ONCE = 2_048
# Stretches of hours whose places are kept: those of points with equal segments are the same.
PLACES_MAX = 64


class Bounds:
    """
    The bounds of all buckets of a range.

    Attributes:
        begins_ms: Where each begins; of the first one that may be before the range.
        bounds_ms: The same from the range's start on, and its end.
        split_ms: Where the hours begin that a bound lies within, but for the range's.
    """

    def __init__(self, buckets: Buckets, time_range: Range) -> None:
        self.begins_ms = buckets.begins(time_range.start_ms)
        self.bounds_ms = [time_range.start_ms, *self.begins_ms[1:], time_range.end_ms]
        # Hours within which some bucket ends and the next one begins.
        self.split_ms = sorted(
            {bucket_start(each, HOUR_MS) for each in self.bounds_ms[1:-1] if each % HOUR_MS}
        )
        self._places: dict[tuple[int, int, int], tuple[int, Places]] = {}

    def place_of(self, instant_ms: int) -> int:
        """Return which bucket an instant lies in; beside the range, the first or the last."""
        return bisect_right(self.bounds_ms, instant_ms, 1, len(self.bounds_ms) - 1) - 1

    def places(self, span: Range, first_ms: int) -> tuple[int, Places]:
        """
        Return the first of the buckets that hours lie in, and where they and the next ones begin.

        Args:
            span: Of the hours; no bound lies within one of them, unless it is the range's.
            first_ms: Where the hours are counted from.
        """
        key = (span.start_ms, span.end_ms, first_ms)
        found = self._places.get(key)
        if found is None:
            begin, end = self.place_of(span.start_ms), self.place_of(span.end_ms - 1)
            cuts = [span.start_ms, *self.bounds_ms[begin + 1 : end + 1], span.end_ms]
            found = begin, Places.of([(each - first_ms) // HOUR_MS for each in cuts])
            if len(self._places) == PLACES_MAX:
                self._places.clear()
            self._places[key] = found
        return found


class BucketSums:
    """
    What the numbers of each bucket add up to, of one point.

    Attributes:
        fetched: Buckets that hold what was not known before.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.fetched: set[int] = set()
        self._bounds = bounds
        size = len(bounds.begins_ms)
        self._counts = [0] * size
        self._fractions = [0] * size
        self._totals = [0] * size
        self._bits = 0
        # From this bucket on nothing has come yet.
        self._end = 0

    def add_hours(self, rollup: Rollup, span: Range, first_ms: int, *, is_known: bool) -> None:
        """
        Take hours of a frame that begins at *first_ms*.

        Raises:
            ValueError: the frame does not have them.
        """
        begin, places = self._bounds.places(span, first_ms)
        counts, fractions, totals, bits = rollup.sums(places)
        self._make_room(bits)
        if bits < self._bits:
            totals = list(map(lshift, totals, repeat(self._bits - bits)))
        end = begin + len(counts)
        # Mostly, all but the first are of buckets that nothing has come of.
        shared = slice(begin, max(begin, min(self._end, end)))
        for held, more in (
            (self._counts, counts),
            (self._fractions, fractions),
            (self._totals, totals),
        ):
            held[begin:end] = [*map(add, held[shared], more), *more[shared.stop - begin :]]
        self._end = max(self._end, end)
        if not is_known:
            self.fetched.update(n for n, count in enumerate(counts, begin) if count)

    def add_samples(self, text: bytes, *, is_known: bool) -> None:
        """
        Take a run of samples.

        Raises:
            CorruptSegment: the text is not a run of samples.
        """
        times, values, _ = numbers_of(text, has_raws=False)
        lo = 0
        while lo < len(times):
            n = self._bounds.place_of(times[lo])
            hi = bisect_left(times, self._bounds.bounds_ms[n + 1], lo)
            part = values[lo:hi]
            for each in exact_parts(part):
                above, below = each.as_integer_ratio()
                bits = below.bit_length() - 1
                self._make_room(bits)
                self._totals[n] += above << (self._bits - bits)
            self._counts[n] += hi - lo
            self._fractions[n] += float in set(map(type, part))
            self._end = max(self._end, n + 1)
            if not is_known:
                self.fetched.add(n)
            lo = hi

    def _make_room(self, bits: int) -> None:
        """Hold totals in units of 2^-bits, or smaller ones."""
        if bits > self._bits:
            self._totals = list(map(lshift, self._totals, repeat(bits - self._bits)))
            self._bits = bits

    def known_rows(self) -> int:
        """Return how many rows were known before."""
        rows = len(self._counts) - self._counts.count(0)
        return rows - len(self.fetched)

    def rows(self, aggregates: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """Yield the rows of buckets with numbers, as runs with their count."""
        counts, begins_ms = self._counts, self._bounds.begins_ms
        fractions, totals = self._fractions, self._totals
        if not all(counts):
            begins_ms = list(compress(begins_ms, counts))
            fractions, totals = list(compress(fractions, counts)), list(compress(totals, counts))
            counts = list(filter(None, counts))
        columns: dict[str, Sequence[Number | None]] = {"count": counts}
        if "mean" in aggregates:
            columns["mean"] = _quotients(totals, counts, self._bits)
        if "sum" in aggregates:
            columns["sum"] = self._sums(totals, fractions)
        asked = [columns[each] for each in aggregates]
        is_plain = all(_is_plain(columns[each]) for each in aggregates if each != "count")
        text_of = _plain_text if is_plain else _text
        for n in range(0, len(counts), ROWS_AT_ONCE):
            some = slice(n, n + ROWS_AT_ONCE)
            rows = list(zip(begins_ms[some], *(each[some] for each in asked), strict=True))
            yield len(rows), text_of(rows)

    def _sums(self, totals: Sequence[int], fractions: Sequence[int]) -> Sequence[Number | None]:
        found: list[Number | None] = [*_quotients(totals, [1] * len(totals), self._bits)]
        for n, has in enumerate(fractions):
            if not has and found[n] is not None:
                found[n] = totals[n] >> self._bits
        return found


def _quotients(totals: Sequence[int], counts: Sequence[int], bits: int) -> Sequence[float | None]:
    """Return totals in units of 2^-bits divided by counts, each rounded once; None: no double."""
    if bits <= UNIT_BITS_MAX:
        with suppress(OverflowError):
            # Of integers, division rounds but once, and to go to units of 2^-bits does not.
            return list(map(mul, map(truediv, totals, counts), repeat(0.5**bits)))
    return list(map(ratio, totals, map(lshift, counts, repeat(bits))))


def _is_plain(numbers: Sequence[Any]) -> bool:
    """Return whether msgspec writes numbers as Python does, which takes ten times as long."""
    if not _NUMBERS.issuperset(map(type, numbers)):
        return False
    if not numbers or (min(numbers) >= PLAIN_MIN and max(numbers) < PLAIN_MAX):
        return True
    sizes = list(map(abs, numbers))
    return max(sizes) < PLAIN_MAX and min(filter(None, sizes), default=1) >= PLAIN_MIN


def _plain_text(rows: Sequence[tuple[Number | None, ...]]) -> bytes:
    return msgspec.json.encode(rows)[1:-1]


def _text(rows: Sequence[tuple[Number | None, ...]]) -> bytes:
    """Return rows as JSON, as Python writes numbers, and null for none."""
    texts = (["null" if each is None else repr(each) for each in row] for row in rows)
    return ",".join(f"[{','.join(row)}]" for row in texts).encode()
