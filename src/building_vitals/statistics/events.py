"""The events that statistics record: an answered request, a job, a dead letter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

# The class of failure when the client left before it had the whole answer: no error of the Worker.
CLIENT_GONE = "client_gone"
NO_ROUTE = "none"
NO_STATUS = "none"


class RequestFacts(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """
    Facts of one request, filled in while it is answered: by name the fields of its log line.

    A failure keeps the facts that were known before it. None stands for unknown, or not applicable.

    Attributes:
        route: `direct`, `cached` or `queued`.
        points: Number of requested points.
        format: Format of the answer.
        estimated: Estimated samples.
        missing: Those of them, by the rates seen, that were not known when it was asked.
        cache_status: As `X-Cache-Status` has it.
        samples: Samples in the answer when its first byte was sent.
        unreadable_samples: Samples that were left out of it, where there are any.
        is_new: Whether the request made the job.
        steps: Steps of a maintenance run.
        code: Class of the failure.
        error: Its text.
    """

    route: str | None = None
    site: str | None = None
    points: int | None = None
    format: str | None = None
    estimated: int | None = None
    missing: int | None = None
    cache_status: str | None = msgspec.field(default=None, name="cache")
    samples: int | None = None
    upstream_requests: int | None = None
    unreadable_samples: int | None = None
    job_id: str | None = None
    is_new: bool | None = None
    job_status: str | None = None
    steps: Sequence[object] | None = None
    code: str | None = None
    error: str | None = None

    def log_fields(self) -> dict[str, Any]:
        """Return the known facts by the names that the log has for them."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields


class RequestEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request that has been answered.

    Attributes:
        time_ms: When it arrived.
        endpoint: Method and path, with `*` for the parts that differ from request to request.
        site: Empty where the request names none.
        points: Number of points in the request.
        route: `direct`, `cached`, `queued`; `none` for a request that is not for samples.
        cache_status: As in `X-Cache-Status`; `none` where no samples were sent.
        format: Format of the answer.
        estimated, missing, samples: Samples estimated, not known when asked, and sent.
        body_bytes: As sent, compressed or not.
        duration_ms: Until the last byte was sent.
        status: HTTP status.
        error: Class of the failure; None for a success.
        object_keys: Objects, older than the request, that the answer is made of.
    """

    request_id: str
    time_ms: int
    endpoint: str
    site: str = ""
    points: int = 0
    route: str = NO_ROUTE
    cache_status: str = NO_STATUS
    format: str = ""
    estimated: int = 0
    missing: int = 0
    samples: int = 0
    body_bytes: int = 0
    upstream_requests: int = 0
    duration_ms: int
    status: int
    error: str | None = None
    object_keys: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Whether the client got its whole answer."""
        return self.error is None and self.status < 400  # noqa: PLR2004 - HTTP

    @property
    def is_hit(self) -> bool:
        """Whether all of the answer came from the cache."""
        return self.cache_status in ("hit", "stale")


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    A job that was queued or has ended.

    Attributes:
        outcome: `queued`, `completed`, `failed` or `cancelled`.
        duration_ms: Since it was queued.
        data_bytes: Of the samples' JSON text.
    """

    job_id: str
    site: str
    outcome: str
    priority: str
    points: int
    chunks: int
    estimated: int
    samples: int = 0
    duration_ms: int = 0
    data_bytes: int = 0
    retries: int = 0
    upstream_requests: int = 0
    error: str | None = None


class DeadLetterEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    A message that ran out of retries.

    Attributes:
        outcome: What happened to its chunk.
        attempts: Deliveries by the dead letter queue.
    """

    job_id: str
    chunk: int
    outcome: str
    attempts: int
    site: str = ""
    error: str | None = None


class FollowEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    Readings of a followed site, by one consumer.

    Attributes:
        outcome: `round`, `backfill` or `failed`.
        rounds: Readings that reached the present.
        pages: Requests to the upstream.
        samples: Those stored.
        lag_ms: Age of the end of the last round, afterwards.
    """

    site: str
    outcome: str
    rounds: int
    pages: int
    samples: int
    lag_ms: int
    duration_ms: int
    error: str | None = None


def drawn_weight(rate: float, chance: Callable[[], float]) -> int:
    """
    Return the number of requests that this one stands for; 0 leaves it out.

    A random whole number with a mean of exactly 1 at any rate, so that sums of weights are unbiased
    counts.

    Args:
        rate: Share of the requests that are recorded, 0 to 1.
        chance: Returns random numbers, 0 <= x < 1.
    """
    if rate >= 1:
        return 1
    if rate <= 0 or chance() >= rate:
        return 0
    whole = int(1 / rate)
    return whole + (chance() < 1 / rate - whole)
