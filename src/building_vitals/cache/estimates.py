"""How many samples a request may have, by a rule of thumb."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

# A 15-minute point has 96. It decides on routes only; real rates are higher more often than not.
ROUTING_SAMPLES_PER_DAY = 100
# What a point costs at least, however short its range. The upstream takes as long for a call, which
# names 100 points, as for 10,000 samples.
POINT_COST_MIN = 100


def estimated_samples(points_count: int, time_range: Range) -> int:
    """
    Return points x days x 100, rounded to the nearest integer.

    Exact at any size; a half is rounded up, as JavaScript's Math.round does, because clients
    forecast the route with it.
    """
    twice = 2 * points_count * time_range.duration_ms * ROUTING_SAMPLES_PER_DAY
    return (twice + DAY_MS) // (2 * DAY_MS)


def missing_samples(missing: Mapping[str, Sequence[Range]]) -> int:
    """Return the estimate, by the same rule, of the gaps of points."""
    missing_ms = sum(each.duration_ms for ranges in missing.values() for each in ranges)
    return estimated_samples(1, Range(0, missing_ms))


def fetch_cost(points_ms: Iterable[int], samples_per_day: float) -> int:
    """
    Return what a fetch counts for, in samples.

    Args:
        points_ms: Of each point, how long a range is fetched.
        samples_per_day: Of one point, as far as it is known.
    """
    rate = samples_per_day / DAY_MS
    return round(sum(max(POINT_COST_MIN, rate * each) for each in points_ms))


def longest_that_fits(points_count: int, samples_max: int) -> str:
    """Return how long a range of some points fits a limit of estimated samples: `20 days`."""
    longest_ms = samples_max * DAY_MS // (ROUTING_SAMPLES_PER_DAY * max(1, points_count))
    for unit, unit_ms in (("days", DAY_MS), ("hours", HOUR_MS)):
        if longest_ms >= 2 * unit_ms:
            return f"{longest_ms // unit_ms:,} {unit}"
    return f"{longest_ms // MINUTE_MS:,} minutes"
