"""What is asked of the upstream: paths, filters, bodies, parts of a range."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.errors import UpstreamSiteUnknown
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.upstream.ace.targets import (
    SITES_PATH,
    Target,
    filter_length_max,
    filters_of,
    fits_filter,
    list_target,
    pages_target,
    points_target,
    site_path,
    site_target,
)

JANUARY = Range(1_735_689_600_000, 1_735_689_600_000 + 31 * DAY_MS)
NEW_YEAR_MS = JANUARY.start_ms


@pytest.mark.parametrize("site", ["", ".", ".."])
def test_site_names_that_walk_up_are_unknown(site: str) -> None:
    """No address is made from a name that addresses resolve to another path."""
    with pytest.raises(UpstreamSiteUnknown):
        site_path(site)


@pytest.mark.parametrize("site", ["a", "a.b", "../a", "a/b", "%2e%2e", "a?b#c", "..\\..", "é"])
def test_site_is_one_segment_of_the_path(site: str) -> None:
    """Whatever a site is called, it stays one segment, and is the same once decoded."""
    path = site_path(site)

    assert path.startswith("/sites/")
    assert path.count("/") == 2
    assert "\\" not in path
    assert site == unquote(urlsplit(f"https://x{path}").path.removeprefix("/sites/"))


def test_question_for_a_page() -> None:
    """
    A page is asked for raw, from a second earlier as the start may be left out, by instants with
    milliseconds, and by filter and cursor where given.
    """
    time_range = Range(NEW_YEAR_MS, NEW_YEAR_MS + 1)
    first = pages_target("hq", "a/b,c%20d", time_range, page_size=10, cursor=None)
    later = pages_target("hq", None, time_range, page_size=10, cursor="x&y=")

    assert first.url("https://u/api/") == (
        "https://u/api/sites/hq/timeseries/paginated"
        "?start_time=2024-12-31T23:59:59.000Z&end_time=2025-01-01T00:00:00.001Z"
        "&raw_data=true&page_size=10&point_names=a/b,c%20d"
    )
    assert later.url("https://u/api").endswith("&page_size=10&cursor=x%26y%3D")
    assert list_target("/sites", 2, 50).url("https://u") == "https://u/sites?page=2&per_page=50"


def test_question_for_points_by_body() -> None:
    """Names in a body are sent as they are; such a call does not know raw data."""
    target = points_target(["a,b", 'c"d', "😀"], JANUARY)

    assert target.method == "POST"
    assert target.url("https://u") == (
        "https://u/points/get_timeseries"
        "?start_time=2024-12-31T23:59:59.000Z&end_time=2025-02-01T00:00:00.000Z"
    )
    assert json.loads(target.body or b"") == {
        "points": [{"name": "a,b"}, {"name": 'c"d'}, {"name": "😀"}]
    }


@pytest.mark.parametrize(
    ("point", "expected"),
    [("a", True), ("a b/c.d", True), ("a,b", False), (" a", False), ("a\u00a0", False)],
)
def test_names_that_survive_a_list(point: str, expected: bool) -> None:
    """Names with commas or blanks at their ends can't be told in a comma-separated list."""
    assert expected is fits_filter(point)


@given(st.lists(st.text(min_size=1, max_size=40).filter(fits_filter)), st.integers(1, 200))
def test_filters_hold_every_name_once_within_the_length(names: list[str], length_max: int) -> None:
    """Filters share out all names in order, and only a lone name may exceed the length."""
    names = [name for name in names if name.isprintable()]
    filters = filters_of(names, length_max)

    assert names == [name for _, group in filters for name in group]
    for escaped, group in filters:
        assert group == parse_qs(f"f={escaped}", keep_blank_values=True)["f"][0].split(",")
        assert len(escaped) <= length_max or len(group) == 1


def test_filters_are_as_long_as_they_may_be() -> None:
    """A filter takes another name as long as there is room."""
    assert filters_of(["aa", "bb", "cc"], 5) == [("aa,bb", ["aa", "bb"]), ("cc", ["cc"])]
    assert filters_of([], 5) == []


@pytest.mark.parametrize("base_url", ["https://u.example/api", "https://u/a/b/api/", "https://u"])
@pytest.mark.parametrize("site", ["hq", "é" * 128])
def test_request_lines_stay_within_their_limit(base_url: str, site: str) -> None:
    """With the longest filter and a long cursor, a request line has just the bytes allowed."""
    length = filter_length_max(site, JANUARY, base_url=base_url, page_size=50_000, line_max=4_094)
    target = pages_target(site, "n" * length, JANUARY, page_size=50_000, cursor="c" * 600)
    parts = urlsplit(target.url(base_url))
    line = f"GET {parts.path}?{parts.query} HTTP/1.1"

    assert len(line.encode()) == 4_094
    assert target.line_bytes(base_url) == 4_094


def test_request_lines_of_every_kind_are_counted() -> None:
    """A line without a query has no question mark, and a base path is counted as it is escaped."""
    assert Target("GET", "/sites/hq").line_bytes("https://u/api") == len(
        "GET /api/sites/hq HTTP/1.1"
    )
    assert Target("POST", "/x", "a=1").line_bytes("https://u/é") == len(
        "POST /%C3%A9/x?a=1 HTTP/1.1"
    )


@pytest.mark.parametrize(
    ("target", "site", "has_samples"),
    [
        (site_target("a/b é"), "a/b é", False),
        (list_target(SITES_PATH, 1, 2), None, False),
        (list_target(f"{site_path('hq')}/configured_points", 1, 2), "hq", False),
        (pages_target("hq", None, JANUARY, page_size=10, cursor=None), "hq", True),
        (points_target(["p"], JANUARY), None, True),
        (Target("GET", "/sites/hq/timeseries"), "hq", True),
        (Target("GET", "/points/hq%2Fp/timeseries"), None, True),
    ],
)
def test_targets_know_their_site_and_kind(
    target: Target, site: str | None, has_samples: bool
) -> None:
    """A target tells the site that it asks about, and whether its answer has samples."""
    assert site == target.site
    assert has_samples is target.has_samples
