"""
Tells the statistics of requests, jobs and dead letters, after the answer.

Requests that end within a moment of each other are written in one batch, by the invocation of the
first of them. What they leave behind is plain data, so that it does not matter whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from building_vitals.core.data_points import (
    DataPoint,
    dead_letter_point,
    job_point,
    request_point,
)
from building_vitals.core.errors import AppError
from building_vitals.core.events import DeadLetterEvent, JobEvent, RequestEvent, drawn_weight
from building_vitals.core.ports import Clock
from building_vitals.storage.analytics import Counted, RequestAnalytics

# How long a request waits for others to be written with.
LINGER_MS = 100
# An invocation that has not written by then is dead, and another one has to.
OVERDUE_MS = 2000
# Requests of one batch; their texts stay well below what a parameter may hold.
REQUESTS_PER_BATCH_MAX = 100


class PointWriter(Protocol):
    """
    Where data points go.
    """

    def write(self, point: DataPoint) -> bool:
        """
        Write a point; return whether it was.
        """
        ...


class Outbox:
    """
    Requests that wait to be written, of all invocations of an isolate.
    """

    def __init__(self) -> None:
        self._waiting: list[Counted] = []
        self._promised_ms = 0

    def add(self, counted: Counted, now_ms: int) -> bool:
        """
        Let a request wait; return whether its invocation is to write.
        """
        self._waiting.append(counted)
        is_promised = bool(self._promised_ms) and now_ms - self._promised_ms < OVERDUE_MS
        if not is_promised:
            self._promised_ms = now_ms
        return not is_promised

    def take(self) -> list[Counted]:
        """
        Return the next batch; with the last one the promise to write is kept.
        """
        taken = self._waiting[:REQUESTS_PER_BATCH_MAX]
        del self._waiting[:REQUESTS_PER_BATCH_MAX]
        if not self._waiting:
            self._promised_ms = 0
        return taken


class AnalyticsService:
    """
    Records what happens.
    """

    def __init__(
        self,
        *,
        requests: RequestAnalytics,
        points: PointWriter,
        outbox: Outbox,
        clock: Clock,
        sample_rate: float,
        background: Callable[[Coroutine[Any, Any, None]], None],
        report: Callable[[str, AppError], None],
    ) -> None:
        """
        Args:
            sample_rate: Share of the requests that are recorded, 0 to 1; jobs and dead letters are
                always.
            background: Runs what goes on after the answer.
        """
        self._requests = requests
        self._points = points
        self._outbox = outbox
        self._clock = clock
        self._sample_rate = sample_rate
        self._background = background
        self._report = report

    def record_request(self, tell: Callable[[], RequestEvent]) -> None:
        """
        Record a request, unless it is left out by chance.

        Args:
            tell: Says what there is to record.
        """
        weight = drawn_weight(self._sample_rate, self._clock.jitter)
        if weight and self._outbox.add(Counted(tell(), weight), self._clock.now_ms()):
            self._background(self._write())

    async def _write(self) -> None:
        await self._clock.sleep(LINGER_MS)
        while requests := self._outbox.take():
            for event, weight in requests:
                self._points.write(request_point(event, weight))
            try:
                await self._requests.record(requests)
            except AppError as error:
                self._report("analytics", error)

    def record_job(self, event: JobEvent) -> None:
        """
        Record that a job was queued or has ended.
        """
        self._points.write(job_point(event))

    def record_dead_letter(self, event: DeadLetterEvent) -> None:
        """
        Record that the queue gave up a message.
        """
        self._points.write(dead_letter_point(event))
