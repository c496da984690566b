"""Tests of the routing's rule of thumb."""

from __future__ import annotations

import pytest

from building_vitals.answers.question import Route
from building_vitals.answers.routing import choose_route
from building_vitals.cache.estimates import estimated_samples
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range


@pytest.mark.parametrize(
    ("points", "duration_ms", "expected"),
    [
        (1, DAY_MS, 100),
        (5000, 7305 * DAY_MS, 3_652_500_000),
        (3, DAY_MS // 2, 150),
        (1, 1, 0),
        (1, 431_999, 0),
        (1, 432_000, 1),
        (3, 432_000, 2),
        (5, 432_000, 3),
        (1, 1_296_000, 2),
    ],
)
def test_estimate_rounds_halves_up(points: int, duration_ms: int, expected: int) -> None:
    """Points x days x 100, as Math.round would have it, without any error of floats."""
    assert expected == estimated_samples(points, Range(-5, duration_ms - 5))


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [(0, "direct"), (999, "direct"), (1000, "cached"), (100_000, "cached"), (100_001, "queued")],
)
def test_route_follows_the_thresholds(estimate: int, expected: Route) -> None:
    """Below the small threshold direct, up to the large one cached, above it queued."""
    assert expected == choose_route(estimate, None, 1000, 100_000)


@pytest.mark.parametrize("override", ["direct", "cached", "queued"])
def test_override_wins(override: Route) -> None:
    """What a request asks for is taken, whatever its size."""
    assert override == choose_route(10**9, override, 1000, 100_000)
    assert override == choose_route(0, override, 1000, 100_000)
