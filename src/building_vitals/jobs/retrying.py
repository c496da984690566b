"""When a failed chunk is tried again, and what its failure is called, and its job's."""

from __future__ import annotations

from typing import Literal

from building_vitals.errors import (
    AppError,
    InvalidRequest,
    NotFound,
    Unavailable,
    UpstreamError,
    UpstreamSiteUnknown,
)
from building_vitals.jobs.model import Job

FailureClass = Literal["upstream", "bad_request", "storage", "crash"]

# A retry may wait that long at most; the platform allows a day.
RETRY_DELAY_S_MAX = 3600


def retry_delay_s(attempt: int, *, retry_delay_ms: int, retry_after_s: int | None) -> int:
    """
    Return the seconds before the next attempt: doubling, or what the upstream asked for if more.

    Queues count delays in whole seconds, so each is rounded up.

    Args:
        attempt: The one that failed, from 1.
        retry_delay_ms: Before the second attempt.
        retry_after_s: What the upstream asked for; None where it did not.
    """
    doubled: int = -(-retry_delay_ms * 2 ** min(attempt - 1, 30) // 1000)
    return min(max(doubled, retry_after_s or 0), RETRY_DELAY_S_MAX)


def failure_class(error: BaseException) -> FailureClass:
    """Return what kind of failure ended a chunk."""
    if isinstance(error, (UpstreamSiteUnknown, InvalidRequest, NotFound)):
        return "bad_request"
    if isinstance(error, UpstreamError):
        return "upstream"
    return "storage" if isinstance(error, Unavailable) else "crash"


def failure_text(error: BaseException) -> str:
    """Return the reason as a job shows it; of an unforeseen failure only its kind."""
    if isinstance(error, AppError):
        return error.detail[:500]
    return f"unexpected failure: {type(error).__name__}"


def error_of(job: Job) -> AppError:
    """Return the failure that a request for a job's data is answered with, the job being failed."""
    detail = (
        f"the job of this request has failed: {job.error or 'no reason is known'} ({job.job_id})"
    )
    if job.error_class == "bad_request":
        return UpstreamSiteUnknown(detail)
    if job.error_class == "upstream":
        return UpstreamError(detail)
    return Unavailable(detail) if job.error_class == "storage" else AppError(detail)
