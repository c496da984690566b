"""The rule of thumb for the size of a request."""

from __future__ import annotations

import pytest

from building_vitals.cache.estimates import (
    estimated_gaps,
    estimated_samples,
    fetch_cost,
    longest_that_fits,
    missing_samples,
)
from building_vitals.cache.segments import Segment
from building_vitals.instants import DAY_MS, HOUR_MS
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


def test_gaps_are_estimated_by_the_same_rule() -> None:
    """The times of all gaps together, rounded once."""
    half = Range(0, 432_000)
    assert 2 == missing_samples({"a": [half, half], "b": [half], "c": [half]})
    assert 0 == missing_samples({})


def segment(point: str, duration_ms: int, count: int) -> Segment:
    """Return a segment of so many samples."""
    return Segment(point, 0, duration_ms, 0, "key", "tag", 0, 1, 1, count, 0, 0, 0)


def test_gaps_have_as_many_samples_as_what_is_kept_beside_them() -> None:
    """Each point by its own rate; by the rule of thumb where it was seen too briefly, or silent."""
    day, kept = Range(0, DAY_MS), [segment("a", DAY_MS, 1440), segment("a", DAY_MS, 480)]
    kept += [segment("silent", DAY_MS, 0), segment("brief", HOUR_MS - 1, 60)]
    for point, expected in (("a", 960), ("silent", 100), ("brief", 100), ("new", 100)):
        assert expected == estimated_gaps({point: [day]}, kept)
    four = {point: [day, day] for point in ("a", "silent", "brief", "new")}
    assert 2 * (960 + 300) == estimated_gaps(four, kept)
    assert (0, 1) == (estimated_gaps({}, kept), estimated_gaps({"new": [Range(0, 1)]}, kept))


@pytest.mark.parametrize(
    ("points_ms", "samples_per_day", "expected"),
    [([DAY_MS, DAY_MS], 1440.0, 2880), ([1000] * 5000, 288.0, 500_000), ([], 288.0, 0)],
)
def test_a_point_costs_something_however_short_its_range(
    points_ms: list[int], samples_per_day: float, expected: int
) -> None:
    """By the rate of the site, and at least 100 samples a point."""
    assert expected == fetch_cost(points_ms, samples_per_day)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (1, "1,000 days"),
        (500, "2 days"),
        (501, "47 hours"),
        (5000, "4 hours"),
        (50_000, "28 minutes"),
    ],
)
def test_what_fits_is_told_in_words(points: int, expected: str) -> None:
    """The longest range whose estimate is within the limit, rounded down."""
    assert expected == longest_that_fits(points, 100_000)
