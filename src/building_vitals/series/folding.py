"""
Folds pages of samples, as they arrive, into frames.

Separate because it is the only code that touches every fetched sample: it drops what nobody asked
for, cuts to the range, sorts, lets the last of duplicates win, and holds no more than the samples
since each point's last closed frame, and the frames that nobody has taken.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from operator import lt
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from building_vitals.instants import DAY_MS, floor_day, format_instant
from building_vitals.ranges import Range
from building_vitals.series.columns import (
    Column,
    Sample,
    are_plain,
    columns,
    head_text,
    instants_of,
    woven_text,
)
from building_vitals.series.frames import (
    FRAME_SAMPLES_MAX,
    FRAME_SAMPLES_MIN,
    Series,
    SeriesBuilder,
    frame_text,
    value_texts,
)
from building_vitals.series.values import NumberText, value_text

if TYPE_CHECKING:
    from building_vitals.series.levels import Levels

# Distinct texts remembered between samples, by each fetch; a full memory starts again. Half a
# megabyte in all.
TIMES_REMEMBERED_MAX = 4_096
VALUES_REMEMBERED_MAX = 2_048


class SampleTooOld(ValueError):
    """The upstream sent a sample of a time of which it had given all, and which has been taken."""


class PointSeries(msgspec.Struct, frozen=True, gc=False):
    """
    What is now known of one point over one range.

    *is_by_point* where it came of calls by point, which may give other samples than pages. *levels*
    where they are known already.
    """

    point: str
    known: Range
    series: Series
    is_by_point: bool = False
    levels: Levels | None = None


class _Times:
    """Remembers times: as sent → the instant, None where there is none."""

    def __init__(self) -> None:
        self._known: dict[str, int | None] = {}

    def read(self, times: Sequence[str]) -> list[int | None]:
        """Return the instant of each time, None for one that cannot be read."""
        known = self._known
        if len(times) > TIMES_REMEMBERED_MAX:
            return instants_of(times)
        if len(known) + len(times) > TIMES_REMEMBERED_MAX:
            known.clear()
        if known.keys().isdisjoint(times):
            instants = instants_of(times)
            known.update(zip(times, instants, strict=True))
            return instants
        if fresh := [time for time in times if time not in known]:
            known.update(zip(fresh, instants_of(fresh), strict=True))
        return [known[time] for time in times]


class _ValueTexts(dict[str, str]):
    """
    Text value as sent → its JSON text.

    Only for values of one type: of several, some are equal and yet different (1 and true, the text
    and the number `1e400`).
    """

    def __missing__(self, value: str) -> str:
        if len(self) >= VALUES_REMEMBERED_MAX:
            self.clear()
        found = self[value] = value_text(value)
        return found


class _PointFold:
    """
    The open samples of one point, and the series its closed frames have gone to.

    Attributes:
        times: Instants of the open samples.
        begin_ms: Everything before has been taken.
        complete_ms: Everything before has been given.
    """

    __slots__ = (
        "_builder",
        "_closed_count",
        "_closed_ms",
        "_closings_ms",
        "_end_ms",
        "_heads",
        "_is_ordered",
        "_late",
        "_values",
        "begin_ms",
        "complete_ms",
        "times",
    )

    def __init__(self, time_range: Range, closings_ms: Sequence[int]) -> None:
        self.begin_ms = self.complete_ms = time_range.start_ms
        self._end_ms = time_range.end_ms
        self._closings_ms = closings_ms
        self._begin()
        self._late: dict[int, str] = {}
        self._is_ordered = True
        self.times: list[int] = []
        # How the open samples' texts begin, and the texts of their values.
        self._heads: list[str] = []
        self._values: list[str] = []

    def _begin(self) -> None:
        """Begin a series, without any frame."""
        self._builder = SeriesBuilder()
        self._closed_ms = self.begin_ms
        self._closed_count = 0

    @property
    def held(self) -> int:
        """Samples in memory, open ones and those in frames."""
        return len(self.times) + len(self._late) + self._closed_count

    def take(
        self, times: Sequence[int], heads: Sequence[str], values: Sequence[str], *, is_rising: bool
    ) -> None:
        """Add samples to the open ones; *is_rising* where each is later than the one before."""
        if not is_rising or (self.times and self.times[-1] >= times[0]):
            self._is_ordered = False
        self.times += times
        self._heads += heads
        self._values += values

    def tidy(self) -> int | None:
        """
        Sort the open samples, the last of duplicates wins, and close complete frames.

        Returns:
            The earliest instant among samples that are too late even to be merged, which are
            dropped; None where there is no such sample.
        """
        if not self.times:
            return None
        if not self._is_ordered:
            self._hold(dict(zip(self.times, self._values, strict=True)))
            self._is_ordered = True
        too_old_ms: int | None = None
        if self.times[0] < self.begin_ms:
            too_old_ms = self.times[0]
            self._drop(bisect_left(self.times, self.begin_ms))
        if self.times and self.times[0] < self._closed_ms:
            late = bisect_left(self.times, self._closed_ms)
            self._late.update(zip(self.times[:late], self._values[:late], strict=True))
            self._drop(late)
        if len(self.times) >= FRAME_SAMPLES_MIN:
            self._close(self._end_ms, is_last=False)
        return too_old_ms

    def _hold(self, values: Mapping[int, str]) -> None:
        """Make these the open samples."""
        self.times = sorted(values)
        self._heads = list(map(head_text, self.times))
        self._values = [values[instant_ms] for instant_ms in self.times]

    def _drop(self, count: int) -> None:
        """Forget the first open samples."""
        del self.times[:count], self._heads[:count], self._values[:count]

    def _close(self, until_ms: int, *, is_last: bool) -> None:
        """Close the frames after whose end a sample is known, or all of them."""
        times, total, start = self.times, len(self.times), 0
        while start < total:
            stop, end_ms = self._frame_end(start, until_ms)
            if stop == total and not is_last:
                break
            text = woven_text(self._heads[start:stop], self._values[start:stop])
            self._builder.add_text(times[start], times[stop - 1], stop - start, text)
            self._closed_count += stop - start
            self._closed_ms, start = end_ms, stop
        if is_last:
            self._closed_ms = until_ms
        self._drop(start)

    def _frame_end(self, start: int, until_ms: int) -> tuple[int, int]:
        """Return where a frame ends that begins with a sample: at which one, and the instant."""
        times, end_ms = self.times, until_ms
        n = bisect_right(self._closings_ms, times[start])
        if n < len(self._closings_ms):
            end_ms = min(end_ms, self._closings_ms[n])
        stop = bisect_left(times, end_ms, start)
        full = start + FRAME_SAMPLES_MIN
        if full <= stop:
            midnight_ms = floor_day(times[full - 1]) + DAY_MS
            if midnight_ms < end_ms:
                stop, end_ms = bisect_left(times, midnight_ms, full, stop), midnight_ms
        if stop - start > FRAME_SAMPLES_MAX:
            stop = start + FRAME_SAMPLES_MAX
            end_ms = times[stop]
        return stop, end_ms

    def close_whole(self) -> None:
        """Close the last frame too, where no sample is missing: as bytes it takes a tenth."""
        if self.times and self.begin_ms < self._end_ms <= self.complete_ms:
            self.tidy()
            self._close(self._end_ms, is_last=True)

    def take_known(self) -> tuple[Range, Series] | None:
        """Return what became complete since the last time, with its series; None for nothing."""
        until_ms = self.complete_ms
        if until_ms <= self.begin_ms:
            return None
        # A page that broke off may have left samples in disorder.
        self.tidy()
        if self._late or self._closed_ms > until_ms:
            self._reopen()
        stop = bisect_left(self.times, until_ms)
        rest = self.times[stop:], self._heads[stop:], self._values[stop:]
        del self.times[stop:], self._heads[stop:], self._values[stop:]
        self._close(until_ms, is_last=True)
        taken = Range(self.begin_ms, until_ms), self._builder.build()
        self.begin_ms = until_ms
        self._begin()
        self.times, self._heads, self._values = rest
        return taken

    def _reopen(self) -> None:
        """
        Take the closed frames apart: for samples that came after their frame was closed, or because
        a frame reaches beyond what is complete.
        """
        known: dict[int, str] = {}
        series = self._builder.build()
        for frame in series.frames:
            data = series.data[frame.offset : frame.offset + frame.stored_bytes]
            known.update(value_texts(frame_text(frame, data)))
        known.update(self._late)
        known.update(zip(self.times, self._values, strict=True))
        self._hold(known)
        self._late = {}
        self._begin()


class Folder:
    """
    Takes the pages of one fetch and gives what is then known of each point.

    What is known can be taken while pages still come: memory then holds the rest alone.

    Attributes:
        unreadable: Samples of the requested points that were left out so far: their time cannot be
            read, or they came without a value.
    """

    def __init__(
        self, points: Iterable[str], time_range: Range, closings_ms: Sequence[int] = ()
    ) -> None:
        """
        Args:
            points: Those asked for.
            time_range: The range asked for.
            closings_ms: Instants at which a frame closes in any case, ascending.
        """
        self._time_range = time_range
        self._closings_ms = closings_ms
        # Of all points: up to when all has been given, and has been taken.
        self._complete_ms = self._taken_ms = time_range.start_ms
        self._folds = {point: _PointFold(time_range, closings_ms) for point in points}
        self._unasked: set[str] = set()
        self._known_times = _Times()
        self._value_texts = _ValueTexts()
        self._number_texts = _ValueTexts()
        self.unreadable = 0
        # Of the column taken last: its times as sent and how many cannot be read; of the samples
        # asked for their places in it (None: all), their instants, how their texts begin, and
        # whether each is later than the one before.
        self._times: list[str] = []
        self._unreadable_times = 0
        self._places: list[int] | None = None
        self._instants: list[int] = []
        self._heads: list[str] = []
        self._is_rising = True

    def add_page(self, samples: Sequence[Sample]) -> None:
        """
        Take the samples of one page.

        A requested point's sample without a readable time, or without a value in the range, is left
        out and counted.

        Raises:
            SampleTooOld: a sample of a requested point lies before what has been taken of it; the
                others of the page have been taken up.
        """
        self._add_columns(columns(samples, self._folds))

    def add_site_page(self, samples: Sequence[Sample], *, is_asked: bool = True) -> None:
        """
        Take the samples of one page of a whole site, whatever points it has.

        Of what was given before, points that turn up have none: only of a fetch that goes forward
        in time that is true, and that tells what is complete of all points at once.

        Args:
            samples: The page.
            is_asked: Whether somebody has asked for the points that turn up: else unreadable
                samples of theirs are not counted.

        Raises:
            SampleTooOld: as `add_page` does.
        """
        on_names = partial(self._admit, is_asked=is_asked)
        self._add_columns(columns(samples, self._folds, on_names))

    def _admit(self, points: Iterable[str], *, is_asked: bool) -> None:
        """Have samples taken of further points, too."""
        for point in points:
            if point and point not in self._folds:
                fold = _PointFold(Range(self._taken_ms, self._time_range.end_ms), self._closings_ms)
                fold.complete_ms = self._complete_ms
                self._folds[point] = fold
                if not is_asked:
                    self._unasked.add(point)

    def _add_columns(self, found: Iterable[Column]) -> None:
        for column in found:
            self._add_column(column)
        too_old = [each for fold in self._folds.values() if (each := fold.tidy()) is not None]
        if too_old:
            raise SampleTooOld(f"a sample of {format_instant(min(too_old))} came too late")

    def advance(self, points: Collection[str] | None, until_ms: int) -> None:
        """
        Note that every sample before *until_ms* of some points (None: of all) has been given.

        What was noted before stays; points that nobody asked for do not matter.
        """
        until_ms = min(until_ms, self._time_range.end_ms)
        if points is None:
            self._complete_ms = max(self._complete_ms, until_ms)
        names = self._folds if points is None else points
        for name in names:
            fold = self._folds.get(name)
            if fold is not None:
                fold.complete_ms = max(fold.complete_ms, until_ms)
                fold.close_whole()

    @property
    def held(self) -> int:
        """Samples in memory."""
        return sum(fold.held for fold in self._folds.values())

    @property
    def covered(self) -> float:
        """The share, from 0 to 1, of points and time together that is complete."""
        start_ms = self._time_range.start_ms
        done_ms = sum(fold.complete_ms - start_ms for fold in self._folds.values())
        asked_ms = len(self._folds) * self._time_range.duration_ms
        return done_ms / asked_ms if asked_ms else 1.0

    def _add_column(self, column: Column) -> None:
        """
        Take those samples of one point that were asked for.

        All steps are loops within single calls: this is where jobs spend their time.
        """
        if column.times != self._times:
            # Points are mostly collected together: those of a page share their times.
            self._read_times(column.times)
        is_asked = column.point not in self._unasked
        self.unreadable += self._unreadable_times * is_asked
        instants, heads, values = self._instants, self._heads, column.values
        if self._places is not None:
            values = [values[n] for n in self._places]
        if are_plain(values):
            texts = values
        else:
            if UNSET in values:
                sent = [n for n, value in enumerate(values) if value is not UNSET]
                self.unreadable += (len(values) - len(sent)) * is_asked
                instants, heads = [instants[n] for n in sent], [heads[n] for n in sent]
                values = [values[n] for n in sent]
            texts = self._texts_of(values)
        if instants:
            self._folds[column.point].take(instants, heads, texts, is_rising=self._is_rising)

    def _read_times(self, times: list[str]) -> None:
        start_ms, end_ms = self._time_range
        sent = self._known_times.read(times)
        kept = [each for each in sent if each is not None and start_ms <= each < end_ms]
        self._places = None
        self._unreadable_times = 0
        if len(kept) < len(sent):
            self._places = [
                n for n, each in enumerate(sent) if each is not None and start_ms <= each < end_ms
            ]
            self._unreadable_times = sent.count(None)
        self._instants = kept
        self._heads = list(map(head_text, kept))
        self._is_rising = all(map(lt, kept, kept[1:]))
        self._times = times

    def _texts_of(self, values: Sequence[Any]) -> list[str]:
        texts, numbers = self._value_texts, self._number_texts
        return [
            texts[value]
            if type(value) is str
            else numbers[value]
            if type(value) is NumberText
            else value_text(value)
            for value in values
        ]

    def take_known(self) -> list[PointSeries]:
        """
        Return what became complete since it was last taken, also where that is: no samples.

        Returns:
            In the order of the points a stretch that begins where the last one ended. Points of
            which nothing more is complete are left out.
        """
        self._taken_ms = self._complete_ms
        return [
            PointSeries(point, *taken)
            for point, fold in self._folds.items()
            if (taken := fold.take_known()) is not None
        ]

    def finish(self) -> list[PointSeries]:
        """
        Return what is complete and has not been taken, and forget the rest.

        Returns:
            As `take_known` does: of every point all, where no sample is missing and none was taken.
        """
        known = self.take_known()
        self._folds.clear()
        return known
