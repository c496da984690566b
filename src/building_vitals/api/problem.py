"""
Failures as problem documents (RFC 9457).

Separate because a failure must read the same wherever it happens, and reveal nothing internal.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from building_vitals.access.api_keys import masked
from building_vitals.errors import (
    AppError,
    InvalidRequest,
    MethodNotAllowed,
    Problem,
    RateLimited,
    Unauthorized,
    UpstreamError,
    public_detail,
)

PROBLEM_CONTENT_TYPE = "application/problem+json"
PROBLEM_TYPE_PREFIX = "urn:building-vitals:problem:"
INTERNAL_STATUS = 500
INTERNAL_DETAIL = "unexpected failure; the log has the details under this request id"
# For a 429 whose cause names no time.
RETRY_AFTER_DEFAULT_S = 10

TITLES = {
    "invalid_request": "Invalid request",
    "unauthorized": "API key required",
    "forbidden": "Not allowed with this API key",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "request_timeout": "Request not received in time",
    "conflict": "Conflict with the current state",
    "gone": "Expired",
    "too_large": "Request too large",
    "rate_limited": "Too many requests",
    "upstream_failed": "Upstream failure",
    "site_unknown": "Site unknown to the upstream",
    "upstream_limited": "Upstream rate limit reached",
    "upstream_timeout": "Upstream time-out",
    "unavailable": "Service unavailable",
    "overloaded": "Too much at once",
    "misconfigured": "Worker not set up correctly",
    "internal": "Internal error",
}


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A failure (RFC 9457)."""

    type: Annotated[str, Meta(extra_json_schema={"format": "uri"})]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    request_id: str
    error: Annotated[str, Meta(description="Same as `detail`, for older clients.")]
    upstream_status: int | UnsetType = UNSET


class InvalidRequestDocument(ProblemDocument, frozen=True, kw_only=True, rename="camel"):
    """An invalid request with all its problems."""

    errors: Annotated[list[Problem], Meta(min_length=1, description="Every problem.")]


def problem_document(error: BaseException, request_id: str) -> ProblemDocument:
    """
    Return the body of the answer to a failure.

    Args:
        error: Any exception; what is not an AppError, or has status 500, is not described.
        request_id: Of the request that failed.
    """
    if not isinstance(error, AppError) or error.status == INTERNAL_STATUS:
        code, status, detail = "internal", INTERNAL_STATUS, INTERNAL_DETAIL
    else:
        code, status, detail = error.code, error.status, _shown(public_detail(error))
    fields: dict[str, Any] = {
        "type": PROBLEM_TYPE_PREFIX + code,
        "title": TITLES.get(code, code),
        "status": status,
        "detail": detail,
        "request_id": request_id,
        "error": detail,
    }
    if isinstance(error, InvalidRequest):
        errors = [
            Problem(_shown(problem.field), _shown(problem.message)) for problem in error.problems
        ]
        return InvalidRequestDocument(**fields, errors=errors)
    if isinstance(error, UpstreamError) and error.upstream_status is not None:
        fields["upstream_status"] = error.upstream_status
    return ProblemDocument(**fields)


def problem_headers(error: BaseException) -> list[tuple[str, str]]:
    """Return the headers that a failure adds: `Retry-After`, `Allow`, `WWW-Authenticate`."""
    headers: list[tuple[str, str]] = []
    if isinstance(error, AppError):
        retry_after_s = error.retry_after_s
        if retry_after_s is None and isinstance(error, RateLimited):
            retry_after_s = RETRY_AFTER_DEFAULT_S
        if retry_after_s is not None:
            headers.append(("Retry-After", str(max(1, retry_after_s))))
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(error.allowed)))
    if isinstance(error, Unauthorized):
        headers.append(("WWW-Authenticate", "Bearer"))
    return headers


def _shown(text: str) -> str:
    """
    Return a text without what looks like a secret: a message may show what the client sent.

    Halves of surrogate pairs are replaced, because JSON in UTF-8 can't hold them.
    """
    return masked(text).encode("utf-8", "replace").decode("utf-8")
