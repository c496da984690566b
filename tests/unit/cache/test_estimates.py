"""The rule of thumb for the size of a request."""

from __future__ import annotations

import pytest

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
