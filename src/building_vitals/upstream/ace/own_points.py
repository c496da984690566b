"""
Keeps a request for one site from getting samples of another.

The upstream's call that takes names in a body knows no sites: whoever names a point gets it. Which
sites a caller may read is judged by the site of the request, so a name that needs that call is only
passed on when the site has a point of that name.
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
        Give *sink* every page; what the site does not have is like a point without samples.

        Raises:
            AppError: not everything could be had.
        """
        loose = frozenset(point for point in points if not fits_filter(point))
        if loose:
            strange = loose - await self._lists.own_points(site, loose, deadline_ms=deadline_ms)
            points = [point for point in points if point not in strange]
        return await self._upstream.fetch_samples(
            site, points, time_range, sink, deadline_ms=deadline_ms, on_page=on_page
        )
