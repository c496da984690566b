"""What the statistics are told: a request answered, a job changed, a message given up."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

# What a failure is called that is no error of ours: the client left before the answer was whole.
CLIENT_GONE = "client_gone"
NO_ROUTE = "none"
NO_STATUS = "none"


class RequestEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request that has been answered.

    Attributes:
        time_ms: When it came in.
        endpoint: Method and path, what differs from request to request replaced by `*`.
        site: Empty where none was named.
        points: How many were asked for.
        route: `direct`, `cached`, `queued`; `none` where no samples were asked for.
        cache_status: As `X-Cache-Status` has it; `none` where no samples were sent.
        format: Format of the answer.
        estimated, samples: Estimated and sent.
        body_bytes: As sent, compressed or not.
        duration_ms: Until the last byte was handed over.
        status: HTTP status.
        error: Class of the failure; None where all went well.
        object_keys: Objects that were there before, and that the answer is made of.
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
    samples: int = 0
    body_bytes: int = 0
    upstream_requests: int = 0
    duration_ms: int
    status: int
    error: str | None = None
    object_keys: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Whether the client got the whole of what it asked for."""
        return self.error is None and self.status < 400  # noqa: PLR2004 - HTTP

    @property
    def is_hit(self) -> bool:
        """Whether nothing of the answer came from upstream."""
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
    A message that the queue gave up.

    Attributes:
        outcome: What became of its chunk.
        attempts: Deliveries to the dead letter queue.
    """

    job_id: str
    chunk: int
    outcome: str
    attempts: int
    site: str = ""
    error: str | None = None


def drawn_weight(rate: float, chance: Callable[[], float]) -> int:
    """
    Return how many requests this one is to stand for; 0 where it is left out.

    A whole number drawn so that its mean is exactly 1, whatever the rate: sums of weights are
    unbiased counts.

    Args:
        rate: Share of the requests that stand for something, 0 to 1.
        chance: Gives random numbers, 0 <= x < 1.
    """
    if rate >= 1:
        return 1
    if rate <= 0 or chance() >= rate:
        return 0
    whole = int(1 / rate)
    return whole + (chance() < 1 / rate - whole)
