"""Routes by the whole size, then by what is missing."""

from __future__ import annotations

import pytest

from building_vitals.answers.question import Route, TimeseriesRequest
from building_vitals.answers.routing import (
    LargeGaps,
    RoutingOptions,
    choose_route,
    need_of,
    needs_job,
)
from building_vitals.cache.need import ROLLUPS_ALONE
from building_vitals.cache.zooming import level_samples
from building_vitals.ranges import Range


@pytest.mark.parametrize(
    ("estimate", "expected"), [(0, "direct"), (999, "direct"), (1000, "cached"), (10**9, "cached")]
)
def test_small_requests_are_direct(estimate: int, expected: Route) -> None:
    """Below the small threshold direct; of others, what is missing decides later."""
    assert expected == choose_route(estimate, None, 1000)


@pytest.mark.parametrize("override", ["direct", "cached", "queued"])
def test_override_wins(override: Route) -> None:
    """What a request asks for is taken, whatever its size."""
    assert override == choose_route(10**9, override, 1000)
    assert override == choose_route(0, override, 1000)


@pytest.mark.parametrize(
    ("missing", "override", "expected"),
    [
        *((0, None, False), (100_000, None, False), (100_001, None, True)),
        (10**9, "cached", False),
    ],
)
def test_much_that_is_missing_is_a_job(
    missing: int, override: Route | None, *, expected: bool
) -> None:
    """Above the large threshold, unless the route was asked for by name."""
    assert expected == needs_job(missing, override, 100_000)


def test_what_needs_a_job_says_how_much() -> None:
    """For the statistics, and for who reads a log."""
    assert ("7 samples are not known", 7) == (str(LargeGaps(7)), LargeGaps(7).missing)


def test_a_need_is_what_a_request_asks_for() -> None:
    """Its own time-out comes before the usual one; for a few samples levels are looked up."""
    options = RoutingOptions(
        small_threshold=1_000, large_threshold=9_000, direct_timeout=700, cache_timeout=50
    )
    plain = need_of(TimeseriesRequest("hq", ("a",), Range(0, 10)), options, 100)
    assert ("hq", ("a",), Range(0, 10), 100, 800, None, 0) == (
        plain.site,
        plain.points,
        plain.time_range,
        plain.now_ms,
        plain.deadline_ms,
        plain.fetched_max,
        plain.level_samples,
    )
    few = TimeseriesRequest(
        "hq", ("a",), Range(0, 10), route="cached", timeout_ms=40, max_points=6_000
    )
    found = need_of(few, options, 100)
    assert (140, 9_000, level_samples(6_000)) == (
        found.deadline_ms,
        found.fetched_max,
        found.level_samples,
    )


def test_rows_of_sums_look_for_rollups() -> None:
    """Other aggregates need samples, and so nothing beside them."""
    for interval, aggregate, expected in (
        ("1d", None, ROLLUPS_ALONE),
        ("1d", "sum,min", 0),
        ("15m", "sum", 0),
    ):
        asked = TimeseriesRequest(
            "hq", ("a",), Range(0, 10), interval=interval, aggregate=aggregate
        )
        assert expected == need_of(asked, RoutingOptions(), 100).level_samples
