"""Which upstream queries close the gaps."""

from __future__ import annotations

import pytest

from builders import FRESHNESS, spans, stored
from building_vitals.cache.coverage import covers, gaps_of
from building_vitals.cache.fetch_plan import UpstreamQuery, plan_fetches
from building_vitals.cache.segments import Segment
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.profile import SiteProfile
from fakes.costs import SteadyCosts

# FRESHNESS: settled from an age of 2,000; kept 24,000, or 1,000 if provisional, and 5,000 more.
NOW = 100_000
TWENTY = tuple(f"p{number}" for number in range(20))


def segments(*known: str, fetched_ms: int = NOW, point: str = "p") -> list[Segment]:
    """Return segments of a point."""
    return [stored(each, point=point, fetched_ms=fetched_ms).segment for each in known]


def plan(missing: dict[str, str], *, page_size: int = 1000) -> list[str]:
    """Return the fetches of a plan as text; time in days, 288 samples each."""
    days = {
        point: [Range(each.start_ms * DAY_MS, each.end_ms * DAY_MS) for each in spans(text)]
        for point, text in missing.items()
    }
    return sorted(
        f"{','.join(each.points)} "
        f"{each.time_range.start_ms / DAY_MS:g}-{each.time_range.end_ms / DAY_MS:g}"
        for each in plan_fetches(days, SteadyCosts(page_size))
    )


@pytest.mark.parametrize(
    ("missing", "page_size", "expected"),
    [
        pytest.param({}, 1000, [], id="nothing"),
        pytest.param({"a": "0-1"}, 1000, ["a 0-1"], id="one gap"),
        pytest.param(dict.fromkeys("abc", "0-9"), 1000, ["a,b,c 0-9"], id="the same gap of all"),
        pytest.param({"a": "0-9", "b": "9-18"}, 100, ["a 0-9", "b 9-18"], id="nothing in common"),
        pytest.param({"a": "0-3 3-6"}, 10_000, ["a 0-6"], id="gaps that meet"),
        pytest.param({"a": "0-49 50-99"}, 99_999, ["a 0-99"], id="a hole worth less than a page"),
        pytest.param({"a": "0-2 4-6"}, 99_999, ["a 0-2", "a 4-6"], id="a hole too large"),
        pytest.param({"a": "0-49 50-99"}, 288, ["a 0-49", "a 50-99"], id="no page saved"),
        pytest.param({"a": "0-100", "b": "1-100"}, 99_999, ["a,b 0-100"], id="nearly the same gap"),
        pytest.param(
            {"a": "0-90", "b": "40-50"}, 99_999, ["a 0-90", "b 40-50"], id="a gap within another"
        ),
        pytest.param(
            {"a": "0-60", "b": "30-90"}, 99_999, ["a 0-60", "b 30-90"], id="gaps half in common"
        ),
    ],
)
def test_fetches(missing: dict[str, str], page_size: int, expected: list[str]) -> None:
    """Fetches take few pages first and few needless samples then."""
    assert expected == plan(missing, page_size=page_size)


def test_one_more_point_is_one_fetch_for_it() -> None:
    """A point added to a chart of 20 is all that is fetched."""
    held = [segment for point in TWENTY for segment in segments("0-90", point=point)]
    found = covers([*TWENTY, "new"], held, Range(0, 90), freshness=FRESHNESS, now_ms=NOW)

    assert [UpstreamQuery(("new",), Range(0, 90))] == plan_fetches(
        gaps_of(found), SteadyCosts(1000)
    )


def test_a_slid_range_is_one_fetch_of_the_new_part() -> None:
    """A chart of 20 points that slides on fetches the new part of all of them at once."""
    held = [segment for point in TWENTY for segment in segments("0-90", point=point)]
    found = covers(TWENTY, held, Range(10, 95), freshness=FRESHNESS, now_ms=NOW)
    fetches = plan_fetches(gaps_of(found), SteadyCosts(1000))

    assert [UpstreamQuery(TWENTY, Range(90, 95))] == fetches


def test_many_nested_gaps_cost_no_more_than_alone() -> None:
    """
    Also where there are too many stretches to join them, no more pages are needed than for the
    gaps one by one.
    """
    missing = {f"p{i}": [Range(i * DAY_MS, (200 - i) * DAY_MS)] for i in range(50)}

    assert len(plan_fetches(missing, SteadyCosts(1_000_000))) <= 50


CHARTS = SiteCosts(SiteProfile(points=2_174), "auto", 50_000)
MINUTES = SiteCosts(SiteProfile(points=2_174, point_samples_per_day=1_440.0), "auto", 50_000)


def holes(count: int, *, gap_ms: int, hole_ms: int) -> list[Range]:
    """Return gaps with known stretches between them."""
    step_ms = gap_ms + hole_ms
    return [Range(n * step_ms, n * step_ms + gap_ms) for n in range(count)]


def test_many_small_gaps_of_a_chart_are_one_request() -> None:
    """50 hours missing between known hours: a request takes seconds, whatever it brings."""
    gaps = holes(50, gap_ms=HOUR_MS, hole_ms=HOUR_MS)

    assert [UpstreamQuery(("p",), Range(0, 99 * HOUR_MS))] == plan_fetches({"p": gaps}, CHARTS)


@pytest.mark.parametrize(
    ("points_count", "costs", "hole_ms", "requests"),
    [
        pytest.param(1, CHARTS, 6 * HOUR_MS, 1, id="six hours of a point"),
        pytest.param(1, CHARTS, 6 * HOUR_MS + 1, 6, id="more than six hours"),
        pytest.param(1, CHARTS, DAY_MS, 6, id="a day"),
        pytest.param(50, CHARTS, 6 * HOUR_MS, 1, id="few samples of many points"),
        pytest.param(50, MINUTES, 6 * HOUR_MS, 6, id="too many samples"),
        pytest.param(100, CHARTS, 6 * HOUR_MS, 6, id="too many points"),
        pytest.param(50, MINUTES, HOUR_MS, 1, id="a short hole of many points"),
    ],
)
def test_what_is_known_between_gaps_is_fetched_again_where_it_is_little(
    points_count: int, costs: SiteCosts, hole_ms: int, requests: int
) -> None:
    """As short as six hours, and no more than 5,000 samples of all points together."""
    gaps = holes(6, gap_ms=HOUR_MS, hole_ms=hole_ms)
    fetches = plan_fetches({f"p{n}": gaps for n in range(points_count)}, costs)

    assert requests == len(fetches)


def test_what_is_known_is_not_fetched_again_to_save_no_time() -> None:
    """As many requests as run side by side take no longer than one."""
    gaps = {n: holes(n, gap_ms=HOUR_MS, hole_ms=HOUR_MS) for n in (4, 5)}

    assert 4 == len(plan_fetches({"p": gaps[4]}, CHARTS))
    assert 1 == len(plan_fetches({"p": gaps[5]}, CHARTS))


def test_gaps_that_save_no_request_stay_apart() -> None:
    """Two full answers with a small hole between them are two anyway."""
    costs = SteadyCosts(288)
    gaps = [Range(0, DAY_MS), Range(DAY_MS + HOUR_MS, 2 * DAY_MS + HOUR_MS)]

    assert gaps == [each.time_range for each in plan_fetches({"p": gaps}, costs)]


def test_points_with_other_gaps_are_joined_by_their_own() -> None:
    """Each point's small gaps become one; the points then are as few fetches as before."""
    odd = holes(10, gap_ms=HOUR_MS, hole_ms=HOUR_MS)
    even = [Range(each.start_ms + HOUR_MS, each.end_ms + HOUR_MS) for each in odd]
    fetches = plan_fetches({"p": odd, "q": even}, CHARTS)

    assert len(fetches) <= 2
    assert {"p", "q"} == {point for each in fetches for point in each.points}
