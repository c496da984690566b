"""
Keeps a request for one site from getting samples of another.

The upstream's call by point knows no sites: it answers any point that the Worker's token may read.
Access is checked for the site of the request, so nothing of a point is passed on before the site's
list has shown it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from building_vitals.errors import AppError, UpstreamSiteUnknown
from building_vitals.ranges import Range
from building_vitals.upstream.ace.calls import FetchReport
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.point_names import PointNames
from building_vitals.upstream.port import FetchCount, OnPage, PointLists, SampleSink
from building_vitals.upstream.profile import Source


class OwnPoints:
    """An upstream that gives samples of the site's own points alone."""

    def __init__(self, upstream: AceClient, lists: PointLists, names: PointNames) -> None:
        self._upstream = upstream
        self._lists = lists
        self._names = names

    async def costs(self, site: str, *, may_ask: bool = False) -> SiteCosts:
        """Return what fetches of a site cost; with *may_ask*, after a look at the site's list."""
        costs = await self._upstream.costs(site)
        if costs.profile.points or costs.profile.samples_per_day or not may_ask:
            return costs
        try:
            await self._lists.own_points(site, (), deadline_ms=None)
        except AppError:
            # The fetch will say what is wrong.
            return costs
        kept = self._names.get(site)
        return costs if kept is None else self._upstream.note_points(site, len(kept[1]))

    def source(self, site: str, points_count: int, duration_ms: int) -> Source | None:
        """Return where a fetch gets its samples; None where it makes no difference."""
        return self._upstream.source(site, points_count, duration_ms)

    def unknown_points(self, site: str, points: Collection[str], since_ms: int) -> frozenset[str]:
        """Return which points the site is known not to have, as of *since_ms* or later."""
        return self._names.unknown(site, points, since_ms)

    async def check_points(self, site: str, points: Collection[str]) -> None:
        """
        Make known which of the points the site has.

        Raises:
            AppError: the site's list could not be read.
        """
        await self._lists.own_points(site, points, deadline_ms=None)

    async def fetch_samples(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """
        Give *sink* every page; `unknown_points` tells then which points are not the site's.

        The site's list is read beside the first requests where it is not kept. Until it is there,
        *on_page* is not called: what the sink has got may not be used before.

        Raises:
            AppError: a page, or the site's list of points, could not be fetched.
        """
        is_on_its_way = asyncio.Event()
        listing = asyncio.ensure_future(
            self._lists.own_points(site, points, deadline_ms=deadline_ms, on_ask=is_on_its_way.set)
        )
        listing.add_done_callback(lambda _: is_on_its_way.set())
        try:
            await is_on_its_way.wait()
            if listing.done():
                own = await self._own(listing, site, points, time_range)
                points = [point for point in points if point in own]
                if not points:
                    return FetchReport()

            async def on_known_page(count: FetchCount) -> None:
                await self._own(listing, site, points, time_range)
                if on_page is not None:
                    await on_page(count)

            cost = await self._upstream.fetch_samples(
                site, points, time_range, sink, deadline_ms=deadline_ms, on_page=on_known_page
            )
            await self._own(listing, site, points, time_range)
        finally:
            listing.cancel()
            await asyncio.gather(listing, return_exceptions=True)
        kept = self._names.get(site)
        if kept is not None:
            self._upstream.note_points(site, len(kept[1]))
        return cost

    async def _own(
        self,
        listing: asyncio.Future[frozenset[str]],
        site: str,
        points: Sequence[str],
        time_range: Range,
    ) -> Collection[str]:
        """
        Return the site's own points among those asked for.

        Pages of a site hold its own points alone: they do not depend on the list.
        """
        try:
            return await asyncio.shield(listing)
        except UpstreamSiteUnknown:
            raise
        except AppError:
            costs = await self._upstream.costs(site)
            if costs.way(len(points), time_range.duration_ms) == "points":
                raise
            return points
