"""
Makes known what a request needs: finds segments, fetches the gaps, stores them, once for everybody.

Separate because the cached route and the chunks of jobs both stand on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from building_vitals.core.errors import (
    AppError,
    UpstreamBusy,
    UpstreamError,
    UpstreamSiteUnknown,
)
from building_vitals.core.folding import Fold, Folder, UnreadableTime
from building_vitals.core.plan import (
    Cover,
    Fetch,
    Freshness,
    covers,
    fetched_ranges,
    gaps_of,
    known_until,
    plan_fetches,
)
from building_vitals.core.ports import Clock, Database, Statement
from building_vitals.core.ranges import Range, merge
from building_vitals.core.segments import Segment
from building_vitals.services.segment_store import SegmentObject, SegmentStore, segment_object
from building_vitals.storage.leases import Lease, Leases
from building_vitals.storage.segment_index import SegmentIndex

# How long to wait before looking again whether somebody else's fetch has come in.
WAIT_MIN_MS = 25
WAIT_MAX_MS = 400
# Fetches of one plan under way at once.
FETCHES_MAX = 4
# What has happened is known up to a whole second, so that requests of one moment ask for the same.
LIVE_EDGE_MS = 1000


class FetchCount(Protocol):
    """
    What a fetch has cost so far.
    """

    requests: int
    samples_received: int


OnPage = Callable[[FetchCount], Awaitable[None]]


class Upstream(Protocol):
    """
    Where samples come from.
    """

    async def fetch_samples(
        self,
        site: str,
        points: Sequence[str],
        wanted: Range,
        sink: Folder,
        *,
        deadline_ms: int | None = None,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """
        Give *sink* every page; return only when all has come, else raise an AppError.
        """
        ...


class Filled(msgspec.Struct):
    """
    A request whose data are known, as far as they have happened.

    Attributes:
        covers: One for each point, without gaps.
        fresh: Objects that were made for it and may not be stored yet, by key.
        fetched: Ranges that went upstream, merged.
        samples_fetched: Samples that came of it.
        upstream_requests: Requests it took.
        had_known: Whether some of it had been known before.
        is_stale: Whether expired segments stand in for a fetch that failed.
    """

    covers: list[Cover]
    fresh: dict[str, bytes] = {}
    fetched: list[Range] = []
    samples_fetched: int = 0
    upstream_requests: int = 0
    had_known: bool = True
    is_stale: bool = False

    def after(self, earlier: Filled) -> Filled:
        """
        Return the same with what an earlier attempt had to fetch.
        """
        return msgspec.structs.replace(
            self,
            fresh={**earlier.fresh, **self.fresh},
            fetched=merge([*earlier.fetched, *self.fetched]),
            samples_fetched=earlier.samples_fetched + self.samples_fetched,
            upstream_requests=earlier.upstream_requests + self.upstream_requests,
            had_known=earlier.had_known,
        )


class Need(msgspec.Struct, frozen=True):
    """
    What somebody wants to be known.

    Attributes:
        now_ms: The moment it is judged at.
        deadline_ms: When to give up.
        wait_until_ms: How long to wait for somebody else's fetch; as long as all, if left out.
        accepts_stale: Whether expired segments may stand in for a fetch that failed.
    """

    site: str
    points: tuple[str, ...]
    wanted: Range
    now_ms: int
    deadline_ms: int
    wait_until_ms: int | None = None
    accepts_stale: bool = True

    @property
    def happened(self) -> Range | None:
        """
        The part of the range that can be known.
        """
        return known_until(self.wanted, self.now_ms - self.now_ms % LIVE_EDGE_MS)


class SegmentFiller:
    """
    Fetches what is missing and nothing else, and lets one fetch serve all who wait for it.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        store: SegmentStore,
        database: Database,
        clock: Clock,
        freshness: Freshness,
        page_size: int,
        lease_ms: int,
        new_id: Callable[[], str],
        background: Callable[[Coroutine[Any, Any, None]], None],
        report: Callable[[str, AppError], None],
    ) -> None:
        """
        Args:
            page_size: Samples on a page of the upstream.
            lease_ms: How long a lease lives unless renewed.
            new_id: Gives random identities.
            background: Runs what need not be waited for, as far as the runtime lets it.
            report: Hears of failures that nobody else will.
        """
        self._upstream = upstream
        self._store = store
        self._database = database
        self._index = SegmentIndex(database)
        self._leases = Leases(database)
        self._clock = clock
        self._freshness = freshness
        self._page_size = page_size
        self._lease_ms = lease_ms
        self._new_id = new_id
        self._background = background
        self._report = report

    async def look_up(self, need: Need) -> list[Segment]:
        """
        Return the segments there are, fresh or expired.
        """
        return await self._index.find(need.site, need.points, need.wanted)

    def cover(self, need: Need, segments: Sequence[Segment], *, grace: bool = False) -> list[Cover]:
        """
        Return what the segments cover of the need.
        """
        return covers(
            need.points,
            segments,
            need.happened,
            freshness=self._freshness,
            now_ms=need.now_ms,
            grace=grace,
        )

    def expires_ms(self, covered: Sequence[Cover]) -> int:
        """
        Return when the first segment of a cover stops being known.
        """
        return min(
            (
                self._freshness.expires_ms(segment.judged_ms, segment.fetched_ms)
                for each in covered
                for segment, _ in each.known
            ),
            default=0,
        )

    async def fill(
        self, need: Need, segments: Sequence[Segment], on_page: OnPage | None = None
    ) -> Filled:
        """
        Return the need covered without gaps.

        Args:
            segments: What `look_up` found.
            on_page: Awaited after each page.

        Raises:
            UpstreamError: what is missing can't be had and nothing kept can stand in for it.
            Unavailable: the database can't be reached.
        """
        wait_ms = WAIT_MIN_MS
        while True:
            covered = self.cover(need, segments)
            missing = gaps_of(covered)
            if not missing:
                return Filled(covered)
            lease = self._lease(need, missing)
            taken, segments = await self._try(need, lease)
            covered = self.cover(need, segments)
            missing = gaps_of(covered)
            if taken and missing:
                return await self._fetch(need, lease, segments, missing, on_page)
            if taken:
                self._background(self._release(lease))
            elif missing:
                if self._clock.now_ms() + wait_ms >= (need.wait_until_ms or need.deadline_ms):
                    raise UpstreamBusy(
                        "another request is fetching the same data and has not finished in time",
                        retryable=True,
                    )
                await self._clock.sleep(wait_ms)
                wait_ms = min(2 * wait_ms, WAIT_MAX_MS)

    def _lease(self, need: Need, missing: dict[str, list[Range]]) -> Lease:
        return Lease(
            lease_id=self._new_id(),
            site=need.site,
            points=tuple(missing),
            wanted=Range(
                min(ranges[0].start_ms for ranges in missing.values()),
                max(ranges[-1].end_ms for ranges in missing.values()),
            ),
            expires_ms=self._clock.now_ms() + self._lease_ms,
        )

    async def _try(self, need: Need, lease: Lease) -> tuple[bool, list[Segment]]:
        """
        Try to take the lease, and look up again: both in one round trip, and in this order.

        Whoever held the lease before has stored what it fetched before letting go.
        """
        outcomes = await self._database.batch(
            [
                self._leases.take_statement(lease, now_ms=self._clock.now_ms()),
                self._index.find_statement(need.site, need.points, need.wanted),
            ]
        )
        return outcomes[0].changes > 0, self._index.found(outcomes[1].rows)

    async def _fetch(
        self,
        need: Need,
        lease: Lease,
        segments: list[Segment],
        missing: dict[str, list[Range]],
        on_page: OnPage | None,
    ) -> Filled:
        """
        Fetch the gaps under the lease, and have stored what came, also if not all came.
        """
        fetches = plan_fetches(missing, page_size=self._page_size)
        fetched_ms = self._clock.now_ms()
        run = _Run(self, need, fetched_ms, on_page)
        heartbeat = asyncio.ensure_future(self._renew(lease))
        try:
            failure = await run.all(fetches)
        finally:
            heartbeat.cancel()
        made = self._object(need.site, run.folds, fetched_ms)
        self._background(self._keep(made, lease))
        had_known = any(each.known for each in self.cover(need, segments))
        segments = segments + (made.segments if made else [])
        covered = self.cover(need, segments)
        is_stale = False
        if failure is not None:
            covered = self.cover(need, segments, grace=True)
            is_final = isinstance(failure, UpstreamSiteUnknown) or not need.accepts_stale
            if is_final or gaps_of(covered):
                raise failure
            is_stale = True
        return Filled(
            covered,
            fresh={made.key: made.data} if made and made.key else {},
            fetched=fetched_ranges(fetches),
            samples_fetched=sum(fold.series.count for fold in run.folds),
            upstream_requests=run.requests,
            had_known=had_known,
            is_stale=is_stale,
        )

    async def fetch_one(
        self, need: Need, fetch: Fetch, fetched_ms: int, on_page: OnPage | None
    ) -> tuple[list[Fold], int]:
        """
        Return what one fetch gives, and the requests it took.

        Raises:
            AppError: not everything came.
        """
        settled_ms = fetched_ms - self._freshness.settle_after_ms
        folder = Folder(fetch.points, fetch.wanted, settled_ms)
        try:
            cost = await self._upstream.fetch_samples(
                need.site,
                fetch.points,
                fetch.wanted,
                folder,
                deadline_ms=need.deadline_ms,
                on_page=on_page,
            )
        except UnreadableTime as error:
            raise UpstreamError(f"upstream sent a sample with no readable time: {error}") from error
        return folder.finish(), cost.requests

    async def fetch_directly(self, need: Need) -> Filled:
        """
        Fetch everything, whatever is known, and store nothing.
        """
        now_ms = self._clock.now_ms()
        fetch = Fetch(need.points, need.wanted)
        folds, requests = await self.fetch_one(need, fetch, now_ms, None)
        made = self._object(need.site, folds, now_ms)
        by_point: dict[str, list[Segment]] = {}
        for each in made.segments if made else []:
            by_point.setdefault(each.point, []).append(each)
        return Filled(
            [
                Cover(point, [(each, each.range) for each in by_point.get(point, [])], [])
                for point in need.points
            ],
            fresh={made.key: made.data} if made and made.key else {},
            fetched=[need.wanted],
            samples_fetched=sum(fold.series.count for fold in folds),
            upstream_requests=requests,
            had_known=False,
        )

    def _object(self, site: str, folds: list[Fold], fetched_ms: int) -> SegmentObject | None:
        if not folds:
            return None
        return segment_object(site, folds, fetched_ms=fetched_ms, nonce=self._new_id())

    async def _keep(self, made: SegmentObject | None, lease: Lease) -> None:
        """
        Store what was fetched, then let go of the lease: those who wait find it then.
        """
        release: Statement = self._leases.release_statement(lease.lease_id)
        try:
            if made is None:
                await self._database.batch([release])
                return
            stored = await self._store.put(made)
            await self._store.commit([stored], now_ms=self._clock.now_ms(), after=[release])
        except AppError as error:
            self._report("store", error)
            await self._release(lease)

    async def _release(self, lease: Lease) -> None:
        try:
            await self._leases.release(lease.lease_id)
        except AppError as error:
            self._report("release", error)

    async def _renew(self, lease: Lease) -> None:
        """
        Keep a lease alive until cancelled.
        """
        while True:
            await self._clock.sleep(self._lease_ms // 3)
            try:
                await self._leases.renew(lease.lease_id, self._clock.now_ms() + self._lease_ms)
            except AppError as error:
                self._report("renew", error)


class _Run:
    """
    The fetches of one plan, and what has come of them.
    """

    def __init__(
        self, filler: SegmentFiller, need: Need, fetched_ms: int, on_page: OnPage | None
    ) -> None:
        self._filler = filler
        self._need = need
        self._fetched_ms = fetched_ms
        self._on_page = on_page
        self.folds: list[Fold] = []
        self.requests = 0

    async def all(self, fetches: Sequence[Fetch]) -> AppError | None:
        """
        Run every fetch; return the first failure.
        """
        gate = asyncio.Semaphore(FETCHES_MAX)
        failures: list[AppError] = []

        async def one(fetch: Fetch) -> None:
            async with gate:
                if failures:
                    return
                try:
                    folds, requests = await self._filler.fetch_one(
                        self._need, fetch, self._fetched_ms, self._on_page
                    )
                except AppError as error:
                    failures.append(error)
                    return
                self.folds += folds
                self.requests += requests

        await asyncio.gather(*map(one, fetches))
        return failures[0] if failures else None
