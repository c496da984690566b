"""Jobs from their owners' side: queued, looked at, cancelled, put back after a failure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from building_vitals.access.caller import Caller
from building_vitals.answers.question import TimeseriesRequest
from building_vitals.cache.look_ups import LookUps
from building_vitals.errors import Conflict, Gone, NotFound, Unavailable
from building_vitals.instants import DAY_MS, format_instant
from building_vitals.jobs.documents import (
    FailedChunk,
    FailedChunks,
    FailureCounts,
    FailureStats,
    JobList,
    job_document,
)
from building_vitals.jobs.events import job_events
from building_vitals.jobs.jobs_table import Jobs
from building_vitals.jobs.model import Job, decode_cursor, encode_cursor
from building_vitals.jobs.results_table import JobResult
from building_vitals.jobs.retrying import error_of
from building_vitals.jobs.submission import RESEND_AFTER_MS, JobSubmission, Queued
from building_vitals.jobs.waits import wait_for_end
from building_vitals.ports import Invocation

DLQ_RECENT_MS = DAY_MS


class ChartQueueService:
    """
    The queue of large chart requests: jobs submitted, looked at, cancelled and put back.

    What makes a request a job is `submission`'s; chunks are run by `runner`.
    """

    def __init__(
        self,
        *,
        jobs: Jobs,
        submission: JobSubmission,
        look_ups: LookUps,
        invocation: Invocation,
    ) -> None:
        self._jobs = jobs
        self._submission = submission
        self._clock = invocation.clock
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
        return await self._submission.submit(request, caller.key_id, estimated)

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
        """Return a job as `get_job_status` does, and its materialised result, if there is one."""
        now_ms, generation = self._clock.now_ms(), self._look_ups.generation
        kept: tuple[Job, JobResult] | None = self._look_ups.find(("job", job_id), now_ms)
        if kept is not None:
            return _seen_by(caller, kept[0], job_id), kept[1]
        job, result = await self._jobs.find_with_result(job_id, now_ms=now_ms)
        if result is not None:
            # Both stay as they are, unless they are purged: everything is forgotten then.
            self._look_ups.keep(("job", job_id), (job, result), now_ms, generation)
        return _seen_by(caller, job, job_id), result

    async def wait_for_job(
        self, job_id: str, until_ms: int, on_look: Callable[[int], None]
    ) -> Job | None:
        """
        Return a job that has completed or was cancelled; None when it has not ended by *until_ms*.

        *on_look* is told the time of each look at it.

        Raises:
            AppError: it has failed: why.
        """
        job = await wait_for_end(job_id, self._jobs.find, self._clock, until_ms, on_look)
        if job is not None and job.status == "failed":
            raise error_of(job)
        return job

    async def cancel_job(self, job_id: str, caller: Caller) -> None:
        """
        Cancel a job: no other chunk is begun, and those under way stop at their next page.

        Raises:
            NotFound: there is none, or it is somebody else's.
            Conflict: it has ended.
        """
        await self.get_job_status(job_id, caller)
        if not await self._jobs.cancel(job_id, now_ms=self._clock.now_ms()):
            job = await self.get_job_status(job_id, caller)
            raise Conflict(f"job is not active: {job.status}; only an active job can be cancelled")

    async def list_jobs(
        self,
        caller: Caller,
        *,
        status: str | None,
        site: str | None,
        limit: int,
        cursor: str | None,
    ) -> JobList:
        """Return a page of jobs: of all for an administrator, of its own for a reader."""
        jobs = await self._jobs.page(
            owner=None if caller.is_admin else caller.key_id,
            after=decode_cursor(cursor) if cursor else None,
            status=status,
            site=site,
            limit=limit + 1,
        )
        more = len(jobs) > limit
        return JobList(
            [job_document(job) for job in jobs[:limit]],
            encode_cursor(jobs[limit - 1]) if more else None,
        )

    async def request_of(self, job: Job) -> TimeseriesRequest:
        """
        Return the request whose answer is the result of a completed job.

        Raises:
            Conflict: it is not completed.
            Gone: its points are no longer kept.
        """
        if job.status != "completed":
            raise Conflict(f"job is not completed: {job.status}, progress {job.progress} %")
        points = await self._jobs.points(job.job_id)
        if not points:
            raise Gone("the result has expired; send the request again")
        return TimeseriesRequest(
            site=job.site, points=points, time_range=job.time_range, **job.form
        )

    async def retry_job(self, job_id: str, caller: Caller) -> Job:
        """
        Put a failed job back: its open chunks run again, and fetch only the gaps.

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
                f"job cannot be retried: {job.status}; only a failed job can be retried, and only "
                "while no active job is for the same request"
            )
        try:
            await self._submission.send(job_id, chunks, job.priority)
        except Unavailable as error:
            # The maintenance run sends them.
            self._on_fault("send chunks", error)
        return job

    def events(
        self, job: Job, identify: Callable[[], Awaitable[Caller]] | None = None
    ) -> AsyncIterator[bytes]:
        """
        Yield Server-Sent Events about a job until it has ended.

        *identify* names the caller again, from time to time: one who may no longer see the job
        hears no more of it.
        """
        if identify is None:
            return job_events(job, self._jobs.find, self._clock)

        async def check(job: Job) -> None:
            _seen_by(await identify(), job, job.job_id)

        return job_events(job, self._jobs.find, self._clock, check)

    async def dlq_stats(self) -> FailureStats:
        """Return counts of the failed chunks."""
        now_ms = self._clock.now_ms()
        counts = await self._jobs.failure_counts(now_ms - DLQ_RECENT_MS)
        return FailureStats(
            FailureCounts(
                total=sum(each.total for each in counts),
                last24h=sum(each.recent for each in counts),
                by_class={each.error_class or "crash": each.total for each in counts},
            ),
            format_instant(now_ms),
        )

    async def dlq_failures(self, limit: int) -> FailedChunks:
        """Return the failed chunks, the latest first."""
        failures = [
            FailedChunk(
                job_id=each.job_id,
                site=each.site,
                chunk=each.chunk,
                error_class=each.error_class,
                error=each.error,
                attempts=each.attempts,
                failed_at=format_instant(each.failed_ms),
            )
            for each in await self._jobs.failures(limit)
        ]
        return FailedChunks(failures, len(failures))


def _seen_by(caller: Caller, job: Job | None, job_id: str) -> Job:
    if job is None or not (caller.is_admin or job.owner == caller.key_id):
        raise NotFound(f"no such job: {job_id[:80]}")
    return job
