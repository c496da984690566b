"""
Which segments answer a request, and the gaps between them.

Pure: services only carry out what is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import pairwise

import msgspec

from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range, gaps, merge
from building_vitals.upstream.profile import Source

# Says where the part of a segment ends that is known; its start where nothing is.
Until = Callable[[Segment], int]


class Cover(msgspec.Struct, frozen=True, gc=False):
    """
    One point of a request.

    Attributes:
        point: Its name.
        known: Segments with the part of the request each answers; by time, disjoint.
        gaps: The rest of the request; by time.
        is_unknown: Whether the site has no such point; nothing is known of it then, and nothing
            is missing.
    """

    point: str
    known: list[tuple[Segment, Range]]
    gaps: list[Range]
    is_unknown: bool = False


def cover(
    point: str, segments: Sequence[Segment], needed: Range | None, until: Until | None = None
) -> Cover:
    """
    Return which segments answer *needed*, and the gaps between them.

    The segments are of this point, in any order; they may overlap: each instant is that of the one
    fetched last, known or not, so that what an answer shows never gives way to something older.
    Of a range in the future nothing can be known: *needed* is None then.

    Args:
        point: Its name.
        segments: Those there are.
        needed: The range.
        until: Says where the part of a segment ends that is known; left out, all of it is.
    """
    if needed is None:
        return Cover(point, [], [])
    known: list[tuple[Segment, Range]] = []
    missing: list[Range] = []
    cursor_ms = needed.start_ms
    for segment, (start_ms, own_end_ms) in _newest(segments, needed):
        end_ms = own_end_ms if until is None else min(own_end_ms, until(segment))
        if start_ms >= end_ms:
            continue
        if start_ms > cursor_ms:
            missing.append(Range(cursor_ms, start_ms))
        known.append((segment, Range(start_ms, end_ms)))
        cursor_ms = end_ms
    if cursor_ms < needed.end_ms:
        missing.append(Range(cursor_ms, needed.end_ms))
    return Cover(point, known, missing)


def _newest(segments: Sequence[Segment], needed: Range) -> list[tuple[Segment, Range]]:
    """Return the parts of a range of which each segment is the newest copy; by time, disjoint."""
    found: list[tuple[Segment, Range]] = []
    ordered = sorted(segments, key=_start_of)
    if all(one.end_ms <= other.start_ms for one, other in pairwise(ordered)):
        for each in ordered:
            part = each.range.clip(needed)
            if part is not None:
                found.append((each, part))
        return found
    # Of those fetched at one instant the one that came last.
    latest = sorted(segments, key=_fetched_of)[::-1]
    match latest:
        case [tail, old] if tail.start_ms > old.start_ms >= needed.start_ms:
            # As most charts have it, and quicker than the rest.
            return _tailed(old, tail, needed)
    taken: list[Range] = []
    for each in latest:
        part = each.range.clip(needed)
        if part is not None and (left := gaps(taken, part)):
            found += [(each, own) for own in left]
            taken = merge([*taken, part])
    return sorted(found, key=_part_of)


def _tailed(old: Segment, tail: Segment, needed: Range) -> list[tuple[Segment, Range]]:
    """Return the parts of a range that an old segment gives, and a newer one that begins in it."""
    found: list[tuple[Segment, Range]] = []
    for segment, start_ms, end_ms in (
        (old, old.start_ms, min(tail.start_ms, old.end_ms)),
        (tail, tail.start_ms, tail.end_ms),
        (old, tail.end_ms, old.end_ms),
    ):
        last_ms = min(end_ms, needed.end_ms)
        if start_ms < last_ms:
            found.append((segment, Range(start_ms, last_ms)))
    return found


def _start_of(segment: Segment) -> int:
    return segment.start_ms


def _fetched_of(segment: Segment) -> int:
    return segment.fetched_ms


def _part_of(found: tuple[Segment, Range]) -> Range:
    return found[1]


def superseded(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments of one point and one kind of which newer copies hold every instant."""
    if not segments:
        return []
    whole = Range(min(map(_start_of, segments)), max(each.end_ms for each in segments))
    used = {id(segment) for segment, _ in _newest(segments, whole)}
    return [each for each in segments if id(each) not in used]


def covers(
    points: Iterable[str],
    segments: Iterable[Segment],
    needed: Range | None,
    *,
    freshness: Freshness,
    now_ms: int,
    since_ms: int | None = None,
    grace: bool = False,
    unknown: Collection[str] = (),
    source: Source | None = None,
) -> list[Cover]:
    """
    Return a cover of each point, in the order of *points*, from all that the index has of them.

    What was fetched at *since_ms* or later is known to its end; left out, that is *now_ms*. With
    *grace*, what may stand in counts as known, too. Those of *unknown* are points that the site
    does not have.

    Where calls by point give other samples than pages, *source* says which of them the gaps would
    be filled from. One point of one answer never mixes the two: raw samples are taken where they
    are all known, else those of the source.
    """
    known_until = partial(freshness.known_until_ms, now_ms=now_ms, since_ms=since_ms)
    kept_until = partial(freshness.kept_until_ms, now_ms=now_ms, since_ms=since_ms)
    by_point: dict[str, list[Segment]] = {}
    for segment in segments:
        by_point.setdefault(segment.point, []).append(segment)
    found = []
    for point in points:
        if point in unknown:
            found.append(Cover(point, [], [], is_unknown=True))
            continue
        of_point = by_point.get(point, [])
        if source is not None and of_point:
            of_point = _unmixed(of_point, needed, source, known_until)
        found.append(cover(point, of_point, needed, kept_until if grace else known_until))
    return found


def _unmixed(
    segments: list[Segment], needed: Range | None, source: Source, until: Until
) -> list[Segment]:
    """Return the segments of one point that are of one kind: raw where all is known so."""
    raw = [each for each in segments if not each.is_by_point]
    if source == "pages" or not cover("", raw, needed, until).gaps:
        return raw
    buckets = [each for each in segments if each.is_by_point]
    if source == "either" and cover("", buckets, needed, until).gaps:
        return segments
    return buckets


def whole_covers(
    points: Iterable[str], segments: Iterable[Segment], unknown: Collection[str]
) -> list[Cover]:
    """Return a cover of each point from segments that follow each other, all of them taken."""
    by_point: dict[str, list[tuple[Segment, Range]]] = {}
    for each in segments:
        by_point.setdefault(each.point, []).append((each, each.range))
    return [
        Cover(point, [], [], is_unknown=True)
        if point in unknown
        else Cover(point, by_point.get(point, []), [])
        for point in points
    ]


def trusted_until_ms(covered: Iterable[Cover], freshness: Freshness) -> int:
    """Return up to when all of the covers is known; 0 where they have no segment."""
    return min(
        (
            freshness.trusted_until_ms(segment, part.end_ms)
            for each in covered
            for segment, part in each.known
        ),
        default=0,
    )


def known_until(time_range: Range, now_ms: int) -> Range | None:
    """Return the part of *time_range* that has happened; nothing later can be known."""
    return time_range.clip(Range(min(time_range.start_ms, now_ms - 1), now_ms))


def gaps_of(covered: Iterable[Cover]) -> dict[str, list[Range]]:
    """Return the gaps of each point that has any."""
    return {each.point: each.gaps for each in covered if each.gaps}


def reach_end(covered: Iterable[Cover], time_range: Range) -> bool:
    """Return whether covers reach the end of a range: else something may come at any moment."""
    return all(each.known and each.known[-1][1].end_ms == time_range.end_ms for each in covered)
