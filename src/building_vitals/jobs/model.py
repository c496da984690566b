"""
Jobs as values: their states, how a request is cut into chunks, when a chunk is tried again.

Separate and pure: services only carry out what is decided here.
"""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Literal, Protocol

import msgspec

from building_vitals.errors import (
    AppError,
    InvalidRequest,
    NotFound,
    Problem,
    Unavailable,
    UpstreamError,
    UpstreamSiteUnknown,
)
from building_vitals.instants import DAY_MS, format_instant, parse_instant
from building_vitals.ranges import Range

JobStatus = Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]
FailureClass = Literal["upstream", "bad_request", "storage", "crash"]

TERMINAL: tuple[JobStatus, ...] = ("completed", "failed", "cancelled")
PROGRESS_DONE = 100

# A chunk of this size fits into memory several times over, and costs little to fetch again.
CHUNK_SAMPLES = 250_000
# Rows of one insert, and messages of one job.
CHUNKS_MAX = 10_000
HOUR_MS = 3_600_000
# A retry may wait that long at most; the platform allows a day.
RETRY_DELAY_S_MAX = 3600


class ChunkRef(msgspec.Struct, frozen=True, rename="camel"):
    """
    What a queue message says: which chunk of which job.
    """

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
    def wanted(self) -> Range:
        """
        The range asked for.
        """
        return Range(self.start_ms, self.end_ms)

    @property
    def is_over(self) -> bool:
        """
        Whether nothing will happen any more unless somebody asks for it.
        """
        return self.status in TERMINAL

    def document(self) -> dict[str, object]:
        """
        Return the job as api.md shows it.
        """
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
    """
    Puts messages into the queue of a priority.
    """

    async def send(self, refs: list[ChunkRef], priority: str, *, delay_s: int = 0) -> None:
        """
        Send one message a chunk, at most 100: all of them or none.

        Raises:
            Unavailable: the queue can't be reached or refuses.
        """
        ...


def plan_chunks(
    points_count: int, wanted: Range, *, batch_size: int, samples_per_day: float
) -> list[ChunkSpec]:
    """
    Cut a request by points first, then by time.

    Points are spread evenly over as few chunks as *batch_size* allows; each of these is cut into
    parts of about `CHUNK_SAMPLES` samples, at whole days (or hours, where a part is shorter than
    two days), so that frames, which close at midnights, are not cut.

    Args:
        samples_per_day: Of one point, estimated.
    """
    groups = -(-points_count // batch_size)
    bounds = [points_count * n // groups for n in range(groups + 1)]
    widest = max(after - before for before, after in pairwise(bounds))
    estimate = widest * wanted.duration_ms / DAY_MS * samples_per_day
    parts = _time_parts(
        wanted, min(max(1, -int(-estimate // CHUNK_SAMPLES)), max(1, CHUNKS_MAX // groups))
    )
    return [
        ChunkSpec(
            chunk=group * len(parts) + n,
            first_point=bounds[group],
            points_count=bounds[group + 1] - bounds[group],
            start_ms=part.start_ms,
            end_ms=part.end_ms,
            estimated=max(
                1,
                round(
                    (bounds[group + 1] - bounds[group])
                    * part.duration_ms
                    / DAY_MS
                    * samples_per_day
                ),
            ),
        )
        for group in range(groups)
        for n, part in enumerate(parts)
    ]


def _time_parts(wanted: Range, count: int) -> list[Range]:
    """
    Return the range in about *count* parts of nearly the same length.
    """
    length_ms = wanted.duration_ms / count
    step_ms = DAY_MS if length_ms >= 2 * DAY_MS else HOUR_MS
    edges = {wanted.start_ms, wanted.end_ms}
    for n in range(1, count):
        edge_ms = round(wanted.start_ms + n * length_ms)
        edge_ms -= edge_ms % step_ms
        if wanted.start_ms < edge_ms < wanted.end_ms:
            edges.add(edge_ms)
    ordered = sorted(edges)
    return [Range(*edge) for edge in pairwise(ordered)]


def retry_delay_s(attempt: int, *, retry_delay_ms: int, retry_after_s: int | None) -> int:
    """
    Return the seconds before the next attempt: doubling, or what the upstream asked for if more.

    Queues count delays in whole seconds, so each is rounded up.

    Args:
        attempt: The one that failed, from 1.
        retry_delay_ms: Before the second attempt.
    """
    doubled: int = -(-retry_delay_ms * 2 ** min(attempt - 1, 30) // 1000)
    return min(max(doubled, retry_after_s or 0), RETRY_DELAY_S_MAX)


def failure_class(error: BaseException) -> FailureClass:
    """
    Return what kind of failure ended a chunk.
    """
    if isinstance(error, (UpstreamSiteUnknown, InvalidRequest, NotFound)):
        return "bad_request"
    if isinstance(error, UpstreamError):
        return "upstream"
    return "storage" if isinstance(error, Unavailable) else "crash"


def failure_text(error: BaseException) -> str:
    """
    Return the reason as a job shows it; of what nobody foresaw only its kind.
    """
    if isinstance(error, AppError):
        return error.detail[:500]
    return f"unexpected failure: {type(error).__name__}"


def encode_cursor(job: Job) -> str:
    """
    Return where the list goes on after a job.
    """
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
