"""
Keeps a request for one site from getting samples of another.

The upstream's call that takes names in a body knows no sites: it answers any point. Access is
checked for the site of the request, so a name that needs that call goes upstream only when the site
has a point of that name.
"""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.ranges import Range
from building_vitals.upstream.ace.targets import fits_filter
from building_vitals.upstream.port import FetchCount, OnPage, PointLists, SampleSink, Upstream


class OwnPoints:
    """An upstream that gives samples of the site's own points alone."""

    def __init__(self, upstream: Upstream, lists: PointLists) -> None:
        self._upstream = upstream
        self._lists = lists

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
        Give *sink* every page; a point that the site does not have gets no samples.

        Raises:
            AppError: a page, or the site's list of points, could not be fetched.
        """
        loose = frozenset(point for point in points if not fits_filter(point))
        if loose:
            strange = loose - await self._lists.own_points(site, loose, deadline_ms=deadline_ms)
            points = [point for point in points if point not in strange]
        return await self._upstream.fetch_samples(
            site, points, time_range, sink, deadline_ms=deadline_ms, on_page=on_page
        )
