"""
An attempt at filling a need: what is known by now, who is in the way, whom it is worth waiting for.

Separate because nothing here waits; `filler` does what it says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from building_vitals.cache.failures import FetchFailure, decoded, is_alike
from building_vitals.cache.fetch_plan import plan_fetches
from building_vitals.cache.holder import Came
from building_vitals.cache.lease import Gaps, Lease, OtherLease, span
from building_vitals.cache.need import Filling, Need, Progress
from building_vitals.cache.patience import is_worth_waiting, plan_ms
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range, merge
from building_vitals.upstream.costs import FetchCosts


class Attempt(msgspec.Struct):
    """
    An attempt at filling a need.

    Attributes:
        need: The need.
        waiter: Its name among those who wait.
        costs: Of its site.
        segments: Those known.
        on_progress: Awaited after each page.
        lease_ms: How long a lease lives unless renewed.
        is_background: Whether it is for a job.
        came: Segments that were fetched for it, and may not be found yet.
        before: What that took.
        passed: Leases, by name, that it no longer waits for.
        is_waiting: Whether it has begun to wait.
        next_ms: When it is to look at leases again; 0 before it waits.
        lag_ms: How late its looks come.
        planned, planned_ms: Gaps, and how long it takes to fetch them.
    """

    need: Need
    waiter: str
    costs: FetchCosts
    segments: list[Segment]
    on_progress: Callable[[Progress], Awaitable[None]] | None
    lease_ms: int
    is_background: bool
    came: list[Segment] = []
    before: Filling | None = None
    passed: set[str] = set()
    is_waiting: bool = False
    next_ms: int = 0
    lag_ms: int = 0
    planned: Gaps | None = None
    planned_ms: int = 0

    def lease(self, missing: Gaps, lease_id: str, now_ms: int) -> Lease:
        """Return the lease that a fetch of gaps needs."""
        if missing != self.planned:
            self.planned = missing
            self.planned_ms = plan_ms(plan_fetches(missing, self.costs), self.costs)
        return Lease(
            lease_id=lease_id,
            site=self.need.site,
            points=tuple(missing),
            time_range=span(missing),
            expires_ms=now_ms + self.lease_ms,
            begun_ms=now_ms,
            ends_ms=now_ms + self.planned_ms,
            is_background=self.is_background,
        )

    def heard(
        self, missing: Gaps, others: Sequence[OtherLease], now_ms: int
    ) -> FetchFailure | None:
        """Return a failure that concerns the need too; those that do not are passed."""
        for other in others:
            if other.failure is None:
                continue
            failure = decoded(other.failure)
            if failure.concerns(self.need, now_ms) and is_alike(
                missing, other.shared, other.points_count, other.time_range
            ):
                return failure
            self.passed.add(other.lease_id)
        return None

    def awaited(self, lease: Lease, others: Sequence[OtherLease], now_ms: int) -> list[OtherLease]:
        """
        Return the leases that are worth waiting for; the others are passed.

        Args:
            lease: What one's own fetch would need.
            others: Those in its way.
            now_ms: The present.
        """
        found = []
        for other in others:
            if other.failure is not None:
                continue
            if self.is_background or is_worth_waiting(
                other,
                lease,
                now_ms=now_ms,
                deadline_ms=self.need.deadline_ms,
                lease_ms=self.lease_ms,
                lag_ms=self.lag_ms,
            ):
                found.append(other)
            else:
                self.passed.add(other.lease_id)
        if found and not self.is_background:
            # What was waited for is taken as it comes. A job's data are judged again, by all who
            # read them, and by its beginning alone.
            since_ms = min(self.need.now_ms, *(each.begun_ms for each in found))
            since_ms = min(since_ms, self.need.since_ms or since_ms)
            self.need = msgspec.structs.replace(self.need, since_ms=since_ms)
        return found

    def look_again(self, lease: Lease, found: Sequence[Segment]) -> None:
        """Take up what there is now of all that a lease is for, in place of what there was."""
        points, between = frozenset(lease.points), lease.time_range
        self.segments = [
            *(
                each
                for each in self.known_before()
                if each.point not in points
                or each.end_ms <= between.start_ms
                or each.start_ms >= between.end_ms
            ),
            *found,
            *self.came,
        ]

    def known_before(self) -> list[Segment]:
        """Return the segments that did not come of its own fetches."""
        came = set(map(id, self.came))
        return [each for each in self.segments if id(each) not in came]

    def look(self, now_ms: int) -> None:
        """Note that a look at leases has come back, and how late."""
        if self.next_ms:
            self.lag_ms = max(now_ms - self.next_ms, self.lag_ms // 2, 0)

    def _asked(self, came: Sequence[Segment]) -> list[Range]:
        """Return the ranges of the need that came, without what was fetched along for others."""
        points = frozenset(self.need.points)
        ranges = (each.range.clip(self.need.time_range) for each in came if each.point in points)
        return merge(each for each in ranges if each is not None)

    def take(self, came: Came, *, had_known: bool) -> None:
        """Take up what came of a fetch; *had_known* where more than that answers the need."""
        self.came += came.segments
        self.segments += came.segments
        outcome, before = came.outcome, self.before
        filling = Filling(
            [],
            fresh=came.fresh,
            made=frozenset(each.key for each in came.segments),
            fetched=self._asked(came.segments),
            samples_fetched=outcome.samples,
            upstream_requests=outcome.requests,
            unreadable=outcome.unreadable,
            had_known=had_known,
        )
        if before is not None:
            unreadable = outcome.unreadable + before.unreadable
            filling = msgspec.structs.replace(filling.after(before), unreadable=unreadable)
        self.before = filling
