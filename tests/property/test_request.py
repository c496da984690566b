"""Nothing that a stranger sends gets past the readers: it is a request, or an AppError."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.api import parameters as p
from building_vitals.api.problem import problem_document
from building_vitals.api.requests import (
    parse_body,
    parse_cache_purge_query,
    parse_query,
    parse_site,
    parse_values,
)
from building_vitals.api.routes import ENDPOINTS
from building_vitals.errors import AppError, InvalidRequest
from building_vitals.instants import INSTANT_MAX_MS, INSTANT_MIN_MS, NUMBER_MIN_MS, format_instant
from building_vitals.jobs.submission import canonical_request
from building_vitals.names import SITE_PATTERN
from building_vitals.ranges import Range

TIMEOUT_MS_MAX = 30_000
GET, POST = (each for each in ENDPOINTS if each.path == "/api/timeseries")
PURGE = next(each for each in ENDPOINTS if each.operation_id == "purgeCache")
# The endpoints whose handlers read every parameter of the row at once.
PAGED = [each for each in ENDPOINTS if each.query and each not in (GET, PURGE)]
SITES = st.from_regex(SITE_PATTERN, fullmatch=True)
POINT_CHARACTERS = st.characters(exclude_categories=["Cc", "Cs"])
POINTS = st.lists(
    st.text(POINT_CHARACTERS, min_size=1, max_size=40)
    | st.sampled_from(["constructor", "__proto__", "a,b", " a ", "%41", "+", "&=#", "🔥"]),
    min_size=1,
    max_size=8,
)
RANGES = st.builds(
    lambda start_ms, duration_ms: Range(start_ms, start_ms + duration_ms),
    st.integers(INSTANT_MIN_MS, INSTANT_MAX_MS - p.RANGE_MS_MAX),
    st.integers(1, p.RANGE_MS_MAX),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "route": st.sampled_from(p.ROUTE.choices),
        "format": st.sampled_from(p.FORMAT.choices),
        "priority": st.sampled_from(p.PRIORITIES),
        "timeout": st.integers(1, TIMEOUT_MS_MAX),
        "max_points": st.integers(2, 100_000),
        "user_id": st.text(POINT_CHARACTERS, min_size=1, max_size=20),
    },
)
NOW_MS = 1_790_812_800_999
KEYS = st.sampled_from(
    [
        "site",
        "points",
        "point",
        "start_time",
        "end_time",
        "route",
        "format",
        "timeout",
        "limit",
        "max_points",
        "user_id",
        "cursor",
        "prefix",
        "priority",
        "%73ite",
        "constructor",
    ]
)
FRAGMENTS = st.sampled_from(
    ["2025-01-01T00:00:00Z", "2025-01-01T00:00:00 02:00", "9" * 400, "..", "\ud800", "\n"]
) | st.sampled_from(["%", "%0", "%00", "%ff", "%ed%a0%80", "+", "&", "=", ",", ";", "1", "a", "é"])
VALUES = st.lists(FRAGMENTS | st.text(max_size=5), max_size=4).map("".join)
QUERIES = st.text(max_size=60) | st.lists(st.tuples(KEYS, VALUES).map("=".join), max_size=12).map(
    "&".join
)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=10)
    | st.sampled_from(["2025-01-01", "a", "json", "queued"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
BODIES = st.binary(max_size=80) | (
    JSON_VALUES | st.dictionaries(KEYS, JSON_VALUES, max_size=8)
).map(lambda value: json.dumps(value).encode())


def assert_valid(request: TimeseriesRequest) -> None:
    """Check all that the services rely on."""
    assert p.SITE.read_text(request.site)
    assert 1 <= len(request.points) == len(set(request.points)) <= p.POINTS_MAX
    assert all(p.POINT.read_text(point) for point in request.points)
    assert 0 < request.time_range.duration_ms <= p.RANGE_MS_MAX
    assert request.route in (None, *p.ROUTE.choices)
    assert request.format in (None, *p.FORMAT.choices)
    assert request.priority in p.PRIORITIES
    assert request.timeout_ms is None or 1 <= request.timeout_ms <= TIMEOUT_MS_MAX
    assert request.max_points is None or 2 <= request.max_points <= 100_000
    assert canonical_request(request)


def assert_answerable(error: AppError) -> None:
    """Check that a refusal can be sent, and says what is wrong in printable text."""
    msgspec.json.encode(problem_document(error, "r"))
    assert error.status in (400, 413)
    if isinstance(error, InvalidRequest):
        assert error.problems
        assert all(problem.message.isprintable() for problem in error.problems)


@given(QUERIES)
def test_any_query_is_a_request_or_refused(query: str) -> None:
    """No query makes the reader fail otherwise."""
    try:
        assert_valid(parse_query(query, GET.query, timeout_ms_max=TIMEOUT_MS_MAX, now_ms=NOW_MS))
    except AppError as error:
        assert_answerable(error)


@given(BODIES, st.none() | st.just("application/json") | st.text(max_size=30))
def test_any_body_is_a_request_or_refused(body: bytes, content_type: str | None) -> None:
    """No body makes the reader fail otherwise."""
    try:
        assert_valid(
            parse_body(body, content_type, POST.body, timeout_ms_max=TIMEOUT_MS_MAX, now_ms=NOW_MS)
        )
    except AppError as error:
        assert_answerable(error)


@given(QUERIES)
def test_any_query_of_the_other_paths_is_read_or_refused(query: str) -> None:
    """The other readers fail no otherwise either."""
    readers = (
        lambda text: parse_cache_purge_query(text, PURGE.query, NOW_MS),
        parse_site,
        *(lambda text, query=each.query: parse_values(text, query) for each in PAGED),
    )
    for reader in readers:
        try:
            assert reader(query)
        except AppError as error:
            assert_answerable(error)


@given(SITES, POINTS, RANGES, OPTIONS, st.data())
def test_what_is_asked_is_what_is_read(
    site: str, points: list[str], time_range: Range, options: dict[str, Any], data: st.DataObject
) -> None:
    """A request survives the way through a query and through a body, unchanged."""
    times = [
        format_instant(each) if each < NUMBER_MIN_MS or data.draw(st.booleans()) else each
        for each in time_range
    ]
    document = {"site": site, "start_time": times[0], "end_time": times[1], **options}
    expected = TimeseriesRequest(
        site=site,
        points=tuple(dict.fromkeys(points)),
        time_range=time_range,
        route=options.get("route"),
        format=options.get("format"),
        priority=options.get("priority", "normal"),
        timeout_ms=options.get("timeout"),
        max_points=options.get("max_points"),
        wait_s=options.get("wait"),
        user_id=options.get("user_id"),
        layout=options.get("layout"),
    )
    pairs = [*document.items(), *(("point", point) for point in points)]
    query = urlencode(pairs) if data.draw(st.booleans()) else urlencode(pairs, quote_via=quote)
    body = json.dumps(document | {"points": points}).encode()
    assert expected == parse_query(query, GET.query, timeout_ms_max=TIMEOUT_MS_MAX)
    assert expected == parse_body(
        body, "application/json", POST.body, timeout_ms_max=TIMEOUT_MS_MAX, now_ms=NOW_MS
    )
