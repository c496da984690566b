"""
Which stretches of which levels make up what a chart shows of a point.

Of each part that is known, the level that fits gives the buckets that lie wholly within it. A
bucket in which two parts meet, or that a cut goes through, is a seam: its samples come from the
parts' finer levels, down to the samples themselves where need be, and are thinned together. So what
comes out is the level of all samples, as if they had never been parted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from building_vitals.cache.need import WHOLE_SHARE
from building_vitals.cache.segments import (
    DirectoryMissing,
    Level,
    Piece,
    Segment,
    of_level,
    pieces,
    places_within,
    samples_of,
)
from building_vitals.ranges import Range
from building_vitals.series.levels import SAMPLES_MAX, WIDTHS_MS, bucket_start

# A level is not kept where it would have more than half of the samples of the next finer one. In a
# part of a segment that share may be smaller: a third is taken for the least.
PART_TIMES = 3
WHOLE_TIMES = round(PART_TIMES * WHOLE_SHARE)
# So many samples without levels are looked into, however few are wanted.
BARE_SAMPLES_MIN = 8_192
# Samples that are looked into rather than found out about.
FEW_SAMPLES = 256
# Samples of a part that a level cannot give for which no finer level is read: some of them have to
# be read anyway, unless that level has no cut, and a frame has hundreds.
EDGE_SAMPLES = 512

Parts: TypeAlias = Sequence[tuple[Segment, Range]]


class Seam(NamedTuple):
    """
    Buckets that are put together.

    Attributes:
        start_ms: Where the first of them begins.
        pieces: What holds all they need.
        buckets: How many they are at the most, where they are the level that is wanted.
    """

    start_ms: int
    pieces: list[Piece]
    buckets: int = 1


Stretch: TypeAlias = Piece | Seam
CountOf: TypeAlias = Callable[[Piece], int | None]


class ZoomPlan(NamedTuple):
    """
    What is to be read of a point.

    Attributes:
        width_ms: Of the finest level that may fit; no finer one does. 0: all samples.
        stretches: In order of time.
        is_level: Whether they are that level; else its samples are among those of the stretches.
    """

    width_ms: int
    stretches: list[Stretch]
    is_level: bool

    @property
    def pieces(self) -> list[Piece]:
        """All pieces, in order of time."""
        return [
            piece
            for each in self.stretches
            for piece in (each.pieces if isinstance(each, Seam) else [each])
        ]

    def least(self, counted: CountOf) -> int:
        """Return how many samples the level has at least; *counted* knows of cut frames."""
        return sum(
            each.count if each.frame is None else counted(each) or 0
            for each in self.stretches
            if not isinstance(each, Seam)
        )

    def most(self, counted: CountOf) -> int:
        """Return how many samples the level has at the most."""
        found = 0
        for each in self.stretches:
            if isinstance(each, Seam):
                held = sum(piece.count for piece in each.pieces)
                found += min(held, each.buckets * SAMPLES_MAX)
            else:
                count = None if each.frame is None else counted(each)
                found += each.count if count is None else count
        return found

    def uncounted(self, counted: CountOf, max_points: int) -> list[Piece]:
        """Return the cut frames that have to be counted to tell whether the level fits."""
        if not self.is_level or self.most(counted) <= max_points:
            return []
        return [
            each
            for each in self.stretches
            if not isinstance(each, Seam) and each.frame is not None and counted(each) is None
        ]


def none_counted(_piece: Piece) -> int | None:
    """Return that nobody knows how many samples a cut leaves of a frame."""
    return None


def level_samples(max_points: int) -> int:
    """
    Return how many samples a level of a segment may have that is read for an answer.

    The next wider one, which may be what is wanted but is not kept, has more than half of them.
    Of the widest there may be any number.
    """
    return PART_TIMES * (max_points + 2 * SAMPLES_MAX)


def bare_samples(max_points: int) -> int:
    """Return how many samples of a segment without levels are looked into for an answer."""
    return max(level_samples(max_points), BARE_SAMPLES_MIN)


def zoom_plan(
    parts: Parts, max_points: int, narrow_ms: int = -1, counted: CountOf = none_counted
) -> ZoomPlan | None:
    """
    Return what is to be read for at most *max_points* samples of a point.

    Args:
        parts: What is known of it: by time, disjoint.
        max_points: 2 or more.
        narrow_ms: A width that turned out not to fit.
        counted: Says how many samples a cut leaves of a frame, None where nobody has looked.

    Returns:
        None where too many samples without levels would have to be looked into.

    Raises:
        DirectoryMissing: of a segment, or a level, that has to be cut.
    """
    if narrow_ms < 0 and not _has_more(parts, 0, max_points):
        found = [piece for segment, part in parts for piece in pieces(segment, part)]
        plan = ZoomPlan(0, list(found), is_level=True)
        if plan.least(counted) <= max_points:
            return plan
    if is_long(parts, max_points):
        return None
    for width_ms in WIDTHS_MS[:-1]:
        if width_ms > narrow_ms and not _has_more(parts, width_ms, max_points):
            plan = _readable_plan(parts, width_ms)
            if not plan.is_level or plan.least(counted) <= max_points:
                return plan
    return _readable_plan(parts, WIDTHS_MS[-1])


def _readable_plan(parts: Parts, width_ms: int) -> ZoomPlan:
    """
    Return what makes up the level of a width, or all samples that it is to be made of.

    Segments that are taken whole come without the directory of their samples: where they meet
    inside a bucket and have no level that is as narrow, they are gone through as a whole.
    """
    try:
        return level_plan(parts, width_ms)
    except DirectoryMissing:
        found = [piece for each in parts for piece in _sources(*each, width_ms)]
        everything = Seam(bucket_start(parts[0][1].start_ms, width_ms), found, len(found))
        return ZoomPlan(width_ms, [everything], is_level=False)


def is_long(parts: Parts, max_points: int) -> bool:
    """Return whether some part has no levels, and more samples than are worth a look each time."""
    return any(
        segment.levels is None and _expected(segment, part) > bare_samples(max_points)
        for segment, part in parts
    )


def _expected(segment: Segment, part: Range) -> int:
    """Return about how many samples a part of a segment has."""
    return segment.count * part.duration_ms // segment.range.duration_ms


def _has_more(parts: Parts, width_ms: int, max_points: int) -> bool:
    """
    Return whether a level is sure to have more samples, without a look into frames that are cut.

    The first parts tell in most cases, and the directories of the others are not decoded.
    """
    least = 0
    for segment, part in parts:
        if width_ms and segment.levels is None:
            # Few: they will be looked into.
            continue
        held = _least_of(segment, part, width_ms)
        least += max(0, held - 2 * SAMPLES_MAX) if width_ms else held
        if least > max_points:
            return True
    return False


def _least_of(segment: Segment, part: Range, width_ms: int) -> int:
    """Return about how many samples the whole buckets of a part have at least."""
    own = next((each for each in segment.levels or () if each.width_ms == width_ms), None)
    if own is not None and own.is_kept:
        return _whole_samples(segment, own, part)
    level = _source(segment, width_ms)
    if own is None and level is not None:
        held = _whole_samples(segment, level, part)
    else:
        held = _whole_samples(segment, segment, part)
    if own is not None:
        # Evenly throughout its series, which may reach beyond it.
        frames = segment.frames if segment.is_cut else None
        return held * own.count // sum(each.count for each in frames or (segment,))
    if not width_ms:
        return held
    return held // (WHOLE_TIMES if part == segment.range else PART_TIMES)


def _whole_samples(segment: Segment, series: Segment | Level, part: Range) -> int:
    """Return the samples of the frames that lie wholly in a part: of all, or of a level."""
    if part == segment.range and not segment.is_cut:
        return series.count
    frames = series.frames
    if frames is None:
        if not segment.count:
            return 0
        raise DirectoryMissing(segment.point)
    begin, end = places_within(frames, part)
    if begin < end and frames[begin].first_ms < part.start_ms:
        begin += 1
    if begin < end and frames[end - 1].last_ms >= part.end_ms:
        end -= 1
    return samples_of(frames, range(begin, end)) if begin < end else 0


def _source(segment: Segment, width_ms: int) -> Level | None:
    """Return the widest level up to a width; None for the samples themselves."""
    found = None
    for level in segment.levels or ():
        if 0 < level.width_ms <= width_ms and level.is_kept:
            found = level
    return found


def is_clean(segment: Segment, instant_ms: int, width_ms: int) -> bool:
    """Return whether no bucket of a width is cut at an instant, of the segment's own."""
    return instant_ms % width_ms == 0 or (
        not segment.is_cut and instant_ms in (segment.start_ms, segment.end_ms)
    )


def _seams(parts: Parts, width_ms: int) -> set[int]:
    """Return where the buckets begin that have to be put together."""
    found: set[int] = set()
    before_ms: int | None = None
    for segment, part in parts:
        first = bucket_start(part.start_ms, width_ms)
        if before_ms is not None and bucket_start(before_ms - 1, width_ms) == first:
            found.add(first)
        found.update(
            bucket_start(each, width_ms) for each in part if not is_clean(segment, each, width_ms)
        )
        before_ms = part.end_ms
    return found


def level_plan(parts: Parts, width_ms: int) -> ZoomPlan:
    """
    Return what makes up the level of a width.

    Raises:
        DirectoryMissing: of a segment, or a level, that has to be cut.
    """
    seams = _seams(parts, width_ms)
    stretches: list[Stretch] = []
    is_level = True

    def add_seam(start_ms: int, segment: Segment, part: Range) -> None:
        found = _sources(segment, part, width_ms)
        before = stretches[-1] if stretches else None
        if isinstance(before, Seam) and before.start_ms == start_ms:
            before.pieces.extend(found)
        elif found:
            stretches.append(Seam(start_ms, found))

    for segment, (start_ms, end_ms) in parts:
        lo_ms, hi_ms = start_ms, end_ms
        first, last = bucket_start(start_ms, width_ms), bucket_start(end_ms, width_ms)
        if first in seams:
            lo_ms = min(end_ms, first + width_ms)
            add_seam(first, segment, Range(start_ms, lo_ms))
        if last in seams and lo_ms <= last < end_ms:
            hi_ms = last
        if lo_ms < hi_ms:
            level = _source(segment, width_ms)
            held = segment if level is None else of_level(segment, level)
            found = pieces(held, Range(lo_ms, hi_ms))
            if found and (level is None or level.width_ms != width_ms):
                count = sum(piece.count for piece in found)
                is_level &= count <= FEW_SAMPLES
                stretches.append(Seam(bucket_start(lo_ms, width_ms), found, buckets=count))
            else:
                stretches += found
        if hi_ms < end_ms:
            add_seam(last, segment, Range(hi_ms, end_ms))
    return ZoomPlan(width_ms, stretches, is_level)


def _sources(segment: Segment, part: Range, width_ms: int) -> list[Piece]:
    """
    Return pieces whose samples are among those of a part, and hold what a level has of it.

    The level itself gives what no cut goes through, the next finer ones and the samples the rest.
    """
    level = _source(segment, width_ms)
    if level is None:
        return pieces(segment, part)
    own_ms = level.width_ms
    start_ms, end_ms = part
    if not is_clean(segment, start_ms, own_ms):
        start_ms = bucket_start(start_ms, own_ms) + own_ms
    if not is_clean(segment, end_ms, own_ms):
        end_ms = bucket_start(end_ms, own_ms)
    if start_ms >= end_ms:
        return _edge(segment, part, own_ms)
    found = pieces(of_level(segment, level), Range(start_ms, end_ms))
    if part.start_ms < start_ms:
        found = _edge(segment, Range(part.start_ms, start_ms), own_ms) + found
    if end_ms < part.end_ms:
        found += _edge(segment, Range(end_ms, part.end_ms), own_ms)
    return found


def _edge(segment: Segment, part: Range, width_ms: int) -> list[Piece]:
    """Return the same of a part that a level of a width cannot give."""
    level = _source(segment, width_ms - 1)
    is_exact = level is not None and all(is_clean(segment, each, level.width_ms) for each in part)
    if _expected(segment, part) <= (FEW_SAMPLES if is_exact else EDGE_SAMPLES):
        return pieces(segment, part)
    return _sources(segment, part, width_ms - 1)
