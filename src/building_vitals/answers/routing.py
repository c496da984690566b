"""Which route a request takes, by a rule of thumb for its size."""

from __future__ import annotations

import msgspec

from building_vitals.answers.question import Route


def choose_route(
    estimate: int, override: Route | None, small_threshold: int, large_threshold: int
) -> Route:
    """
    Return the route for a request.

    Args:
        estimate: Its estimated samples.
        override: What the request asks for; taken as it is.
        small_threshold: From this many on, a request is cached.
        large_threshold: Above this many, it is queued.
    """
    if override is not None:
        return override
    if estimate < small_threshold:
        return "direct"
    return "cached" if estimate <= large_threshold else "queued"


class RoutingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of the routing.

    Attributes:
        small_threshold: Estimated samples below which a request is answered directly.
        large_threshold: Estimated samples above which it becomes a job.
        direct_timeout: Milliseconds that an answer may wait for the upstream.
        cache_timeout: Milliseconds after which a cache look-up is given up.
    """

    small_threshold: int = 1000
    large_threshold: int = 100_000
    direct_timeout: int = 30_000
    cache_timeout: int = 5000
