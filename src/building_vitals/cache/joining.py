"""
Makes one segment of several that follow each other.

Separate because it is the only place where frames are joined: whole frames of a good size are
copied as they are, small ones are put together, and only frames that are cut are looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from building_vitals.cache.coverage import cover
from building_vitals.cache.freshness import closings
from building_vitals.cache.segments import DirectoryMissing, Segment
from building_vitals.ranges import Range, merge
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import (
    FRAME_SAMPLES_MIN,
    Frame,
    Series,
    SeriesBuilder,
    cut_text,
    frame_text,
    text_times,
)

# A segment of so many bytes is worth a read of its own and is left as it is.
SEGMENT_BYTES_MAX = 262_144
# Samples without levels that are put together by themselves, for each level; of more the levels
# are made again.
BARE_SAMPLES_MAX = 2_048


class Run(NamedTuple):
    """Segments of one point that become one: the range, when fetched, and what each part gives."""

    point: str
    known: Range
    fetched_ms: int
    parts: list[tuple[Segment, Range]]


ReadFrame = Callable[[Segment, Frame], bytes | memoryview]


def is_small(segment: Segment) -> bool:
    """Return whether a segment is better read together with others."""
    return segment.stored_bytes <= SEGMENT_BYTES_MAX


def runs(
    segments: Iterable[Segment],
) -> list[tuple[Range, int, list[tuple[Segment, Range]]]]:
    """
    Return which segments of one point can become one, or be moved into another object.

    Only small ones are joined, and only where that changes nobody's life: those of one kind that
    were fetched at the same instant.

    Returns:
        For each run of two or more, or of one that has samples: the range it covers, when it was
        fetched, and its parts with the range each gives.
    """
    alike: dict[tuple[int, bool], list[Segment]] = {}
    for each in segments:
        if is_small(each):
            alike.setdefault((each.fetched_ms, each.is_by_point), []).append(each)
    found = []
    for (fetched_ms, _), group in alike.items():
        for known in merge(each.range for each in group):
            parts = cover(group[0].point, group, known).known
            if len(parts) > 1 or parts[0][0].count:
                found.append((known, fetched_ms, parts))
    return found


def join(
    point: str, known: Range, parts: Sequence[tuple[Segment, Range]], read: ReadFrame
) -> PointSeries:
    """
    Return the parts of a run as one; *read* gives the bytes of a frame.

    Raises:
        ValueError: the bytes are not that frame.
        DirectoryMissing: a part's directory was left out.
    """
    joiner = Joiner(closings(known, parts[0][0].fetched_ms))
    for segment, time_range in parts:
        if segment.count and not segment.has_directory:
            raise DirectoryMissing(point)
        for frame in segment.frames or ():
            if frame.last_ms >= time_range.start_ms and frame.first_ms < time_range.end_ms:
                joiner.add(frame, time_range, partial(read, segment, frame))
    return PointSeries(point, known, joiner.build(), parts[0][0].is_by_point)


class Joiner:
    """Puts frames together; they stay apart at the instants *closings_ms*, where trust may end."""

    def __init__(self, closings_ms: Sequence[int]) -> None:
        self._closings_ms = closings_ms
        self._builder = SeriesBuilder()
        self._small: list[RunSamples] = []

    def add(self, frame: Frame, time_range: Range, read: Callable[[], bytes | memoryview]) -> None:
        """Append what a frame has in a range; *read* gives its bytes."""
        begin_ms = max(frame.first_ms, time_range.start_ms)
        if self._small and any(
            self._small[-1].last_ms < each <= begin_ms for each in self._closings_ms
        ):
            self._close()
        is_whole = time_range.start_ms <= frame.first_ms and frame.last_ms < time_range.end_ms
        if is_whole and frame.count >= FRAME_SAMPLES_MIN and not self._small:
            self._builder.add_frame(frame, read())
            return
        self.add_samples(_cut(frame, read(), None if is_whole else time_range))

    def add_samples(self, kept: RunSamples) -> None:
        """Append samples that lie in no frame."""
        if kept.samples:
            self._small.append(kept)
        if sum(each.samples for each in self._small) >= FRAME_SAMPLES_MIN:
            self._close()

    def _close(self) -> None:
        small = self._small
        if small:
            count = sum(each.samples for each in small)
            text = b",".join(each.text for each in small)
            self._builder.add_text(small[0].first_ms, small[-1].last_ms, count, text)
            small.clear()

    def build(self) -> Series:
        """Return the series."""
        self._close()
        return self._builder.build()


class RunSamples(NamedTuple):
    """Samples that are put into a frame: as a run, where it begins and ends, and their count."""

    first_ms: int
    last_ms: int
    samples: int
    text: bytes


def _cut(frame: Frame, data: bytes | memoryview, time_range: Range | None) -> RunSamples:
    """Return the samples of a frame, or those of them that lie in a range."""
    text = frame_text(frame, data)
    if time_range is None:
        return RunSamples(frame.first_ms, frame.last_ms, frame.count, text)
    count, text = cut_text(text, time_range)
    return RunSamples(*(text_times(text) if count else (0, 0)), count, text)
