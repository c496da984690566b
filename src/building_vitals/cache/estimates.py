"""How many samples a request may have, by a rule of thumb."""

from __future__ import annotations

from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range

# A 15-minute point has 96. It decides on routes only; real rates are higher more often than not.
ROUTING_SAMPLES_PER_DAY = 100


def estimated_samples(points_count: int, time_range: Range) -> int:
    """
    Return points x days x 100, rounded to the nearest integer.

    Exact at any size; a half is rounded up, as JavaScript's Math.round does, because clients
    forecast the route with it.
    """
    twice = 2 * points_count * time_range.duration_ms * ROUTING_SAMPLES_PER_DAY
    return (twice + DAY_MS) // (2 * DAY_MS)
