"""Which way is cheaper, in how many requests, and which calls that makes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range
from building_vitals.upstream.ace.planning import (
    ANSWER_SAMPLES,
    FILTER_NAMES,
    SiteCosts,
    Way,
    of_whole_site,
    point_calls,
)
from building_vitals.upstream.ace.settings import CALLS, CallsVar
from building_vitals.upstream.profile import SiteProfile

LARGE = SiteProfile(points=2_174)
SMALL = SiteProfile(points=400)
HEEDED = SiteProfile(points=400, is_filter_heeded=True)
COUNTS = st.integers(1, 600)
DURATIONS = st.integers(1, 40 * DAY_MS)
PROFILES = st.builds(
    SiteProfile,
    points=st.sampled_from([0, 1, 50, 400, 7_327]),
    samples_per_day=st.sampled_from([0.0, 0.5, 100_000.0, 6_500_000.0]),
    point_samples_per_day=st.sampled_from([0.0, 0.1, 288.0, 86_400.0]),
    page_size=st.sampled_from([0, 500, 10_000, 100_000]),
    names_max=st.sampled_from([0, 10, 50]),
    is_filter_heeded=st.sampled_from([None, False, True]),
    is_same=st.sampled_from([None, False, True]),
)


def costs(profile: SiteProfile, calls: CallsVar = "auto", *, page_size: int = 50_000) -> SiteCosts:
    """Return the costs of a site for what nobody waits for."""
    return SiteCosts(profile, calls, page_size, is_awaited=False)


@pytest.mark.parametrize(
    ("profile", "points_count", "days", "way", "requests"),
    [
        pytest.param(LARGE, 1, 1, "points", 1, id="a day's chart of a large site"),
        pytest.param(LARGE, 20, 30, "points", 4, id="a month's chart of a large site"),
        pytest.param(LARGE, 2_174, 1, "site", 13, id="a day of a large site"),
        pytest.param(SMALL, 400, 4, "site", 10, id="all of a site, no cheaper by point"),
        pytest.param(SMALL, 200, 4, "points", 5, id="half of a site, cheaper by point"),
        pytest.param(SMALL, 270, 4, "points", 7, id="groups that fill their calls"),
        pytest.param(SiteProfile(), 100, 1, "points", 1, id="a site of unknown size"),
        pytest.param(SiteProfile(points=3), 2, 1, "site", 1, id="a good part, at the same price"),
        pytest.param(SiteProfile(points=3), 1, 1, "points", 1, id="a small part"),
        pytest.param(HEEDED, 1, 1, "filter", 1, id="a filter, at the same price"),
        pytest.param(HEEDED, 31, 1, "points", 1, id="too many names for one filter"),
        pytest.param(
            SiteProfile(is_filter_heeded=True, is_same=False),
            *(31, 1, "filter", 2),
            id="a filter, as calls by point do not give the same",
        ),
        pytest.param(
            SiteProfile(points=400, is_filter_heeded=False), 1, 1, "points", 1, id="none heeded"
        ),
        pytest.param(SiteProfile(samples_per_day=6.5e6), 100, 1, "points", 1, id="a site's rate"),
        pytest.param(
            SiteProfile(points=100, samples_per_day=1.44e5, names_max=10),
            *(100, 1, "site", 3),
            id="pages, where calls take few names",
        ),
        pytest.param(
            SiteProfile(points=2_174, page_size=10_000), 2_174, 1, "points", 22, id="small pages"
        ),
    ],
)
def test_the_cheaper_way(
    profile: SiteProfile, points_count: int, days: float, way: Way, requests: int
) -> None:
    """Requests count first; a good part of a site comes by pages at the same price."""
    found = costs(profile)
    duration_ms = round(days * DAY_MS)

    assert (way, requests) == (
        found.way(points_count, duration_ms),
        found.requests(points_count, duration_ms),
    )
    assert (way == "site") is found.takes_site(points_count, duration_ms)
    assert (points_count >= profile.points > 0) is found.is_all_of_site(points_count)


@pytest.mark.parametrize(
    ("points_count", "days", "way", "requests"),
    [
        pytest.param(400, 4, "points", 10, id="as many calls, four at a time"),
        pytest.param(400, 1, "points", 4, id="more calls, which take less time"),
        pytest.param(400, 1 / 12, "site", 1, id="one page, one round of calls"),
    ],
)
def test_where_somebody_waits_time_counts(
    points_count: int, days: float, way: Way, requests: int
) -> None:
    """Calls by point go side by side, pages of a site one after the other."""
    found = SiteCosts(SMALL, "auto", 50_000)
    duration_ms = int(days * DAY_MS)

    assert way == found.way(points_count, duration_ms)
    assert requests == found.requests(points_count, duration_ms)


@pytest.mark.parametrize(
    ("calls", "profile", "way", "requests"),
    [
        ("points", SMALL, "points", 10),
        ("points", HEEDED, "points", 10),
        ("site", LARGE, "site", 51),
        ("site", SiteProfile(), "site", 1),
        ("site", HEEDED, "filter", 14),
    ],
)
def test_the_operator_decides(
    calls: CallsVar, profile: SiteProfile, way: Way, requests: int
) -> None:
    """By hand, the way is what the var says; a filter belongs to pages."""
    found = costs(profile, calls)

    assert (way, requests) == (found.way(400, 4 * DAY_MS), found.requests(400, 4 * DAY_MS))


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (SiteProfile(), 288.0),
        (SiteProfile(samples_per_day=1_000.0), 288.0),
        (SiteProfile(samples_per_day=1_000.0, points=10), 100.0),
        (SiteProfile(samples_per_day=1_000.0, points=10, point_samples_per_day=7.0), 7.0),
    ],
)
def test_rate_of_a_point(profile: SiteProfile, expected: float) -> None:
    """As seen of points, else of the site, else 5-minute data."""
    assert expected == costs(profile).samples_per_day


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (SiteProfile(), 50_000),
        (SiteProfile(page_size=5_000), 5_000),
        (SiteProfile(page_size=100_000), 50_000),
    ],
)
def test_pages_are_as_large_as_they_come_through(profile: SiteProfile, expected: int) -> None:
    """What was learned makes pages smaller than configured, never larger."""
    assert expected == costs(profile).page_samples


@given(PROFILES, st.sampled_from(CALLS), COUNTS, DURATIONS)
def test_no_way_takes_more_requests_than_the_naive_one(
    profile: SiteProfile, calls: CallsVar, points_count: int, duration_ms: int
) -> None:
    """
    By point, names are at worst divided into full groups; left to itself, the client takes no more
    requests than either naive way, but where a filter gives what calls by point do not.
    """
    found = costs(profile, calls)
    requests = found.requests(points_count, duration_ms)
    samples = points_count * duration_ms / DAY_MS * found.samples_per_day
    groups = -(-points_count // found.names_max)
    in_group = min(points_count, found.names_max)
    a_group = in_group * duration_ms / DAY_MS * found.samples_per_day
    by_point = groups * max(1, -int(-a_group // ANSWER_SAMPLES))
    site_rate = found.site_samples_per_day
    filters = -(-points_count // FILTER_NAMES)

    assert requests >= 1
    if found.way(points_count, duration_ms) == "points":
        assert requests >= samples / ANSWER_SAMPLES
    is_better = profile.is_filter_heeded is True and profile.is_same is False
    if calls == "points" or (calls == "auto" and not is_better):
        assert requests <= by_point
    if calls == "auto" and not profile.is_filter_heeded and site_rate is not None:
        pages = max(1, -int(-site_rate * duration_ms / DAY_MS // found.page_samples))
        assert requests <= pages
    if calls == "site" and profile.is_filter_heeded:
        assert requests >= filters


@given(PROFILES, COUNTS, DURATIONS)
def test_calls_by_point_cover_names_and_range_once(
    profile: SiteProfile, points_count: int, duration_ms: int
) -> None:
    """Each name is in one group of an allowed size, whose ranges are the range, in order."""
    found = costs(profile, "points")
    names = [f"p{number}" for number in range(points_count)]
    time_range = Range(1_000, 1_000 + duration_ms)
    groups = point_calls(found, names, time_range)

    assert names == [name for group, _ in groups for name in group]
    assert all(0 < len(group) <= found.names_max for group, _ in groups)
    for _, parts in groups:
        assert time_range == Range(parts[0].start_ms, parts[-1].end_ms)
        assert all(one.end_ms == other.start_ms for one, other in pairwise(parts))
    assert sum(len(parts) for _, parts in groups) <= found.requests(points_count, duration_ms)


def test_answers_by_point_are_about_a_page() -> None:
    """No call is expected to bring more than an answer may be."""
    found = costs(SiteProfile(point_samples_per_day=1_440.0))
    for group, parts in point_calls(found, [f"p{n}" for n in range(250)], Range(0, 7 * DAY_MS)):
        for part in parts:
            assert len(group) * part.duration_ms * 1_440 / DAY_MS <= ANSWER_SAMPLES * 1.001


def test_one_more_group_saves_calls() -> None:
    """Groups that fill their calls badly cost one more each: smaller ones are tried."""
    groups, calls = costs(SMALL).division(400, 4 * DAY_MS)

    assert (5, 10) == (groups, calls)
    assert 12 == 4 * costs(SMALL).parts(100, 4 * DAY_MS)
    assert (1, 1) == costs(SMALL).division(0, HOUR_MS)


def test_pages_of_a_day() -> None:
    """By the site's rate, or by its points while nobody has seen that; by the size that comes."""
    assert None is costs(SiteProfile()).pages_per_day
    assert 2_174 * 288 / 50_000 == costs(LARGE).pages_per_day
    seen = SiteProfile(points=9, samples_per_day=500_000.0, page_size=10_000)
    assert 50 == costs(seen).pages_per_day


@given(PROFILES, COUNTS, DURATIONS, st.sampled_from(CALLS))
def test_of_a_whole_site_nothing_but_pages_is_asked_for(
    profile: SiteProfile, count: int, duration_ms: int, calls: CallsVar
) -> None:
    """Whatever is known, and whatever the operator says of other fetches."""
    whole = of_whole_site(costs(profile, calls))
    assert "site" == whole.way(count, duration_ms) == whole.way(count, duration_ms, "pages")
