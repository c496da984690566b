"""
Failures as problem documents (RFC 9457).

Separate because a failure must read the same wherever it was met, and tell nothing of the inside.
"""

from __future__ import annotations

from typing import Any

from building_vitals.errors import (
    AppError,
    InvalidRequest,
    MethodNotAllowed,
    RateLimited,
    Unauthorized,
    UpstreamError,
    public_detail,
)

PROBLEM_CONTENT_TYPE = "application/problem+json"
PROBLEM_TYPE_PREFIX = "urn:building-vitals:problem:"
INTERNAL_STATUS = 500
INTERNAL_DETAIL = "an unexpected failure; the log has it under this request id"
# A 429 always says when to come back; this where nothing better is known.
RETRY_AFTER_DEFAULT_S = 10

TITLES = {
    "invalid_request": "The request is not valid",
    "unauthorized": "A valid API key is needed",
    "forbidden": "The API key does not allow this",
    "not_found": "There is nothing here",
    "method_not_allowed": "The method is not allowed here",
    "conflict": "The state does not allow this",
    "gone": "It is no longer kept",
    "too_large": "The request is too large",
    "rate_limited": "Too many requests",
    "upstream_failed": "The upstream failed",
    "site_unknown": "The upstream knows no such site",
    "upstream_limited": "The upstream's rate limit is used up",
    "upstream_timeout": "The upstream did not answer in time",
    "unavailable": "A needed part is not available",
    "internal": "Unexpected failure",
}


def problem_document(error: BaseException, request_id: str) -> dict[str, Any]:
    """
    Return the body of the answer to a failure.

    Args:
        error: Any exception; what is not an AppError, or has status 500, is not described.
        request_id: Of the request that failed.

    Returns:
        `type`, `title`, `status`, `detail`, `requestId` and `error` (= detail); `errors` for an
        InvalidRequest, `upstreamStatus` for an UpstreamError that knows it.
    """
    if not isinstance(error, AppError) or error.status == INTERNAL_STATUS:
        return _document("internal", INTERNAL_STATUS, INTERNAL_DETAIL, request_id)
    document = _document(error.code, error.status, public_detail(error), request_id)
    if isinstance(error, InvalidRequest):
        document["errors"] = [
            {"field": _writable(problem.field), "message": _writable(problem.message)}
            for problem in error.problems
        ]
    if isinstance(error, UpstreamError) and error.upstream_status is not None:
        document["upstreamStatus"] = error.upstream_status
    return document


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


def _document(code: str, status: int, detail: str, request_id: str) -> dict[str, Any]:
    detail = _writable(detail)
    return {
        "type": PROBLEM_TYPE_PREFIX + code,
        "title": TITLES.get(code, code),
        "status": status,
        "detail": detail,
        "requestId": request_id,
        "error": detail,
    }


def _writable(text: str) -> str:
    """Return the text with halves of surrogate pairs replaced: JSON in UTF-8 can't hold them."""
    return text.encode("utf-8", "replace").decode("utf-8")
