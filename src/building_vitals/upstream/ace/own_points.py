"""
Keeps a request for one site from getting samples of another.

The upstream's call by point knows no sites: it answers any point that the Worker's token may read.
Access is checked for the site of the request, so nothing of a point is passed on before the site's
list has shown it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from building_vitals.ahead import call_off
from building_vitals.errors import AppError, UpstreamSiteUnknown
from building_vitals.ports import Clock
from building_vitals.ranges import Range
from building_vitals.series.columns import Sample
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.fetch_report import FetchReport
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.point_names import PointNames
from building_vitals.upstream.port import FetchCount, GoesOn, OnPage, PointLists, SampleSink
from building_vitals.upstream.profile import Source

# A list that is read for its own sake, and not beside a fetch, may take so long.
LIST_MS_MAX = 10_000


class _WaitingSink:
    """
    Holds back what is complete until the site's list is known.

    What is complete may be kept although the fetch fails, and then it must be the site's own.
    """

    def __init__(self, sink: SampleSink) -> None:
        self._sink = sink
        self._held: list[tuple[Collection[str] | None, int]] | None = []

    def add_page(self, samples: Sequence[Sample]) -> None:
        """Pass on."""
        self._sink.add_page(samples)

    def advance(self, points: Collection[str] | None, until_ms: int) -> None:
        """Pass on, at once or later."""
        if self._held is None:
            self._sink.advance(points, until_ms)
        else:
            self._held.append((points, until_ms))

    def release(self) -> None:
        """Pass on what was held back, and all that comes."""
        held, self._held = self._held or [], None
        for points, until_ms in held:
            self._sink.advance(points, until_ms)


class OwnPoints:
    """An upstream that gives samples of the site's own points alone."""

    def __init__(
        self, upstream: AceClient, lists: PointLists, names: PointNames, clock: Clock
    ) -> None:
        self._upstream = upstream
        self._lists = lists
        self._names = names
        self._clock = clock

    async def costs(self, site: str, *, for_job: bool = False) -> SiteCosts:
        """Return what fetches of a site cost, or a job's will: after a look at the site's list."""
        costs = await self._upstream.costs(site, for_job=for_job)
        if costs.profile.points or costs.profile.samples_per_day or not for_job:
            return costs
        try:
            await self._lists.own_points(site, (), deadline_ms=self._clock.now_ms() + LIST_MS_MAX)
        except AppError:
            # The fetch will say what is wrong.
            return costs
        self._note_points(site)
        return await self._upstream.costs(site, for_job=for_job)

    def _note_points(self, site: str) -> None:
        kept = self._names.get(site)
        if kept is not None:
            self._upstream.note_points(site, len(kept[1]))

    def source(self, site: str, points_count: int, duration_ms: int) -> Source | None:
        """Return where a fetch gets its samples; None where it makes no difference."""
        return self._upstream.source(site, points_count, duration_ms)

    def lateness_ms(self, site: str) -> int | None:
        """Return how late a site's samples come, as a rule; None where that is not known yet."""
        return self._upstream.lateness_ms(site)

    def unknown_points(self, site: str, points: Collection[str], since_ms: int) -> frozenset[str]:
        """Return which points the site is known not to have, as of *since_ms* or later."""
        return self._names.unknown(site, points, since_ms)

    async def check_points(self, site: str, points: Collection[str]) -> None:
        """
        Make known which of the points the site has.

        Raises:
            AppError: the site's list could not be read within LIST_MS_MAX.
        """
        deadline_ms = self._clock.now_ms() + LIST_MS_MAX
        await self._lists.own_points(site, points, deadline_ms=deadline_ms)

    async def fetch_samples(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        source: Source | None = None,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """
        Give *sink* every page; `unknown_points` tells then which points are not the site's.

        The site's list is read beside the first requests where it is not kept. Until it is there,
        *on_page* is not called and *sink* hears of nothing complete: what it has got may not be
        used before.

        Raises:
            AppError: a page, or the site's list of points, could not be fetched.
        """
        is_on_its_way = asyncio.Event()
        listing = asyncio.ensure_future(
            self._lists.own_points(site, points, deadline_ms=deadline_ms, on_ask=is_on_its_way.set)
        )
        listing.add_done_callback(lambda _: is_on_its_way.set())
        held, asked = _WaitingSink(sink), frozenset(points)
        try:
            await is_on_its_way.wait()
            if listing.done():
                points = await self._own(listing, site, points, time_range, source)
                if not points:
                    return FetchReport(strangers=asked)

            async def on_known_page(count: FetchReport) -> None:
                own = await _require_list(listing, is_by_point=count.is_by_point)
                count.strangers = frozenset() if own is None else asked - own
                held.release()
                if on_page is not None:
                    await on_page(count)

            cost = await self._upstream.fetch_samples(
                site,
                points,
                time_range,
                held,
                deadline_ms=deadline_ms,
                source=source,
                on_page=on_known_page,
            )
            own = await _require_list(listing, is_by_point=cost.is_by_point)
            cost.strangers = frozenset() if own is None else asked - own
            held.release()
        finally:
            await call_off(listing)
        self._note_points(site)
        return cost

    async def fetch_site(
        self,
        site: str,
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        goes_on: GoesOn = lambda: True,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """
        Give *sink* the pages of all points of a site, which hold its own points alone.

        Raises:
            AppError: a page could not be fetched.
        """
        return await self._upstream.fetch_site(
            site, time_range, sink, deadline_ms=deadline_ms, goes_on=goes_on, on_page=on_page
        )

    async def _own(
        self,
        listing: asyncio.Future[frozenset[str]],
        site: str,
        points: Sequence[str],
        time_range: Range,
        source: Source | None,
    ) -> list[str]:
        """
        Return the site's own points among those asked for; all when that does not matter.

        Raises:
            AppError: the list could not be read, and calls by point are the way to go.
        """
        costs = await self._upstream.costs(site)
        is_by_point = costs.way(len(points), time_range.duration_ms, source) == "points"
        own = await _require_list(listing, is_by_point=is_by_point)
        return [point for point in points if own is None or point in own]


async def _require_list(
    listing: asyncio.Future[frozenset[str]], *, is_by_point: bool
) -> frozenset[str] | None:
    """
    Return the site's own points; None when their list failed and that does not matter.

    Pages of a site hold its own points alone: they do not depend on the list.
    """
    try:
        return await asyncio.shield(listing)
    except UpstreamSiteUnknown:
        raise
    except AppError:
        if is_by_point:
            raise
        return None
