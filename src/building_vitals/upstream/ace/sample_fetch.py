"""
One fetch of samples: the streams that it is made of, by the way that the plan has chosen.

Separate from the client because it holds what belongs to a single fetch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from building_vitals.ranges import Range
from building_vitals.upstream.ace.calls import Calls
from building_vitals.upstream.ace.comparison import Tail
from building_vitals.upstream.ace.context import FetchContext, Stream, run_streams
from building_vitals.upstream.ace.fetch_report import OnReport
from building_vitals.upstream.ace.page_stream import PageStream
from building_vitals.upstream.ace.planning import SiteCosts, point_calls
from building_vitals.upstream.ace.point_stream import PointStream
from building_vitals.upstream.ace.targets import (
    Target,
    filter_length_max,
    filters_of,
    fits_filter,
    pages_target,
)
from building_vitals.upstream.port import GoesOn, SampleSink
from building_vitals.upstream.profile import Observation, Source


class SampleFetch:
    """
    A fetch of some points over a range.

    Attributes:
        seen: What it has shown of the upstream; None where calls of both kinds were mixed.
        tail: The last samples that a call by point gave, where they are to be compared.
    """

    def __init__(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        *,
        calls: Calls,
        sink: SampleSink,
        on_page: OnReport | None,
        require_site: Callable[[], Awaitable[None]],
    ) -> None:
        self.seen: Observation | None = None
        self.tail: Tail | None = None
        self._site = site
        self._points = points
        self._time_range = time_range
        self._calls = calls
        self._sink = sink
        self._on_page = on_page
        self._require_site = require_site

    async def run(
        self,
        costs: SiteCosts,
        *,
        in_flight: int,
        source: Source | None = None,
        keeps_tail: bool = False,
    ) -> None:
        """
        Fetch everything, the cheaper way.

        Args:
            costs: What each way costs.
            in_flight: Streams that run at once.
            source: Where the samples are to come from; None for anywhere.
            keeps_tail: Whether the last samples are to be compared.

        Raises:
            FilterIgnored: pages were to be filtered, and are not.
            UpstreamError: an answer could not be had; the sink has only some of the samples.
        """
        way = costs.way(len(self._points), self._time_range.duration_ms, source)
        self._calls.report.is_by_point = way == "points"
        seen = Observation(
            is_by_point=way == "points",
            is_whole_site=way == "site",
            points_count=len(self._points),
            time_range=self._time_range,
        )
        context = FetchContext(
            self._calls,
            self._sink,
            self._on_page,
            self._require_site,
            page_size=costs.page_samples,
            seen=seen,
            keeps_tail=keeps_tail and way == "points",
        )
        is_mixed = False
        if way == "points":
            streams = self._point_streams(context, costs, self._points)
        elif way == "site":
            streams = [self._page_stream(context, None)]
        else:
            streams = self._filtered_streams(context)
            loose = [point for point in self._points if not fits_filter(point)]
            is_mixed = bool(loose)
            streams += self._point_streams(context, costs, loose)
        await run_streams(streams, width=in_flight)
        seen.now_ms = self._calls.clock.now_ms()
        self.seen = None if is_mixed else seen
        self.tail = context.tail

    async def run_site(self, costs: SiteCosts, goes_on: GoesOn) -> None:
        """
        Fetch the pages of the whole site, as long as *goes_on* says so.

        Raises:
            UpstreamError: a page could not be had; the sink has only some of the samples.
        """
        seen = Observation(
            is_by_point=False, is_whole_site=True, points_count=0, time_range=self._time_range
        )
        context = FetchContext(
            self._calls,
            self._sink,
            self._on_page,
            self._require_site,
            page_size=costs.page_samples,
            seen=seen,
            goes_on=goes_on,
        )
        stream = self._page_stream(context, None)
        await stream.run()
        seen.now_ms = self._calls.clock.now_ms()
        end_ms = stream.complete_ms
        if end_ms is not None:
            seen.time_range = self._time_range._replace(end_ms=end_ms)
            self.seen = seen

    def _point_streams(
        self, context: FetchContext, costs: SiteCosts, points: Sequence[str]
    ) -> list[Stream]:
        """Return the streams of all calls by point; those of one group follow each other."""
        streams: list[Stream] = []
        if not points:
            return streams
        self._calls.report.is_by_point = True
        for names, parts in point_calls(costs, points, self._time_range):
            before = None
            for part in parts:
                before = PointStream(context, names, part, before=before)
                streams.append(before)
        return streams

    def _filtered_streams(self, context: FetchContext) -> list[Stream]:
        settings = self._calls.settings
        length_max = filter_length_max(
            self._site,
            self._time_range,
            base_url=settings.base_url,
            page_size=context.page_size,
            line_max=settings.request_line_max,
        )
        return [
            self._page_stream(context, text, frozenset(names))
            for text, names in filters_of(filter(fits_filter, self._points), length_max)
        ]

    def _page_stream(
        self, context: FetchContext, text: str | None, names: frozenset[str] | None = None
    ) -> PageStream:
        """Return the stream of one filter, None for the whole site."""
        target_of = partial(self._target, text)
        return PageStream(context, target_of, end_ms=self._time_range.end_ms, names=names)

    def _target(self, text: str | None, page_size: int, cursor: str | None) -> Target:
        return pages_target(self._site, text, self._time_range, page_size=page_size, cursor=cursor)
