"""
Carries out a plan of fetches, and says what came: all of it, or as much as is complete.

Time goes forward in what the upstream sends, so a fetch that fails at its last page has all pages
before to its credit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.freshness import closings
from building_vitals.cache.need import Need, Progress
from building_vitals.cache.segments import Segment
from building_vitals.errors import AppError, UpstreamError
from building_vitals.ports import Clock
from building_vitals.ranges import Range, merge
from building_vitals.series.columns import Sample
from building_vitals.series.folding import Folder, PointSeries, SampleTooOld
from building_vitals.upstream.costs import FetchCosts
from building_vitals.upstream.port import FetchCount, Upstream
from building_vitals.upstream.profile import Source

if TYPE_CHECKING:
    from building_vitals.cache.site_sink import SiteKeeping, SiteSink

OnProgress = Callable[[Progress], Awaitable[None]]
# Stores series that came, or raises an AppError.
Store = Callable[[list[PointSeries]], Awaitable[None]]
OnFault = Callable[[str, Exception], None]

# Fetches of one plan under way at once.
FETCHES_MAX = 4
# What came is stored, where nobody waits for it, as soon as it is so many samples, or so old.
HELD_SAMPLES_MAX = 250_000
HELD_MS_MAX = 30_000
# Of whole sites so many times as many are held in frames, where they take a tenth of the memory:
# each block is one more place to look for each point.
FRAMED_TIMES = 2
# A site of no more points is stored by point where all were asked for: pages bring nothing else
# then, the rows are few, and the samples lie in the order in which they are read.
SITE_ROWS_MAX = 512
# Where somebody waits, seldom: but who leaves takes the invocation along, half a minute later.
HELD_AWAITED_MS_MAX = 10_000
# Below this share done, a fetch says nothing about how long the rest of it takes.
SHARE_MIN = 0.02


class FetchOutcome(msgspec.Struct):
    """
    What has come of a plan.

    Attributes:
        fetched_ms: When it was begun.
        point_series: What is known by it and not stored yet.
        segments: What is known by it and stored, with all else that its pages held.
        fetched: The ranges that came, merged over all points.
        samples: Those that came.
        requests: Requests it took, those of fetches that failed included.
        unreadable: Samples that were left out, because they cannot be read.
        failure: The first failure, if any.
    """

    fetched_ms: int
    point_series: list[PointSeries] = []
    segments: list[Segment] = []
    fetched: list[Range] = []
    samples: int = 0
    requests: int = 0
    unreadable: int = 0
    failure: AppError | None = None

    def add(self, point_series: Sequence[PointSeries]) -> None:
        """Take up what is known now."""
        self.point_series += point_series
        self.samples += sum(each.series.count for each in point_series)
        self.fetched = merge([*self.fetched, *{each.known for each in point_series}])


class GapFetcher:
    """
    Fetches from the upstream.

    What came is stored once *held_samples_max* are held, or something for *held_ms_max*. What can't
    be stored ends a fetch, unless *on_fault* is to hear of it: somebody waits for it, then. With
    *keep_site*, of pages that hold the whole site all is stored: only where nobody waits.
    """

    def __init__(
        self,
        upstream: Upstream,
        clock: Clock,
        *,
        held_samples_max: int = HELD_SAMPLES_MAX,
        held_ms_max: int = HELD_MS_MAX,
        on_fault: OnFault | None = None,
        keep_site: SiteKeeping | None = None,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._keep_site = keep_site
        self._held_max = (held_samples_max, held_ms_max)
        self._on_fault = on_fault

    async def fetch(
        self,
        need: Need,
        fetches: Sequence[UpstreamQuery],
        now_ms: int,
        *,
        costs: FetchCosts | None = None,
        source: Source | None = None,
        on_progress: OnProgress | None = None,
        store: Store | None = None,
    ) -> FetchOutcome:
        """
        Run every fetch, some side by side; after a failure no other is begun.

        Args:
            need: Whose fetches they are.
            fetches: The plan.
            now_ms: When it begins.
            costs: By which it was planned, where progress is to tell how much slower it is.
            source: Which calls are to give the samples; None for the cheaper ones.
            on_progress: Awaited after each page.
            store: Awaited with what came, now and then, so that little is held and little is
                lost.
        """
        run = _FetchRun(
            self._upstream,
            need,
            FetchOutcome(now_ms),
            asked_ms=sum(map(_asked_ms, fetches)),
            clock=self._clock,
            held_max=self._held_max,
            costs=costs,
            source=source,
            on_progress=on_progress,
            store=store,
            on_fault=self._on_fault,
            keep_site=self._keep_site,
        )
        gate = asyncio.Semaphore(FETCHES_MAX)

        async def one(fetch: UpstreamQuery) -> None:
            async with gate:
                if run.outcome.failure is None:
                    await run.fetch(fetch)

        await asyncio.gather(*map(one, fetches))
        return run.outcome


class _FetchState(msgspec.Struct):
    """
    One fetch of a plan.

    Attributes:
        asked_ms: Its time, summed over its points.
        folder: What its pages go to; None once it has ended.
        count: Its requests so far; None until a page has come.
        failed_requests: All of its requests, where it has failed.
        covered: The share that is complete, from 0 to 1.
        begun_ms: When it was begun.
        planned_ms: How long it was planned to take; 0 where that is not known.
        slowness: How many times longer it takes, by what has come; 0 while nothing says.
        site: Of pages that hold the whole site: what of them is stored; else None.
    """

    asked_ms: int
    folder: Folder | None
    count: FetchCount | None = None
    failed_requests: int = 0
    covered: float = 0.0
    begun_ms: int = 0
    planned_ms: int = 0
    slowness: float = 0.0
    site: SiteSink | None = None

    def come_to(self, covered: float, now_ms: int) -> None:
        """Note which share is complete by now."""
        self.covered = covered
        if covered >= SHARE_MIN and self.planned_ms > 0:
            self.slowness = max(0, now_ms - self.begun_ms) / (covered * self.planned_ms)


class _FetchRun:
    """
    A plan that is carried out.

    Attributes:
        outcome: What has come of it.
    """

    def __init__(
        self,
        upstream: Upstream,
        need: Need,
        outcome: FetchOutcome,
        *,
        asked_ms: int,
        clock: Clock,
        held_max: tuple[int, int],
        costs: FetchCosts | None,
        source: Source | None,
        on_progress: OnProgress | None,
        store: Store | None,
        on_fault: OnFault | None,
        keep_site: SiteKeeping | None,
    ) -> None:
        self.outcome = outcome
        self._keep_site = keep_site
        self._upstream = upstream
        self._need = need
        self._asked_ms = asked_ms
        self._clock = clock
        self._held_samples_max, self._held_ms_max = held_max
        self._costs = costs
        self._source = source
        self._on_progress = on_progress
        self._store = store
        self._on_fault = on_fault
        self._stored_ms = clock.now_ms()
        self._stored_share = 0.0
        self._states: list[_FetchState] = []
        # Held while something is stored: pages that come meanwhile wait, so that memory is bounded.
        self._storing = asyncio.Lock()

    async def fetch(self, fetch: UpstreamQuery) -> None:
        """Run one fetch, and keep what is complete of it however it ends."""
        closings_ms = closings(fetch.time_range, self.outcome.fetched_ms)
        folder = Folder(fetch.points, fetch.time_range, closings_ms)
        state = _FetchState(_asked_ms(fetch), folder, begun_ms=self._clock.now_ms())
        sink = FolderSink(folder)
        size = len(fetch.points), fetch.time_range.duration_ms
        if self._costs is not None:
            state.planned_ms = self._costs.fetch_ms(*size)
            if self._keep_site and self._keeps_site(self._costs, *size):
                # As app.py says: only jobs do.
                from building_vitals.cache.site_sink import SiteSink

                sink = state.site = SiteSink(folder, self._need.site, fetch, self._keep_site)
        self._states.append(state)
        try:
            state.count = await self._ask(fetch, state, sink)
            folder.advance(None, fetch.time_range.end_ms)
        except AppError as error:
            self._fail(state, error)
            # For the requests that it took.
            with suppress(AppError):
                await self._report()
        state.come_to(folder.covered, self._clock.now_ms())
        if state.site is None:
            state.folder = None
            self.outcome.add(self._own(state, folder.finish()))
        else:
            try:
                await state.site.store(self.outcome, is_last=True)
            except AppError as error:
                self._fail(state, error)
            state.folder = None
        self.outcome.unreadable += folder.unreadable
        self._count_requests()

    def _keeps_site(self, costs: FetchCosts, points_count: int, duration_ms: int) -> bool:
        """Return whether a fetch has pages of the whole site, and blocks are to hold them."""
        if self._source == "points" or not costs.takes_site(points_count, duration_ms):
            return False
        return points_count > SITE_ROWS_MAX or not costs.is_all_of_site(points_count)

    async def _ask(self, fetch: UpstreamQuery, state: _FetchState, sink: FolderSink) -> FetchCount:
        """Have the upstream asked; of the whole site, where all of it is stored."""
        deadline_ms, on_page = self._need.deadline_ms, partial(self._page, state)
        site, time_range = self._need.site, fetch.time_range
        if state.site is not None:
            return await self._upstream.fetch_site(
                site, time_range, sink, deadline_ms=deadline_ms, on_page=on_page
            )
        return await self._upstream.fetch_samples(
            *(site, fetch.points, time_range, sink),
            deadline_ms=deadline_ms,
            source=self._source,
            on_page=on_page,
        )

    def _fail(self, state: _FetchState, error: AppError) -> None:
        self.outcome.failure = self.outcome.failure or error
        state.failed_requests = max(state.failed_requests, error.upstream_requests)

    def _own(self, state: _FetchState, point_series: list[PointSeries]) -> list[PointSeries]:
        """Return the series of the site's own points, with the word of where they came from."""
        # Told by the fetch itself: what the isolate remembers of a site may have gone since.
        strangers = frozenset[str]() if state.count is None else state.count.strangers
        is_by_point = self._source == "points"
        if self._source is None and state.count is not None:
            is_by_point = state.count.is_by_point
        return [
            msgspec.structs.replace(each, is_by_point=is_by_point)
            for each in point_series
            if each.point not in strangers
        ]

    async def _page(self, state: _FetchState, count: FetchCount) -> None:
        """Deal with a page that has come."""
        state.count = count
        if state.folder is not None:
            state.come_to(state.folder.covered, self._clock.now_ms())
        if self._store is not None:
            async with self._storing:
                try:
                    await self._store_held(self._store)
                except AppError as error:
                    if self._on_fault is None:
                        raise
                    self._on_fault("store", error)
        await self._report()

    async def _report(self) -> None:
        self._count_requests()
        if self._on_progress is not None:
            # Fetches go side by side: the first that is there says how fast they are, not how much
            # of the time is over.
            slowness = max((state.slowness for state in self._states), default=0.0)
            await self._on_progress(
                Progress(self._share(), self._stored_share, self.outcome.requests, slowness)
            )

    def _count_requests(self) -> None:
        self.outcome.requests = sum(
            max(state.failed_requests, 0 if state.count is None else state.count.requests)
            for state in self._states
        )

    def _share(self) -> float:
        done_ms = sum(state.asked_ms * state.covered for state in self._states)
        return done_ms / self._asked_ms

    async def _store_held(self, store: Store) -> None:
        """Have stored what is complete, if that is due; what can't be stored now is kept."""
        now_ms = self._clock.now_ms()
        if now_ms - self._stored_ms < self._held_ms_max and not self._is_much_held():
            return
        self._stored_ms, share = now_ms, self._share()
        for state in self._states:
            if state.site is not None and state.folder is not None:
                await state.site.store(self.outcome)
            elif state.folder is not None:
                self.outcome.add(self._own(state, state.folder.take_known()))
        point_series, self.outcome.point_series = self.outcome.point_series, []
        try:
            if point_series:
                await store(point_series)
        except AppError:
            self.outcome.point_series += point_series
            raise
        self._stored_share = share

    def _is_much_held(self) -> bool:
        """Return whether so much is held that it is to be stored; of whole sites, in frames too."""
        if self._held < self._held_samples_max:
            return False
        sites = [state.site for state in self._states if state.site and state.folder]
        for site in sites:
            site.hold()
        framed_max = FRAMED_TIMES * self._held_samples_max
        return self._held >= self._held_samples_max or any(
            site.framed_samples >= framed_max for site in sites
        )

    @property
    def _held(self) -> int:
        held = sum(state.folder.held for state in self._states if state.folder is not None)
        return held + sum(each.series.count for each in self.outcome.point_series)


class FolderSink:
    """The sink of one fetch: a sample that comes too late is the upstream's fault."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._add = folder.add_page
        self.advance: Callable[[Collection[str] | None, int], None] = folder.advance

    def add_page(self, samples: Sequence[Sample]) -> None:
        """
        Take one page.

        Raises:
            UpstreamError: a sample of it is of a time that the upstream had passed.
        """
        try:
            self._add(samples)
        except SampleTooOld as error:
            raise UpstreamError(
                f"upstream sent a sample of a time it had passed: {error}",
                upstream_status=200,
                retryable=True,
            ) from error


def _asked_ms(fetch: UpstreamQuery) -> int:
    """Return the time a fetch asks for, summed over its points."""
    return len(fetch.points) * fetch.time_range.duration_ms
