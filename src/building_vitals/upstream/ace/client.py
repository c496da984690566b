"""
The ACE client: complete answers from an upstream that is slow, limited and sometimes wrong.

Separate because services ask for samples, sites and points, and should know nothing of pages,
cursors and retries. Its result is complete, or an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from building_vitals.errors import AppError, Overloaded, UpstreamSiteUnknown
from building_vitals.instants import is_recent
from building_vitals.memory import MemoryBudget
from building_vitals.ports import Clock, HttpClient
from building_vitals.ranges import Range
from building_vitals.upstream.ace.fetch_report import FetchReport, OnReport, UpstreamState
from building_vitals.upstream.ace.planning import SiteCosts, of_whole_site
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.sizing import FetchSizing, answer_bytes_max, fetch_sizing, small
from building_vitals.upstream.port import GoesOn, Items, SampleSink, UpstreamGate
from building_vitals.upstream.profile import SiteProfile, Source
from building_vitals.upstream.profiles import SiteProfiles

if TYPE_CHECKING:
    from building_vitals.upstream.ace.calibration import Calibration, RunLater
    from building_vitals.upstream.ace.calls import Calls
    from building_vitals.upstream.ace.sample_fetch import SampleFetch

# An invocation lives no longer.
FETCH_MS_MAX = 900_000
# How long a fetch waits for memory: a share of its time, and at most. Alone, one of 200,000 samples
# takes 2 seconds where the upstream is quick.
PATIENCE_SHARE = 0.85
PATIENCE_MS_MAX = 25_000

# How long the client remembers whether a site exists, and for how many sites.
SITE_KNOWN_MS = 300_000
SITE_UNKNOWN_MS = 60_000
SITES_REMEMBERED_MAX = 256


class AceClient:
    """
    Asks the upstream for samples, sites and points.

    It holds nothing of a single request, except through its ports. What a fetch needs is imported
    late, as app.py says: who finds everything in the cache needs none of it.
    """

    def __init__(
        self,
        http: HttpClient,
        clock: Clock,
        settings: UpstreamSettings,
        *,
        gate: UpstreamGate | None = None,
        state: UpstreamState | None = None,
        profiles: SiteProfiles,
        memory: MemoryBudget | None = None,
        run_later: RunLater | None = None,
        is_awaited: bool = True,
    ) -> None:
        """
        Args:
            http: Sends requests.
            clock: Time and waiting.
            settings: The options.
            gate: The Worker's own quota.
            state: What has been seen of the upstream, by all requests of the isolate.
            profiles: What is learned of the upstream.
            memory: What the isolate's requests hold of its memory; None: a budget of its own.
            run_later: Has the two ways of asking compared behind an answer; None: they are not.
            is_awaited: Whether somebody waits for the fetches.
        """
        self._http = http
        self._clock = clock
        self._settings = settings
        self._gate = gate
        self._profiles = profiles
        self._is_awaited = is_awaited
        self._memory = MemoryBudget() if memory is None else memory
        self._state = UpstreamState() if state is None else state
        self._run_later = run_later
        # Until when each site counts as known, or as what the upstream said of it.
        # What is known of a site, when it was found, and for how long it is believed.
        self._sites: dict[str, tuple[UpstreamSiteUnknown | None, int, int]] = {}

    @cached_property
    def _calibration(self) -> Calibration:
        from building_vitals.upstream.ace.calibration import Calibration

        return Calibration(
            calls_until=self._calls,
            clock=self._clock,
            settings=self._settings,
            profiles=self._profiles,
            run_later=self._run_later,
        )

    async def costs(self, site: str, *, for_job: bool = False) -> SiteCosts:
        """Return what fetches of a site cost, or a job's will, by what has been learned."""
        return self._costs(await self._profiles.read(site), for_job=for_job)

    def source(self, site: str, points_count: int, duration_ms: int) -> Source | None:
        """Return where a fetch gets its samples; None where it makes no difference."""
        profile = self._profiles.known(site)
        if profile.is_same is not False:
            return None
        way = self._costs(profile).way(points_count, duration_ms)
        return "points" if way == "points" else "pages"

    def lateness_ms(self, site: str) -> int | None:
        """Return how late a site's samples come, as a rule; None where that is not known yet."""
        return self._profiles.known(site).lateness_ms

    def note_points(self, site: str, count: int) -> None:
        """Note how many points a site's list has."""
        self._profiles.change(site, replace(self._profiles.known(site), points=count))

    def _costs(self, profile: SiteProfile, *, for_job: bool = False) -> SiteCosts:
        settings = self._settings
        is_awaited = self._is_awaited and not for_job
        return SiteCosts(profile, settings.calls, settings.page_size, is_awaited)

    async def fetch_samples(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        source: Source | None = None,
        on_page: OnReport | None = None,
    ) -> FetchReport:
        """
        Give the sink every sample the upstream has of these points in this range.

        The cheaper way is taken: calls by point, or pages, of the whole site or filtered. A page
        with points that its filter does not name shows that filters are ignored: it starts over.

        Args:
            site: Its name.
            points: Their names; duplicates count once.
            time_range: The range; the upstream may send samples just outside, the sink drops them.
            sink: Gets answers as the upstream sent them, possibly some samples twice.
            deadline_ms: Instant when to give up, epoch milliseconds.
            source: Where the samples are to come from, where that makes a difference.
            on_page: Awaited after each answer, with the report so far.

        Returns:
            What the fetch has cost; the sink has every sample by then.

        Raises:
            UpstreamSiteUnknown: there is no such site.
            UpstreamLimited: the upstream's rate limit, or the Worker's quota, held on.
            UpstreamTimeout: an answer, or the whole fetch, took too long.
            Overloaded: no memory was free in time.
            UpstreamError: the upstream failed, refused, or sent an invalid answer.
        """
        calls = self._calls(deadline_ms)
        unique = list(dict.fromkeys(points))
        if not unique or time_range.end_ms <= time_range.start_ms:
            return calls.report
        from building_vitals.upstream.ace.sample_fetch import SampleFetch

        fetch = SampleFetch(
            site,
            unique,
            time_range,
            calls=calls,
            sink=sink,
            on_page=on_page,
            require_site=partial(self._require_site, calls, site),
        )
        costs = await self.costs(site)
        keeps_tail = self._calibration.is_due(costs.profile)
        with _counted(calls):
            async with self._sized(calls, costs, len(unique), time_range, source) as (sized, way):
                run = partial(fetch.run, in_flight=sized.in_flight, keeps_tail=keeps_tail)
                await self._run(run, site, sized.costs, way, source)
        self._learn(site, fetch)
        return calls.report

    async def fetch_site(
        self,
        site: str,
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        goes_on: GoesOn = lambda: True,
        on_page: OnReport | None = None,
    ) -> FetchReport:
        """
        Give the sink every sample the upstream has of a site in this range, by its pages.

        Args:
            site: Its name.
            time_range: The range; the upstream may send samples just outside, the sink drops them.
            sink: Gets pages as the upstream sent them, possibly some samples twice.
            deadline_ms: Instant when to give up, epoch milliseconds.
            goes_on: Asked before another page is asked for, whether one is still wanted.
            on_page: Awaited after each page, with the report so far.

        Returns:
            What the fetch has cost; the sink has every sample by then, unless *goes_on* said no.

        Raises:
            AppError: as `fetch_samples` does.
        """
        from building_vitals.upstream.ace.sample_fetch import SampleFetch

        calls = self._calls(deadline_ms)
        require_site = partial(self._require_site, calls, site)
        fetch = SampleFetch(
            site,
            (),
            time_range,
            calls=calls,
            sink=sink,
            on_page=on_page,
            require_site=require_site,
        )
        costs = of_whole_site(await self.costs(site))
        points_count = max(costs.profile.points, 1)
        with _counted(calls):
            async with self._sized(calls, costs, points_count, time_range, "pages") as (sized, _):
                await fetch.run_site(sized.costs, goes_on)
        self._learn(site, fetch)
        return calls.report

    async def _run(
        self,
        run: Callable[..., Awaitable[None]],
        site: str,
        costs: SiteCosts,
        way: Source | None,
        source: Source | None,
    ) -> None:
        """Fetch one way, and start over without filtering where the upstream ignores filters."""
        from building_vitals.upstream.ace.page_stream import FilterIgnored

        try:
            await run(costs, source=way)
        except FilterIgnored:
            profile = replace(self._profiles.known(site), is_filter_heeded=False)
            self._profiles.change(site, profile)
            await run(replace(costs, profile=profile), source=source)

    def _learn(self, site: str, fetch: SampleFetch) -> None:
        """Take up what a fetch has shown of a site."""
        if fetch.seen is not None:
            self._profiles.learn(site, fetch.seen)
        if fetch.tail is not None:
            self._calibration.compare_later(site, fetch.tail)

    @asynccontextmanager
    async def _sized(
        self,
        calls: Calls,
        costs: SiteCosts,
        points_count: int,
        time_range: Range,
        source: Source | None,
    ) -> AsyncIterator[tuple[FetchSizing, Source | None]]:
        """
        Hold the memory of a fetch, and give its size and where to get the samples from.

        Raises:
            Overloaded: it was not free in time.
        """
        now_ms, memory, is_awaited = self._clock.now_ms(), self._memory, self._is_awaited
        deadline_ms = now_ms + FETCH_MS_MAX if calls.deadline_ms is None else calls.deadline_ms
        patience_ms = min(int((deadline_ms - now_ms) * PATIENCE_SHARE), PATIENCE_MS_MAX)
        share = partial(
            memory.share,
            clock=self._clock,
            until_ms=deadline_ms + self._settings.page_timeout_ms,
            is_awaited=is_awaited,
        )
        size_of = partial(
            fetch_sizing,
            points_count=points_count,
            duration_ms=time_range.duration_ms,
            in_flight=self._settings.max_in_flight,
        )
        bytes_max = memory.bytes_max(is_awaited=is_awaited)
        size = size_of(costs, bytes_max=bytes_max)
        async with AsyncExitStack() as held:
            is_held = False
            if not is_awaited:
                # Large answers are worth waiting for where nobody waits: they take fewer requests.
                with suppress(Overloaded):
                    wait_until_ms = now_ms + patience_ms // 2
                    await held.enter_async_context(share(size.bytes, wait_until_ms=wait_until_ms))
                    is_held = True
            if not is_held:
                free = memory.free_bytes(self._clock.now_ms(), is_awaited=is_awaited)
                least = size_of(small(costs), bytes_max=bytes_max if is_awaited else free)
                if size.bytes > free and (is_awaited or least.bytes <= free):
                    size = least
                wait_until_ms = now_ms + patience_ms
                await held.enter_async_context(share(size.bytes, wait_until_ms=wait_until_ms))
            if size.costs != costs:
                # The way stays that larger answers would have been asked for.
                way = costs.way(points_count, time_range.duration_ms, source)
                source = source or ("points" if way == "points" else "pages")
            calls.page_bytes_max = answer_bytes_max(size.costs, self._settings.page_bytes_max)
            yield size, source

    async def list_sites(self, *, deadline_ms: int | None = None) -> Items:
        """
        Return the sites the upstream knows, as it describes them, each name once.

        Args:
            deadline_ms: Instant when to give up, epoch milliseconds.

        Raises:
            UpstreamError: a page could not be fetched, or there are more than LIST_PAGES_MAX.
        """
        from building_vitals.upstream.ace.listings import list_sites

        return await list_sites(self._calls(deadline_ms))

    async def list_points(self, site: str, *, deadline_ms: int | None = None) -> Items:
        """
        Return the points of a site, as the upstream describes them, each name once.

        Args:
            site: Its name.
            deadline_ms: Instant when to give up, epoch milliseconds.

        Raises:
            UpstreamSiteUnknown: there is no such site, or none that the token may read.
            UpstreamError: a page could not be fetched, or there are more than LIST_PAGES_MAX.
        """
        from building_vitals.upstream.ace.listings import list_points

        calls = self._calls(deadline_ms)
        items = await list_points(calls, site)
        if items is None:
            await self._require_site(calls, site)
        return items or []

    def _calls(self, deadline_ms: int | None) -> Calls:
        from building_vitals.upstream.ace.calls import Calls

        return Calls(
            self._http, self._clock, self._settings, self._gate, deadline_ms, state=self._state
        )

    async def _require_site(self, calls: Calls, site: str) -> None:
        from building_vitals.upstream.ace.listings import site_fault

        now_ms = self._clock.now_ms()
        unknown, found_ms, lasts_ms = self._sites.get(site, (None, 0, 0))
        if not is_recent(found_ms, now_ms, lasts_ms):
            unknown = await site_fault(calls, site)
            if len(self._sites) >= SITES_REMEMBERED_MAX:
                self._sites.clear()
            lasts_ms = SITE_UNKNOWN_MS if unknown else SITE_KNOWN_MS
            self._sites[site] = (unknown, self._clock.now_ms(), lasts_ms)
        if unknown is not None:
            raise UpstreamSiteUnknown(unknown.detail, upstream_status=unknown.upstream_status)


@contextmanager
def _counted(calls: Calls) -> Iterator[None]:
    """Tell a failure that ends a fetch how many requests it took."""
    try:
        yield
    except AppError as error:
        error.upstream_requests = calls.report.requests
        raise
