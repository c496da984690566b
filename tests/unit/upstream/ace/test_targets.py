"""What is asked of the upstream: paths, filters, bodies, parts of a range."""

from __future__ import annotations

import json
from itertools import pairwise
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.errors import UpstreamSiteUnknown
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.upstream.ace.targets import (
    filter_length_max,
    filters_of,
    fits_filter,
    list_target,
    pages_target,
    points_target,
    site_path,
    split_evenly,
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


def test_addresses_stay_within_their_limit() -> None:
    """With the longest filter and a long cursor, an address still keeps its limit."""
    base_url = "https://upstream.example/api"
    length = filter_length_max("hq", JANUARY, base_url=base_url, page_size=50_000, url_max=7_000)
    target = pages_target("hq", "n" * length, JANUARY, page_size=50_000, cursor="c" * 600)

    assert len(target.url(base_url)) == 7_000


@given(st.integers(1, 10**6), st.integers(1, 50))
def test_parts_of_a_range_are_the_range(duration_ms: int, count: int) -> None:
    """Parts are neighbours, not empty, about equally long, and together the range."""
    time_range = Range(NEW_YEAR_MS, NEW_YEAR_MS + duration_ms)
    parts = split_evenly(time_range, count)
    lengths = [part.duration_ms for part in parts]

    assert time_range == Range(parts[0].start_ms, parts[-1].end_ms)
    assert all(a.end_ms == b.start_ms for a, b in pairwise(parts))
    assert len(parts) == min(count, duration_ms)
    assert max(lengths) - min(lengths) <= 1 <= min(lengths)
