"""Jobs from their owners' side: queued, looked at, cancelled, put back after a failure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from building_vitals.access.caller import Caller
from building_vitals.answers.question import TimeseriesRequest
from building_vitals.cache.fetch_plan import USUAL_SAMPLES_PER_DAY
from building_vitals.cache.look_ups import LookUps
from building_vitals.errors import (
    Conflict,
    Gone,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
)
from building_vitals.instants import DAY_MS, format_instant
from building_vitals.jobs.chunking import plan_chunks
from building_vitals.jobs.events import job_events
from building_vitals.jobs.jobs_table import Jobs, NewJob, Submitted
from building_vitals.jobs.model import ChunkRef, ChunkSender, Job, decode_cursor, encode_cursor
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.results_table import JobResult
from building_vitals.jobs.submission import _identity
from building_vitals.ports import Invocation

# https://developers.cloudflare.com/queues/platform/limits/
MESSAGES_PER_SEND_MAX = 100
# A chunk that nobody has begun this long after its message was sent may be sent again. That is
# soon, because a message too many costs one look at D1; each further wait is four times as long.
RESEND_AFTER_MS = 5000
RESEND_AFTER_MS_MAX = 3_600_000
RESEND_FACTOR = 4
# How often a client should ask how a job is doing.
POLL_INTERVAL_MS = 2000
# Rates outside of these are not believed: a chunk must neither be tiny nor endless.
SAMPLES_PER_DAY_MIN, SAMPLES_PER_DAY_MAX = 24.0, 86_400.0
DLQ_RECENT_MS = DAY_MS


class Queued(msgspec.Struct, frozen=True):
    """
    What became of a large request.

    Attributes:
        is_new: Whether no active job had been asked for the same.
    """

    job_id: str
    is_new: bool


class ChartQueueService:
    """Turns large requests into jobs, and answers for them."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        sender: ChunkSender,
        options: JobOptions,
        look_ups: LookUps,
        invocation: Invocation,
    ) -> None:
        self._jobs = jobs
        self._sender = sender
        self._clock = invocation.clock
        self._options = options
        self._new_id = invocation.new_id
        self._look_ups = look_ups
        self._on_fault = invocation.on_fault

    async def queue_large_request(
        self, request: TimeseriesRequest, caller: Caller, estimated: int
    ) -> Queued:
        """
        Return the job of a request: the active one of the same owner, or a new one.

        Raises:
            TooLarge: it alone is larger than what may be queued.
            RateLimited: the owner has too much queued.
            Unavailable: the database or the queue can't be reached; there is no job then.
        """
        owner, identity = caller.key_id, _identity(request, caller.key_id)
        active = await self._jobs.find_active(owner, identity)
        if active is not None:
            return Queued(active, False)
        samples_max = self._options.max_queued_samples
        if estimated > samples_max:
            raise TooLarge(
                f"request too large: {estimated} estimated samples; {samples_max} may be queued"
            )
        job = await self._plan(request, owner, identity, estimated)
        submitted = await self._jobs.submit(
            job,
            active_jobs_max=self._options.max_active_jobs,
            queued_samples_max=samples_max,
        )
        if submitted.job_id is None:
            raise self._limited(submitted, estimated)
        if submitted.is_new:
            await self._send_all(job)
        return Queued(submitted.job_id, submitted.is_new)

    async def _plan(
        self, request: TimeseriesRequest, owner: str, identity: str, estimated: int
    ) -> NewJob:
        samples, duration_ms = await self._jobs.seen_rate(request.site)
        rate = samples / duration_ms * DAY_MS if duration_ms else USUAL_SAMPLES_PER_DAY
        now_ms = self._clock.now_ms()
        return NewJob(
            # Random at its end: the same request may become a job again once this one has ended.
            job_id=f"job_{identity[:16]}{self._new_id()[:12]}",
            request_hash=identity,
            owner=owner,
            site=request.site,
            points=request.points,
            time_range=request.time_range,
            priority=request.priority,
            estimated=estimated,
            metadata={"userId": request.user_id} if request.user_id else {},
            chunks=plan_chunks(
                len(request.points),
                request.time_range,
                batch_size=self._options.batch_size,
                samples_per_day=min(max(rate, SAMPLES_PER_DAY_MIN), SAMPLES_PER_DAY_MAX),
            ),
            now_ms=now_ms,
            due_ms=now_ms + RESEND_AFTER_MS,
        )

    def _limited(self, submitted: Submitted, estimated: int) -> RateLimited:
        options = self._options
        if submitted.active_jobs >= options.max_active_jobs:
            return RateLimited(
                f"too many active jobs: {submitted.active_jobs}; "
                f"{options.max_active_jobs} are allowed",
                retry_after_s=30,
            )
        return RateLimited(
            f"too much queued: {submitted.queued_samples} estimated samples and {estimated} more; "
            f"{options.max_queued_samples} are allowed",
            retry_after_s=30,
        )

    async def _send_all(self, job: NewJob) -> None:
        """
        Send a message for each chunk; when none can be sent, there is no job.

        When some can't, those chunks are due soon and the maintenance run sends them.
        """
        refs = [ChunkRef(job.job_id, spec.chunk) for spec in job.chunks]
        sent, failure = await self._send(refs, job.priority)
        if failure is None:
            return
        if sent:
            self._on_fault("send chunks", failure)
            return
        await self._jobs.remove(job.job_id)
        raise failure

    async def _send(
        self, refs: Sequence[ChunkRef], priority: str
    ) -> tuple[int, Unavailable | None]:
        """Send messages until one send fails; return how many were sent, and the failure."""
        for start in range(0, len(refs), MESSAGES_PER_SEND_MAX):
            try:
                await self._sender.send(list(refs[start : start + MESSAGES_PER_SEND_MAX]), priority)
            except Unavailable as error:
                return start, error
        return len(refs), None

    async def get_job_status(self, job_id: str, caller: Caller) -> Job:
        """
        Return a job.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        return _seen_by(caller, await self._jobs.find(job_id), job_id)

    async def get_job_with_result(
        self, job_id: str, caller: Caller
    ) -> tuple[Job, JobResult | None]:
        """Return a job as `get_job_status` does, and where its result has been laid down."""
        now_ms, generation = self._clock.now_ms(), self._look_ups.generation
        kept: tuple[Job, JobResult] | None = self._look_ups.find(("job", job_id), now_ms)
        if kept is not None:
            return _seen_by(caller, kept[0], job_id), kept[1]
        job, result = await self._jobs.find_with_result(job_id, now_ms=now_ms)
        if result is not None:
            # Both stay as they are, unless they are purged: everything is forgotten then.
            self._look_ups.keep(("job", job_id), (job, result), now_ms, generation)
        return _seen_by(caller, job, job_id), result

    async def cancel_job(self, job_id: str, caller: Caller) -> None:
        """
        Cancel a job: no chunk is begun any more, and those under way stop at their next page.

        Raises:
            NotFound: there is none, or it is somebody else's.
            Conflict: it has ended.
        """
        await self.get_job_status(job_id, caller)
        if not await self._jobs.cancel(job_id, now_ms=self._clock.now_ms()):
            job = await self.get_job_status(job_id, caller)
            raise Conflict(f"job has ended: {job.status}; only an active job can be cancelled")

    async def list_jobs(
        self,
        caller: Caller,
        *,
        status: str | None,
        site: str | None,
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        """
        Return the document of `GET /api/jobs`: an administrator's of all, a reader's of its own.
        """
        jobs = await self._jobs.page(
            owner=None if caller.is_admin else caller.key_id,
            after=decode_cursor(cursor) if cursor else None,
            status=status,
            site=site,
            limit=limit + 1,
        )
        more = len(jobs) > limit
        return {
            "jobs": [job.document() for job in jobs[:limit]],
            "nextCursor": encode_cursor(jobs[limit - 1]) if more else None,
        }

    async def request_of(self, job: Job) -> TimeseriesRequest:
        """
        Return the request whose answer is the result of a completed job.

        Raises:
            Conflict: it is not completed.
            Gone: its points are not kept any more.
        """
        if job.status != "completed":
            raise Conflict(f"job is not completed: {job.status}, {job.progress} %")
        points = await self._jobs.points(job.job_id)
        if not points:
            raise Gone("the result is no longer kept; send the request again")
        return TimeseriesRequest(site=job.site, points=points, time_range=job.time_range)

    async def retry_job(self, job_id: str, caller: Caller) -> Job:
        """
        Put a failed job back: its failed chunks run again, and fetch only what is missing.

        Raises:
            NotFound: there is no such job.
            Conflict: it has not failed, or the same request is active as another job.
        """
        await self.get_job_status(job_id, caller)
        now_ms = self._clock.now_ms()
        chunks = await self._jobs.revive(job_id, now_ms=now_ms, due_ms=now_ms + RESEND_AFTER_MS)
        job = await self.get_job_status(job_id, caller)
        if chunks is None:
            raise Conflict(
                f"job can't be retried: {job.status}; it must have failed, and no active job may "
                "be for the same request"
            )
        _, failure = await self._send([ChunkRef(job_id, each) for each in chunks], job.priority)
        if failure is not None:
            # The maintenance run sends them.
            self._on_fault("send chunks", failure)
        return job

    def events(self, job: Job) -> AsyncIterator[bytes]:
        """Yield Server-Sent Events about a job until it has ended."""
        return job_events(job, self._jobs.find, self._clock)

    async def dlq_stats(self) -> dict[str, Any]:
        """Return the document of `GET /api/queue/dlq/stats`."""
        now_ms = self._clock.now_ms()
        counts = await self._jobs.failure_counts(now_ms - DLQ_RECENT_MS)
        return {
            "dlq": {
                "total": sum(each.total for each in counts),
                "last24h": sum(each.recent for each in counts),
                "byClass": {each.error_class or "crash": each.total for each in counts},
            },
            "timestamp": format_instant(now_ms),
        }

    async def dlq_failures(self, limit: int) -> dict[str, Any]:
        """Return the document of `GET /api/queue/dlq/failures`."""
        failures = [
            {
                "jobId": each.job_id,
                "site": each.site,
                "chunk": each.chunk,
                "class": each.error_class,
                "error": each.error,
                "attempts": each.attempts,
                "failedAt": format_instant(each.failed_ms),
            }
            for each in await self._jobs.failures(limit)
        ]
        return {"failures": failures, "count": len(failures)}


def _seen_by(caller: Caller, job: Job | None, job_id: str) -> Job:
    if job is None or not (caller.is_admin or job.owner == caller.key_id):
        raise NotFound(f"no such job: {job_id[:80]}")
    return job


def resend_after_ms(sends: int) -> int:
    """
    Return how long after its last message a chunk may be sent once more.

    Args:
        sends: Messages sent so far, at least one.
    """
    return int(min(RESEND_AFTER_MS * RESEND_FACTOR ** min(sends - 1, 12), RESEND_AFTER_MS_MAX))
