"""
Makes one segment of several that follow each other.

Separate because it is the only place where frames are joined: whole frames of a good size are
copied as they are, small ones are put together, and only frames that are cut are looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from building_vitals.cache.coverage import cover
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import DirectoryMissing, Segment
from building_vitals.ranges import Range, merge
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import (
    FRAME_SAMPLES_MIN,
    Frame,
    SeriesBuilder,
    cut_text,
    frame_text,
    text_times,
)

# A segment of so many bytes is worth a read of its own and is left as it is.
SEGMENT_BYTES_MAX = 262_144

ReadFrame = Callable[[Segment, Frame], bytes | memoryview]


def is_small(segment: Segment) -> bool:
    """Return whether a segment is better read together with others."""
    return segment.stored_bytes <= SEGMENT_BYTES_MAX


def runs(
    segments: Iterable[Segment], *, freshness: Freshness, now_ms: int
) -> list[tuple[Range, int, list[tuple[Segment, Range]]]]:
    """
    Return which segments of one point can become one, or be moved into another object.

    Only small ones are joined, and only within a cohort (`freshness`).

    Returns:
        For each run of two or more, or of one that has samples: the range it covers, when its
        oldest part was fetched, and its parts with the range each gives.
    """
    cohorts: dict[Hashable, list[Segment]] = {}
    for each in segments:
        if is_small(each) and freshness.is_known(each, now_ms):
            cohorts.setdefault(freshness.cohort(each), []).append(each)
    found = []
    for group in cohorts.values():
        for known in merge(each.range for each in group):
            parts = cover(group[0].point, group, known).known
            if len(parts) > 1 or parts[0][0].count:
                found.append((known, min(part.fetched_ms for part, _ in parts), parts))
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
    builder = SeriesBuilder()
    small: list[_Samples] = []

    def close() -> None:
        if small:
            count = sum(each.samples for each in small)
            text = b",".join(each.text for each in small)
            builder.add_text(small[0].first_ms, small[-1].last_ms, count, text)
            small.clear()

    for segment, time_range in parts:
        if segment.frames is None and segment.count:
            raise DirectoryMissing(point)
        for frame in segment.frames or ():
            if frame.last_ms < time_range.start_ms or frame.first_ms >= time_range.end_ms:
                continue
            is_whole = time_range.start_ms <= frame.first_ms and frame.last_ms < time_range.end_ms
            if is_whole and frame.count >= FRAME_SAMPLES_MIN and not small:
                builder.add_frame(frame, read(segment, frame))
                continue
            kept = _cut(frame, read(segment, frame), None if is_whole else time_range)
            if kept.samples:
                small.append(kept)
            if sum(each.samples for each in small) >= FRAME_SAMPLES_MIN:
                close()
    close()
    return PointSeries(point, known, builder.build(), parts[0][0].is_by_point)


class _Samples(NamedTuple):
    """Samples of a frame that is not copied as it is."""

    first_ms: int
    last_ms: int
    samples: int
    text: bytes


def _cut(frame: Frame, data: bytes | memoryview, time_range: Range | None) -> _Samples:
    """Return the samples of a frame, or those of them that lie in a range."""
    text = frame_text(frame, data)
    if time_range is None:
        return _Samples(frame.first_ms, frame.last_ms, frame.count, text)
    count, text = cut_text(text, time_range)
    return _Samples(*(text_times(text) if count else (0, 0)), count, text)
