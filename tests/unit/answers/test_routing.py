"""The routing's rule of thumb."""

from __future__ import annotations

import pytest

from building_vitals.answers.question import Route
from building_vitals.answers.routing import choose_route


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
