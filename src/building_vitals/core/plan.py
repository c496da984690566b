"""
What of a request is known, what is not, and how to fetch what is not.

Separate and pure: services only carry out what is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from building_vitals.core.instant import DAY_MS
from building_vitals.core.ranges import Range, merge
from building_vitals.core.segments import Segment

# 5-minute data, the usual interval: what a fetch is sized by before a site's own rate is known.
SAMPLES_PER_DAY = 288
# What a fetch may ask for without need, as a share of all it asks for, to save a page.
WASTE_MAX = 0.02
# Joining compares each with each; beyond this many, fetches stay as they are.
FETCHES_JOINED_MAX = 64


class Freshness(msgspec.Struct, frozen=True):
    """
    How long what was fetched counts as known; milliseconds.

    Attributes:
        settle_after_ms: Age at which data were settled when fetched.
        settled_ttl_ms: How long settled data are kept (`max_cache_age`).
        provisional_ttl_ms: How long data are kept that were not (`default_ttl`).
        grace_ms: How long expired data may still stand in when the upstream fails.
    """

    settle_after_ms: int
    settled_ttl_ms: int
    provisional_ttl_ms: int
    grace_ms: int

    def is_settled(self, end_ms: int, fetched_ms: int) -> bool:
        """
        Return whether all of a segment that ends at *end_ms* was settled when fetched.
        """
        return end_ms <= fetched_ms - self.settle_after_ms

    def expires_ms(self, end_ms: int, fetched_ms: int) -> int:
        """
        Return when a segment that ends at *end_ms* stops being known.
        """
        is_settled = self.is_settled(end_ms, fetched_ms)
        return fetched_ms + (self.settled_ttl_ms if is_settled else self.provisional_ttl_ms)


class Cover(msgspec.Struct, frozen=True, gc=False):
    """
    One point of a request.

    Attributes:
        point: Its name.
        known: Segments with the part of the request each answers; by time, disjoint.
        gaps: The rest of the request; by time.
    """

    point: str
    known: list[tuple[Segment, Range]]
    gaps: list[Range]


class Fetch(msgspec.Struct, frozen=True):
    """
    One question to the upstream: all of *points* over all of *wanted*.
    """

    points: tuple[str, ...]
    wanted: Range


def cover(point: str, segments: Sequence[Segment], needed: Range | None) -> Cover:
    """
    Return which segments answer *needed*, and what none of them does.

    Args:
        segments: Usable ones of this point, in any order; may overlap.
        needed: None when nothing can be known yet (a range in the future).
    """
    if needed is None:
        return Cover(point, [], [])
    known: list[tuple[Segment, Range]] = []
    missing: list[Range] = []
    cursor_ms = needed.start_ms
    for segment in sorted(segments, key=lambda each: each.start_ms):
        start_ms, end_ms = max(segment.start_ms, cursor_ms), min(segment.end_ms, needed.end_ms)
        if start_ms >= end_ms:
            continue
        if start_ms > cursor_ms:
            missing.append(Range(cursor_ms, start_ms))
        known.append((segment, Range(start_ms, end_ms)))
        cursor_ms = end_ms
    if cursor_ms < needed.end_ms:
        missing.append(Range(cursor_ms, needed.end_ms))
    return Cover(point, known, missing)


def covers(
    points: Iterable[str],
    segments: Iterable[Segment],
    needed: Range | None,
    *,
    freshness: Freshness,
    now_ms: int,
    grace: bool = False,
) -> list[Cover]:
    """
    Return a cover of each point, in the order of *points*.

    Args:
        segments: All that the index has of these points in this range.
        grace: Take expired segments too, as long as they are kept; fresh ones come first.
    """
    usable: dict[str, list[Segment]] = {}
    expired: dict[str, list[Segment]] = {}
    for segment in segments:
        expires_ms = freshness.expires_ms(segment.end_ms, segment.fetched_ms)
        if now_ms < expires_ms:
            usable.setdefault(segment.point, []).append(segment)
        elif grace and now_ms < expires_ms + freshness.grace_ms:
            expired.setdefault(segment.point, []).append(segment)
    found = [cover(point, usable.get(point, ()), needed) for point in points]
    if expired:
        found = [_with_expired(each, expired.get(each.point, [])) for each in found]
    return found


def _with_expired(fresh: Cover, expired: list[Segment]) -> Cover:
    """
    Return the cover with its gaps answered from expired segments as far as they reach.
    """
    if not expired or not fresh.gaps:
        return fresh
    known, missing = list(fresh.known), []
    for gap in fresh.gaps:
        stale = cover(fresh.point, expired, gap)
        known += stale.known
        missing += stale.gaps
    return Cover(fresh.point, sorted(known, key=lambda each: each[1]), missing)


def known_until(wanted: Range, now_ms: int) -> Range | None:
    """
    Return the part of *wanted* that has happened; nothing later can be known.
    """
    return wanted.clip(Range(min(wanted.start_ms, now_ms - 1), now_ms))


def plan_fetches(
    missing: Mapping[str, Sequence[Range]],
    *,
    page_size: int,
    samples_per_day: float = SAMPLES_PER_DAY,
) -> list[Fetch]:
    """
    Return fetches that together cover all gaps: few pages first, then few needless samples.

    Points whose gaps lie together are fetched together. First each stretch of time becomes one
    fetch for just the points that miss it; then two fetches become one where that saves a page and
    asks for at most `WASTE_MAX` without need.

    Args:
        missing: Gaps of each point.
        page_size: Samples the upstream puts on a page.
        samples_per_day: Of one point, estimated.
    """
    fetches = _exact_fetches(missing)
    merged = True
    while merged and 1 < len(fetches) <= FETCHES_JOINED_MAX:
        merged = False
        for first in range(len(fetches) - 1):
            for second in range(first + 1, len(fetches)):
                joined = _join(fetches[first], fetches[second], missing, page_size, samples_per_day)
                if joined is not None:
                    fetches[first] = joined
                    del fetches[second]
                    merged = True
                    break
            if merged:
                break
    return fetches


def _exact_fetches(missing: Mapping[str, Sequence[Range]]) -> list[Fetch]:
    """
    Return fetches that ask for the gaps and nothing else.
    """
    by_range: dict[Range, list[str]] = {}
    for point, ranges in missing.items():
        for each in ranges:
            by_range.setdefault(each, []).append(point)
    edges = sorted({edge for each in by_range for edge in each})
    if len(by_range) == 1:
        return [Fetch(tuple(points), each) for each, points in by_range.items()]
    stretches: list[tuple[Range, frozenset[str]]] = []
    for start_ms, end_ms in pairwise(edges):
        points = frozenset(
            point
            for each, names in by_range.items()
            if each.start_ms <= start_ms and end_ms <= each.end_ms
            for point in names
        )
        if not points:
            continue
        if stretches and stretches[-1][1] == points and stretches[-1][0].end_ms == start_ms:
            stretches[-1] = (Range(stretches[-1][0].start_ms, end_ms), points)
        else:
            stretches.append((Range(start_ms, end_ms), points))
    order = list(missing)
    return [
        Fetch(tuple(point for point in order if point in points), each)
        for each, points in stretches
    ]


def _pages(points: int, duration_ms: int, page_size: int, samples_per_day: float) -> int:
    estimate = points * duration_ms / DAY_MS * samples_per_day
    return max(1, -int(-estimate // page_size))


def _join(
    one: Fetch,
    other: Fetch,
    missing: Mapping[str, Sequence[Range]],
    page_size: int,
    samples_per_day: float,
) -> Fetch | None:
    """
    Return one fetch in place of two, or None when that is not better.
    """
    wanted = Range(
        min(one.wanted.start_ms, other.wanted.start_ms), max(one.wanted.end_ms, other.wanted.end_ms)
    )
    points = tuple(dict.fromkeys(one.points + other.points))
    before = sum(
        _pages(len(each.points), each.wanted.duration_ms, page_size, samples_per_day)
        for each in (one, other)
    )
    if _pages(len(points), wanted.duration_ms, page_size, samples_per_day) >= before:
        return None
    asked = len(points) * wanted.duration_ms
    needed = sum(
        asked_for.duration_ms
        for point in points
        for each in missing.get(point, ())
        if (asked_for := each.clip(wanted)) is not None
    )
    return Fetch(points, wanted) if asked - needed <= WASTE_MAX * asked else None


def fetched_ranges(fetches: Iterable[Fetch]) -> list[Range]:
    """
    Return the ranges that go upstream, merged over all points.
    """
    return merge(fetch.wanted for fetch in fetches)


def gaps_of(covered: Iterable[Cover]) -> dict[str, list[Range]]:
    """
    Return the gaps of each point that has any.
    """
    return {each.point: each.gaps for each in covered if each.gaps}
