"""The document of `/api/upstream`: what has been learned of the upstream, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec.structs import replace

from building_vitals.fields import Count, IsoTime
from building_vitals.instants import DAY_MS, format_instant, format_known
from building_vitals.ports import Clock
from building_vitals.upstream.ace.planning import SiteCosts, Way
from building_vitals.upstream.ace.settings import CallsVar
from building_vitals.upstream.profile import SiteProfile
from building_vitals.upstream.profiles_table import UpstreamProfiles

SITES_MAX = 1_000
_CHART_POINTS = 1

Milliseconds = Annotated[int, msgspec.Meta(ge=0, description="Milliseconds.")]


class UpstreamSite(msgspec.Struct, kw_only=True, rename="camel"):
    """
    What has been learned for one site; null where nothing is known yet.

    Attributes:
        chart_calls, site_calls: The calls that fetch a day of one point for a chart, and of the
            whole site for a job.
        points: In the site's list.
        samples_per_day: Of the whole site.
        point_samples_per_day: Of one point.
        page_size: Samples asked for in a page.
        page_ms, call_ms: How long a page, and a call by point, takes.
        names_per_call: Names sent in a call by point.
        is_filter_heeded: Whether `point_names` filters pages.
        is_same: Whether calls by point give the samples of raw pages.
        newest_age_ms: Age of the newest sample when it was first seen.
        lateness_ms: How late samples are taken to come: as was learned, or as `LATENESS` says.
        compared_at: When the last two were found out; they are again after a week.
        seen_at: When the site was last fetched from.
    """

    site: str
    chart_calls: Way
    site_calls: Way
    points: Count | None
    samples_per_day: Count | None
    point_samples_per_day: Count | None
    page_size: Count
    page_ms: Milliseconds | None
    call_ms: Milliseconds | None
    names_per_call: Count
    is_filter_heeded: bool | None = msgspec.field(name="filterHeeded")
    is_same: bool | None = msgspec.field(name="sameSamples")
    newest_age_ms: Milliseconds | None
    lateness_ms: Milliseconds
    compared_at: IsoTime | None
    seen_at: IsoTime | None


class UpstreamReport(msgspec.Struct, kw_only=True, rename="camel"):
    """
    The upstream, and its sites, those that changed last first.

    Attributes:
        url: Base URL.
        calls: What `UPSTREAM_CALLS` says.
    """

    url: str
    calls: CallsVar
    page_size: Count
    sites: list[UpstreamSite]
    timestamp: IsoTime


class UpstreamReports:
    """Makes the document."""

    def __init__(
        self,
        *,
        table: UpstreamProfiles,
        costs: Callable[[SiteProfile], SiteCosts],
        lateness_of: Callable[[int | None], int],
        url: str,
        calls: CallsVar,
        page_size: int,
        clock: Clock,
    ) -> None:
        self._table = table
        self._costs = costs
        self._lateness_of = lateness_of
        self._url = url
        self._calls = calls
        self._page_size = page_size
        self._clock = clock

    async def read(self) -> UpstreamReport:
        """
        Return the document.

        Raises:
            Unavailable: the database can't be reached.
        """
        found = await self._table.list(SITES_MAX)
        return UpstreamReport(
            url=self._url,
            calls=self._calls,
            page_size=self._page_size,
            sites=[self._site(site, profile) for site, profile in found],
            timestamp=format_instant(self._clock.now_ms()),
        )

    def _site(self, site: str, profile: SiteProfile) -> UpstreamSite:
        costs = self._costs(profile)
        return UpstreamSite(
            site=site,
            chart_calls=costs.way(_CHART_POINTS, DAY_MS),
            site_calls=replace(costs, is_awaited=False).way(max(profile.points, 1), DAY_MS),
            points=profile.points or None,
            samples_per_day=_known(profile.samples_per_day),
            point_samples_per_day=_known(profile.point_samples_per_day),
            page_size=costs.page_samples,
            page_ms=_known(profile.page_ms),
            call_ms=_known(profile.call_ms),
            names_per_call=costs.names_max,
            is_filter_heeded=profile.is_filter_heeded,
            is_same=profile.is_same,
            newest_age_ms=profile.newest_age_ms,
            lateness_ms=self._lateness_of(profile.lateness_ms),
            compared_at=format_known(profile.checked_ms or None),
            seen_at=format_known(profile.seen_ms or None),
        )


def _known(figure: float) -> int | None:
    return round(figure) if figure else None
