"""Tests of how JSON bodies become requests, and of all that they are refused for."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.api import parameters as p
from building_vitals.api.parameters import BODY_BYTES_MAX
from building_vitals.api.requests import parse_body, parse_query
from building_vitals.api.routes import ENDPOINTS
from building_vitals.errors import InvalidRequest, TooLarge
from building_vitals.ranges import Range

GET, POST = (each for each in ENDPOINTS if each.path == "/api/timeseries")
DAY = Range(1_735_689_600_000, 1_735_776_000_000)
BODY: dict[str, Any] = {
    "site": "s",
    "points": ["a"],
    "start_time": "2025-01-01T00:00:00Z",
    "end_time": DAY.end_ms,
}


def body(document: object, content_type: str | None = "application/json") -> TimeseriesRequest:
    """Return the request of a body: bytes as they are, anything else as JSON."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_body(raw, content_type, POST.body, timeout_ms_max=30_000, now_ms=DAY.end_ms)


def messages_of_body(document: object, content_type: str | None = "application/json") -> list[str]:
    """Return what a body is refused for, as `field: message`, in order."""
    with pytest.raises(InvalidRequest) as caught:
        body(document, content_type)
    return [f"{problem.field}: {problem.message}" for problem in caught.value.problems]


def test_points_are_counted_once_and_limited() -> None:
    """5,000 points are allowed, however often they are named; one more is not."""
    names = [f"p{index}" for index in range(p.POINTS_MAX)]
    assert names == list(body(BODY | {"points": names + names}).points)
    assert [f"points: too many points: 5001; {p.POINTS.allowed}"] == messages_of_body(
        BODY | {"points": [*names, "one more"]}
    )


def test_many_wrong_points_are_told_briefly() -> None:
    """Of 4,000 wrong names 20 are listed, and how many more there are."""
    messages = messages_of_body(BODY | {"points": [f"\n{index}" for index in range(4000)]})
    assert 21 == len(messages)
    assert "further wrong names: 3980" in messages[-1]


def test_body_equals_query() -> None:
    """A body asks for the same as the query of the same fields."""
    document = BODY | {
        "points": ["a, b", "c"],
        "route": "cached",
        "format": "ndjson",
        "priority": "low",
        "timeout": 30_000,
        "max_points": 2,
        "user_id": "ü",
    }
    pairs = [(name, value) for name, value in document.items() if name != "points"]
    text = urlencode([*pairs, ("point", "a, b"), ("point", "c")])
    assert parse_query(text, GET.query, timeout_ms_max=30_000) == body(document)


def test_body_counts_from_the_present_too() -> None:
    """`now` and what lies before it are texts; the end may be left out, or null."""
    document = {**BODY, "start_time": "now-1d", "end_time": None}
    assert DAY == body(document).time_range
    del document["end_time"]
    assert DAY == body(document | {"start_time": "20250101"}).time_range


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "Application/JSON; charset=UTF-8", "application/vnd.api+json"],
)
def test_body_is_json_by_any_of_its_names(content_type: str | None) -> None:
    """JSON is taken under its media types, and without one."""
    assert "s" == body(BODY, content_type).site


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_body_of_another_type_is_refused(content_type: str) -> None:
    """What says that it is something else is not read."""
    (message,) = messages_of_body(BODY, content_type)
    assert message.startswith("Content-Type: not JSON in UTF-8")


def test_body_may_begin_with_a_byte_order_mark_and_hold_nulls() -> None:
    """null stands for not given; what begins with `_`, however deep, is ignored."""
    document = BODY | {"route": None, "max_points": None, "priority": None, "_extra": [[{"a": []}]]}
    assert TimeseriesRequest("s", ("a",), DAY) == body(
        b"\xef\xbb\xbf" + json.dumps(document).encode()
    )


def test_body_with_unknown_members_is_refused() -> None:
    """As in a query: the nearest is named, `point` among them; any text can be told of."""
    [message] = messages_of_body(BODY | {"point": "a"})
    assert "point: unknown parameter: 'point'; the nearest known one is points" == message
    [message] = messages_of_body(BODY | {'\ud800\n"': 1})
    assert message.encode().startswith(b'\\ud800\\n"')


def test_query_of_a_post_holds_only_what_is_ignored() -> None:
    """What else it holds is told together with what is wrong in the body."""
    raw = json.dumps(BODY | {"max_points": 1}).encode()
    for query, fields in (("_=1&", ["max_points"]), ("site=s", ["query", "max_points"])):
        with pytest.raises(InvalidRequest) as caught:
            parse_body(raw, None, POST.body, timeout_ms_max=30_000, now_ms=DAY.end_ms, query=query)
        assert fields == [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON: expecting value at character 0"),
        (b"null", "not an object: null"),
        (b"[]", "not an object: an array"),
        (b'"\\', "not JSON: unterminated string starting at character 0"),
        (b"\xff", "not UTF-8: byte 0"),
        (b'{"a": NaN}', "not JSON: NaN"),
        (b'{"a": -Infinity}', "not JSON: -Infinity"),
        (b"{} {}", "not JSON: extra data at character 3"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"[[]," + b"[]," * 300_000, "too many arrays and objects"),
        (b'{"a": "' + b'\\"' * 500_000, "not JSON: unterminated string"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else None,
)
def test_body_that_is_no_json_object_is_refused(raw: bytes, message: str) -> None:
    """Broken text, other JSON, bombs: one problem that says what it is."""
    (told,) = messages_of_body(raw)
    assert told.startswith(f"body: {message}")


def test_brackets_in_strings_do_not_nest() -> None:
    """A name may hold any number of brackets and quotes."""
    name = '[{"' * 100
    assert (name,) == body(BODY | {"points": [name]}).points


def test_body_over_one_mebibyte_is_too_large() -> None:
    """The limit is 1 MiB exactly."""
    raw = json.dumps(BODY).encode()
    assert "s" == body(raw.ljust(BODY_BYTES_MAX)).site
    with pytest.raises(TooLarge, match="1048577 bytes; 1048576 are allowed"):
        body(raw.ljust(BODY_BYTES_MAX + 1))


def test_body_problems_are_told_all_at_once() -> None:
    """Wrong types, huge numbers and broken names are listed together."""
    raw = (
        b'{"site": 1, "points": ["a", 2, null, "\\ud800"], "start_time": true, "end_time": 1.5,'
        b'"max_points": ' + b"9" * 5000 + b', "timeout": 1e999, "format": {}, "route": []}'
    )
    told = messages_of_body(raw)
    assert [
        "site: not a text: 1",
        "points: not a text: 2",
        "points: not a text: null",
        "points: not allowed: '\\ud800'",
        "start_time: not a time: true",
        "end_time: not a time: 1.5",
        "route: not a text: an array",
        "format: not a text: an object",
        "timeout: not an integer: inf",
        "max_points: out of bounds: 999999999999999999999999",
    ] == [message.partition(";")[0] for message in told]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "points: no name given"),
        ("a,b", "points: not an array: 'a,b'"),
        ({}, "points: not an array: an object"),
        ("", "points: not an array: ''"),
        (False, "points: not an array: false"),
        (None, "points: missing"),
    ],
)
def test_body_without_a_list_of_points_is_refused(points: object, message: str) -> None:
    """No points never stands for all points."""
    (told,) = messages_of_body(BODY | {"points": points})
    assert told.startswith(message)


def test_body_with_a_repeated_member_is_refused() -> None:
    """Which of two values is meant can't be told."""
    raw = json.dumps(BODY)[:-1] + ', "site": "t", "points": ["b"], "_x": 1, "_x": 2}'
    assert [
        "site: given more than once; once is allowed",
        "points: given more than once; once is allowed",
    ] == messages_of_body(raw.encode())
