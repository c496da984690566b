"""
Records requests, jobs and dead letters, after the answer.

Requests that end within LINGER_MS of each other are written in one batch, by the invocation of the
first of them. The outbox holds plain data, so that any invocation can write it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from building_vitals.errors import AppError, Unavailable
from building_vitals.instants import is_recent
from building_vitals.jobs.model import TERMINAL
from building_vitals.ports import Invocation
from building_vitals.statistics.events import (
    DeadLetterEvent,
    FollowEvent,
    RequestEvent,
    drawn_weight,
)
from building_vitals.statistics.metrics import (
    Metric,
    dead_letter_metric,
    follow_metric,
    job_metric,
    request_metric,
)
from building_vitals.statistics.requests_table import RequestAnalytics, WeightedRequest

# How long a request waits for others, to be written in one batch.
LINGER_MS = 500
# An invocation that has not written by then is dead, and the next one writes instead.
OVERDUE_MS = 5000
# How long the platform lets an invocation work after its answer.
WRITE_MS_MAX = 30_000
# Writes of an isolate that may be promised or under way at once, and requests that wait for one.
BATCHES_MAX = 4
REQUESTS_WAITING_MAX = 500
# Requests of one batch: their texts stay well below what a parameter may hold, and their metrics
# below what an invocation may write.
REQUESTS_PER_BATCH_MAX = 100


class MetricsWriter(Protocol):
    """Writes metrics to a dataset of Analytics Engine."""

    def write(self, metrics: Sequence[Metric]) -> int:
        """
        Write metrics; return how many were written.

        Raises:
            Unavailable: the dataset refuses.
        """
        ...


class Batch(msgspec.Struct, eq=False):
    """
    A write that an invocation has promised, of requests that wait when it begins.

    Attributes:
        since_ms: When it was promised, or began.
        is_under_way: Whether it has begun.
    """

    since_ms: int
    is_under_way: bool = False

    def is_alive(self, now_ms: int) -> bool:
        """Return whether the invocation may still keep its promise."""
        return is_recent(self.since_ms, now_ms, WRITE_MS_MAX if self.is_under_way else OVERDUE_MS)


class Outbox:
    """
    Requests that wait to be written, of all invocations of an isolate.

    It is bounded: when the database is slow, the oldest are dropped.
    """

    def __init__(self) -> None:
        self._waiting: deque[WeightedRequest] = deque()
        self._batches: list[Batch] = []
        self._dropped = 0

    def add(self, counted: WeightedRequest, now_ms: int) -> Batch | None:
        """Add a request; return a batch when this invocation has to write it."""
        self._waiting.append(counted)
        if len(self._waiting) > REQUESTS_WAITING_MAX:
            self._waiting.popleft()
            self._dropped += 1
        self._batches = [each for each in self._batches if each.is_alive(now_ms)]
        room = REQUESTS_PER_BATCH_MAX * self._promised
        if len(self._waiting) <= room or len(self._batches) >= BATCHES_MAX:
            return None
        batch = Batch(now_ms)
        self._batches.append(batch)
        return batch

    @property
    def _promised(self) -> int:
        return sum(not each.is_under_way for each in self._batches)

    def take(self, batch: Batch, now_ms: int) -> list[WeightedRequest]:
        """Return the requests that a batch writes now, the oldest first; may be none."""
        batch.since_ms, batch.is_under_way = now_ms, True
        count = min(REQUESTS_PER_BATCH_MAX, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    def take_more(self, batch: Batch, now_ms: int) -> list[WeightedRequest]:
        """Return what came while a batch was written, unless another one is promised for it."""
        return [] if self._promised else self.take(batch, now_ms)

    def end(self, batch: Batch) -> int:
        """Forget a batch, which is written; return how many requests were dropped meanwhile."""
        self._batches = [each for each in self._batches if each is not batch]
        dropped, self._dropped = self._dropped, 0
        return dropped


class AnalyticsService:
    """Records requests, jobs and dead letters in D1 and Analytics Engine."""

    def __init__(
        self,
        *,
        requests: RequestAnalytics,
        metrics: MetricsWriter,
        outbox: Outbox,
        sample_rate: float,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            requests: The tables.
            metrics: Analytics Engine.
            outbox: The isolate's.
            sample_rate: Share of the requests that are recorded, 0 to 1; jobs and dead letters are
                always recorded.
            invocation: Clock, work after the answer, faults.
        """
        self._requests = requests
        self._metrics = metrics
        self._outbox = outbox
        self._clock = invocation.clock
        self._sample_rate = sample_rate
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault

    def record_request(self, tell: Callable[[], RequestEvent]) -> None:
        """
        Record a request, unless it is left out by chance.

        Args:
            tell: Returns the event; not called for a request that is left out.
        """
        weight = drawn_weight(self._sample_rate, self._clock.jitter)
        if not weight:
            return
        batch = self._outbox.add(WeightedRequest(tell(), weight), self._clock.now_ms())
        if batch is not None:
            self._run_later(self._write(batch))

    async def _write(self, batch: Batch) -> None:
        await self._clock.sleep(LINGER_MS)
        await self._record(self._outbox.take(batch, self._clock.now_ms()))
        # Once more and not oftener: an invocation may write 250 metrics.
        await self._record(self._outbox.take_more(batch, self._clock.now_ms()))
        dropped = self._outbox.end(batch)
        if dropped:
            detail = f"{dropped} requests were not recorded: the database is too slow"
            self._on_fault("analytics", Unavailable(detail))

    async def _record(self, requests: Sequence[WeightedRequest]) -> None:
        if not requests:
            return
        self._write_metrics([request_metric(event, weight) for event, weight in requests])
        try:
            await self._requests.record(requests)
        except AppError as error:
            self._on_fault("analytics", error)

    def record_queued_job(self, job_id: str) -> None:
        """Record that a job was queued."""
        self._run_later(self._tell_of_job(job_id, since_ms=0, is_new=True))

    def record_ended_job(self, job_id: str, *, since_ms: int) -> None:
        """Record the end of a job, if it has ended since an instant."""
        self._run_later(self._tell_of_job(job_id, since_ms=since_ms, is_new=False))

    async def _tell_of_job(self, job_id: str, *, since_ms: int, is_new: bool) -> None:
        try:
            job = await self._requests.find_job(job_id, since_ms=since_ms)
        except AppError as error:
            self._on_fault("analytics", error)
            return
        if job is not None and is_new:
            job = msgspec.structs.replace(job, outcome="queued", duration_ms=0)
        if job is not None and (is_new or job.outcome in TERMINAL):
            self._write_metrics([job_metric(job)])

    def record_follow(self, event: FollowEvent) -> None:
        """Record readings of a followed site."""
        self._write_metrics([follow_metric(event)])

    def record_dead_letter(self, event: DeadLetterEvent) -> None:
        """Record a message that ran out of retries, with the site of its job."""
        self._run_later(self._tell_of_dead_letter(event))

    async def _tell_of_dead_letter(self, event: DeadLetterEvent) -> None:
        try:
            job = await self._requests.find_job(event.job_id)
        except AppError as error:
            self._on_fault("analytics", error)
            job = None
        if job is not None:
            event = msgspec.structs.replace(event, site=job.site, error=event.error or job.error)
        self._write_metrics([dead_letter_metric(event)])

    def _write_metrics(self, metrics: Sequence[Metric]) -> None:
        try:
            self._metrics.write(metrics)
        except AppError as error:
            self._on_fault("analytics", error)
