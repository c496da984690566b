"""
Every failure the Worker can answer with, as one tree.

AppError                  code, status, retryable
├─ InvalidRequest   400   the caller can mend it; lists every problem
├─ Unauthorized     401   no key, or one that is not known
├─ Forbidden        403   a key that may not do this
├─ NotFound         404
├─ MethodNotAllowed 405   says what is allowed
├─ Conflict         409   the thing is not in a state for this
├─ Gone             410   it was there and has expired
├─ TooLarge         413   names the limit and the asked size
├─ RateLimited      429   says when to come back
├─ UpstreamError    502   the upstream failed, lied or refused
│  ├─ UpstreamSiteUnknown 404
│  ├─ UpstreamLimited     429/502
│  └─ UpstreamTimeout     504
│     └─ UpstreamBusy          somebody else is fetching the same
├─ Unavailable      503   a binding (R2, D1, Queue) is missing or down
└─ CorruptSegment   500   a stored segment fails its checks; always met by dropping it
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong with a request.

    Attributes:
        field: The parameter's name as the caller spells it.
        message: What is wrong, the value, what is allowed.
    """

    field: str
    message: str


class AppError(Exception):
    """
    A failure with an HTTP status and a message that may be shown to the caller.

    Attributes:
        code: Stable machine-readable word, for logs, metrics and problem types.
        status: HTTP status of the answer.
        retryable: Whether the same attempt may succeed later.
        retry_after_s: Seconds to wait before trying again, where known.
    """

    code = "internal"
    status = 500
    retryable = False

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class InvalidRequest(AppError):
    """The request cannot be answered as it is; *problems* lists all that is wrong."""

    code = "invalid_request"
    status = 400

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in problems))
        self.problems = problems


class Unauthorized(AppError):
    """The request carries no API key, or one that is unknown, revoked or expired."""

    code = "unauthorized"
    status = 401


class Forbidden(AppError):
    """The key is known but may not do this."""

    code = "forbidden"
    status = 403


class NotFound(AppError):
    """There is nothing at this path, or nothing the caller may see."""

    code = "not_found"
    status = 404


class MethodNotAllowed(AppError):
    """The path exists but not with this method; *allowed* goes into `Allow`."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, detail: str, allowed: tuple[str, ...]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class Conflict(AppError):
    """The thing is in a state that does not allow this."""

    code = "conflict"
    status = 409


class Gone(AppError):
    """The thing was there and is no longer kept."""

    code = "gone"
    status = 410


class TooLarge(AppError):
    """The request is larger than a named limit."""

    code = "too_large"
    status = 413


class RateLimited(AppError):
    """The caller has asked too often or too much."""

    code = "rate_limited"
    status = 429
    retryable = True


class UpstreamError(AppError):
    """
    The upstream failed, refused, or sent what cannot be an answer.

    Attributes:
        upstream_status: HTTP status it answered with; None when no answer came.
    """

    code = "upstream_failed"
    status = 502

    def __init__(
        self,
        detail: str,
        *,
        upstream_status: int | None = None,
        retryable: bool = False,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.upstream_status = upstream_status
        self.retryable = retryable


class UpstreamSiteUnknown(UpstreamError):
    """The upstream says that there is no such site."""

    code = "site_unknown"
    status = 404


class UpstreamLimited(UpstreamError):
    """The upstream's rate limit held until the retries ran out."""

    code = "upstream_limited"


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer within the time allowed."""

    code = "upstream_timeout"
    status = 504


class UpstreamBusy(UpstreamTimeout):
    """Somebody else is fetching the same data, and has not finished within the time allowed."""


class Unavailable(AppError):
    """A binding the request needs is missing or did not answer."""

    code = "unavailable"
    status = 503
    retryable = True


class CorruptSegment(AppError):
    """A stored segment is not what its index row says."""

    code = "corrupt_segment"


def public_detail(error: AppError) -> str:
    """
    Return what a failure may tell strangers.

    Of parts that are down that is which one; what stands behind the colon are the part's own words,
    with names of tables and columns, and belongs into the log.
    """
    if isinstance(error, Unavailable):
        return error.detail.partition(": ")[0]
    return error.detail
