"""How many samples a request, or what is missing of it, may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from building_vitals.cache.segments import Segment
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

# A 15-minute point has 96. It decides on routes only; real rates are higher more often than not.
ROUTING_SAMPLES_PER_DAY = 100
# What a point costs at least, however short its range. The upstream takes as long for a call, which
# names 100 points, as for 10,000 samples.
POINT_COST_MIN = 100
# A rate that was seen over less than this is chance.
RATE_DURATION_MIN_MS = HOUR_MS


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


def estimated_gaps(missing: Mapping[str, Sequence[Range]], segments: Iterable[Segment]) -> int:
    """
    Return the samples that the gaps of points probably have; 0 only where there are none.

    A point of which some is kept, expired or not, has as many as there; of others the rule of thumb
    tells. So the index alone decides, and every isolate reckons the same.

    Args:
        missing: The gaps.
        segments: All that the index has of the points.
    """
    if not missing:
        return 0
    rates = _seen_rates(segment for segment in segments if segment.point in missing)
    usual_ms, seen = 0, 0.0
    for point, ranges in missing.items():
        gap_ms = sum(each.duration_ms for each in ranges)
        if point in rates:
            seen += rates[point] * gap_ms
        else:
            usual_ms += gap_ms
    return max(1, estimated_samples(1, Range(0, usual_ms)) + round(seen))


def _seen_rates(segments: Iterable[Segment]) -> dict[str, float]:
    """Return samples per millisecond of each point that has been seen for long enough."""
    seen: dict[str, tuple[int, int]] = {}
    for each in segments:
        count, duration_ms = seen.get(each.point, (0, 0))
        seen[each.point] = count + each.count, duration_ms + each.range.duration_ms
    return {
        point: count / duration_ms
        for point, (count, duration_ms) in seen.items()
        # A silent point may have been loud before.
        if count and duration_ms >= RATE_DURATION_MIN_MS
    }


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
