"""
Which hours of a point come from rollups, and which of its samples are looked at beside them.

A rollup has every hour of its segment, those at the segment's ends with what of them is the
segment's. So samples are needed only where a cut, the range or a bucket's bound goes through an
hour, and of segments without rollups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from building_vitals.cache.need import ROLLUPS_ALONE, ROLLUPS_AND_SAMPLES
from building_vitals.cache.segments import Check, Level, Piece, Segment, pieces
from building_vitals.cache.zooming import Parts, is_clean
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.buckets import are_at_full_hours, parse_interval
from building_vitals.series.frames import Frame
from building_vitals.series.levels import bucket_start
from building_vitals.series.rollups import ROLLUP_MS

# The aggregates that are known from counts and sums.
SUMMABLE = frozenset({"count", "sum", "mean"})
# Of a point, samples that are looked at beside rollups at the most, all of them held at once.
SAMPLES_MAX = 65_536
# Hours that are taken apart at the most, each of them in a frame of hundreds of samples.
SPLIT_HOURS_MAX = 32
# Rollups are read where they save at least this share of the samples.
SAVED_SHARE = 0.5


class Hours(NamedTuple):
    """
    Hours of a rollup's frame.

    Attributes:
        piece: Holds the frame.
        frame: The frame; its first hour begins at its *first_ms*.
        span: From the begin of the first of the hours to the end of the last one.
    """

    piece: Piece
    frame: Frame
    span: Range


HoursOrSamples: TypeAlias = Hours | Piece


def rollup_samples(
    interval: str, aggregates: Collection[str], zone_name: str, time_range: Range
) -> int:
    """
    Return what is looked up for some aggregates of an interval, as `Need.level_samples`.

    Raises:
        ValueError: there is no such interval or zone.
    """
    width = parse_interval(interval)
    if not SUMMABLE.issuperset(aggregates) or width.days < HOUR_MS / DAY_MS:
        return 0
    if are_at_full_hours(width, zone_name, time_range):
        return ROLLUPS_ALONE
    return ROLLUPS_AND_SAMPLES


def rollup_plan(parts: Parts, split: Sequence[int]) -> list[HoursOrSamples] | None:
    """
    Return what is to be read of a point for sums of buckets, in order of time.

    Args:
        parts: What is known of it: by time, disjoint.
        split: Where the hours begin within which a bucket ends, ascending.

    Returns:
        None where it takes as long to look at all samples.

    Raises:
        DirectoryMissing: of a segment that has to be cut.
    """
    if len(split) > SPLIT_HOURS_MAX or not any(rollup_of(segment) for segment, _ in parts):
        return None
    plan = [each for segment, part in parts for each in stretches(segment, part, split)]
    looked_at = sum(each.count for each in plan if isinstance(each, Piece))
    # Not by their directories, which nobody else may need.
    held = sum(
        segment.count * part.duration_ms / segment.range.duration_ms for segment, part in parts
    )
    if looked_at > SAMPLES_MAX or looked_at > (1 - SAVED_SHARE) * held:
        return None
    return plan


def pieces_of(plan: Iterable[HoursOrSamples]) -> Iterator[Piece]:
    """Yield the pieces that a plan reads."""
    for each in plan:
        yield each.piece if isinstance(each, Hours) else each


def rollup_of(segment: Segment) -> Level | None:
    """Return the rollup of a segment; None where it has none."""
    return next((each for each in segment.levels or () if each.width_ms == ROLLUP_MS), None)


def stretches(segment: Segment, part: Range, split: Sequence[int] = ()) -> Iterator[HoursOrSamples]:
    """
    Yield what a part of a segment is made of, in order of time.

    Args:
        segment: With its rollup, if it has one.
        part: Of its range.
        split: Where hours begin that are not to be taken as a whole.

    Raises:
        DirectoryMissing: it has to be cut.
    """
    rollup = rollup_of(segment)
    lo_ms, hi_ms = part
    if not is_clean(segment, lo_ms, HOUR_MS):
        lo_ms = bucket_start(lo_ms, HOUR_MS) + HOUR_MS
    if not is_clean(segment, hi_ms, HOUR_MS):
        hi_ms = bucket_start(hi_ms, HOUR_MS)
    if rollup is None or rollup.frames is None or lo_ms >= hi_ms:
        yield from pieces(segment, part)
        return
    inside = [each for each in split if bucket_start(lo_ms, HOUR_MS) <= each < hi_ms]
    # Between these lie whole hours; the samples of each such hour, and beside them all.
    bare = [Range(part.start_ms, lo_ms)] if part.start_ms < lo_ms else []
    bare += [Range(max(each, part.start_ms), min(each + HOUR_MS, hi_ms)) for each in inside]
    bare += [Range(hi_ms, part.end_ms)] if hi_ms < part.end_ms else []
    ends = [part.start_ms, *(ms for each in bare for ms in each), part.end_ms]
    for n, (start_ms, end_ms) in enumerate(pairwise(ends)):
        if start_ms >= end_ms:
            continue
        if n % 2:
            yield from pieces(segment, Range(start_ms, end_ms))
        else:
            yield from _hours(segment, rollup, Range(start_ms, end_ms))


def _hours(segment: Segment, rollup: Level, span: Range) -> Iterator[Hours]:
    first_ms = bucket_start(span.start_ms, HOUR_MS)
    end_ms = bucket_start(span.end_ms - 1, HOUR_MS) + HOUR_MS
    for frame in rollup.frames or ():
        own_end_ms = frame.last_ms + HOUR_MS
        if frame.first_ms < end_ms and first_ms < own_end_ms:
            held = Range(max(first_ms, frame.first_ms), min(end_ms, own_end_ms))
            yield Hours(_frame_piece(segment, rollup, frame, held), frame, held)


def _frame_piece(segment: Segment, rollup: Level, frame: Frame, span: Range) -> Piece:
    """Return a frame of a rollup as a piece, with its hours as the range: others, other sums."""
    return Piece(
        key=segment.key,
        object_etag=segment.object_etag,
        offset=rollup.offset + frame.offset,
        stored_bytes=frame.stored_bytes,
        text_bytes=frame.text_bytes,
        count=frame.count,
        crc=frame.crc,
        crc_growth=frame.crc_growth,
        checks=(Check(frame.stored_bytes, frame.data_crc),),
        time_range=span,
    )
