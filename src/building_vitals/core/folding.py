"""
Folds pages of samples, as they arrive, into frames.

Separate because it is the only code that touches every fetched sample: it drops what nobody asked
for, cuts to the range, sorts, lets the last of duplicates win, and holds no more than the samples
since each point's last closed frame.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import add, lt
from typing import Any

import msgspec

from building_vitals.core.columns import Sample, by_point, plain_tails
from building_vitals.core.frames import (
    FRAME_SAMPLES_MIN,
    Series,
    SeriesBuilder,
    frame_text,
    sample_texts,
)
from building_vitals.core.instant import DAY_MS, floor_day, parse_iso
from building_vitals.core.ranges import Range, split_at
from building_vitals.core.samples import value_text

# Distinct texts remembered between samples; a full memory starts anew. Some 3 MB in all.
TIMES_REMEMBERED_MAX = 16_384
VALUES_REMEMBERED_MAX = 8_192


class UnreadableTime(ValueError):
    """
    The upstream sent a time that is none.
    """


class Fold(msgspec.Struct, frozen=True, gc=False):
    """
    What is now known of one point over one range.
    """

    point: str
    known: Range
    series: Series


class _Heads(dict[str, tuple[int, str]]):
    """
    Time as sent → its instant, and the text a sample of that time begins with.
    """

    def __missing__(self, text: str) -> tuple[int, str]:
        try:
            instant_ms = parse_iso(text)
        except ValueError as error:
            raise UnreadableTime(str(error)) from error
        if len(self) >= TIMES_REMEMBERED_MAX:
            self.clear()
        found = self[text] = (instant_ms, f"[{instant_ms},")
        return found


class _Tails(dict[str, str]):
    """
    Text value as sent → the text its sample ends with.

    Only for values that are text: of other types, some are equal and yet different (1 and true).
    """

    def __missing__(self, value: str) -> str:
        if len(self) >= VALUES_REMEMBERED_MAX:
            self.clear()
        found = self[value] = value_text(value) + "]"
        return found


class _PointFold:
    """
    The open samples of one point, and the series its closed frames have gone to.
    """

    __slots__ = (
        "_builders",
        "_closed_ms",
        "_is_ordered",
        "_late",
        "_part",
        "_parts",
        "samples",
        "times",
    )

    def __init__(self, parts: Sequence[Range]) -> None:
        self._parts = parts
        self._part = 0
        self._builders = [SeriesBuilder() for _ in parts]
        self._closed_ms = parts[0].start_ms
        self._late: dict[int, str] = {}
        self._is_ordered = True
        self.times: list[int] = []
        self.samples: list[str] = []

    def take(self, times: Sequence[int], samples: Sequence[str], *, is_rising: bool) -> None:
        """
        Add samples to the open ones.

        Args:
            is_rising: Whether each is later than the one before.
        """
        if not is_rising or (self.times and self.times[-1] >= times[0]):
            self._is_ordered = False
        self.times += times
        self.samples += samples

    def tidy(self) -> None:
        """
        Sort the open samples, let the last of duplicates win, close the frames that are complete.
        """
        if not self.times:
            return
        if not self._is_ordered:
            newest = dict(zip(self.times, self.samples, strict=True))
            self.times = sorted(newest)
            self.samples = [newest[instant_ms] for instant_ms in self.times]
            self._is_ordered = True
        if self.times[0] < self._closed_ms:
            late = bisect_left(self.times, self._closed_ms)
            self._late.update(zip(self.times[:late], self.samples[:late], strict=True))
            del self.times[:late], self.samples[:late]
        if len(self.times) >= FRAME_SAMPLES_MIN:
            self._close(is_last=False)

    def _close(self, *, is_last: bool) -> None:
        """
        Close the frames after whose end a sample is known, or all of them.
        """
        times, total, start = self.times, len(self.times), 0
        while True:
            part_end_ms = self._parts[self._part].end_ms
            stop = bisect_left(times, part_end_ms, start)
            end_ms = part_end_ms
            full = start + FRAME_SAMPLES_MIN
            if full <= stop:
                midnight_ms = floor_day(times[full - 1]) + DAY_MS
                if midnight_ms < part_end_ms:
                    stop, end_ms = bisect_left(times, midnight_ms, full, stop), midnight_ms
            if stop == total and not is_last:
                break
            if stop > start:
                self._builders[self._part].add(times[start:stop], self.samples[start:stop])
            self._closed_ms, start = end_ms, stop
            if end_ms == part_end_ms:
                if self._part == len(self._parts) - 1:
                    break
                self._part += 1
        del self.times[:start], self.samples[:start]

    def finish(self) -> list[tuple[Range, Series]]:
        """
        Return each part of the range with its series.
        """
        self.tidy()
        self._close(is_last=True)
        if self._late:
            self._reopen()
        series = [builder.build() for builder in self._builders]
        return list(zip(self._parts, series, strict=True))

    def _reopen(self) -> None:
        """
        Take the closed frames apart for samples that came after their frame was closed.
        """
        known: dict[int, str] = {}
        for builder in self._builders:
            series = builder.build()
            for frame in series.frames:
                data = series.data[frame.offset : frame.offset + frame.length]
                known.update(sample_texts(frame_text(frame, data)))
        known.update(self._late)
        self.times = sorted(known)
        self.samples = [known[instant_ms] for instant_ms in self.times]
        self._builders = [SeriesBuilder() for _ in self._parts]
        self._part, self._closed_ms = 0, self._parts[0].start_ms
        self._close(is_last=True)


class Folder:
    """
    Takes the pages of one fetch and gives what is then known of each point.

    Attributes:
        kept: Samples that were asked for, duplicates counted.
        dropped: Samples of other points or outside the range.
    """

    def __init__(self, points: Iterable[str], wanted: Range, split_ms: int | None = None) -> None:
        """
        Args:
            points: Those asked for.
            wanted: The range asked for.
            split_ms: Where to begin another series, should it lie inside the range.
        """
        self._wanted = wanted
        parts = [wanted] if split_ms is None else split_at([wanted], split_ms)
        self._folds = {point: _PointFold(parts) for point in points}
        self._heads = _Heads()
        self._tails = _Tails()
        # Of the group taken last: its times as sent, their instants, how its samples' texts begin,
        # whether each is later than the one before, and whether all of them were asked for.
        self._times: list[str] = []
        self._instants: list[int] = []
        self._texts: list[str] = []
        self._is_rising = self._is_inside = True
        self.kept = 0
        self.dropped = 0

    def add_page(self, samples: Sequence[Sample]) -> None:
        """
        Take the samples of one page.

        Raises:
            UnreadableTime: a sample of a requested point has no readable time.
        """
        folds, kept = self._folds, 0
        for point, group in by_point(samples, folds):
            kept += self._add_group(folds[point], group)
        self.kept += kept
        self.dropped += len(samples) - kept
        for fold in folds.values():
            fold.tidy()

    def _add_group(self, fold: _PointFold, group: Sequence[Sample]) -> int:
        """
        Take samples of one point; return how many were asked for.

        All steps are loops within single calls: this is where jobs spend their time.
        """
        times = [sample.time for sample in group]
        if times != self._times:
            # Points are mostly collected together: those of a page share their times.
            pairs = [self._heads[time] for time in times]
            self._instants = [pair[0] for pair in pairs]
            self._texts = [pair[1] for pair in pairs]
            start_ms, end_ms = self._wanted
            self._is_rising = all(map(lt, self._instants, self._instants[1:]))
            self._is_inside = start_ms <= min(self._instants) and max(self._instants) < end_ms
            self._times = times
        values = [sample.value for sample in group]
        instants = self._instants
        samples = list(map(add, self._texts, plain_tails(values) or self._tails_of(values)))
        if not self._is_inside:
            start_ms, end_ms = self._wanted
            inside = [n for n, instant in enumerate(instants) if start_ms <= instant < end_ms]
            instants = [instants[n] for n in inside]
            samples = [samples[n] for n in inside]
        if samples:
            fold.take(instants, samples, is_rising=self._is_rising)
        return len(samples)

    def _tails_of(self, values: Sequence[Any]) -> list[str]:
        tails = self._tails
        return [
            tails[value] if isinstance(value, str) else value_text(value) + "]" for value in values
        ]

    def finish(self) -> list[Fold]:
        """
        Return every requested point with what is known of it, also where that is: nothing.

        Returns:
            In the order of the points, and for each by time.
        """
        return [
            Fold(point, known, series)
            for point, fold in self._folds.items()
            for known, series in fold.finish()
        ]
