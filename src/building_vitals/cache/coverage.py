"""
Which segments answer a request, and the gaps between them.

Pure: services only carry out what is decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

import msgspec

from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range, gaps, merge
from building_vitals.upstream.profile import Source


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


def cover(point: str, segments: Sequence[Segment], needed: Range | None) -> Cover:
    """
    Return which segments answer *needed*, and the gaps between them.

    The segments are usable ones of this point, in any order; they may overlap: each instant is that
    of the one fetched last, so that what an answer shows never gives way to something older. Of a
    range in the future nothing can be known: *needed* is None then.
    """
    if needed is None:
        return Cover(point, [], [])
    known: list[tuple[Segment, Range]] = []
    missing: list[Range] = []
    cursor_ms = needed.start_ms
    for segment, (start_ms, end_ms) in _newest(segments, needed):
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
    taken: list[Range] = []
    # Of those fetched at one instant the one that came last.
    for each in sorted(segments, key=_fetched_of)[::-1]:
        part = each.range.clip(needed)
        if part is not None and (left := gaps(taken, part)):
            found += [(each, own) for own in left]
            taken = merge([*taken, part])
    return sorted(found, key=_part_of)


def _start_of(segment: Segment) -> int:
    return segment.start_ms


def _fetched_of(segment: Segment) -> int:
    return segment.fetched_ms


def _part_of(found: tuple[Segment, Range]) -> Range:
    return found[1]


def covers(
    points: Iterable[str],
    segments: Iterable[Segment],
    needed: Range | None,
    *,
    freshness: Freshness,
    now_ms: int,
    grace: bool = False,
    unknown: Collection[str] = (),
    source: Source | None = None,
) -> list[Cover]:
    """
    Return a cover of each point, in the order of *points*, from all that the index has of them.

    With *grace*, expired segments fill gaps between fresh ones for as long as they are kept. Those
    of *unknown* are points that the site does not have.

    Where calls by point give other samples than pages, *source* says which of them the gaps would
    be filled from. One point of one answer never mixes the two: raw samples are taken where they
    are all known, else those of the source.
    """
    usable: dict[str, list[Segment]] = {}
    expired: dict[str, list[Segment]] = {}
    for segment in segments:
        if freshness.is_known(segment, now_ms):
            usable.setdefault(segment.point, []).append(segment)
        elif grace and freshness.is_kept(segment, now_ms):
            expired.setdefault(segment.point, []).append(segment)
    found = []
    for point in points:
        if point in unknown:
            found.append(Cover(point, [], [], is_unknown=True))
            continue
        fresh, old = usable.get(point, []), expired.get(point, [])
        if source is not None and (fresh or old):
            fresh, old = _unmixed(fresh, old, needed, source)
        each = cover(point, fresh, needed)
        found.append(_with_expired(each, old) if old else each)
    return found


def _unmixed(
    fresh: list[Segment], expired: list[Segment], needed: Range | None, source: Source
) -> tuple[list[Segment], list[Segment]]:
    """Return the segments of one point that are of one kind: raw where all is known so."""
    raw = [each for each in fresh if not each.is_by_point]
    buckets = [each for each in fresh if each.is_by_point]
    if source == "pages" or not cover("", raw, needed).gaps:
        return raw, [each for each in expired if not each.is_by_point]
    if source == "either" and cover("", buckets, needed).gaps:
        return fresh, expired
    return buckets, [each for each in expired if each.is_by_point]


def _with_expired(fresh: Cover, expired: list[Segment]) -> Cover:
    """Return the cover with its gaps answered from expired segments as far as they reach."""
    if not expired or not fresh.gaps:
        return fresh
    known, missing = list(fresh.known), []
    for gap in fresh.gaps:
        stale = cover(fresh.point, expired, gap)
        known += stale.known
        missing += stale.gaps
    return Cover(fresh.point, sorted(known, key=lambda each: each[1]), missing)


def known_until(time_range: Range, now_ms: int) -> Range | None:
    """Return the part of *time_range* that has happened; nothing later can be known."""
    return time_range.clip(Range(min(time_range.start_ms, now_ms - 1), now_ms))


def gaps_of(covered: Iterable[Cover]) -> dict[str, list[Range]]:
    """Return the gaps of each point that has any."""
    return {each.point: each.gaps for each in covered if each.gaps}
