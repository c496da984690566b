"""A database with jobs as their tables have them, without services."""

from __future__ import annotations

from typing import Any

from building_vitals.instants import DAY_MS
from building_vitals.jobs.chunking import JobPlan
from building_vitals.jobs.chunks_table import ChunkState, JobChunks
from building_vitals.jobs.jobs_table import Jobs, NewJob, OwnerLimits, SubmissionOutcome
from building_vitals.jobs.messages_table import ChunkMessages
from building_vitals.jobs.model import ChunkRef, Job
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

NOW_MS = 1_767_225_600_000


def make_known(database: FakeDatabase, site: str = "hq") -> None:
    """Let the index have a sample of a site."""
    database.look(
        "INSERT OR REPLACE INTO cache_segments VALUES"
        " (?1, 'known', 10, 20, 5, 'k', '', 0, 1, 1, 1, 0, 0, 0, '[]', 6, 0, 0, NULL, NULL)",
        site,
    )


class JobTables(FakeDatabase):
    """
    A database, and both tables of jobs on it.

    Attributes:
        jobs, chunks, messages: The tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jobs = Jobs(self)
        self.chunks = JobChunks(self)
        self.messages = ChunkMessages(self)

    async def submit(
        self,
        job_id: str = "job",
        *,
        owner: str = "key",
        request: str | None = None,
        priority: str = "normal",
        estimates: tuple[int, ...] = (300, 100),
        now_ms: int = NOW_MS,
        active_jobs_max: int = 9,
        queued_samples_max: int = 10_000,
        hourly_samples_max: int = 10_000,
        is_site_known: bool = True,
    ) -> SubmissionOutcome:
        """
        Submit a job with a chunk for each estimate, of a point for each hundred samples, which is
        named by its number. Of a known site the index has a sample.
        """
        if is_site_known:
            make_known(self)
        bounds = [sum(estimates[:n]) // 100 for n in range(len(estimates) + 1)]
        job = NewJob(
            job_id=job_id,
            request_hash=request or job_id,
            owner=owner,
            site="hq",
            points=tuple(f"p{n}" for n in range(bounds[-1])),
            time_range=Range(0, 60_000),
            priority=priority,
            estimated=sum(estimates),
            metadata={},
            plan=JobPlan(bounds, [0, 60_000], 100 * DAY_MS / 60_000),
            now_ms=now_ms,
            due_ms=now_ms + 60_000,
        )
        limits = OwnerLimits(active_jobs_max, queued_samples_max, hourly_samples_max)
        return await self.jobs.submit(job, limits)

    async def claim(
        self, chunk: int = 0, claim: str = "me", *, job_id: str = "job", **options: Any
    ) -> ChunkState:
        """Try to claim a chunk for 10 s, and return its state."""
        at_ms = options.pop("now_ms", NOW_MS)
        options = {"attempts_max": 4, "patience_ms": 1_000, **options}
        state = await self.chunks.claim(
            ChunkRef(job_id, chunk),
            claim,
            now_ms=at_ms,
            expires_ms=at_ms + 10_000,
            due_ms=at_ms + 5_000,
            **options,
        )
        assert state is not None
        return state

    async def job(self, job_id: str = "job") -> Job:
        """Return a job."""
        found = await self.jobs.find(job_id)
        assert found is not None
        return found
