"""
Jobs as values: their states, how a request is cut into chunks, when a chunk is tried again.

Separate and pure: services only carry out what is decided here.
"""

from __future__ import annotations

import base64
from typing import Literal, Protocol

import msgspec

from building_vitals.errors import (
    InvalidRequest,
    Problem,
)
from building_vitals.instants import format_instant, parse_instant
from building_vitals.ranges import Range

JobStatus = Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]

TERMINAL: tuple[JobStatus, ...] = ("completed", "failed", "cancelled")
PROGRESS_DONE = 100


class ChunkRef(msgspec.Struct, frozen=True, rename="camel"):
    """What a queue message says: which chunk of which job."""

    job_id: str
    chunk: int


class ChunkSpec(msgspec.Struct, frozen=True, array_like=True):
    """
    A chunk as it is planned.

    Attributes:
        chunk: Its number in the job.
        first_point, points_count: Its part of the job's points.
        start_ms, end_ms: Its part of the job's range.
        estimated: Samples.
    """

    chunk: int
    first_point: int
    points_count: int
    start_ms: int
    end_ms: int
    estimated: int


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """
    A job as its row has it; times are epoch milliseconds.

    Attributes:
        owner: The key that asked for it.
        estimated_size: Samples, by the routing's rule of thumb.
        samples_count: Samples of the chunks that are done.
        data_size: Bytes of their JSON text.
    """

    job_id: str
    owner: str
    site: str
    points_count: int
    start_ms: int
    end_ms: int
    priority: str
    status: JobStatus
    progress: int
    total_chunks: int
    completed_chunks: int
    estimated_size: int
    samples_count: int
    data_size: int
    retry_count: int
    error: str | None
    error_class: str | None
    created_ms: int
    updated_ms: int
    started_ms: int | None
    completed_ms: int | None
    failed_ms: int | None
    cancelled_ms: int | None

    @property
    def time_range(self) -> Range:
        """The range asked for."""
        return Range(self.start_ms, self.end_ms)

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen any more unless somebody asks for it."""
        return self.status in TERMINAL

    def document(self) -> dict[str, object]:
        """Return the job as api.md shows it."""
        is_completed = self.status == "completed"
        return {
            "jobId": self.job_id,
            "status": self.status,
            "priority": self.priority,
            "site": self.site,
            "pointsCount": self.points_count,
            "startTime": format_instant(self.start_ms),
            "endTime": format_instant(self.end_ms),
            "progress": self.progress,
            "totalChunks": self.total_chunks,
            "completedChunks": self.completed_chunks,
            "createdAt": format_instant(self.created_ms),
            "startedAt": _instant(self.started_ms),
            "completedAt": _instant(self.completed_ms),
            "failedAt": _instant(self.failed_ms),
            "cancelledAt": _instant(self.cancelled_ms),
            "estimatedSize": self.estimated_size,
            "samplesCount": self.samples_count,
            "dataSize": self.data_size,
            "retryCount": self.retry_count,
            "error": self.error,
            "dataUrl": f"/api/jobs/{self.job_id}/data" if is_completed else None,
        }


class ChunkSender(Protocol):
    """Puts messages into the queue of a priority."""

    async def send(self, refs: list[ChunkRef], priority: str, *, delay_s: int = 0) -> None:
        """
        Send one message a chunk, at most 100: all of them or none.

        Raises:
            Unavailable: the queue can't be reached or refuses.
        """
        ...


def encode_cursor(job: Job) -> str:
    """Return where the list goes on after a job."""
    return base64.urlsafe_b64encode(f"{job.created_ms}:{job.job_id}".encode()).decode()


def decode_cursor(cursor: str) -> tuple[int, str]:
    """
    Return creation time and id of the job a list goes on after.

    Raises:
        InvalidRequest: it is not a cursor of a list of jobs.
    """
    try:
        created, _, job_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        return parse_instant(int(created)), job_id
    except ValueError:
        problem = Problem("cursor", "not a cursor; what a page gave as its nextCursor is allowed")
        raise InvalidRequest([problem]) from None


def _instant(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else format_instant(instant_ms)
