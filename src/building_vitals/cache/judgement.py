"""
What is known of a need: which segments cover it, by what is known of its site.

Separate from the filler because jobs, answers and checks ask the same without having anything
fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from building_vitals.cache.coverage import Cover, covers, trusted_until_ms
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.need import Need, Resolution
from building_vitals.cache.refetch import Refetch
from building_vitals.cache.segments import BlockSegment, Segment
from building_vitals.errors import AppError
from building_vitals.ports import Invocation
from building_vitals.upstream.port import Upstream
from building_vitals.upstream.profile import Source


class Judgement:
    """
    Looks up what is known, and judges it.

    *freshness_of* gives the rule for a site. *refetch* says which gaps are too young to be asked
    for again, or left to a follow of their site. *know_follows* makes known whether a site is
    followed, told whether blocks of it were found.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        index: SegmentIndex,
        freshness_of: Callable[[str], Freshness],
        refetch: Refetch,
        know_follows: Callable[[str, bool], Coroutine[Any, Any, None]],
        invocation: Invocation,
    ) -> None:
        self._upstream = upstream
        self._index = index
        self._freshness_of = freshness_of
        self._refetch = refetch
        self._know_follows = know_follows
        self._on_fault = invocation.on_fault

    async def look_up(self, need: Need) -> list[Segment]:
        """Return the segments there are, fresh or expired."""
        segments: list[Segment]
        segments, _, _ = await asyncio.gather(
            self._index.find(need.site, need.points, need.time_range, *self._known(need)),
            # `cover` goes by what is known of the site, without asking.
            self._upstream.costs(need.site),
            self._know_follows(need.site, False),
        )
        of_blocks = [each for each in segments if isinstance(each, BlockSegment)]
        if not all(each.is_once for each in of_blocks):
            await self._know_follows(need.site, True)
        if of_blocks or self._freshness_of(need.site).followed is not None:
            filled = {each.point for each in segments if each.count}
            bare = [point for point in need.points if point not in filled]
            # Nothing is missing of points that the site does not have, but that is to be said.
            if bare:
                await self._check(need.site, bare)
        return segments

    def cover(
        self,
        need: Need,
        segments: Sequence[Segment],
        *,
        grace: bool = False,
        is_result: bool = False,
    ) -> list[Cover]:
        """
        Return what the segments cover of the need.

        Args:
            need: The need.
            segments: Those that `look_up` found.
            grace: Whether expired segments fill gaps.
            is_result: Whether the gaps will not be filled, so that it does not matter from where.
        """
        source = self._source(need)
        source = "either" if is_result and source is not None else source
        covered = covers(
            need.points,
            segments,
            need.happened,
            freshness=self._freshness_of(need.site),
            now_ms=need.now_ms,
            since_ms=need.since_ms,
            grace=grace,
            unknown=self._unknown(need),
            source=source,
        )
        return self._refetch.applied(
            need.site,
            covered,
            segments,
            need.happened,
            now_ms=need.now_ms,
            source=source,
            is_fresh=need.is_fresh,
        )

    def resolution(self, need: Need, covered: Sequence[Cover]) -> Resolution | None:
        """Return which samples a cover has; None where the upstream's calls give all the same."""
        if self._source(need) is None:
            return None
        has_buckets = any(segment.is_by_point for each in covered for segment, _ in each.known)
        return "5min" if has_buckets else "raw"

    async def check_points(self, need: Need, covered: Sequence[Cover]) -> bool:
        """
        Find out whether gaps are those of points that the site does not have.

        Returns:
            Whether it is worth looking at the cover again.
        """
        bare = [each.point for each in covered if each.gaps and not each.known]
        if not bare or len(bare) < sum(bool(each.gaps) for each in covered):
            return False
        return await self._check(need.site, bare)

    async def _check(self, site: str, points: Sequence[str]) -> bool:
        """Make known which points the site has; return whether that could be."""
        try:
            await self._upstream.check_points(site, points)
        except AppError as error:
            self._on_fault("points", error)
            return False
        return True

    def _source(self, need: Need) -> Source | None:
        usual = self._upstream.source(need.site, len(need.points), need.time_range.duration_ms)
        if usual is None:
            return None
        if need.source is not None:
            return need.source
        followed = self._freshness_of(need.site).followed
        if followed is not None and followed.holds(need.happened, need.now_ms):
            # Rounds read pages: nothing else is needed.
            return "pages"
        return usual

    def _unknown(self, need: Need) -> frozenset[str]:
        return self._upstream.unknown_points(need.site, need.points, need.now_ms)

    def expires_ms(self, site: str, covered: Sequence[Cover]) -> int:
        """Return up to when all of a cover is known."""
        return trusted_until_ms(covered, self._freshness_of(site))

    def _known(self, need: Need) -> tuple[tuple[Freshness, int], int]:
        return (self._freshness_of(need.site), need.now_ms), need.level_samples
