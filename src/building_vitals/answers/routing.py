"""
Which route a request takes, by a rule of thumb for its size.
"""

from __future__ import annotations

from typing import Literal

from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range

Route = Literal["direct", "cached", "queued"]
ROUTES: tuple[Route, ...] = ("direct", "cached", "queued")

# A 15-minute point has 96. It decides on routes only; real rates are higher more often than not.
SAMPLES_PER_POINT_DAY = 100


def estimated_samples(points_count: int, wanted: Range) -> int:
    """
    Return points x days x 100, rounded to the nearest integer.

    Exact at any size; a half is rounded up, as JavaScript's Math.round does, because clients
    forecast the route with it.
    """
    twice = 2 * points_count * wanted.duration_ms * SAMPLES_PER_POINT_DAY
    return (twice + DAY_MS) // (2 * DAY_MS)


def choose_route(
    estimate: int, override: Route | None, small_threshold: int, large_threshold: int
) -> Route:
    """
    Return the route for a request of this many estimated samples.

    Args:
        override: What the request asks for; taken as it is.
        small_threshold: From this many on, a request is cached.
        large_threshold: Above this many, it is queued.
    """
    if override is not None:
        return override
    if estimate < small_threshold:
        return "direct"
    return "cached" if estimate <= large_threshold else "queued"
