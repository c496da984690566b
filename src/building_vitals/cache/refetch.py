"""
Which young gaps are not asked for again, because nothing can have come since: the one place that
decides it.

A chart may reload faster than its points are collected. What was fetched a moment ago is believed
to be all there is, until the next sample can have come or `MIN_REFETCH` is over, whichever comes
first: so the newest samples are seen at most that much later than the upstream has them. It counts
as known to its end meanwhile, however little of it freshness trusts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from building_vitals.cache.coverage import Cover
from building_vitals.cache.followed import Followed
from building_vitals.cache.need import LIVE_EDGE_MS
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range
from building_vitals.upstream.profile import Source

# The longest pause that can be configured: shorter intervals are worth remembering.
MIN_REFETCH_S_MAX = 60


def refetch_pause_ms(interval_ms: int | None, bound_ms: int) -> int:
    """
    Return how long what has just been fetched of a point is not asked for again.

    Args:
        interval_ms: How often its samples are collected; None where that is not known.
        bound_ms: The longest pause.
    """
    return bound_ms if interval_ms is None else min(interval_ms, bound_ms)


def is_all_there_is(segment: Segment, now_ms: int, pause_ms: int) -> bool:
    """Return whether a segment was fetched a shorter time ago than a pause."""
    return 0 <= now_ms - segment.fetched_ms < pause_ms


class Refetch(msgspec.Struct, frozen=True):
    """
    The rule with what it needs to know, and that of followed sites.

    Attributes:
        bound_ms: The longest pause; 0: none at all.
        intervals_ms: Returns how often samples of a site's points are collected, by name, where
            that is known and oftener than once in MIN_REFETCH_S_MAX.
        followed: Returns what is known of a site's follow; what is younger than its last round is
            left to the next one.
    """

    bound_ms: int = 0
    intervals_ms: Callable[[str], Mapping[str, int]] = lambda _: {}
    followed: Callable[[str], Followed | None] = lambda _: None

    def applied(
        self,
        site: str,
        covered: Sequence[Cover],
        segments: Iterable[Segment],
        needed: Range | None,
        *,
        now_ms: int,
        source: Source | None,
        is_fresh: bool = False,
    ) -> list[Cover]:
        """
        Return covers without the gaps at the present that are not worth asking for.

        Args:
            site: Whose points they are.
            covered: What is known by freshness.
            segments: All that the index has.
            needed: What has happened of the range.
            now_ms: The present.
            source: As for `covers`: what is of the other kind fills no gap.
            is_fresh: Whether what is younger than the last round is wanted now.
        """
        followed = None if is_fresh else self.followed(site)
        if followed is not None:
            covered = [
                msgspec.structs.replace(each, gaps=followed.without_rounds(each.gaps, now_ms))
                for each in covered
            ]
        young = [each for each in segments if is_all_there_is(each, now_ms, self.bound_ms)]
        if needed is None or not young or source == "either":
            return list(covered)
        intervals_ms = self.intervals_ms(site)
        newest: dict[str, Segment] = {}
        for each in sorted(young, key=lambda one: one.fetched_ms):
            pause_ms = refetch_pause_ms(intervals_ms.get(each.point), self.bound_ms)
            is_of_kind = source is None or each.is_by_point == (source == "points")
            if is_of_kind and is_all_there_is(each, now_ms, pause_ms):
                newest[each.point] = each
        return [_held(each, newest.get(each.point), needed) for each in covered]


def _held(cover: Cover, young: Segment | None, needed: Range) -> Cover:
    """Return a cover whose gap at the end is filled as far as a young segment tells."""
    if young is None or not cover.gaps:
        return cover
    gap = cover.gaps[-1]
    if gap.end_ms < needed.end_ms or not young.start_ms <= gap.start_ms <= young.end_ms:
        return cover
    part = Range(gap.start_ms, min(young.end_ms, gap.end_ms))
    # Behind one that was fetched up to its present, nothing can be there yet. Else what is behind
    # it takes a request, which brings all of the gap: else that takes another in a moment.
    if part.end_ms < gap.end_ms and young.end_ms <= young.fetched_ms - LIVE_EDGE_MS:
        return cover
    known = [*cover.known, (young, part)] if part.duration_ms else cover.known
    return msgspec.structs.replace(cover, known=known, gaps=cover.gaps[:-1])
