"""
Makes one segment of several that follow each other.

Separate because it is the only place where frames are joined: whole frames of a good size are
copied as they are, small ones are put together, and only frames that are cut are looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from building_vitals.cache.coverage import cover
from building_vitals.cache.freshness import Freshness
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

ReadFrame = Callable[[Segment, Frame], bytes | memoryview]


def runs(
    segments: Iterable[Segment], *, freshness: Freshness, now_ms: int
) -> list[tuple[Range, int, list[tuple[Segment, Range]]]]:
    """
    Return which segments of one point can become one.

    Only small ones are joined, and only within a cohort (`freshness`).

    Returns:
        For each run of two or more: the range it covers, when its oldest part was fetched, and its
        parts with the range each gives.
    """
    cohorts: dict[Hashable, list[Segment]] = {}
    for each in segments:
        if each.stored_bytes <= SEGMENT_BYTES_MAX and freshness.is_known(each, now_ms):
            cohorts.setdefault(freshness.cohort(each), []).append(each)
    found = []
    for group in cohorts.values():
        for known in merge(each.range for each in group):
            parts = cover(group[0].point, group, known).known
            if len(parts) > 1:
                found.append((known, min(part.fetched_ms for part, _ in parts), parts))
    return found


def join(
    point: str, known: Range, parts: Sequence[tuple[Segment, Range]], read: ReadFrame
) -> PointSeries:
    """
    Return the parts of a run as one.

    Args:
        read: Gives the bytes of a frame.

    Raises:
        ValueError: the bytes are not that frame.
        DirectoryMissing: a part's directory was left out.
    """
    builder = SeriesBuilder()
    texts: list[bytes] = []
    times: list[tuple[int, int]] = []
    count = 0

    def close() -> None:
        nonlocal count
        if texts:
            builder.add_text(times[0][0], times[-1][1], count, b",".join(texts))
        texts.clear()
        times.clear()
        count = 0

    for segment, time_range in parts:
        if segment.frames is None and segment.count:
            raise DirectoryMissing(point)
        for frame in segment.frames or ():
            if frame.last_ms < time_range.start_ms or frame.first_ms >= time_range.end_ms:
                continue
            is_whole = time_range.start_ms <= frame.first_ms and frame.last_ms < time_range.end_ms
            if is_whole and frame.count >= FRAME_SAMPLES_MIN and not texts:
                builder.add_frame(frame, read(segment, frame))
                continue
            kept, text = frame.count, frame_text(frame, read(segment, frame))
            first_ms, last_ms = frame.first_ms, frame.last_ms
            if not is_whole:
                kept, text = cut_text(text, time_range)
                if not kept:
                    continue
                first_ms, last_ms = text_times(text)
            texts.append(text)
            times.append((first_ms, last_ms))
            count += kept
            if count >= FRAME_SAMPLES_MIN:
                close()
    close()
    series: Series = builder.build()
    return PointSeries(point, known, series)
