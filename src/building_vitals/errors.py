"""
Every failure that the Worker answers with, as one tree.

AppError                       500   base: code, status, retryable, retry_after_s
├─ InvalidRequest              400   the request is invalid; lists every problem
├─ Unauthorized                401   the request has no valid API key
├─ Forbidden                   403   the key may not do this
├─ NotFound                    404   the path, or the thing it names, does not exist
├─ MethodNotAllowed            405   the path has other methods; lists them
├─ RequestTimeout              408   the request's body did not come in time
├─ Conflict                    409   the state of a job does not allow this
├─ Gone                        410   the result of a job has expired
├─ TooLarge                    413   the request is larger than a limit; names it
├─ RateLimited                 429   the key has sent too many requests; says when to retry
├─ UpstreamError               502   the upstream failed, refused, or sent an invalid answer
│  ├─ UpstreamSiteUnknown      404   the upstream has no such site, or none for the Worker
│  ├─ UpstreamTooLarge         502   the upstream sent more than the Worker reads of one answer
│  ├─ UpstreamLimited          502   the upstream's rate limit, or the Worker's own quota, held on
│  └─ UpstreamTimeout          504   the upstream did not answer in time
│     └─ UpstreamBusy          504   another request was still fetching the same data
├─ Overloaded                  503   the isolate has no memory to spare; says when to retry
├─ Unavailable                 503   a binding (R2, D1, Queues) is missing or down
├─ Misconfigured               503   a var or secret of the Worker is not allowed
└─ CorruptSegment              500   a stored segment failed its checks; the reader drops it
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One problem of an invalid request.

    Attributes:
        field: The parameter's name as the caller spells it.
        message: The problem, the value, the allowed values.
    """

    field: str
    message: str


class AppError(Exception):
    """
    A failure with an HTTP status and a message that may be shown to the caller.

    Attributes:
        code: Stable machine-readable word, for logs, metrics and problem types.
        status: HTTP status of the answer.
        retryable: Whether the same request may succeed later.
        retry_after_s: Seconds to wait before trying again, where known.
        upstream_requests: Requests to the upstream that it took, where it ended a fetch.
    """

    code = "internal"
    status = 500
    retryable = False
    upstream_requests = 0

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class InvalidRequest(AppError):
    """The request is invalid; *problems* lists every problem."""

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
    """Nothing exists at this path, or nothing that the caller may see."""

    code = "not_found"
    status = 404


class MethodNotAllowed(AppError):
    """The path does not have this method; *allowed* goes into `Allow`."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, detail: str, allowed: tuple[str, ...]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class RequestTimeout(AppError):
    """The client did not send the whole request in time."""

    code = "request_timeout"
    status = 408
    retryable = True


class Conflict(AppError):
    """The state of a thing does not allow the request, such as cancelling a job that has ended."""

    code = "conflict"
    status = 409


class Gone(AppError):
    """The thing existed and is no longer kept."""

    code = "gone"
    status = 410


class TooLarge(AppError):
    """The request is larger than a named limit."""

    code = "too_large"
    status = 413


class RateLimited(AppError):
    """The caller has sent too many requests, or has too much in the queue."""

    code = "rate_limited"
    status = 429
    retryable = True


class UpstreamError(AppError):
    """
    The upstream failed, refused, or sent an invalid answer.

    Attributes:
        upstream_status: HTTP status of its answer; None when no answer came.
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
    """The upstream says that it has no such site, or that the Worker's token may not read it."""

    code = "site_unknown"
    status = 404


class UpstreamTooLarge(UpstreamError):
    """An answer of the upstream has more bytes than the Worker reads; smaller ones may do."""


class UpstreamLimited(UpstreamError):
    """The upstream's rate limit, or the Worker's quota, held until retries or time ran out."""

    code = "upstream_limited"


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer within the time allowed."""

    code = "upstream_timeout"
    status = 504


class UpstreamBusy(UpstreamTimeout):
    """Another request fetches the same data, and has not finished within the time allowed."""


class Unavailable(AppError):
    """A binding that the request needs is missing or did not answer."""

    code = "unavailable"
    status = 503
    retryable = True


class Misconfigured(AppError):
    """The Worker's vars or secrets are not allowed: it answers nothing until they are."""

    code = "misconfigured"
    status = 503


class Overloaded(AppError):
    """The isolate does all that its memory allows, and had none to spare in time."""

    code = "overloaded"
    status = 503
    retryable = True


class CorruptSegment(AppError):
    """A stored segment contradicts its index row."""

    code = "corrupt_segment"


def public_detail(error: AppError) -> str:
    """
    Return the part of a failure's text that may be shown to strangers.

    The text of Unavailable names the part that is down; the part's own words follow a colon. They
    hold names of tables and columns, and belong in the log.
    """
    if isinstance(error, Unavailable):
        return error.detail.partition(": ")[0]
    return error.detail
