"""What makes a request a job: its identity, its plan, the limits of its owner, its messages."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import msgspec

from building_vitals.ahead import begin_ahead, call_off
from building_vitals.answers.question import TimeseriesRequest
from building_vitals.errors import RateLimited, TooLarge, Unavailable
from building_vitals.jobs.chunking import plan_chunks
from building_vitals.jobs.jobs_table import Jobs, NewJob, OwnerLimits, SubmissionOutcome
from building_vitals.jobs.model import ChunkRef, ChunkSender
from building_vitals.jobs.options import JobOptions
from building_vitals.ports import Invocation
from building_vitals.upstream.costs import FetchCosts
from building_vitals.upstream.port import Upstream

# https://developers.cloudflare.com/queues/platform/limits/
MESSAGES_PER_SEND_MAX = 100
# A chunk that nobody has begun this long after its message was sent may be looked at: whether the
# message is lost or merely waits. Each further wait is four times as long.
RESEND_AFTER_MS = 5000
RESEND_AFTER_MS_MAX = 3_600_000
RESEND_FACTOR = 4
# Rates outside of these are not believed: a chunk must neither be tiny nor endless.
SAMPLES_PER_DAY_MIN, SAMPLES_PER_DAY_MAX = 24.0, 86_400.0


class Queued(msgspec.Struct, frozen=True):
    """
    What became of a large request.

    Attributes:
        is_new: Whether no active job had been asked for the same.
    """

    job_id: str
    is_new: bool


class JobSubmission:
    """Inserts jobs and sends their chunks."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        upstream: Upstream,
        sender: ChunkSender,
        options: JobOptions,
        invocation: Invocation,
    ) -> None:
        self._jobs = jobs
        self._upstream = upstream
        self._sender = sender
        self._options = options
        self._clock = invocation.clock
        self._new_id = invocation.new_id
        self._on_fault = invocation.on_fault

    async def submit(self, request: TimeseriesRequest, owner: str, estimated: int) -> Queued:
        """Return the job of a request, as `ChartQueueService.queue_large_request` says."""
        identity = _identity(request, owner)
        asking = begin_ahead(self._upstream.costs(request.site, for_job=True))
        try:
            # What is known of the site is at hand within this turn; else the upstream is asked.
            await asyncio.sleep(0)
            samples_max = min(self._options.max_queued_samples, self._options.max_hourly_samples)
            # Whether the same is active the insertion tells, at no cost where it is not.
            if not asking.done() or estimated > samples_max:
                active = await self._jobs.find_active(owner, identity)
                if active is not None:
                    return Queued(active, False)
            if estimated > samples_max:
                raise TooLarge(
                    f"request too large: {estimated} estimated samples; {samples_max} are allowed"
                )
            costs = await asking
        finally:
            await call_off(asking)
        return await self._insert(self._plan(request, owner, identity, estimated, costs))

    async def _insert(self, job: NewJob) -> Queued:
        options = self._options
        limits = OwnerLimits(
            options.max_active_jobs, options.max_queued_samples, options.max_hourly_samples
        )
        submitted = await self._jobs.submit(job, limits)
        if submitted.job_id is None:
            raise await self._limited(submitted, job)
        if submitted.is_new:
            try:
                await self.send(job.job_id, submitted.made, job.priority)
            except Unavailable:
                await self._jobs.remove(job.job_id)
                raise
        return Queued(submitted.job_id, submitted.is_new)

    def _plan(
        self,
        request: TimeseriesRequest,
        owner: str,
        identity: str,
        estimated: int,
        costs: FetchCosts,
    ) -> NewJob:
        rate = costs.samples_per_day
        now_ms = self._clock.now_ms()
        unknown = self._upstream.unknown_points(request.site, request.points, now_ms)
        places = [n for n, point in enumerate(request.points) if point not in unknown] or [0]
        plan = plan_chunks(
            len(places),
            request.time_range,
            batch_size=self._options.batch_size,
            samples_per_day=min(max(rate, SAMPLES_PER_DAY_MIN), SAMPLES_PER_DAY_MAX),
            takes_site=costs.takes_site(len(places), request.time_range.duration_ms),
            requests_of=costs.requests,
            name_bytes=len(places) * max(len(name.encode()) for name in request.points),
        )
        # Points that the site does not have lie in the groups of others, and cost nothing there.
        bounds = [0, *(places[bound] for bound in plan.bounds[1:-1]), len(request.points)]
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
            metadata=_metadata(request),
            plan=msgspec.structs.replace(plan, bounds=bounds),
            now_ms=now_ms,
            due_ms=now_ms + RESEND_AFTER_MS,
        )

    async def _limited(self, submitted: SubmissionOutcome, job: NewJob) -> RateLimited:
        """Return the limit that a job is over."""
        options = self._options
        if submitted.active_jobs >= options.max_active_jobs:
            return RateLimited(
                f"too many active jobs: {submitted.active_jobs}; "
                f"{options.max_active_jobs} are allowed",
                retry_after_s=30,
            )
        queued = submitted.queued_samples + job.estimated
        if queued > options.max_queued_samples:
            return RateLimited(
                f"too many queued samples: {queued} with this request; "
                f"{options.max_queued_samples} are allowed",
                retry_after_s=30,
            )
        submitted_samples = submitted.hourly_samples + job.estimated
        freed_ms = await self._jobs.freed_ms(
            job.owner, submitted_samples - options.max_hourly_samples, now_ms=job.now_ms
        )
        return RateLimited(
            f"too many samples submitted within an hour: {submitted_samples} with this request, "
            f"jobs that were cancelled or failed included; {options.max_hourly_samples} are "
            "allowed (MAX_HOURLY_SAMPLES)",
            retry_after_s=max(1, -(-(freed_ms - job.now_ms) // 1000)),
        )

    async def send(self, job_id: str, chunks: Sequence[int], priority: str) -> None:
        """
        Send a message for each chunk.

        When some can't be sent, those chunks are due soon and the maintenance run sends them.

        Raises:
            Unavailable: none can be sent.
        """
        for start in range(0, len(chunks), MESSAGES_PER_SEND_MAX):
            refs = [ChunkRef(job_id, n) for n in chunks[start : start + MESSAGES_PER_SEND_MAX]]
            try:
                await self._sender.send(refs, priority)
            except Unavailable as error:
                if not start:
                    raise
                self._on_fault("send chunks", error)
                return


def resend_after_ms(sends: int) -> int:
    """
    Return how long after its last message a chunk may be sent once more.

    Args:
        sends: Messages sent so far, at least one.
    """
    return int(min(RESEND_AFTER_MS * RESEND_FACTOR ** min(sends - 1, 12), RESEND_AFTER_MS_MAX))


def _metadata(request: TimeseriesRequest) -> dict[str, object]:
    """Return what a job keeps of a request besides its samples."""
    found: dict[str, object] = {"userId": request.user_id} if request.user_id else {}
    return found | {"form": request.kept} if request.kept else found


def canonical_request(request: TimeseriesRequest) -> bytes:
    """
    Return what two requests for the same answer share: site, points, range, form, as JSON.

    The order of points is that of the answer, so other orders are other requests. So are other
    forms: a job keeps one. They fetch nothing twice.
    """
    same = [request.site, request.points, *request.time_range]
    return msgspec.json.encode([*same, request.kept] if request.kept else same)


def request_hash(request: TimeseriesRequest) -> str:
    """Return the SHA-256 of the canonical request, in hexadecimal."""
    return hashlib.sha256(canonical_request(request)).hexdigest()


def _identity(request: TimeseriesRequest, owner: str) -> str:
    """Return what makes two requests the same job: the canonical request and its owner, hashed."""
    digest = hashlib.sha256(request_hash(request).encode())
    digest.update(f"\n{owner}".encode())
    return digest.hexdigest()
