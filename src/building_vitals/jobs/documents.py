"""
Jobs and failed chunks as the API shows them.

Separate because a row and its document differ in names and in the form of times.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from building_vitals.answers.question import Priority
from building_vitals.fields import Count, IsoTime
from building_vitals.instants import format_instant, format_known
from building_vitals.jobs.model import Job, JobStatus


class JobDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job: its request, its state and its progress."""

    job_id: str
    status: JobStatus
    priority: Priority
    site: str
    points_count: Count
    start_time: IsoTime
    end_time: IsoTime
    progress: Annotated[int, msgspec.Meta(ge=0, le=100, description="Percent.")]
    total_chunks: Count
    completed_chunks: Count
    created_at: IsoTime
    started_at: IsoTime | None
    completed_at: IsoTime | None
    failed_at: IsoTime | None
    cancelled_at: IsoTime | None
    estimated_size: Annotated[Count, msgspec.Meta(description="Estimated samples.")]
    samples_count: Annotated[Count, msgspec.Meta(description="Samples of the completed chunks.")]
    data_size: Annotated[Count, msgspec.Meta(description="Bytes of their JSON text.")]
    retry_count: Count
    error: str | None
    data_url: Annotated[
        str | None, msgspec.Meta(description="Path of the result, once the job has completed.")
    ]


class JobList(msgspec.Struct, frozen=True, rename="camel"):
    """A page of jobs."""

    jobs: list[JobDocument]
    next_cursor: str | None


class FailureCounts(msgspec.Struct, frozen=True, rename="camel"):
    """Counts of failed chunks."""

    total: Count
    last24h: Count
    by_class: dict[str, Count]


class FailureStats(msgspec.Struct, frozen=True):
    """Statistics of failed chunks."""

    dlq: FailureCounts
    timestamp: IsoTime


class FailedChunk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A chunk that has no attempts left."""

    job_id: str
    site: str
    chunk: Count
    error_class: str | None = msgspec.field(name="class")
    error: str | None
    attempts: Count
    failed_at: IsoTime


class FailedChunks(msgspec.Struct, frozen=True):
    """Failed chunks, the latest first."""

    failures: list[FailedChunk]
    count: Count


def job_document(job: Job) -> JobDocument:
    """Return the document of a job."""
    return JobDocument(
        job_id=job.job_id,
        status=job.status,
        priority=job.priority,
        site=job.site,
        points_count=job.points_count,
        start_time=format_instant(job.start_ms),
        end_time=format_instant(job.end_ms),
        progress=job.progress,
        total_chunks=job.total_chunks,
        completed_chunks=job.completed_chunks,
        created_at=format_instant(job.created_ms),
        started_at=format_known(job.started_ms),
        completed_at=format_known(job.completed_ms),
        failed_at=format_known(job.failed_ms),
        cancelled_at=format_known(job.cancelled_ms),
        estimated_size=job.estimated_size,
        samples_count=job.samples_count,
        data_size=job.data_size,
        retry_count=job.retry_count,
        error=job.error,
        data_url=f"/api/jobs/{job.job_id}/data" if job.status == "completed" else None,
    )
