"""Input that has hurt other systems, each told apart: what is asked, and what must come back."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client, until
from integration.harness.fuzzing import is_readable_log
from integration.harness.worker_server import WorkerServer

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
MEBIBYTE = 1_048_576


def question(site: str, **more: object) -> dict[str, object]:
    """Return the parameters of a valid question."""
    times = {"start_time": START_MS, "end_time": START_MS + 6 * HOUR_MS}
    return {"site": site, "points": "a", "route": "direct"} | times | more


def fields_of(answer: Answer) -> set[str]:
    """Return which fields a 400 complains of."""
    assert 400 == answer.status, answer.text[:300]
    assert "application/problem+json" == answer.headers["Content-Type"]
    return {error["field"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        pytest.param({"site": ".."}, "site", id="site that walks up"),
        pytest.param({"site": "a/../b"}, "site", id="site with a slash"),
        pytest.param({"site": "a%2e"}, "site", id="site encoded twice"),
        pytest.param({"site": "\u0430"}, "site", id="site in Cyrillic"),
        pytest.param({"site": "a\r\nX-Injected: 1"}, "site", id="site with a header"),
        pytest.param({"points": "a\r\nX-Injected: 1"}, "points", id="point with a header"),
        pytest.param({"points": "a\0b"}, "points", id="point with NUL"),
        pytest.param({"points": "\x1b[2J"}, "points", id="point with an escape"),
        pytest.param({"points": ""}, "points", id="no point"),
        pytest.param({"points": ","}, "points", id="empty points"),
        pytest.param({"points": "x" * 513}, "points", id="long point"),
        pytest.param({"user_id": "a\nb"}, "user_id", id="label with a line end"),
        pytest.param({"start_time": "9" * 400}, "start_time", id="huge number"),
        pytest.param({"start_time": "NaN"}, "start_time", id="no number"),
        pytest.param({"end_time": START_MS}, "end_time", id="empty range"),
        pytest.param({"end_time": 0}, "end_time", id="reversed range"),
        pytest.param({"max_points": "1e3"}, "max_points", id="number in another notation"),
        pytest.param({"max_points": "\u0661\u0660"}, "max_points", id="digits of another script"),
        pytest.param({"timeout": "-1"}, "timeout", id="negative"),
        pytest.param({"route": "__proto__"}, "route", id="unknown choice"),
        pytest.param({"format": "json\n"}, "format", id="choice with a line end"),
    ],
)
def test_bad_parameter_is_named(
    client: Client, upstream: FakeUpstream, site: str, more: dict[str, object], field: str
) -> None:
    """A parameter that cannot be is refused by name, in a query and in a body, unasked upstream."""
    asked = question(site) | more
    answers = [client.get("/api/timeseries", asked)]
    body = asked | {"points": [asked["points"]] if asked["points"] else []}
    if field != "points" or more["points"] != ",":
        answers.append(client.post("/api/timeseries", body))
    for answer in answers:
        assert {field} == fields_of(answer)
        assert "X-Injected" not in answer.headers
    assert [] == upstream.log(site)


@pytest.mark.parametrize(
    ("body", "headers", "status", "field"),
    [
        pytest.param(b"[" * 200_000, {}, 400, "body", id="deep"),
        pytest.param(b'{"a":' * 150_000, {}, 400, "body", id="deep objects"),
        pytest.param(b"[" + b"[]," * 300_000 + b"[]]", {}, 400, "body", id="a million containers"),
        pytest.param(b'{"timeout":' + b"9" * 900_000 + b"}", {}, 400, "site", id="long number"),
        pytest.param(b'{"site":"\xff"}', {}, 400, "body", id="not UTF-8"),
        pytest.param(b"", {}, 400, "body", id="nothing"),
        pytest.param(b'{"site":"' + b"x" * MEBIBYTE + b'"}', {}, 413, None, id="over 1 MiB"),
        pytest.param(b"{}", {"Content-Type": "text/plain"}, 400, "Content-Type", id="text"),
        pytest.param(
            b"{}", {"Content-Type": "application/json; charset=utf-7"}, 400, "Content-Type",
            id="charset",
        ),
        pytest.param(
            gzip.compress(b"{}" + b" " * 50_000_000, 9), {"Content-Encoding": "gzip"}, 400,
            "Content-Encoding", id="bomb",
        ),
    ],
)  # fmt: skip
def test_bad_body_is_refused(
    client: Client, body: bytes, headers: dict[str, str], status: int, field: str | None
) -> None:
    """A body that is broken, nested, huge or compressed is refused before it takes memory."""
    sent = {"Content-Type": "application/json"} | headers
    before = int(client.get("/api/health").headers["X-Heap-Bytes"])
    answer = client.request("POST", "/api/timeseries", body=body, headers=sent)
    assert status == answer.status, answer.text[:300]
    assert field is None or field in fields_of(answer)
    after = int(client.get("/api/health").headers["X-Heap-Bytes"])
    assert after - before <= 12 * MEBIBYTE


def test_body_without_a_length_is_bounded_too(client: Client, worker: WorkerServer) -> None:
    """Chunks of a body that never tells its length are counted; the answer still arrives."""

    def chunks() -> Iterator[bytes]:
        yield b'{"site":"'
        for _ in range(40):
            yield b"x" * 65_536
        yield b'"}'

    parts = urlsplit(worker.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        connection.request(
            "POST",
            "/api/timeseries",
            chunks(),
            {"Content-Type": "application/json"},
            encode_chunked=True,
        )
        answer = connection.getresponse()
        assert 413 == answer.status
        assert 413 == json.loads(answer.read())["status"]
    finally:
        connection.close()


def test_refusals_of_large_bodies_arrive(worker: WorkerServer) -> None:
    """However large the body that nobody reads, its sender gets the answer, not a broken line."""
    parts = urlsplit(worker.url)
    body = b'{"site":"' + b"x" * 2 * MEBIBYTE + b'"}'

    def refusals(count: int) -> list[int]:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        statuses = []
        for _ in range(count):
            connection.request("POST", "/api/timeseries", body)
            answer = connection.getresponse()
            assert answer.status == json.loads(answer.read())["status"]
            statuses.append(answer.status)
        connection.close()
        return statuses

    with ThreadPoolExecutor(4) as pool:
        assert [[413] * 12] * 4 == list(pool.map(refusals, [12] * 4))


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("a=&" * 4000, id="many parameters"),
        pytest.param("point=x&" * 5001, id="too many points"),
        pytest.param("points=" + "%2C" * 5001, id="empty points, encoded commas"),
        pytest.param("site=" + "a" * 16_000, id="16 kB in one"),
        pytest.param("%F0%9F%98%80" * 1300, id="16 kB of nothing"),
        pytest.param("&&&&====" * 2000, id="no names"),
        pytest.param("site=a&site=b", id="twice"),
        pytest.param("site=%ff", id="not UTF-8"),
        pytest.param("__proto__=1&constructor=2&toString=3", id="names of JavaScript's"),
    ],
)
def test_bad_query_is_refused(client: Client, query: str) -> None:
    """However many parameters there are and whatever they are called, what is missing is told."""
    assert fields_of(client.get(f"/api/timeseries?{query}")) & {"site", "points", "query"}


def test_query_of_100000_parameters_is_refused(client: Client) -> None:
    """A query past all bounds is refused, by the Worker or before it."""
    answer = client.get("/api/timeseries?" + "a&" * 100_000)
    assert answer.status in {400, 413, 414, 431}


@pytest.mark.parametrize(
    "path",
    [
        "/api/timeseriesXYZ", "/api/timeseries/", "/api//timeseries", "/API/timeseries",
        "/api/timeseries%2f", "/api/timeseries%00", "/api/jobs/a/b", "/api/jobs/", "/api", "/api/",
        "/api/timeseries;a=b", "/api/unknown", "/api/%2e%2e/%2e%2e/etc/passwd",
    ],
)  # fmt: skip
def test_path_that_is_none_is_not_found(client: Client, path: str) -> None:
    """Only whole paths count; every other one is a 404 in the form of all problems."""
    answer = client.get(path)
    assert 404 == answer.status
    assert "urn:building-vitals:problem:not_found" == answer.json()["type"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "PROPFIND", "DELETE", "TRACE", "LOCK"])
def test_method_that_is_none_is_not_allowed(client: Client, method: str) -> None:
    """A path says which methods it takes."""
    answer = client.request(method, "/api/timeseries")
    assert 405 == answer.status
    assert {"GET", "HEAD", "POST", "OPTIONS"} == set(answer.headers["Allow"].split(", "))


HARMLESS = (
    "__proto__", "constructor", "toString", "'; DROP TABLE cache_segments; --", '" OR 1=1 --',
    "../../../etc/passwd", "a/b.c d", "=1+1", "@SUM(A1)", "+1", "-1", "`id`", "$(id)", "{{7*7}}",
    "<script>alert(1)</script>", "%00", "%s%n", "\\", "é ☃ 😀", "NaN", "null",
)  # fmt: skip


def test_strange_names_are_names(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Names that mean something to SQL, shells, spreadsheets or JavaScript mean nothing here."""
    upstream.set_points(site, {name: [(START_MS, "1.50")] for name in HARMLESS})
    asked = question(site, route="cached") | {"points": list(HARMLESS)}
    for status in ("miss", "hit"):
        answer = client.post("/api/timeseries", asked)
        assert (200, status) == (answer.status, answer.headers["X-Cache-Status"])
        data = answer.json()["data"]
        assert list(HARMLESS) == list(data)
        assert all([[START_MS, 1.5]] == data[name]["samples"] for name in HARMLESS)


def test_keys_of_objects_hold_no_names(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Objects are called by site, dates and a digest; what a point is called is in no key."""
    # Too much for rows of the index.
    samples = [(START_MS + n, secrets.token_hex(100)) for n in range(300)]
    upstream.set_points(site, dict.fromkeys(HARMLESS, samples))
    asked = question(site, route="cached") | {"points": list(HARMLESS)}
    assert 200 == client.post("/api/timeseries", asked).status
    listed = client.get("/api/cache/objects", {"prefix": f"timeseries/{site}/"}).json()["objects"]
    key = re.compile(
        rf"timeseries/{re.escape(site)}/\d{{4}}-\d\d-\d\d_\d{{4}}-\d\d-\d\d/[0-9a-f]{{40}}\.seg"
    )
    assert listed
    assert [] == [each["key"] for each in listed if not key.fullmatch(each["key"])]


def test_cells_are_no_formulas(client: Client, upstream: FakeUpstream, site: str) -> None:
    """A text that a spreadsheet would run stands behind an apostrophe; numbers stay numbers."""
    texts = ["=1+1", "+1+1", "-1+1", "@SUM(1)", '=HYPERLINK("x","y")']
    samples = [(START_MS + number * HOUR_MS, text) for number, text in enumerate(texts)]
    upstream.set_points(site, {"=cmd": samples, "b": [(START_MS, "-1.5")]})
    answer = client.get("/api/timeseries", question(site, points="=cmd,b", format="csv"))
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert [f"'{text}" for text in texts] == [row[2] for row in rows if row[1] == "'=cmd"]
    assert ["-1.5"] == [row[2] for row in rows if row[1] == "b"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/x%0a%7B%22event%22%3A%22request%22%7D",
        "/api/x%1b%5b31m",
        "/api/x%c2%9b31m",
        "/api/x%e2%80%ae",
        "/api/jobs/%0d%0ax",
        "/api/jobs/" + quote('"}\n{"event":"start","authMode":"open"}'),
    ],
)
def test_log_lines_cannot_be_made_up(client: Client, worker: WorkerServer, path: str) -> None:
    """Whatever a path holds, the log has one line of printable JSON for the request."""
    request_id = client.get(path).headers["X-Request-Id"]

    def told() -> list[str]:
        lines = [line for line in worker.log.split("\n") if request_id in line]
        return [line for line in lines if '"event":"request"' in line]

    # The log may come a little after the answer.
    assert 1 == len(until(told, what="the line of the request"))
    assert [] == is_readable_log(worker.log)
    starts = [line for line in worker.log.split("\n") if line.startswith('{"event":"start"')]
    assert all('"version"' in line for line in starts)


LONG: list[tuple[str, Callable[[], str]]] = [
    ("Accept", lambda: ",".join(["text/html;q=0.1"] * 900)),
    ("Accept", lambda: ";" * 12_000),
    ("Accept-Encoding", lambda: "gzip;q=" + "0" * 12_000),
    ("If-None-Match", lambda: '"' * 12_000),
    ("If-None-Match", lambda: ", ".join(['W/"x"'] * 2000)),
    ("Authorization", lambda: "Bearer " + "a" * 12_000),
    ("Origin", lambda: "https://" + "a" * 12_000),
    ("Cookie", lambda: "a=b; " * 2400),
]


@pytest.mark.parametrize(("name", "value"), LONG, ids=[f"{n} {i}" for i, (n, _) in enumerate(LONG)])
def test_long_headers_do_no_harm(
    client: Client, upstream: FakeUpstream, site: str, name: str, value: Callable[[], str]
) -> None:
    """Headers of 12 kB are read to their bounds, and the answer is what it would be."""
    upstream.set_points(site, {"a": [(START_MS, "1")]})
    answer = client.get("/api/timeseries", question(site), headers={name: value()})
    assert 200 == answer.status, answer.text[:300]
