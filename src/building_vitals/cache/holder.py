"""
Fetches under a lease: keeps it alive, tells how long it will take, and lets go of it at the end.

Separate from the filler because that decides who fetches, and this is the fetch itself, which may
outlive the request that began it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from building_vitals.cache.coverage import Cover, gaps_of
from building_vitals.cache.failures import FAILURE_MS, Failures, encoded, shared_failure
from building_vitals.cache.fetch_plan import UpstreamQuery, plan_fetches
from building_vitals.cache.fetcher import FetchOutcome, GapFetcher, OnProgress
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.keeping import Keeper
from building_vitals.cache.lease import Gaps, Lease, span
from building_vitals.cache.leases_table import Leases
from building_vitals.cache.need import Need, Progress
from building_vitals.cache.patience import outside, plan_ms
from building_vitals.cache.segment_object import SegmentObject
from building_vitals.cache.segments import Segment
from building_vitals.cache.waiting import Waiting
from building_vitals.errors import AppError
from building_vitals.instants import DAY_MS
from building_vitals.ports import Clock, Database, Invocation, Statement
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.folding import PointSeries
from building_vitals.upstream.costs import FetchCosts
from building_vitals.upstream.profile import Source

# Estimated samples that are fetched along for those who wait: about what an answer has room for
# without taking noticeably longer.
ALONG_SAMPLES_MAX = 5_000
# Who fetches along keeps so many times the planned duration in hand before the own deadline.
ALONG_TIMES = 2
# A holder whose expectation has changed by this factor says so at once, but not all the time.
CHANGE_MIN = 1.5
CHANGE_EVERY_MS = 500


class Came(msgspec.Struct):
    """
    What came of a fetch.

    Attributes:
        segments: Of what came, stored or about to be.
        made: Of what is not stored yet.
        outcome: The rest.
    """

    segments: list[Segment]
    made: SegmentObject | None
    outcome: FetchOutcome

    @property
    def fresh(self) -> dict[str, bytes]:
        """Objects that may not be stored yet, by key."""
        return {self.made.key: self.made.data} if self.made and self.made.key else {}


class LeaseHolder:
    """
    Carries out fetches under leases.

    With *is_background* they are for jobs: nobody waits for them, and what came must be stored as
    it comes, or the fetch is for nothing.
    """

    def __init__(
        self,
        *,
        fetcher: GapFetcher,
        keeper: Keeper,
        index: SegmentIndex,
        database: Database,
        waiting: Waiting,
        failures: Failures,
        cover: Callable[[Need, Sequence[Segment]], list[Cover]],
        lease_ms: int,
        invocation: Invocation,
        is_background: bool,
    ) -> None:
        self._fetcher = fetcher
        self._keeper = keeper
        self._database = database
        self._index = index
        self._leases = Leases(database)
        self._waiting = waiting
        self._failures = failures
        self._cover = cover
        self._lease_ms = lease_ms
        self._clock = invocation.clock
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault
        self._is_background = is_background

    async def fetch(
        self,
        need: Need,
        lease: Lease,
        missing: Gaps,
        costs: FetchCosts,
        *,
        source: Source | None,
        on_progress: OnProgress | None,
    ) -> Came:
        """
        Fetch gaps under a lease, and have stored what came, also if not all came.

        However it ends, the lease is let go of: at the latest behind the answer.

        Args:
            need: Whose gaps they are.
            lease: Held for them.
            missing: The gaps.
            costs: Of the site.
            source: Which calls are to give the samples.
            on_progress: Awaited after each page, with shares of these gaps.
        """
        heartbeat = _Heartbeat(self._leases, lease, self._lease_ms, self._clock, self._on_fault)
        try:
            if not self._is_background:
                missing = await self._with_others(need, lease, missing, costs)
            fetches = plan_fetches(missing, costs)
            heartbeat.plan(plan_ms(fetches, costs))

            async def report(progress: Progress) -> None:
                heartbeat.note(progress)
                if on_progress is not None:
                    await on_progress(progress)

            came = await self._carry_out(need, fetches, costs, source, report)
            failed = None if self._is_background else self._failed(lease, missing, came)
            self._run_later(self._keeper.end(came.made, lease, failed))
            return came
        except BaseException:
            self._run_later(self._keeper.release(lease))
            raise
        finally:
            heartbeat.stop()

    async def _carry_out(
        self,
        need: Need,
        fetches: Sequence[UpstreamQuery],
        costs: FetchCosts,
        source: Source | None,
        on_progress: OnProgress,
    ) -> Came:
        fetched_ms, segments = self._clock.now_ms(), list[Segment]()

        async def store(point_series: list[PointSeries]) -> None:
            made = self._keeper.object_of(need.site, point_series, fetched_ms)
            if made is not None:
                segments.extend((await self._keeper.store(made)).segments)

        outcome = await self._fetcher.fetch(
            need,
            fetches,
            fetched_ms,
            costs=costs,
            source=source,
            on_progress=on_progress,
            store=store,
        )
        made = self._keeper.object_of(need.site, outcome.point_series, fetched_ms)
        segments += [*outcome.segments, *(made.segments if made else [])]
        return Came(segments, made, outcome)

    def _failed(self, lease: Lease, missing: Gaps, came: Came) -> Statement | None:
        """Return the statement that tells others of a failure that concerns them, if it does."""
        outcome, now_ms = came.outcome, self._clock.now_ms()
        if outcome.failure is None:
            return None
        failure = shared_failure(outcome.failure, now_ms=now_ms, begun_ms=outcome.fetched_ms)
        known: dict[str, list[Range]] = {}
        for each in came.segments:
            known.setdefault(each.point, []).append(each.range)
        left = {
            point: parts
            for point, ranges in missing.items()
            if (
                parts := [gap for each in ranges for gap in gaps(merge(known.get(point, ())), each)]
            )
        }
        if failure is None or not left:
            return None
        box = msgspec.structs.replace(lease, points=tuple(left), time_range=span(left))
        self._failures.add(box.site, box.points, box.time_range, failure)
        return self._leases.fail_statement(box, encoded(failure), now_ms + FAILURE_MS)

    async def _with_others(
        self, need: Need, lease: Lease, missing: Gaps, costs: FetchCosts
    ) -> Gaps:
        """
        Return the gaps together with those of others in this isolate whom the lease keeps waiting.

        Small ones only: it must not take noticeably longer than without them.
        """
        now_ms = self._clock.now_ms()
        wider, others = lease, list[Need]()
        area_max = _area(lease) + DAY_MS * ALONG_SAMPLES_MAX / costs.samples_per_day
        for other in self._waiting.behind(lease, now_ms):
            both = _widened(wider, other)
            if _area(both) <= area_max:
                wider, others = both, [*others, other]
        if not others:
            return missing
        planned_ms = costs.fetch_ms(len(wider.points), wider.time_range.duration_ms)
        if now_ms + ALONG_TIMES * planned_ms > need.deadline_ms:
            return missing
        try:
            outcomes = await self._database.batch(
                [
                    self._leases.look_statement(wider, now_ms=now_ms),
                    self._index.find_statement(wider.site, wider.points, wider.time_range),
                    self._leases.widen_statement(wider),
                ]
            )
            segments = await self._index.found(outcomes[1].rows, wider.points, wider.time_range)
        except AppError as error:
            self._on_fault("along", error)
            return missing
        held = self._leases.found(outcomes[0].rows)
        together = {point: list(ranges) for point, ranges in missing.items()}
        for other in others:
            theirs = outside(gaps_of(self._cover(other, segments)), held)
            for point, parts in theirs.items():
                together.setdefault(point, []).extend(parts)
        return {point: merge(parts) for point, parts in together.items()}


class _Heartbeat:
    """Keeps a lease alive until stopped, and tells when its holder expects to be ready."""

    def __init__(
        self,
        leases: Leases,
        lease: Lease,
        lease_ms: int,
        clock: Clock,
        on_fault: Callable[[str, Exception], None],
    ) -> None:
        self._leases = leases
        self._lease = lease
        self._lease_ms = lease_ms
        self._clock = clock
        self._on_fault = on_fault
        self._planned_ms = lease.ends_ms - lease.begun_ms
        self._told_ms, self._told_at_ms = self._planned_ms, clock.now_ms()
        self._before_ms, self._slowness, self._noted_ms = 0, 1.0, 0
        self._tasks = {asyncio.ensure_future(self._beat())}

    def plan(self, planned_ms: int) -> None:
        """Expect the fetch, which begins now, to take so long."""
        self._planned_ms, self._before_ms = planned_ms, self._elapsed_ms()

    def note(self, progress: Progress) -> None:
        """Note how much of it has come; tell others where that changes the expectation."""
        self._slowness, self._noted_ms = progress.slowness or 1.0, self._elapsed_ms()
        told_ms, now_ms = max(self._told_ms, 1), self._clock.now_ms()
        ratio = max(self._expected_ms() / told_ms, told_ms / max(self._expected_ms(), 1))
        if (
            ratio >= CHANGE_MIN
            and now_ms - self._told_at_ms >= CHANGE_EVERY_MS
            and progress.share < 1
        ):
            task = asyncio.ensure_future(self._renew())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Let the lease live on until it is let go of."""
        for task in tuple(self._tasks):
            task.cancel()

    def _expected_ms(self) -> int:
        """Return how long all of it probably takes."""
        elapsed_ms = self._elapsed_ms()
        whole_ms = self._before_ms + round(self._planned_ms * self._slowness)
        # Late: by as long again as nothing has come.
        return whole_ms if elapsed_ms <= whole_ms else 2 * elapsed_ms - self._noted_ms

    def _elapsed_ms(self) -> int:
        return max(0, self._clock.now_ms() - self._lease.begun_ms)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._lease_ms // 3)
            await self._renew()

    async def _renew(self) -> None:
        self._told_ms, self._told_at_ms = self._expected_ms(), self._clock.now_ms()
        try:
            await self._leases.renew(
                self._lease.lease_id,
                self._told_at_ms + self._lease_ms,
                self._lease.begun_ms + self._told_ms,
            )
        except AppError as error:
            self._on_fault("renew", error)


def _widened(lease: Lease, need: Need) -> Lease:
    """Return a lease that is large enough for a need too."""
    return msgspec.structs.replace(
        lease,
        points=tuple(dict.fromkeys((*lease.points, *need.points))),
        time_range=Range(
            min(lease.time_range.start_ms, need.time_range.start_ms),
            max(lease.time_range.end_ms, need.time_range.end_ms),
        ),
    )


def _area(lease: Lease) -> int:
    return len(lease.points) * lease.time_range.duration_ms
