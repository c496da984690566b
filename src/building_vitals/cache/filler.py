"""
Fills a request's gaps: finds segments, fetches the gaps and stores them, once for everybody.

Separate because the cached route and the chunks of jobs both stand on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from building_vitals.ahead import begin_ahead, call_off
from building_vitals.cache.attempt import Attempt
from building_vitals.cache.coverage import Cover, gaps_of
from building_vitals.cache.failures import Failures
from building_vitals.cache.fetcher import (
    HELD_AWAITED_MS_MAX,
    HELD_MS_MAX,
    GapFetcher,
    OnProgress,
)
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.holder import Came, LeaseHolder
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.judgement import Judgement
from building_vitals.cache.keeping import Keeper
from building_vitals.cache.lease import Gaps, Lease, OtherLease
from building_vitals.cache.leases_table import Leases
from building_vitals.cache.need import Filling, Need, Progress
from building_vitals.cache.patience import WAIT_MAX_MS, WAIT_MIN_MS, next_look_ms, outside
from building_vitals.cache.refetch import Refetch
from building_vitals.cache.segments import Segment
from building_vitals.cache.store import SegmentStore
from building_vitals.cache.toll import Charge, Toll, require_size
from building_vitals.cache.twin_fetch import TwinFetcher
from building_vitals.cache.twins import Twins
from building_vitals.cache.waiting import Waiting
from building_vitals.errors import AppError, UpstreamBusy, UpstreamSiteUnknown
from building_vitals.ports import Database, Invocation
from building_vitals.ranges import merge
from building_vitals.upstream.port import Upstream

if TYPE_CHECKING:
    from building_vitals.cache.site_sink import SiteKeeping


class SegmentFiller(Judgement):
    """
    Fetches gaps and nothing else, and lets one fetch serve all who wait for it.

    Arguments are those of a `Judgement`, and others. *lease_ms* is how long a lease lives unless
    renewed; *waiting*, *failures* and *twins* are shared by all fillers of the isolate. With
    *is_background*, it works for jobs: no person waits for that. *charge* is told the cost of each
    fetch before it begins, and may refuse it. Of what it fetches in the background by pages that
    hold the whole site, *keep_site* stores everything.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        store: SegmentStore,
        index: SegmentIndex,
        database: Database,
        freshness_of: Callable[[str], Freshness],
        lease_ms: int,
        waiting: Waiting,
        failures: Failures,
        twins: Twins,
        refetch: Refetch,
        know_follows: Callable[[str, bool], Coroutine[Any, Any, None]],
        invocation: Invocation,
        is_background: bool = False,
        charge: Charge | None = None,
        keep_site: SiteKeeping | None = None,
    ) -> None:
        super().__init__(
            upstream=upstream,
            index=index,
            freshness_of=freshness_of,
            refetch=refetch,
            know_follows=know_follows,
            invocation=invocation,
        )
        self._toll = Toll(upstream, charge)
        self._fetcher = GapFetcher(
            upstream,
            invocation.clock,
            held_ms_max=HELD_MS_MAX if is_background else HELD_AWAITED_MS_MAX,
            on_fault=None if is_background else invocation.on_fault,
            keep_site=keep_site if is_background else None,
        )
        self._keeper = Keeper(store, database, invocation)
        self._database = database
        self._leases = Leases(database)
        self._clock = invocation.clock
        self._lease_ms = lease_ms
        self._new_id = invocation.new_id
        self._run_later = invocation.run_later
        self._waiting = waiting
        self._failures = failures
        self._is_background = is_background
        self._twins = self._twin_fetcher(twins, invocation)
        self._holder = LeaseHolder(
            fetcher=self._fetcher,
            keeper=self._keeper,
            index=index,
            database=database,
            waiting=waiting,
            failures=failures,
            cover=self.cover,
            lease_ms=lease_ms,
            invocation=invocation,
            is_background=is_background,
        )

    def _twin_fetcher(self, twins: Twins, invocation: Invocation) -> TwinFetcher:
        return TwinFetcher(
            twins=twins,
            upstream=self._upstream,
            toll=self._toll,
            fetcher=self._fetcher,
            keeper=self._keeper,
            source=self._source,
            resolution=self.resolution,
            invocation=invocation,
        )

    async def fill(
        self,
        need: Need,
        segments: Sequence[Segment],
        on_progress: OnProgress | None = None,
        covered: list[Cover] | None = None,
    ) -> Filling:
        """
        Return the need covered without gaps, from the segments that `look_up` found on.

        What somebody else fetches is waited for while that is cheaper than to fetch it too; what
        nobody fetches is fetched meanwhile.

        Args:
            need: The need.
            segments: Those that `look_up` found.
            on_progress: Awaited after each page that is fetched for it.
            covered: What `cover` says of both, where the caller has asked it already.

        Raises:
            TooLarge: the gaps are larger than what may be fetched for the need.
            RateLimited: the caller may not have so much fetched now.
            UpstreamError: the gaps can't be filled, and nothing kept can stand in for them; what
                came is stored all the same.
            Unavailable: the database can't be reached.
        """
        covered = self.cover(need, segments) if covered is None else covered
        if not gaps_of(covered):
            return Filling(covered, resolution=self.resolution(need, covered))
        costs = await self._upstream.costs(need.site)
        attempt = Attempt(
            need,
            self._new_id(),
            costs,
            list(segments),
            on_progress,
            lease_ms=self._lease_ms,
            is_background=self._is_background,
        )
        try:
            while (filling := await self._advance(attempt)) is None:
                pass
        finally:
            self._waiting.remove(attempt.waiter)
        before = attempt.before
        if before is None:
            return filling
        return msgspec.structs.replace(filling.after(before), unreadable=before.unreadable)

    async def _advance(self, attempt: Attempt) -> Filling | None:
        """Come one step nearer: have gaps fetched, or wait; return the filling if that was all."""
        need = attempt.need
        covered = self.cover(need, attempt.segments)
        missing = gaps_of(covered)
        if not missing:
            return Filling(covered, resolution=self.resolution(need, covered))
        now_ms = self._clock.now_ms()
        known = self._failures.of(need, missing, now_ms)
        if known is not None and not self._is_background:
            return self._stand_in(attempt, known.error())
        require_size(need, missing)
        lease = attempt.lease(missing, self._new_id(), now_ms)
        others = await self._try(attempt, lease, attempt.passed)
        missing = gaps_of(self.cover(need, attempt.segments))
        if others is None:
            return await self._fetch(attempt, lease, missing, is_all=True)
        if not missing or not others:
            return None
        attempt.look(now_ms := self._clock.now_ms())
        if (heard := attempt.heard(missing, others, now_ms)) is not None:
            return self._stand_in(attempt, heard.error())
        awaited = attempt.awaited(lease, others, now_ms)
        if not awaited:
            return None
        free = outside(missing, awaited)
        # Not before others have come for whom it can be fetched along.
        if free and attempt.is_waiting and not self._is_background:
            beside = attempt.lease(free, self._new_id(), self._clock.now_ms())
            passed = attempt.passed | {each.lease_id for each in awaited}
            if await self._try(attempt, beside, passed) is None:
                missing = outside(gaps_of(self.cover(need, attempt.segments)), awaited)
                return await self._fetch(attempt, beside, missing, is_all=False)
        return await self._wait(attempt, awaited)

    async def _wait(self, attempt: Attempt, awaited: list[OtherLease]) -> Filling | None:
        """Wait until it is time to look again; who has no time left takes what is kept."""
        need, now_ms = attempt.need, self._clock.now_ms()
        left_ms = (need.wait_until_ms or need.deadline_ms) - now_ms
        if left_ms <= 0:
            busy = "another request is fetching the same data and has not finished in time"
            return self._stand_in(attempt, UpstreamBusy(busy, retryable=True))
        wait_ms = WAIT_MIN_MS
        if attempt.is_waiting:
            pause_ms = max(self._waiting.pause_ms, min(attempt.lag_ms, WAIT_MAX_MS))
            wait_ms = max(next_look_ms(awaited, now_ms), pause_ms)
        attempt.is_waiting = True
        attempt.next_ms = now_ms + min(wait_ms, left_ms)
        self._waiting.add(attempt.waiter, need, now_ms)
        await self._clock.sleep(min(wait_ms, left_ms))
        return None

    async def _try(
        self, attempt: Attempt, lease: Lease, passed: Collection[str]
    ) -> list[OtherLease] | None:
        """
        Try to take the lease, and look up again what it is for: all in one round trip, and in this
        order.

        The holder before has stored what it fetched before it let go of the lease.

        Returns:
            Those in the way; None when the lease is held and something is still missing.
        """
        need, now_ms = attempt.need, self._clock.now_ms()
        known = self._known(need)
        try:
            taken, others, found = await self._database.batch(
                [
                    self._leases.take_statement(lease, now_ms=now_ms, passed=passed),
                    self._leases.look_statement(lease, now_ms=now_ms, passed=passed),
                    # A minute of a year: what is known of the rest is known already.
                    self._index.find_statement(need.site, lease.points, lease.time_range, *known),
                ]
            )
            segments = await self._index.found(found.rows, lease.points, lease.time_range, *known)
        except BaseException:
            # It may have been taken all the same.
            self._run_later(self._keeper.release(lease))
            raise
        attempt.look_again(lease, segments)
        if not taken.changes:
            return self._leases.found(others.rows)
        if gaps_of(self.cover(need, attempt.segments)):
            return None
        self._run_later(self._keeper.release(lease))
        return []

    async def _fetch(
        self, attempt: Attempt, lease: Lease, missing: Gaps, *, is_all: bool
    ) -> Filling | None:
        """
        Fetch gaps under the lease, to the end even if the client goes away.

        Returns:
            What covers the need; None where others fetch the rest.
        """
        need = attempt.need
        self._waiting.remove(attempt.waiter)
        try:
            await self._toll.pay(need, missing)
        except BaseException:
            self._run_later(self._keeper.release(lease))
            raise
        attempt.next_ms = 0
        had_known = any(each.known for each in self.cover(need, attempt.segments))
        on_progress, known_share = attempt.on_progress, 1 - need.missing_share(missing)

        async def report(progress: Progress) -> None:
            if on_progress is not None:
                await on_progress(progress.beside(known_share))

        work = self._holder.fetch(
            need, lease, missing, attempt.costs, source=self._source(need), on_progress=report
        )
        if self._is_background:
            came = await work
        else:
            task = asyncio.ensure_future(work)
            self._run_later(_outlive(task))
            came = await asyncio.shield(task)
        attempt.take(came, had_known=had_known or not is_all)
        covered, failure = self.cover(need, attempt.segments), came.outcome.failure
        if failure is not None and gaps_of(covered):
            return self._stand_in(attempt, failure)
        # Gaps are left where others fetch them, and where it has turned out meanwhile that samples
        # of the two kinds differ, so that some that were known are of the wrong one.
        if not is_all or gaps_of(covered):
            return None
        return Filling(covered, resolution=self.resolution(need, covered))

    def _stand_in(self, attempt: Attempt, failure: AppError) -> Filling:
        """
        Return what is known or kept, in place of a fetch that failed, and what is missing.

        Raises:
            AppError: the failure, where nothing was kept before or it must not be taken.
        """
        need = attempt.need
        if isinstance(failure, UpstreamSiteUnknown) or not need.accepts_stale:
            raise failure
        # The beginning of what failed is no answer by itself: who asks again gets the rest.
        if not any(each.known for each in self.cover(need, attempt.known_before(), grace=True)):
            raise failure
        covered = self.cover(need, attempt.segments, grace=True)
        return Filling(
            covered,
            is_stale=True,
            missing=merge(gap for each in covered for gap in each.gaps),
            resolution=self.resolution(need, covered),
        )

    async def fetch_directly(self, need: Need) -> Filling:
        """
        Fetch all that has happened, whatever is known, and store nothing; those who ask for the
        same at the same time share one fetch.

        Raises:
            RateLimited: the caller may not have so much fetched now.
            UpstreamError: the data can't be had.
        """
        if self._freshness_of(need.site).followed is None:
            return await self._twins.fetch(need)
        # Only for what the answer says of the follow, so nobody waits for it.
        knowing = begin_ahead(self._know_follows(need.site, False))
        try:
            return await self._twins.fetch(need)
        finally:
            await call_off(knowing)


async def _outlive(task: asyncio.Task[Came]) -> None:
    """Wait for a task, so that the runtime lets it live; its failure is told elsewhere."""
    with suppress(Exception):
        await task
