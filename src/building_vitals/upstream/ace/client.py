"""
The ACE client: complete answers from an upstream that is slow, limited and sometimes wrong.

Separate because services ask for samples, sites and points, and should know nothing of pages,
cursors and retries. Its result is complete, or an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from building_vitals.errors import UpstreamError, UpstreamSiteUnknown
from building_vitals.ports import Clock, HttpClient
from building_vitals.ranges import Range
from building_vitals.upstream.ace.calls import Calls, FetchReport
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.streams import FetchContext, FilterIgnored, Stream, run_streams
from building_vitals.upstream.ace.targets import (
    Target,
    bodies_of,
    filter_length_max,
    filters_of,
    fits_filter,
    list_target,
    pages_target,
    points_target,
    site_path,
    site_target,
)
from building_vitals.upstream.ace.wire import Listing, PageRefused, decode_listing
from building_vitals.upstream.port import Items, OnPage, SampleSink, UpstreamGate

LIST_PAGE_SIZE = 500
LIST_PAGES_MAX = 1_000

# How long the client remembers whether a site exists, and for how many sites.
SITE_KNOWN_MS = 300_000
SITE_UNKNOWN_MS = 60_000
SITES_REMEMBERED_MAX = 256


class AceClient:
    """
    Asks the upstream for samples, sites and points.

    It holds nothing of a single request, except through its ports.
    """

    def __init__(
        self,
        http: HttpClient,
        clock: Clock,
        settings: UpstreamSettings,
        gate: UpstreamGate | None = None,
    ) -> None:
        self._http = http
        self._clock = clock
        self._settings = settings
        self._gate = gate
        self._sites: dict[str, tuple[bool, int]] = {}

    async def fetch_samples(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        on_page: OnPage | None = None,
    ) -> FetchReport:
        """
        Give the sink every sample the upstream has of these points in this range.

        Names go into filters as long as an address allows. A page with points that its filter
        does not name shows that the upstream ignores filters: each of several filters would then
        fetch the whole site, so the fetch starts over as one query without a filter. To find out
        early, the client sends the second filter after it has seen the first one's first samples.

        Args:
            site: Its name.
            points: Their names; duplicates count once.
            time_range: The range; the upstream may send samples just outside, the sink drops them.
            sink: Gets pages as the upstream sent them, possibly some samples twice.
            deadline_ms: Instant when to give up, epoch milliseconds.
            on_page: Awaited after each page, with the report so far.

        Returns:
            What the fetch has cost; the sink has every sample by then.

        Raises:
            UpstreamSiteUnknown: there is no such site.
            UpstreamLimited: the upstream's rate limit, or the Worker's quota, held on.
            UpstreamTimeout: a page, or the whole fetch, took too long.
            UpstreamError: the upstream failed, refused, or sent an invalid answer.
        """
        calls = self._calls(deadline_ms)
        unique = list(dict.fromkeys(points))
        if not unique or time_range.end_ms <= time_range.start_ms:
            return calls.report
        context = FetchContext(calls, sink, on_page, partial(self._require_site, calls, site))
        width = self._settings.max_in_flight
        filters = self._filters(site, unique, time_range)
        streams = self._filtered_streams(context, site, filters, time_range)
        probe = streams[0] if len(filters) > 1 else None
        streams += self._unfilterable_streams(context, unique, time_range)
        try:
            await run_streams(streams, width=width, probe=probe)
        except FilterIgnored:
            streams = [self._page_stream(context, site, None, time_range)]
            await run_streams(streams, width=width)
        return calls.report

    async def list_sites(self, *, deadline_ms: int | None = None) -> Items:
        """
        Return the sites the upstream knows, as it describes them.

        Args:
            deadline_ms: Instant when to give up, epoch milliseconds.

        Raises:
            UpstreamError: a page could not be fetched, or there are more than LIST_PAGES_MAX.
        """
        items = await self._list(self._calls(deadline_ms), "/sites")
        if items is None:
            raise UpstreamError("upstream /sites answered 404", upstream_status=404)
        return items

    async def list_points(self, site: str, *, deadline_ms: int | None = None) -> Items:
        """
        Return the points of a site, as the upstream describes them.

        Args:
            site: Its name.
            deadline_ms: Instant when to give up, epoch milliseconds.

        Raises:
            UpstreamSiteUnknown: there is no such site.
            UpstreamError: a page could not be fetched, or there are more than LIST_PAGES_MAX.
        """
        calls = self._calls(deadline_ms)
        items = await self._list(calls, f"{site_path(site)}/configured_points")
        if items is None:
            await self._require_site(calls, site)
        return items or []

    def _calls(self, deadline_ms: int | None) -> Calls:
        return Calls(self._http, self._clock, self._settings, self._gate, deadline_ms)

    def _filters(
        self, site: str, points: Sequence[str], time_range: Range
    ) -> list[tuple[str, list[str]]]:
        settings = self._settings
        length_max = filter_length_max(
            site,
            time_range,
            base_url=settings.base_url,
            page_size=settings.page_size,
            url_max=settings.url_length_max,
        )
        return filters_of(filter(fits_filter, points), length_max)

    def _filtered_streams(
        self,
        context: FetchContext,
        site: str,
        filters: Sequence[tuple[str, list[str]]],
        time_range: Range,
    ) -> list[Stream]:
        """
        Return the streams of all filters; with but one, it does not matter whether it is heeded.
        """
        is_checked = len(filters) > 1
        return [
            self._page_stream(
                context, site, names, time_range, frozenset(points) if is_checked else None
            )
            for names, points in filters
        ]

    def _page_stream(
        self,
        context: FetchContext,
        site: str,
        names: str | None,
        time_range: Range,
        checked: frozenset[str] | None = None,
    ) -> Stream:
        """Return the stream of one filter."""
        target_of = partial(self._pages_target, site, names, time_range)
        return Stream(context, target_of, names=checked)

    def _pages_target(
        self, site: str, names: str | None, time_range: Range, cursor: str | None
    ) -> Target:
        page_size = self._settings.page_size
        return pages_target(site, names, time_range, page_size=page_size, cursor=cursor)

    def _unfilterable_streams(
        self, context: FetchContext, points: Sequence[str], time_range: Range
    ) -> list[Stream]:
        """
        Return the streams of names that fit no comma-separated list.

        The call that takes names in a body takes any name, but has no pages: the client asks it
        for parts of the range, so small that an answer is about a page.
        """
        names = [point for point in points if not fits_filter(point)]
        streams: list[Stream] = []
        for group, ranges in bodies_of(names, time_range, page_size=self._settings.page_size):
            before = None
            for part in ranges:
                target_of = partial(_same, points_target(group, part))
                cut = part if len(ranges) > 1 else None
                before = Stream(context, target_of, is_paged=False, before=before, cut=cut)
                streams.append(before)
        return streams

    async def _require_site(self, calls: Calls, site: str) -> None:
        now_ms = self._clock.now_ms()
        is_known, until_ms = self._sites.get(site, (False, 0))
        if until_ms <= now_ms:
            call = calls.begin(site_target(site), may_be_absent=True)
            is_known = await call.answer() is not None
            if len(self._sites) >= SITES_REMEMBERED_MAX:
                self._sites.clear()
            until_ms = self._clock.now_ms() + (SITE_KNOWN_MS if is_known else SITE_UNKNOWN_MS)
            self._sites[site] = (is_known, until_ms)
        if not is_known:
            raise UpstreamSiteUnknown(f"the upstream knows no site {site!r}", upstream_status=404)

    async def _list(self, calls: Calls, path: str) -> Items | None:
        """Return the items of all pages; None when the list is not there."""
        items: Items = []
        number, pages = 1, 1
        while number <= pages:
            listing = await calls.read(
                list_target(path, number, LIST_PAGE_SIZE),
                partial(_decode_list_page, number),
                may_be_absent=number == 1,
            )
            if listing is None:
                return None
            items += listing.items
            pages = listing.pages or 1
            if pages > LIST_PAGES_MAX:
                raise UpstreamError(
                    f"upstream {path} has too many pages: {pages}, limit {LIST_PAGES_MAX}",
                    upstream_status=200,
                )
            number += 1
        return items


def _decode_list_page(number: int, body: bytes) -> Listing:
    """Return a page of a list; one without items cannot be followed by others."""
    listing = decode_listing(body)
    if not listing.items and number < (listing.pages or 1):
        raise PageRefused(f"sent an empty page {number} of {listing.pages}")
    return listing


def _same(target: Target, _cursor: str | None) -> Target:
    """Return the target of a call without pages, whatever the cursor."""
    return target
