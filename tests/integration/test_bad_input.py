"""Bad input: a clear refusal that lists all that is wrong, and nothing goes upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client
from integration.harness.oracle import (
    DAY_MS,
    START_MS,
    Question,
    assert_exact,
    assert_problem,
    assert_same_data,
)

GOOD = {
    "site": "refused",
    "points": "a",
    "start_time": "2025-01-01",
    "end_time": "2025-01-02",
}
TWENTY_YEARS: dict[str, str | None] = {"start_time": "2000-01-01", "end_time": "2020-01-07"}
# What is changed in a good query, and the fields that must be named; None takes a parameter away.
QUERIES: dict[str, tuple[dict[str, str | None], set[str]]] = {
    "nothing": (dict.fromkeys(GOOD), {"site", "points", "start_time"}),
    "no site": ({"site": None}, {"site"}),
    "no points": ({"points": None}, {"points"}),
    "no start": ({"start_time": None}, {"start_time"}),
    "seconds": ({"end_time": "1735689600"}, {"end_time"}),
    "a misspelt parameter": ({"max_point": "4"}, {"max_point"}),
    "empty site": ({"site": ""}, {"site"}),
    "empty points": ({"points": ""}, {"points"}),
    "only commas": ({"points": ",,"}, {"points"}),
    "an empty name": ({"points": "a,,b"}, {"points"}),
    "empty times": ({"start_time": "", "end_time": ""}, {"start_time", "end_time"}),
    "site ..": ({"site": ".."}, {"site"}),
    "site .": ({"site": "."}, {"site"}),
    "site with a slash": ({"site": "a/../b"}, {"site"}),
    "site with a blank": ({"site": "a b"}, {"site"}),
    "site of 129": ({"site": "a" * 129}, {"site"}),
    "site with emoji": ({"site": "🔥"}, {"site"}),
    "garbage start": ({"start_time": "garbage"}, {"start_time"}),
    "no such date": ({"end_time": "2025-02-30"}, {"end_time"}),
    "no such hour": ({"end_time": "2025-01-02T25:00:00Z"}, {"end_time"}),
    "no such offset": ({"end_time": "2025-01-02T00:00:00+99:99"}, {"end_time"}),
    "seconds as float": ({"end_time": "1735689600.5"}, {"end_time"}),
    "hexadecimal": ({"end_time": "0x19"}, {"end_time"}),
    "year 10000": ({"end_time": "253402300800000"}, {"end_time"}),
    "year 0": ({"start_time": "-99999999999999"}, {"start_time"}),
    "a time too long": ({"end_time": "9" * 400}, {"end_time"}),
    "reversed": ({"end_time": "2024-12-31"}, {"end_time"}),
    "no time at all": ({"end_time": "2025-01-01"}, {"end_time"}),
    "more than 20 years": (TWENTY_YEARS | {"end_time": "2021-01-01"}, {"end_time"}),
    "unknown route": ({"route": "fast"}, {"route"}),
    "route in capitals": ({"route": "DIRECT"}, {"route"}),
    "empty route": ({"route": ""}, {"route"}),
    "unknown format": ({"format": "xml"}, {"format"}),
    "unknown priority": ({"priority": "urgent"}, {"priority"}),
    "time-out 0": ({"timeout": "0"}, {"timeout"}),
    "time-out too long": ({"timeout": "30001"}, {"timeout"}),
    "time-out no number": ({"timeout": "1s"}, {"timeout"}),
    "max_points 1": ({"max_points": "1"}, {"max_points"}),
    "max_points too many": ({"max_points": "100001"}, {"max_points"}),
    "max_points negative": ({"max_points": "-5"}, {"max_points"}),
    "max_points fraction": ({"max_points": "2.5"}, {"max_points"}),
    "max_points huge": ({"max_points": "9" * 400}, {"max_points"}),
    "user too long": ({"user_id": "u" * 129}, {"user_id"}),
    "everything": (
        {"site": "..", "points": "", "start_time": "x", "end_time": "y", "format": "z"},
        {"site", "points", "start_time", "end_time", "format"},
    ),
}
# Undecoded parts of a query that are added to a good one.
RAW_PARTS: dict[str, tuple[str, set[str]]] = {
    "site twice": ("&site=t", {"site"}),
    "start twice": ("&start_time=2025-01-01", {"start_time"}),
    "no UTF-8 in a point": ("&point=%FF%FE", {"point"}),
    "surrogates in a point": ("&point=%ED%A0%80", {"point"}),
    "newline in a point": ("&point=a%0Ab", {"point"}),
    "null in a point": ("&point=a%00b", {"point"}),
    "a point of 513": (f"&point={'x' * 513}", {"point"}),
    "no UTF-8 in user": ("&user_id=%C3%28", {"user_id"}),
    "5,001 points": ("&points=" + ",".join(map(str, range(5000))), {"points"}),
}
# Members of a good body that are changed, and the fields that must be named.
MEMBERS: dict[str, tuple[dict[str, object], set[str]]] = {
    "points as text": ({"points": "a,b"}, {"points"}),
    "points as number": ({"points": 1}, {"points"}),
    "points as object": ({"points": {"a": 1}}, {"points"}),
    "no points": ({"points": []}, {"points"}),
    "points null": ({"points": None}, {"points"}),
    "a point is null": ({"points": ["a", None]}, {"points"}),
    "a point is a number": ({"points": [7]}, {"points"}),
    "a point is a list": ({"points": [["a"]]}, {"points"}),
    "a point is empty": ({"points": [""]}, {"points"}),
    "a point with a newline": ({"points": ["a\nb"]}, {"points"}),
    "5,001 points": ({"points": [str(number) for number in range(5001)]}, {"points"}),
    "site as number": ({"site": 12}, {"site"}),
    "site as list": ({"site": ["s"]}, {"site"}),
    "start as float": ({"start_time": 1.5}, {"start_time"}),
    "start as bool": ({"start_time": True}, {"start_time"}),
    "start as object": ({"start_time": {}}, {"start_time"}),
    "start huge": ({"start_time": 10**400}, {"start_time"}),
    "reversed": ({"start_time": START_MS + DAY_MS, "end_time": START_MS}, {"end_time"}),
    "max_points as text": ({"max_points": "100"}, {"max_points"}),
    "time-out as bool": ({"timeout": True}, {"timeout"}),
    "format as number": ({"format": 1}, {"format"}),
    "all of it": (
        {"site": None, "points": 1, "start_time": [], "end_time": False, "route": 3},
        {"site", "points", "start_time", "end_time", "route"},
    ),
}
BODIES: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"site": "s", "poi',
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "single quotes": b"{'site': 's'}",
    "two documents": b"{}{}",
    "NaN": b'{"site": NaN}',
    "no UTF-8": b'{"site": "\xff"}',
    "deep": b'{"a":' * 5000,
    "wide": b'{"points": [' + b"[]," * 20_000 + b"[]]}",
    "a form": b"site=s&points=a",
}
# Names as real systems have them, and as attackers choose them.
NAMES = (
    "a/b.c d",
    "Zone Air Temperature, Wall Sensor",
    ",",
    '"quoted"',
    "it's",
    "back\\slash",
    "100% & more; #1?",
    "a+b=c",
    "çá 温度 🔥",
    "e\u0301",
    " leading and trailing ",
    "..",
    "../../etc/passwd",
    "constructor",
    "__proto__",
    "toString",
    "hasOwnProperty",
    "null",
    "*",
    "<script>",
    "'; DROP TABLE cache_segments; --",
    "=1+1",
    "x" * 512,
)
METHODS = ("PUT", "PATCH", "DELETE", "PROPFIND", "TRACE", "LOCK")
UNKNOWN_PATHS = (
    "/api/timeseriesXYZ",
    "/api/timeseries/",
    "/api/timeseries/x",
    "/API/timeseries",
    "/api//timeseries",
    "/api",
    "/api/",
    "/api/__proto__",
    "/api/constructor",
    "/api/%2e%2e%2ftimeseries",
    "/api/timeseries%00",
)


def fields_of(answer: Answer) -> set[str]:
    """See that an answer is a 400 in the right form; returns the fields that it names."""
    document = assert_problem(answer, 400)
    assert document["errors"]
    for each in document["errors"]:
        assert {"field", "message"} == set(each)
        assert each["message"] in document["detail"]
        # Said on one line, whatever was sent, and not repeated at length.
        assert each["message"].isprintable()
        assert len(each["message"]) < 400
    return {each["field"] for each in document["errors"]}


@pytest.fixture(autouse=True)
def nothing_goes_upstream(upstream: FakeUpstream) -> Iterator[None]:
    """See that no request that is refused here has reached the upstream."""
    # Calls of unknown points have no site.
    kinds = ("unknown", "points_timeseries", "point_timeseries")
    before = upstream.requests_for("", *kinds)
    yield
    assert [] == upstream.log(GOOD["site"])
    assert before == upstream.requests_for("", *kinds)


@pytest.mark.parametrize(("changes", "fields"), QUERIES.values(), ids=list(QUERIES))
def test_bad_query(client: Client, changes: dict[str, str | None], fields: set[str]) -> None:
    """Whatever is wrong with a query's parameters is told, all of it at once."""
    query = {name: value for name, value in (GOOD | changes).items() if value is not None}
    assert fields == fields_of(client.get("/api/timeseries", query))


@pytest.mark.parametrize(("part", "fields"), RAW_PARTS.values(), ids=list(RAW_PARTS))
def test_bad_bytes_in_a_query(client: Client, part: str, fields: set[str]) -> None:
    """Repeated parameters, bytes that are no UTF-8, and names that are none."""
    query = "&".join(f"{name}={value}" for name, value in GOOD.items())
    assert fields == fields_of(client.get(f"/api/timeseries?{query}{part}"))


@pytest.mark.parametrize(("members", "fields"), MEMBERS.values(), ids=list(MEMBERS))
def test_bad_member(client: Client, members: dict[str, object], fields: set[str]) -> None:
    """Whatever is wrong with a body's members, their types above all, is told."""
    body = {**GOOD, "points": ["a"], **members}
    assert fields == fields_of(client.post("/api/timeseries", body))


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_bad_body(client: Client, body: bytes) -> None:
    """A body that is no JSON object is refused, however it is made."""
    headers = {"Content-Type": "application/json"}
    sent = client.request("POST", "/api/timeseries", body=body, headers=headers)
    assert {"body"} == fields_of(sent)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "text/plain"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Type", "application/json; charset=utf-16"),
        ("Content-Encoding", "gzip"),
    ],
)
def test_bad_body_header(client: Client, name: str, value: str) -> None:
    """A body that says it is something else than plain JSON is refused, and the header named."""
    body = json.dumps({**GOOD, "points": ["a"]}).encode()
    headers = {"Content-Type": "application/json", name: value}
    sent = client.request("POST", "/api/timeseries", body=body, headers=headers)
    assert {name} == fields_of(sent)


def test_query_of_a_post(client: Client) -> None:
    """A POST takes its parameters from one place."""
    answer = client.post("/api/timeseries?format=csv", {**GOOD, "points": ["a"]})
    assert {"query"} == fields_of(answer)


@pytest.mark.parametrize("size", [1_048_577, 2_000_000, 7_000_000])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["declared", "chunked"])
def test_huge_body(client: Client, size: int, is_chunked: bool) -> None:
    """A body over 1 MiB is 413, whether its size is told beforehand or not."""
    whole = b'{"site": "' + b"s" * (size - 12) + b'"}'
    body: Any = whole
    if is_chunked:
        body = (whole[at : at + 65_536] for at in range(0, size, 65_536))
    headers = {"Content-Type": "application/json"}
    answer = client.request("POST", "/api/timeseries", body=body, headers=headers)
    assert "1048576" in assert_problem(answer, 413)["detail"]


def test_body_of_a_mebibyte(client: Client) -> None:
    """A body of just 1 MiB is read, and refused for what is in it."""
    body = b'{"site": "' + b"s" * (1_048_576 - 12) + b'"}'
    headers = {"Content-Type": "application/json"}
    answer = client.request("POST", "/api/timeseries", body=body, headers=headers)
    assert "site" in fields_of(answer)


def test_twenty_years_are_allowed(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Any twenty calendar years, and 5,000 points, are within the limits."""
    upstream.set_points(site, {"a": [(START_MS, "1")]})
    sent = {"site": site, "points": ["a"], "start_time": "2006-01-01"}
    answer = client.post("/api/timeseries", {**sent, "end_time": "2026-01-01"})
    assert 202 == answer.status
    names = [f"{site} {number}" for number in range(5000)]
    day = {"start_time": START_MS, "end_time": START_MS + DAY_MS}
    answer = client.post("/api/timeseries", {**sent, **day, "points": names, "route": "cached"})
    assert names == list(answer.json()["data"])


@pytest.mark.parametrize("output", ["json", "csv", "ndjson", "msgpack"])
def test_strange_names_are_names(
    client: Client, upstream: FakeUpstream, site: str, output: str
) -> None:
    """Any name is answered with its own data: one by one, all together, and from the cache."""
    # The call that takes names in a body knows no sites, so that names must be this test's own.
    names = [name if "," not in name else f"{name} {site}" for name in NAMES]
    names = [name if name == name.strip() else f" {site} {name}" for name in names]
    upstream.set_points(
        site, {name: [(START_MS, f"{number}.50")] for number, name in enumerate(names)}
    )
    for route in ("direct", "cached", "cached"):
        every = Question(site, names, START_MS, START_MS + DAY_MS)
        answer = client.post("/api/timeseries", every.document(route=route, format=output))
        assert_same_data(upstream, every, answer, output)
        for name in names if output == "json" else ():
            one = every._replace(points=[name])
            assert_exact(upstream, one, one.ask(client, route))


@pytest.mark.parametrize("method", METHODS)
def test_wrong_method(client: Client, method: str) -> None:
    """A method that a path does not take is 405 with those it takes."""
    answer = client.request(method, "/api/timeseries", body=b"x" * 1000)
    assert_problem(answer, 405)
    assert "GET, POST, HEAD, OPTIONS" == answer.headers["Allow"]
    for path, allowed in (
        ("/api/health", "GET, HEAD, OPTIONS"),
        ("/api/cache/objects", "GET, HEAD, OPTIONS"),
    ):
        answer = client.request(method, path)
        assert_problem(answer, 405)
        assert allowed == answer.headers["Allow"]


def test_wrong_method_of_the_cache(client: Client) -> None:
    """The cache is only to be deleted."""
    for method in ("GET", "HEAD", "POST"):
        answer = client.request(method, "/api/cache")
        assert 405 == answer.status
        assert "DELETE, OPTIONS" == answer.headers["Allow"]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PROPFIND"])
def test_unknown_path(client: Client, method: str, path: str) -> None:
    """A path that there is not is 404, and what begins like one that there is, is another."""
    query = "&".join(f"{name}={quote(value)}" for name, value in GOOD.items())
    assert_problem(client.request(method, f"{path}?{query}"), 404)


def test_options_answer_preflights(client: Client) -> None:
    """OPTIONS is 204 with the methods; without CORS_ORIGINS no other origin is let in."""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    for path, allowed in (
        ("/api/timeseries", "GET, POST, HEAD, OPTIONS"),
        ("/api/cache", "DELETE, OPTIONS"),
        ("/api/health", "GET, HEAD, OPTIONS"),
    ):
        answer = client.request("OPTIONS", path, headers=headers)
        assert (204, b"", allowed) == (answer.status, answer.wire, answer.headers["Allow"])
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert_problem(client.request("OPTIONS", "/api/timeseriesXYZ", headers=headers), 404)


def test_request_ids_are_ours_and_unique(client: Client) -> None:
    """Every answer has an id of its own, whatever the client sends."""
    headers = {"X-Request-Id": "mine\u00ff"}
    answers = [client.get(path, headers=headers) for path in ("/api/health", "/nowhere") * 3]
    answers.append(client.request("OPTIONS", "/api/timeseries"))
    answers.append(client.request("HEAD", "/api/timeseries"))
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(ids) == len(set(ids))
    assert all(len(each) == 36 for each in ids)


def test_head_is_get_without_a_body(client: Client, upstream: FakeUpstream, site: str) -> None:
    """HEAD has the status and the headers that GET has, refusals included."""
    names = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=2)
    question = Question(site, names, START_MS, START_MS + DAY_MS)
    same = ("Content-Type", "ETag", "X-Route-Type", "Cache-Control", "Vary", "Content-Encoding")
    question.ask(client)
    for route in ("direct", "cached"):
        for gzip in (True, False):
            parameters = question.parameters(route=route)
            got = client.get("/api/timeseries", parameters, accepts_gzip=gzip)
            head = client.request("HEAD", "/api/timeseries", parameters, accepts_gzip=gzip)
            assert (200, b"") == (head.status, head.wire)
            assert [got.headers[name] for name in same] == [head.headers[name] for name in same]
    assert (400, b"") == (
        (refused := client.request("HEAD", "/api/timeseries", {"site": ".."})).status,
        refused.wire,
    )


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {"site"}),
        ("site=..", {"site"}),
        ("site=s&points=", {"points"}),
        ("site=s&start_time=x&end_time=y", {"start_time", "end_time"}),
        ("site=s&start_time=2025-01-02&end_time=2025-01-01", {"end_time"}),
    ],
)
def test_bad_purge(client: Client, query: str, fields: set[str]) -> None:
    """A purge that says nothing clear forgets nothing; empty points never stand for all."""
    assert fields == fields_of(client.delete(f"/api/cache?{query}"))


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("limit=0", {"limit"}),
        ("limit=1001", {"limit"}),
        ("limit=x", {"limit"}),
        ("prefix=%00", {"prefix"}),
        ("limit=5&limit=6", {"limit"}),
    ],
)
def test_bad_list_of_objects(client: Client, query: str, fields: set[str]) -> None:
    """The list of objects refuses what it can't do."""
    assert fields == fields_of(client.get(f"/api/cache/objects?{query}"))


def test_a_cursor_of_somebody_else(client: Client) -> None:
    """A cursor that no page gave is a 4xx or an empty page, never a 500."""
    answer = client.get("/api/cache/objects", {"cursor": "no such cursor"})
    assert answer.status in (200, 400)


@pytest.mark.parametrize("name", ["secret, Wall Sensor", " secret", "secret "])
def test_points_of_other_sites_are_not_answered(
    client: Client, upstream: FakeUpstream, site: str, name: str
) -> None:
    """A name that the upstream knows at another site is, at this one, an unknown point."""
    foreign = name.replace("secret", f"{site}/secret")
    upstream.set_points(f"{site}-other", {foreign: [(START_MS, "42.50")]})
    upstream.set_points(site, {"own, p": [(START_MS, "1.50")]})
    question = Question(site, [foreign, "own, p"], START_MS, START_MS + DAY_MS)
    for route in ("direct", "cached", "cached"):
        answer = client.post("/api/timeseries", question.document(route=route))
        found = [(each["count"], each["error"]) for each in answer.json()["data"].values()]
        assert [(0, "unknown point"), (1, None)] == found, answer.text
        assert "42.50" not in answer.text
    unknown = question._replace(site=f"{site}-nowhere", points=[foreign])
    answer = client.post("/api/timeseries", unknown.document(route="direct"))
    assert_problem(answer, 404)
