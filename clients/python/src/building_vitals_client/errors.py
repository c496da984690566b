"""
What may go wrong, as exceptions: all of them are `BuildingVitalsError`.

An answer that says no is an `ApiError`, by its status one of the classes below it; no message holds
the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from building_vitals_client.documents import Job


class Problem(NamedTuple):
    """
    One thing that is wrong with a request.

    Attributes:
        field: The parameter's name, or a header's.
        message: What is wrong with it, and what is allowed.
    """

    field: str
    message: str


class BuildingVitalsError(Exception):
    """
    Any failure of this package.

    Attributes:
        may_pass: Whether the same request may do better later.
        retry_after_s: Seconds that the Worker asks to wait; None where it says nothing.
    """

    may_pass: bool = False
    retry_after_s: float | None = None


class ConnectionLost(BuildingVitalsError):
    """The Worker cannot be reached, or the connection broke."""

    may_pass = True


class BrokenDownload(BuildingVitalsError):
    """An answer ended too early or cannot be read; nothing of it is returned."""

    may_pass = True


class ApiError(BuildingVitalsError):
    """
    An answer that is no success.

    Attributes:
        status: HTTP status.
        title: What kind of failure it is.
        detail: What happened.
        request_id: Finds the request in the Worker's log; None where something else answered.
        problems: Every problem of the request, where it was refused for its parameters.
        upstream_status: What the upstream answered, where that is the cause.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        request_id: str | None = None,
        problems: Sequence[Problem] = (),
        retry_after_s: float | None = None,
        upstream_status: int | None = None,
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.problems = list(problems)
        self.retry_after_s = retry_after_s
        self.upstream_status = upstream_status
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [f"{self.status} {self.title}"]
        if self.problems:
            lines += [f"  {field}: {message}" for field, message in self.problems]
        elif self.detail:
            lines[0] += f": {self.detail}"
        if self.request_id is not None:
            lines[-1] += f" (request {self.request_id})"
        return "\n".join(lines)


class BadRequest(ApiError):
    """400 or 413: the request cannot be answered as it is; `problems` names every fault."""


class NotAllowed(ApiError):
    """401 or 403: the key is missing, unknown, or may not do this."""


class NotFound(ApiError):
    """404: no such site, job or path."""


class Conflict(ApiError):
    """409: not in this state, such as the result of a job that still runs."""


class ResultExpired(ApiError):
    """410: the job's result is kept no longer; ask again."""


class RateLimited(ApiError):
    """429: too much was asked for; `retry_after_s` says when to come again."""

    may_pass = True


class Unavailable(ApiError):
    """503: a part of the service is missing or down, or too much goes on at once."""

    may_pass = True


class UpstreamFailed(ApiError):
    """502 or 504: the telemetry API failed or took too long, after the Worker's own retries."""


class ServerError(ApiError):
    """Any other 5xx."""


class JobEnded(BuildingVitalsError):
    """
    A job ended without a result.

    Attributes:
        job: As it was at its end.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        reason = f": {job.error}" if job.error else ""
        super().__init__(f"job {job.job_id} {job.status}{reason}")


class JobFailed(JobEnded):
    """A job failed."""


class JobCancelled(JobEnded):
    """Somebody cancelled the job."""


class PointErrors(BuildingVitalsError):
    """
    Some points have nothing, and a reason for it.

    Attributes:
        errors: The reasons by point.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{point}: {error}" for point, error in errors.items()))


class StaleData(UserWarning):
    """The upstream failed; the answer is made of what was kept, and may lack samples."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: ResultExpired,
    413: BadRequest,
    429: RateLimited,
    502: UpstreamFailed,
    503: Unavailable,
    504: UpstreamFailed,
}
_SERVER_ERRORS = 500
_REQUEST_TIMEOUT = 408


class _Document(msgspec.Struct, rename="camel"):
    """The parts of a problem document (RFC 9457) that are shown."""

    title: str = ""
    detail: str = ""
    request_id: str | None = None
    errors: list[dict[str, Any]] = []
    upstream_status: int | None = None


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """
    Return the exception that an answer stands for.

    Args:
        status: HTTP status, 400 or more.
        headers: By names in lower case.
        body: A problem document; anything else is taken for a gateway's page and not shown.
    """
    kind = _BY_STATUS.get(status, ServerError if status >= _SERVER_ERRORS else ApiError)
    retry_after_s = _seconds(headers.get("retry-after"))
    try:
        found = msgspec.json.decode(body, type=_Document)
    except msgspec.MsgspecError:
        found = None
    if found is None or not found.title:
        error = kind(status, "no problem document", retry_after_s=retry_after_s)
        # Something between here and the Worker has answered: that passes as a lost connection does.
        error.may_pass = error.may_pass or status >= _SERVER_ERRORS
        return error
    problems = [
        Problem(str(each.get("field", "")), str(each.get("message", ""))) for each in found.errors
    ]
    error = kind(
        status,
        found.title,
        found.detail,
        request_id=found.request_id,
        problems=problems,
        retry_after_s=retry_after_s,
        upstream_status=found.upstream_status,
    )
    error.may_pass = error.may_pass or status == _REQUEST_TIMEOUT
    return error


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After`; None where there are none, or a date."""
    return float(text) if text is not None and text.strip().isdecimal() else None
