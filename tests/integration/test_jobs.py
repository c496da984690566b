"""Jobs on the real queues: exact data, faults, failures, cancelling, priorities, death."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from building_vitals_client import Client as Python
from building_vitals_client import Progress
from building_vitals_client.samples import Sample
from fakes.upstream import TIMESERIES, FakeUpstream
from integration.harness.client import Client, until
from integration.harness.processes import descendants, survivors
from integration.harness.worker_server import WorkerServer

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
PAGE_SIZE = 1000
# How long the Worker waits for an answer, and what it may be by the upstream's clock.
PAGE_TIMEOUT_MS = 2000
PATIENCE_MS = 1500
# Small pages and short pauses, so that much can happen in little time.
VARIABLES = {
    "UPSTREAM_PAGE_SIZE": str(PAGE_SIZE),
    "UPSTREAM_PAGE_TIMEOUT": str(PAGE_TIMEOUT_MS),
    "UPSTREAM_RETRY_DELAY": "10",
    "UPSTREAM_MAX_RETRIES": "3",
    "RETRY_DELAY": "10",
    "MAX_RETRIES": "3",
    "MAX_ACTIVE_JOBS": "1000",
    "BATCH_SIZE": "50",
}
ENDED = ("completed", "failed", "cancelled")
# What strikes two requests and is gone with the next: data must come out right.
PASSING_FAULTS = (
    *("429", "500", "502", "503", "504", "cut", "invalid_json", "invalid_utf8", "wrong_shape"),
    *("html", "html_502", "reset", "hang"),
)
# What is no failure, but the upstream's way.
HABITS = ("unordered", "duplicates", "outside_range", "time_formats", "ignores_point_names", "gzip")
# The same of pages alone.
PASSING_FAULTS_OF_PAGES = ("cut", "repeating_cursor", "no_cursor", "reset", "503")
HABITS_OF_PAGES = ("unordered", "duplicates", "outside_range", "empty_pages")


@pytest.fixture(scope="module")
def server(
    upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerServer]:
    """A Worker with small pages."""
    folder = tmp_path_factory.mktemp("jobs")
    with WorkerServer(
        folder, upstream=upstream.url, token=upstream.token, variables=VARIABLES
    ).healthy() as started:
        yield started


@pytest.fixture
def client(server: WorkerServer) -> Client:
    """Sends requests to the Worker with small pages."""
    return server.client


def submit(
    client: Client, site: str, points: Sequence[str], days: float, **options: Any
) -> dict[str, Any]:
    """Ask by the queued route for days from the start on; returns the answer of a 202."""
    answer = client.post(
        "/api/timeseries",
        {
            "site": site,
            "points": list(points),
            "start_time": START_MS,
            "end_time": START_MS + round(days * DAY_MS),
            "route": "queued",
            **options,
        },
    )
    assert 202 == answer.status, answer.text
    found: dict[str, Any] = answer.json()
    assert found["statusUrl"] == answer.headers["Location"]
    return found


def read_job(client: Client, job_id: str) -> dict[str, Any]:
    """Return a job."""
    answer = client.get(f"/api/jobs/{job_id}")
    assert 200 == answer.status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(client: Client, job_id: str, deadline_s: float = 60) -> dict[str, Any]:
    """Return a job once it has ended, having seen that its progress never fell."""
    progress = [0]

    def look() -> dict[str, Any] | None:
        job = read_job(client, job_id)
        assert progress[-1] <= job["progress"], progress
        progress.append(job["progress"])
        assert (100 == job["progress"]) == ("completed" == job["status"])
        return job if job["status"] in ENDED else None

    return until(look, deadline_s, what=f"end of {job_id}")


def assert_exact(
    client: Client, upstream: FakeUpstream, site: str, points: Sequence[str], job: dict[str, Any]
) -> None:
    """See that a job is completed and its result is what the upstream has."""
    assert "completed" == job["status"], job
    answer = client.get(job["dataUrl"])
    assert 200 == answer.status, answer.text
    document = answer.json()
    assert list(points) == list(document["data"])
    end_ms = START_MS
    for name, found in document["data"].items():
        expected = upstream.expected(site, name, START_MS, START_MS + 400 * DAY_MS)
        end_ms = max(end_ms, expected[-1][0] if expected else 0)
        assert expected == found["samples"], name
        assert len(expected) == found["count"]
    assert "queued" == document["_meta"]["routeType"]
    assert document["_meta"]["samplesCount"] == job["samplesCount"]


def test_a_job_of_a_thousand_points_is_exact(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """A large request becomes a job whose data are exact, and the same request is then a hit."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 2 * DAY_MS, points=1000, interval_s=3600
    )
    queued = submit(client, site, points, 2)
    assert 200_000 == queued["estimatedSamples"]
    job = ended(client, queued["jobId"])
    assert 20 == job["totalChunks"] == job["completedChunks"]
    assert 48_000 == job["samplesCount"] == upstream.samples_sent(site, patience_ms=PATIENCE_MS)
    assert_exact(client, upstream, site, points, job)
    again = client.post(
        "/api/timeseries",
        {
            "site": site,
            "points": points,
            "start_time": START_MS,
            "end_time": START_MS + 2 * DAY_MS,
        },
    )
    assert (200, "true", "cached") == (
        again.status,
        again.headers["X-Cache-Hit"],
        again.headers["X-Route-Type"],
    )
    assert again.json()["_meta"]["cacheHit"] is True
    lines = client.get(job["dataUrl"], {"format": "csv"}).text.splitlines()
    assert (48_001, "time,point,value") == (len(lines), lines[0])
    fewer = client.get(job["dataUrl"], {"max_points": "10"}).json()
    assert 10 >= max(each["count"] for each in fewer["data"].values()) > 1

    def is_unchanged() -> bool:
        # Behind these answers segments are joined, and get levels.
        tag = client.get(job["dataUrl"]).headers["ETag"]
        return 304 == client.get(job["dataUrl"], headers={"If-None-Match": tag}).status

    until(is_unchanged, what="tag that lasts")


def test_thirty_identical_submissions_are_one_job(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Thirty clients that ask the same at once get the same job, and it is fetched once."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 3 * DAY_MS, points=120
    )
    with ThreadPoolExecutor(30) as pool:
        found = list(pool.map(lambda _: submit(client, site, points, 3)["jobId"], range(30)))
    assert 1 == len(set(found))
    job = ended(client, found[0])
    sent = upstream.samples_sent(site, patience_ms=PATIENCE_MS)
    assert 3 * 288 * 120 == job["samplesCount"] == sent
    listed = client.get("/api/jobs", {"site": site}).json()
    assert [found[0]] == [each["jobId"] for each in listed["jobs"]]
    assert listed["nextCursor"] is None


def strike(upstream: FakeUpstream, name: str, kind: str, on: Collection[str]) -> None:
    """Let a fault strike the next two requests of a site, or a habit all of them."""
    if kind in (*HABITS, *HABITS_OF_PAGES):
        upstream.faults.always(name, kind, on=on)
    else:
        upstream.faults.times(name, kind, 2, on=on)


def assert_struck(upstream: FakeUpstream, name: str, kind: str) -> None:
    """See that what should strike a site's requests has done so."""
    struck = [fault for one in upstream.log(name, *TIMESERIES) for fault in one.faults]
    assert {kind} == set(struck)
    assert kind in (*HABITS, *HABITS_OF_PAGES) or 2 == len(struck)


def test_every_fault_ends_in_the_same_data(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """With each fault striking the first two requests, and with each habit, data are exact."""
    jobs = {}
    for number, kind in enumerate((*PASSING_FAULTS, *HABITS)):
        name = f"{site}-{number}"
        points = upstream.add_generated(
            name, start_ms=START_MS, end_ms=START_MS + 2 * DAY_MS, points=10
        )
        strike(upstream, name, kind, TIMESERIES)
        jobs[name] = (points, kind, submit(client, name, points, 2)["jobId"])
    for name, (points, kind, job_id) in jobs.items():
        job = ended(client, job_id, 120)
        assert "completed" == job["status"], (kind, job)
        assert_exact(client, upstream, name, points, job)
        assert_struck(upstream, name, kind)
        upstream.faults.clear(name)


def test_every_fault_of_pages_ends_in_the_same_data(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """The same of jobs on all points of a site of few samples, which go by its pages."""
    jobs = {}
    for number, kind in enumerate((*PASSING_FAULTS_OF_PAGES, *HABITS_OF_PAGES)):
        name = f"{site}-{number}"
        points = upstream.add_generated(
            name,
            start_ms=START_MS,
            end_ms=START_MS + 4 * DAY_MS,
            points=400,
            interval_s=43_200,
        )
        # A chart of two samples, from which the Worker learns how few there are.
        params = {"site": name, "start_time": START_MS, "end_time": START_MS + DAY_MS - 1000}
        chart = client.get("/api/timeseries", {**params, "point": points[0], "route": "direct"})
        assert 200 == chart.status, chart.text
        strike(upstream, name, kind, {"timeseries"})
        jobs[name] = (points, kind, submit(client, name, points, 4)["jobId"])
    for name, (points, kind, job_id) in jobs.items():
        job = ended(client, job_id, 120)
        assert "completed" == job["status"], (kind, job)
        assert 4 <= upstream.requests_for(name, "timeseries")
        assert 1 == upstream.requests_for(name, "points_timeseries")
        assert_exact(client, upstream, name, points, job)
        assert_struck(upstream, name, kind)
        upstream.faults.clear(name)


def test_a_permanent_fault_fails_the_job_until_it_is_retried(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """A job that can't succeed fails with the reason, is in the DLQ, and a retry mends it."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 2 * DAY_MS, points=60
    )
    before = client.get("/api/queue/dlq/stats").json()["dlq"]["total"]
    upstream.faults.always(site, "503")
    job_id = submit(client, site, points, 2)["jobId"]
    job = ended(client, job_id)
    assert "failed" == job["status"]
    assert "503" in job["error"]
    assert job["failedAt"] is not None
    assert job["dataUrl"] is None
    assert 409 == client.get(f"/api/jobs/{job_id}/data").status
    assert 409 == client.delete(f"/api/jobs/{job_id}").status
    failures = client.get("/api/queue/dlq/failures", {"limit": "1000"}).json()["failures"]
    mine = [each for each in failures if each["jobId"] == job_id]
    # Of a site that has given nothing yet, one chunk goes ahead of the others.
    assert [(site, 0, "upstream")] == [
        (each["site"], each["chunk"], each["class"]) for each in mine
    ]
    assert before + 1 == client.get("/api/queue/dlq/stats").json()["dlq"]["total"]
    upstream.faults.clear(site)
    answer = client.post(f"/api/queue/dlq/failures/{job_id}/retry")
    assert (202, "queued") == (answer.status, answer.json()["status"]), answer.text
    assert_exact(client, upstream, site, points, ended(client, job_id))
    assert 409 == client.post(f"/api/queue/dlq/failures/{job_id}/retry").status


def test_an_unknown_site_fails_at_once(client: Client, site: str) -> None:
    """A job for a site that the upstream does not know fails as a bad request, without retries."""
    job = ended(client, submit(client, site, ["a"], 2)["jobId"])
    assert ("failed", 0) == (job["status"], job["retryCount"])
    assert site in job["error"]


def test_cancelling_stops_the_fetching(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Once a cancel is acknowledged only the pages in flight still come."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 10 * DAY_MS, points=200
    )
    upstream.latency_ms[site] = 200
    job_id = submit(client, site, points, 10)["jobId"]
    until(lambda: upstream.requests_for(site) >= 3, what="first pages")
    answer = client.delete(f"/api/jobs/{job_id}")
    assert (200, True) == (answer.status, answer.json()["success"])
    in_flight = upstream.requests_for(site)
    assert "cancelled" == read_job(client, job_id)["status"]
    assert 409 == client.delete(f"/api/jobs/{job_id}").status
    client.post("/api/maintenance/run")
    other = f"{site}-after"
    more = upstream.add_generated(other, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=60)
    ended(client, submit(client, other, more, 1)["jobId"])
    until(lambda: all(one.is_done for one in upstream.log(site)), what="end of the pages in flight")
    assert upstream.requests_for(site) <= in_flight + 4
    assert "cancelled" == read_job(client, job_id)["status"]


def read_events(server: WorkerServer, job_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return all events of a job's stream."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", f"/api/jobs/{job_id}/events")
        response = connection.getresponse()
        assert "text/event-stream" == response.headers["Content-Type"]
        text = response.read().decode()
    finally:
        connection.close()
    events = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            events.append((lines["event"], json.loads(lines["data"])))
    return events


def test_events_follow_a_job_to_its_end(
    server: WorkerServer, client: Client, upstream: FakeUpstream, site: str
) -> None:
    """The stream of events shows growing progress, then the end, and is closed."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 8 * DAY_MS, points=100
    )
    # Five pages: progress is written once a second at most.
    upstream.latency_ms[site] = 600
    job_id = submit(client, site, points, 8)["jobId"]
    events = read_events(server, job_id)
    names = [name for name, _ in events]
    shares = [job["progress"] for _, job in events]
    assert {"progress"} == set(names[:-1])
    assert "completed" == names[-1]
    assert sorted(shares) == shares
    assert len(set(shares)) > 2, shares
    assert 404 == client.get("/api/jobs/job_unknown/events").status


def test_high_goes_before_a_backlog_and_low_after(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """With 60 normal chunks waiting, a high job completes first and a low one begins last."""
    names = {kind: f"{site}-{kind}" for kind in ("normal", "high", "low")}
    end_ms = START_MS + DAY_MS
    upstream.latency_ms[names["normal"]] = 25
    points = {
        kind: upstream.add_generated(
            name,
            start_ms=START_MS,
            end_ms=end_ms,
            points=3000 if kind == "normal" else 60,
            interval_s=43_200,
        )
        for kind, name in names.items()
    }
    # One job: a second might be cut by the rate that the first has shown by then.
    backlog = submit(client, names["normal"], points["normal"], 1)["jobId"]
    assert 60 == read_job(client, backlog)["totalChunks"]
    low = submit(client, names["low"], points["low"], 1, priority="low")["jobId"]
    high = submit(client, names["high"], points["high"], 1, priority="high")["jobId"]
    assert "high" == ended(client, high)["priority"]
    assert read_job(client, backlog)["completedChunks"] < 45
    assert 0 == upstream.requests_for(names["low"])
    assert "completed" == ended(client, backlog, 90)["status"]
    assert "completed" == ended(client, low, 90)["status"]
    first_low = upstream.log(names["low"], *TIMESERIES)[0].time_ms
    # Without the page that is compared behind the first chunks.
    normal = upstream.log(names["normal"], "points_timeseries")
    assert 60 == len(normal)
    assert first_low >= max(one.time_ms for one in normal)


def kill(server: WorkerServer) -> None:
    """Kill the runtime and all around it, at once."""
    assert server.process is not None
    started = descendants(server.process.pid)
    for each in started:
        if "workerd" in each.command.split()[0]:
            os.kill(each.pid, signal.SIGKILL)
    server.process.kill()
    server.process.wait()
    until(lambda: not survivors(started), what="end of all processes")


def test_a_killed_runtime_loses_nothing(
    server: WorkerServer, client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Killed in the middle of a job and started again, the job completes, each sample once."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=300)
    upstream.latency_ms[site] = 100
    job_id = submit(client, site, points, 1)["jobId"]
    until(lambda: read_job(client, job_id)["completedChunks"] >= 1, what="first chunk")
    kill(server)
    fetched = upstream.samples_sent(site)
    server.start()
    before = read_job(client, job_id)
    assert before["status"] in ("processing", "retrying")
    assert 1 <= before["completedChunks"] < before["totalChunks"]
    upstream.latency_ms.pop(site)
    sent_again: list[int] = []

    def is_over() -> bool:
        # What the dead had claimed is sent again by the first run after the claim, as cron would.
        steps = client.post("/api/maintenance/run").json()["steps"]
        sent_again.extend(each["changed"] for each in steps if each["name"] == "lost chunks")
        time.sleep(1)
        return read_job(client, job_id)["status"] in ENDED

    until(is_over, 60, what=f"end of {job_id}")
    assert 0 < sum(sent_again)
    job = ended(client, job_id, 60)
    assert before["progress"] <= job["progress"]
    assert_exact(client, upstream, site, points, job)
    assert fetched < 288 * 300


def test_the_python_client_outlives_the_runtime(
    server: WorkerServer, client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Killed in the middle of its job and started again: the call returns each sample once."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=100)
    upstream.latency_ms[site] = 200
    shown: list[Progress] = []

    def ask() -> dict[str, list[Sample]]:
        with Python(server.url, patience_s=240) as python:
            times = START_MS, START_MS + DAY_MS
            return python.timeseries(
                site, points, *times, route="queued", progress=shown.append
            ).samples

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        until(lambda: any(each.job and each.job.progress for each in shown), what="progress")
        kill(server)
        upstream.latency_ms.pop(site)
        server.start()

        def is_over() -> bool:
            client.post("/api/maintenance/run")
            time.sleep(1)
            return asking.done()

        until(is_over, 90, what="end of the call")
    for name, samples in asking.result().items():
        expected = upstream.expected(site, name, START_MS, START_MS + DAY_MS)
        assert expected == [list(each) for each in samples]
    assert points == list(asking.result())
