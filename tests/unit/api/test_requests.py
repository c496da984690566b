"""Tests of how queries become requests, and of all that they are refused for."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.api import admin_parameters as ap
from building_vitals.api import parameters as p
from building_vitals.api.requests import (
    CachePurgeQuery,
    check_query,
    parse_cache_purge_query,
    parse_query,
    parse_site,
    parse_values,
)
from building_vitals.api.routes import ENDPOINTS
from building_vitals.errors import InvalidRequest, TooLarge
from building_vitals.instants import NowNeededError
from building_vitals.jobs.submission import canonical_request, request_hash
from building_vitals.ranges import Range

DAY = Range(1_735_689_600_000, 1_735_776_000_000)
GET = next(each for each in ENDPOINTS if each.operation_id == "getTimeseries")
PURGE = next(each for each in ENDPOINTS if each.operation_id == "purgeCache")
NOW_MS = DAY.end_ms + 999
TIMES = "start_time=2025-01-01T00:00:00Z&end_time=2025-01-02T00:00:00Z"


def query(text: str) -> TimeseriesRequest:
    """Return the request of a query."""
    return parse_query(text, GET.query, timeout_ms_max=30_000, now_ms=NOW_MS)


def fields_of_query(text: str) -> list[str]:
    """Return the fields that a query is refused for, in order."""
    with pytest.raises(InvalidRequest) as caught:
        query(text)
    return [problem.field for problem in caught.value.problems]


def test_query_with_everything() -> None:
    """Every parameter reaches its field."""
    text = (
        f"site=s&points=a&{TIMES}&route=queued&format=csv&priority=high&timeout=500"
        "&max_points=200&user_id=u%201&wait=60&fresh=true"
    )
    assert query(text) == TimeseriesRequest(
        site="s",
        points=("a",),
        time_range=DAY,
        route="queued",
        format="csv",
        priority="high",
        timeout_ms=500,
        max_points=200,
        is_fresh=True,
        wait_s=60,
        user_id="u 1",
    )


def test_query_with_the_least() -> None:
    """What is optional has its default."""
    assert query(f"site=s&points=a&{TIMES}") == TimeseriesRequest("s", ("a",), DAY)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("points=a,b", ("a", "b")),
        ("points=a%2Cb", ("a", "b")),
        ("points=+a+,%20b%20c+", ("a", "b c")),
        ("points=b,a,b,a", ("b", "a")),
        ("point=a%2C%20b&point=+c", ("a, b", " c")),
        ("point=z&points=a,z&point=a", ("a", "z")),
        ("points=a&points=b", ("a", "b")),
        ("points=constructor,__proto__,toString", ("constructor", "__proto__", "toString")),
        ("points=50%,100%25,%zz", ("50%", "100%", "%zz")),
        (f"points={quote('Übertemperatur 🔥')}", ("Übertemperatur 🔥",)),
        ("points=Ü", ("Ü",)),
        ("points=a=b", ("a=b",)),
        ("%70oints=a", ("a",)),
    ],
)
def test_query_names_points(text: str, points: tuple[str, ...]) -> None:
    """`points` is split at commas and stripped of blanks, `point` is taken as it is."""
    assert points == query(f"site=s&{text}&{TIMES}").points


@pytest.mark.parametrize(
    ("text", "time_range"),
    [
        ("start_time=now-1d&end_time=now", DAY),
        ("start_time=now-1d", DAY),
        ("start_time=20250101", DAY),
        ("start_time=now-24h&end_time=20250102", DAY),
        ("start_time=now-1440m", DAY),
        ("start_time=now-86400s", DAY),
        ("start_time=now-1w", Range(DAY.end_ms - 604_800_000, DAY.end_ms)),
        (
            "start_time=now-2h&end_time=now-1h",
            Range(DAY.end_ms - 7_200_000, DAY.end_ms - 3_600_000),
        ),
    ],
)
def test_query_counts_from_the_whole_second_it_came_in(text: str, time_range: Range) -> None:
    """The end is the present if left out; a query that counts from it has no lasting meaning."""
    assert time_range == query(f"site=s&points=a&{text}").time_range
    with pytest.raises(NowNeededError):
        parse_query(f"site=s&points=a&{text}", GET.query, timeout_ms_max=1)


def test_query_reads_offsets_whose_plus_was_not_encoded() -> None:
    """`+02:00` arrives as a blank and is an offset all the same."""
    text = (
        "site=s&points=a&start_time=2025-01-01T02:00:00+02:00&end_time=2025-01-02T00:00:00%2B00:00"
    )
    assert DAY == query(text).time_range


def test_query_ignores_what_begins_with_an_underscore() -> None:
    """A dashboard's cache-buster harms nothing, not even when it is no UTF-8."""
    assert ("a",) == query(f"_=1&_=2&_%ff=%ff&_x&&&site=s&points=a&{TIMES}&").points


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_point", "max_points"),
        ("maxPoints", "max_points"),
        ("MAX_POINTS", "max_points"),
        ("start", "start_time"),
        ("endtime", "end_time"),
        ("points[]", "points"),
        ("usr_id", "user_id"),
        ("fromat", "format"),
        ("wiat", "wait"),
    ],
)
def test_query_names_the_parameter_that_was_meant(name: str, meant: str) -> None:
    """A misspelt parameter is refused, and the nearest known one named."""
    with pytest.raises(InvalidRequest) as caught:
        query(f"site=s&points=a&{TIMES}&{name}=2")
    [problem] = caught.value.problems
    message = f"unknown parameter: {name!r}; the nearest known one is {meant}"
    assert (name, message) == (problem.field, problem.message)


def test_query_without_a_near_parameter_names_all() -> None:
    """Of what is not near, everything that is known is listed; nothing is looked for at all."""
    with pytest.raises(InvalidRequest) as caught:
        parse_values("bananas=1", (p.LIMIT, p.CURSOR))
    [problem] = caught.value.problems
    assert "unknown parameter: 'bananas'; known are limit, cursor" == problem.message
    with pytest.raises(InvalidRequest) as caught:
        check_query("_=1&limit=2&=3")
    assert [
        ("limit", "unknown parameter: 'limit'; none is known here"),
        ("", "unknown parameter: ''; none is known here"),
    ] == [(each.field, each.message) for each in caught.value.problems]
    check_query("_=1&&")


def test_query_tells_unknown_parameters_with_all_other_problems() -> None:
    """One answer has everything, and of very many unknown names the number."""
    assert ["points", "max_points", "%ff", "limit"] == fields_of_query(
        f"site=s&%ff=1&{TIMES}&max_points=1&limit=0"
    )
    names = "&".join(f"x{n}=1" for n in range(30))
    assert [*(f"x{n}" for n in range(20)), "query"] == fields_of_query(
        f"site=s&points=a&{TIMES}&{names}"
    )


def test_query_problems_are_told_all_at_once() -> None:
    """Every problem is listed, by the names the caller used."""
    text = (
        "site=..&points=&point=%00&start_time=garbage&end_time=2025-99-01&format=xml&route="
        "&priority=urgent&timeout=0&max_points=1&wait=61&user_id="
    )
    assert fields_of_query(text) == [
        "site",
        "points",
        "point",
        "start_time",
        "end_time",
        "route",
        "format",
        "priority",
        "timeout",
        "max_points",
        "wait",
        "user_id",
    ]


def test_query_without_anything_names_what_is_missing() -> None:
    """Every required parameter is listed."""
    assert ["site", "points", "start_time"] == fields_of_query("")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("site=s&site=s", "site"),
        ("site=s&format=csv&format=csv", "format"),
        ("site=s&start_time=2025-01-01", "start_time"),
        ("site=%ff", "site"),
        ("site=s&points=%c3", "points"),
        ("site=s&point=%ed%a0%80", "point"),
        ("site=s&points=a,,b", "points"),
        ("site=s&points=a,", "points"),
    ],
)
def test_query_refuses_repeats_broken_text_and_empty_names(text: str, field: str) -> None:
    """A repeated single parameter, bytes that are no UTF-8, or a name of nothing is a problem."""
    assert [field] == fields_of_query(f"{text}&{TIMES}" + ("" if "point" in text else "&points=a"))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (str(DAY.start_ms), str(DAY.start_ms)),
        (str(DAY.end_ms), str(DAY.start_ms)),
        (str(DAY.start_ms), str(DAY.start_ms + p.RANGE_MS_MAX + 1)),
        ("1900-01-01", "2025-01-01"),
        ("now", "now"),
        ("now-1h", "now-2h"),
        ("now-1100w", "now"),
    ],
)
def test_query_refuses_reversed_empty_and_endless_ranges(start: str, end: str) -> None:
    """The end is after the start, by twenty years at most."""
    assert ["end_time"] == fields_of_query(f"site=s&points=a&start_time={start}&end_time={end}")


@pytest.mark.parametrize("year", [1972, 1980, 1999, 2000, 2080])
def test_twenty_calendar_years_are_a_range(year: int) -> None:
    """Twenty years fit, whatever leap days lie in them."""
    time_range = query(
        f"site=s&points=a&start_time={year}-01-01&end_time={year + 20}-01-01"
    ).time_range
    assert 20 * 365 <= time_range.duration_ms // 86_400_000 <= p.RANGE_DAYS_MAX


def test_long_queries_are_too_large() -> None:
    """A query of more than 1 MiB, or of more than 10,000 parameters, is refused unread."""
    with pytest.raises(TooLarge, match="1048577 characters; 1048576 are allowed"):
        query("x" * 1_048_577)
    assert ["query"] == fields_of_query("&" * 10_000)


def test_same_data_has_the_same_hash() -> None:
    """Route and labels don't change it; the order of points and the form are the answer's."""
    one = query(f"site=s&points=b,a&{TIMES}&priority=high&user_id=x&route=queued&wait=1")
    assert b'["s",["b","a"],1735689600000,1735776000000]' == canonical_request(one)
    assert request_hash(one) == request_hash(query(f"site=s&points=b,a&{TIMES}"))
    assert request_hash(one) != request_hash(query(f"site=s&points=a,b&{TIMES}"))
    forms = ("format=json", "format=csv", "max_points=2", "max_points=3", "layout=wide")
    hashes = {request_hash(query(f"site=s&points=b,a&{TIMES}&{form}")) for form in forms}
    assert len(forms) == len(hashes - {request_hash(one)})
    assert 64 == len(request_hash(one))


@pytest.mark.parametrize(
    "other",
    [
        f"site=t&points=a,b&{TIMES}",
        f"site=s&points=a&{TIMES}",
        f"site=s&point=a,b&{TIMES}",
        "site=s&points=a,b&start_time=2025-01-01T00:00:00.001Z&end_time=2025-01-02",
    ],
)
def test_other_data_has_another_hash(other: str) -> None:
    """Site, points and the millisecond of the range tell requests apart."""
    assert request_hash(query(f"site=s&points=a,b&{TIMES}")) != request_hash(query(other))


def test_page_query_gives_values_defaults_and_none() -> None:
    """What is not given has its default, or None."""
    values = parse_values("limit=7&site=s&_x=1", (p.STATUS, p.SITE_FILTER, p.LIMIT, p.CURSOR))
    assert {"status": None, "site": "s", "limit": 7, "cursor": None} == values
    assert {"page": 1, "per_page": 100, "search": ""} == parse_values(
        "search=", (p.PAGE, p.PER_PAGE, p.SEARCH)
    )


def test_page_query_lists_all_that_is_wrong() -> None:
    """Every handler's parameters are checked together."""
    with pytest.raises(InvalidRequest) as caught:
        parse_values("limit=0&status=done&site=", (p.STATUS, p.SITE_FILTER, p.LIMIT))
    assert ["status", "site", "limit"] == [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("site=s", CachePurgeQuery("s", None, None)),
        ("site=s&points=a,b", CachePurgeQuery("s", ("a", "b"), None)),
        (f"site=s&{TIMES}", CachePurgeQuery("s", None, DAY)),
        (
            "site=s&start_time=now-1d",
            CachePurgeQuery("s", None, Range(DAY.start_ms, 253_402_128_000_000)),
        ),
        (
            "site=s&end_time=now",
            CachePurgeQuery("s", None, Range(-62_135_510_400_000, DAY.end_ms)),
        ),
    ],
)
def test_cache_purge_query(text: str, expected: CachePurgeQuery) -> None:
    """Points and either end of the range are optional."""
    assert expected == parse_cache_purge_query(text, PURGE.query, NOW_MS)


@pytest.mark.parametrize(
    "text", ["", "site=", "site=s&points=", "site=s&start_time=now&end_time=20250101"]
)
def test_cache_purge_query_that_is_unclear_is_refused(text: str) -> None:
    """Nothing empty stands for everything."""
    with pytest.raises(InvalidRequest):
        parse_cache_purge_query(text, PURGE.query, NOW_MS)


def test_site_in_a_path_is_decoded_and_checked() -> None:
    """A path names a site by the same rules; a plus in it is no blank."""
    assert "maple.office" == parse_site("maple%2Eoffice")
    for segment in ("%2e%2e", "a%2Fb", "a+b", "%ff", ""):
        with pytest.raises(InvalidRequest):
            parse_site(segment)


def test_a_parameter_of_another_endpoint_can_not_be_read() -> None:
    """Reading what the route table does not list fails, whatever the query holds."""
    with pytest.raises(LookupError, match="not a parameter of this endpoint: user_id"):
        parse_query(f"site=s&points=a&{TIMES}", GET.query[:-1], timeout_ms_max=1)
    unlisted = tuple(each for each in PURGE.query if each not in (p.POINT, p.POINTS))
    assert CachePurgeQuery("s", None, None) == parse_cache_purge_query("site=s", unlisted, 0)


@pytest.mark.parametrize("unit", ["s", "m", "h", "d"])
def test_intervals_of_rounds_are_a_minute_to_a_day(unit: str) -> None:
    """In each unit, with no other number before it; the description says so exactly."""
    unit_s = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[unit]
    for number in range(90_000):
        is_allowed = re.fullmatch(str(ap.EVERY.pattern), f"{number}{unit}") is not None
        assert (60 <= number * unit_s <= 86_400) == is_allowed, number
