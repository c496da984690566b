"""How the API meets those who misspell, abbreviate, open a spreadsheet or come back later."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import pytest

from building_vitals.instants import format_instant
from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client, until
from integration.harness.oracle import DAY_MS, START_MS, assert_problem

MINUTE_MS = 60_000
GOOD = "site=nowhere&points=a&start_time=2025-01-01&end_time=2025-01-02"


def errors_of(answer: Answer) -> dict[str, str]:
    """Return what a 400 says is wrong, by field."""
    return {each["field"]: each["message"] for each in assert_problem(answer, 400)["errors"]}


def test_unknown_parameters_are_told_with_everything_else(client: Client) -> None:
    """In a query and in a body, on any path; names that begin with `_` are ignored."""
    errors = errors_of(client.get(f"/api/timeseries?{GOOD}&max_point=2&_=1&format=xml"))
    assert {"max_point", "format"} == set(errors)
    assert "max_points" in errors["max_point"]
    body = {"site": "nowhere", "points": ["a"], "startTime": "2025-01-01", "_note": 1, "wait": 99}
    errors = errors_of(client.post("/api/timeseries", body))
    assert {"startTime", "start_time", "wait"} == set(errors)
    assert "start_time" in errors["startTime"]
    for path, near in {
        "/api/jobs?limits=3": "limit",
        "/api/jobs/none/data?fromat=csv": "format",
        "/api/jobs/none?x=1": "none is known here",
        "/api/sites/nowhere/points?perpage=3": "per_page",
        "/api/cache/objects?prefx=a": "prefix",
        "/api/health?verbose=1": "none is known here",
        "/openapi.json?v=2": "none is known here",
    }.items():
        [message] = errors_of(client.get(path)).values()
        assert near in message, path
    assert "points" in errors_of(client.delete("/api/cache?site=nowhere&pionts=a"))["pionts"]
    assert 200 == client.get("/api/health?_=1").status


def test_times_count_from_the_present(client: Client, upstream: FakeUpstream, site: str) -> None:
    """`now-1d` to the present; the same text means another range later."""
    now_ms = int(time.time() * 1000)
    upstream.add_generated(site, start_ms=now_ms - 3 * DAY_MS, end_ms=now_ms, names=["a"])
    for query in ("start_time=now-1d", "start_time=now-24h&end_time=now"):
        answer = client.get(f"/api/timeseries?site={site}&points=a&{query}")
        assert 200 == answer.status, answer.text
        samples = answer.json()["data"]["a"]["samples"]
        assert 280 < len(samples) <= 289
        assert samples[0][0] >= now_ms - DAY_MS - 1000
    told = set()
    for _ in range(2):
        answer = client.get(f"/api/timeseries?site={site}&points=a&start_time=now-15m")
        told.add(answer.json()["_meta"]["endTime"])
        time.sleep(1.1)
    assert 2 == len(told)
    answer = client.get(f"/api/timeseries?{GOOD.replace('2025-01-01', '1735689600')}")
    assert (
        "were seconds meant? 2025-01-01T00:00:00.000Z is 1735689600000"
        in (errors_of(answer)["start_time"])
    )


def test_basic_dates_are_dates(client: Client, upstream: FakeUpstream, site: str) -> None:
    """20250101 is a day in both places, and no number of milliseconds."""
    upstream.set_points(site, {"a": [(START_MS, "1.50")]})
    times = {"start_time": "20250101", "end_time": "20250102"}
    answer = client.get("/api/timeseries", {"site": site, "points": "a", **times})
    assert [[START_MS, 1.5]] == answer.json()["data"]["a"]["samples"]
    answer = client.post("/api/timeseries", {"site": site, "points": ["a"], **times})
    assert format_instant(START_MS) == answer.json()["_meta"]["startTime"]


@pytest.mark.parametrize("route", ["direct", "cached"])
def test_the_nearest_point_is_named(
    client: Client, upstream: FakeUpstream, site: str, route: str
) -> None:
    """A misspelt name, a part of one, and one that a comma has divided."""
    names = [f"{site}/AHU-{n}/Supply Air Temperature" for n in range(50)] + ["Zone, Wall"]
    upstream.set_points(site, {name: [(START_MS, "1")] for name in names})
    asked = [names[7].replace("Supply", "Suply"), "nothing like it", "Zone", "Wall", names[3]]
    query = {"site": site, "points": ",".join(asked), "start_time": "20250101", "route": route}
    data = client.get("/api/timeseries", query | {"end_time": "20250102"}).json()["data"]
    told = [data[name]["error"] for name in asked]
    comma = "; points= is divided at commas, point= is not"
    assert [
        f'unknown point; the nearest is "{names[7]}"',
        "unknown point",
        f'unknown point; the nearest is "Zone, Wall"{comma}',
        f'unknown point; the nearest is "Zone, Wall"{comma}',
        None,
    ] == told


def wide_rows(answer: Answer) -> list[list[str]]:
    """Return the rows of a wide answer."""
    assert 200 == answer.status, answer.text
    assert "text/csv; charset=utf-8" == answer.headers["Content-Type"]
    return list(csv.reader(io.StringIO(answer.text)))


@pytest.mark.parametrize("route", ["direct", "cached", "queued"])
def test_wide_tables(client: Client, upstream: FakeUpstream, site: str, route: str) -> None:
    """A column for each point, a row for each instant, in parts that are put one by one."""
    upstream.set_points(
        site,
        {
            "=b": [(START_MS + n * MINUTE_MS, f"{n}.50") for n in range(0, 1440, 2)],
            "a, x": [(START_MS + n * MINUTE_MS, "=1+1") for n in range(0, 1440, 3)],
            "c": [],
        },
    )
    query: list[tuple[str, str]] = [
        *(("point", name) for name in ("=b", "a, x", "c")),
        *(("site", site), ("start_time", "20250101"), ("end_time", "20250102")),
        *(("layout", "wide"), ("route", route), ("wait", "30")),
    ]
    for gzipped in (True, False):
        answer = client.get("/api/timeseries", query, accepts_gzip=gzipped)
        rows = wide_rows(answer)
        name = f'attachment; filename="{site}_20250101T000000Z_20250102T000000Z.csv"'
        assert name == answer.headers["Content-Disposition"]
        assert ["time", "'=b", "a, x", "c"] == rows[0]
        assert [
            [
                format_instant(START_MS + n * MINUTE_MS),
                "" if n % 2 else f"{n}.50",
                "" if n % 3 else "'=1+1",
                "",
            ]
            for n in range(1440)
            if n % 2 == 0 or n % 3 == 0
        ] == rows[1:]
    problem = errors_of(client.get("/api/timeseries", [*query, ("format", "json")]))
    assert {"layout"} == set(problem)


def test_a_large_wide_table_is_streamed(client: Client, upstream: FakeUpstream, site: str) -> None:
    """30 points over 30 days, 259,200 samples, in little memory; few chosen ones side by side."""
    names = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 30 * DAY_MS, points=30
    )
    body = {"site": site, "points": names, "start_time": "20250101", "end_time": "20250131"}
    long = client.post("/api/timeseries", body | {"format": "csv", "wait": 60})
    assert 200 == long.status, long.text
    expected: dict[str, dict[str, str]] = {}
    for row in csv.reader(io.StringIO(long.text.partition("\r\n")[2])):
        expected.setdefault(row[0], {})[row[1]] = row[2]
    heap = int(client.get("/api/health").headers["X-Heap-Bytes"])
    answer = client.post("/api/timeseries", body | {"layout": "wide"})
    rows = wide_rows(answer)
    assert ["time", *names] == rows[0]
    assert 30 * 288 == len(rows) - 1 == len(expected)
    for row in rows[1:]:
        assert [expected[row[0]].get(name, "") for name in names] == row[1:]
    assert int(client.get("/api/health").headers["X-Heap-Bytes"]) - heap < 40_000_000
    few = wide_rows(client.post("/api/timeseries", body | {"layout": "wide", "max_points": 20}))
    for column in range(1, 31):
        assert 2 <= sum(row[column] != "" for row in few[1:]) <= 20


@pytest.mark.parametrize("output", ["csv", "ndjson", "msgpack", "json"])
def test_answers_for_files_have_names(
    client: Client, upstream: FakeUpstream, site: str, output: str
) -> None:
    """Site and range, to the millisecond where there is one; JSON is no file."""
    upstream.set_points(site, {"a": [(START_MS, "1")]})
    answer = client.get(
        "/api/timeseries",
        {"site": site, "points": "a", "start_time": START_MS, "end_time": START_MS + 3_600_001}
        | {"format": output},
    )
    assert 200 == answer.status
    name = f'attachment; filename="{site}_20250101T000000Z_20250101T010000.001Z.{output}"'
    assert (None if output == "json" else name) == answer.headers.get("Content-Disposition")


def test_searches_take_words(client: Client, upstream: FakeUpstream, site: str) -> None:
    """All of them, in any order; a page may have 5,000; a purge forgets the list."""
    upstream.set_points(site, {f"AHU-{n} Supply Temp": [] for n in range(1200)} | {"Zone": []})
    path = f"/api/sites/{site}/points"
    found = client.get(path, {"search": "TEMP ahu-7 supply", "per_page": 5000}).json()
    assert 111 == found["total"] == len(found["items"])
    assert 0 == client.get(path, {"search": "temp zone"}).json()["total"]
    assert 1201 == len(client.get(path, {"per_page": 5000}).json()["items"])
    assert {"per_page"} == set(errors_of(client.get(path, {"per_page": 5001})))
    upstream.set_points(site, {"New": []})
    assert 200 == client.delete("/api/cache", {"site": site}).status
    assert 1 == client.get(path, {"search": "new"}).json()["total"]


def test_who_asks(client: Client) -> None:
    """Without keys everybody is an administrator of all sites."""
    document = client.get("/api/me").json()
    assert {"keyId", "role", "sites", "limits", "authMode"} == set(document)
    assert ("open", "admin", "*", "open") == (
        *(document["keyId"], document["role"], document["sites"], document["authMode"]),
    )
    assert 5000 == document["limits"]["points"]


def test_a_post_is_never_not_modified(client: Client, upstream: FakeUpstream, site: str) -> None:
    """A matching tag, or any, makes a GET a 304 and changes nothing about a POST."""
    upstream.set_points(site, {"a": [(START_MS, "1")]})
    body = {"site": site, "points": ["a"], "start_time": "20250101", "end_time": "20250102"}
    body["route"] = "cached"

    def tag() -> str | None:
        return client.post("/api/timeseries", body).headers.get("ETag")

    known = until(tag, what="an entity tag")
    for value in (known, "*"):
        answer = client.post("/api/timeseries", body, headers={"If-None-Match": value})
        assert (200, 1) == (answer.status, answer.json()["data"]["a"]["count"])
        query = body | {"points": "a"}
        assert 304 == client.get("/api/timeseries", query, headers={"If-None-Match": value}).status


def test_a_look_makes_no_job(client: Client, site: str) -> None:
    """HEAD of a request that a GET would make a job of."""
    query = {"site": site, "points": "a", "start_time": "20250101", "end_time": "20250102"}
    answer = client.request("HEAD", "/api/timeseries", query | {"route": "queued"})
    assert (202, b"") == (answer.status, answer.wire)
    assert [] == client.get("/api/jobs", {"site": site}).json()["jobs"]


def completed(client: Client, answer: Answer) -> str:
    """Return the address of the result of the job that a request became."""
    assert 202 == answer.status, answer.text
    status_url = answer.json()["statusUrl"]

    def data_url() -> Any:
        job = client.get(status_url).json()
        assert job["status"] not in ("failed", "cancelled"), job
        return job["dataUrl"]

    return str(until(data_url, what="a completed job"))


def test_a_job_keeps_what_was_asked(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Format, layout, number of samples and order of points, each asker's own; what follows is."""
    end_ms = START_MS + 5 * DAY_MS
    b, a = upstream.add_generated(site, start_ms=START_MS, end_ms=end_ms, points=2)[::-1]
    forms: list[dict[str, Any]] = [
        {"points": [b, a], "max_points": 10},
        {"points": [a, b], "max_points": 10},
        {"points": [b, a], "layout": "wide"},
        {"points": [b, a], "format": "ndjson"},
        {"points": [b, a]},
    ]
    # A day for each: what one has fetched would be known to the next, and answered at once.
    for day, form in enumerate(forms):
        start_ms = START_MS + day * DAY_MS
        form |= {"site": site, "route": "queued", "start_time": start_ms}
        form["end_time"] = start_ms + DAY_MS
    asked = [client.post("/api/timeseries", form) for form in forms]
    few, turned, wide, lines, plain = [completed(client, answer) for answer in asked]
    for url, order in ((few, [b, a]), (turned, [a, b])):
        data = client.get(url).json()["data"]
        assert order == list(data)
        assert all(2 <= each["count"] <= 10 for each in data.values())
    assert ["time", b, a] == wide_rows(client.get(wide))[0]
    answer = client.get(lines)
    assert "application/x-ndjson" == answer.headers["Content-Type"]
    assert 2 * 288 == answer.text.count("\n")
    assert [288, 288] == [each["count"] for each in client.get(plain).json()["data"].values()]
    assert "time,point,value" in client.get(f"{wide}?layout=long").text
    assert 288 == client.get(f"{lines}?format=json").json()["data"][a]["count"]


def test_figures_are_those_of_the_answer(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Samples from the cache and fetched are those of the answer; ranges lie in the request."""
    [name] = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + 9 * DAY_MS)
    for days in ((2, 4), (3, 7)):
        start, end = (START_MS + day * DAY_MS for day in days)
        query = {"site": site, "points": name, "start_time": start, "end_time": end}
        answer = client.get("/api/timeseries", query | {"route": "cached"}).json()
        cache = answer["_meta"]["cache"]
        total = cache["samplesFromCache"] + cache["samplesFetched"]
        assert (end - start) // 300_000 == total == answer["_meta"]["samplesCount"]
        assert all(start <= first < last <= end for first, last in cache["fetched"])
        assert cache["upstreamRequests"] > 0
