"""Jobs whose chunks are made a few ahead, on the real queues and the real database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client, until
from integration.harness.state_files import opened
from integration.harness.worker_server import WorkerServer

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
CHUNKS_AHEAD = 16
HOURLY_SAMPLES = 100_000_000
VARIABLES = {
    "UPSTREAM_PAGE_SIZE": "1000",
    "UPSTREAM_RETRY_DELAY": "10",
    "UPSTREAM_MAX_RETRIES": "1",
    "RETRY_DELAY": "10",
    "MAX_RETRIES": "1",
    "BATCH_SIZE": "5",
    "MAX_HOURLY_SAMPLES": str(HOURLY_SAMPLES),
}


@pytest.fixture(scope="module")
def server(
    upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerServer]:
    """A Worker with small batches and a small limit of an hour."""
    folder = tmp_path_factory.mktemp("windows")
    with WorkerServer(
        folder, upstream=upstream.url, token=upstream.token, variables=VARIABLES
    ).healthy() as started:
        yield started


@pytest.fixture
def client(server: WorkerServer) -> Client:
    """Sends requests to that Worker."""
    return server.client


def ask(client: Client, site: str, points: list[str], days: int) -> Answer:
    """Ask by the queued route for days from the start on."""
    return client.post(
        "/api/timeseries",
        {
            "site": site,
            "points": points,
            "start_time": START_MS,
            "end_time": START_MS + days * DAY_MS,
            "route": "queued",
        },
    )


def completed(client: Client, url: str) -> None:
    """Wait until a job is completed."""
    until(lambda: client.get(url).json()["status"] == "completed", 60, what=f"end of {url}")


def rows(server: WorkerServer, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return rows of the database's file."""
    with opened(server.state, "queue_jobs") as d1:
        return [tuple(row) for row in d1.execute(sql, values)]


def test_a_job_completes_chunk_by_chunk(
    server: WorkerServer, client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Never more than a few chunks are open, and the result is what the upstream has."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 2 * DAY_MS, points=200
    )
    job_id = ask(client, site, points, 2).json()["jobId"]

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = client.get(f"/api/jobs/{job_id}").json()
        [(count,)] = rows(
            server,
            "SELECT count(*) FROM job_chunks WHERE job_id = ?1 AND status <> 'completed'",
            job_id,
        )
        assert count <= CHUNKS_AHEAD
        return job if job["status"] in ("completed", "failed") else None

    job = until(look, 120, what="end of the job")
    assert ("completed", None) == (job["status"], job["error"])
    assert job["totalChunks"] == job["completedChunks"] >= 40
    document = client.get(job["dataUrl"]).json()
    assert points == list(document["data"])
    for name in points[::37]:
        expected = upstream.expected(site, name, START_MS, START_MS + 2 * DAY_MS)
        assert expected == document["data"][name]["samples"]


def test_each_asker_gets_its_own_order(client: Client, upstream: FakeUpstream, site: str) -> None:
    """The same points in another order are a job of their own, which asks for nothing again."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=6)
    orders = [points, points[::-1]]
    jobs = [ask(client, site, order, 1).json() for order in orders]
    for order, found in zip(orders, jobs, strict=True):
        url = found["statusUrl"]
        completed(client, url)
        assert order == list(client.get(f"{url}/data").json()["data"])


def test_what_is_gone_of_a_completed_job_is_fetched_when_asked_again(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """The result says that it is gone, and to ask again; asking again works."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=10)
    found = ask(client, site, points, 1).json()
    url = found["statusUrl"]
    completed(client, url)
    purged = client.delete("/api/cache", {"site": site, "points": points[0]})
    assert 200 == purged.status, purged.text
    gone = client.get(f"{url}/data")
    assert 410 == gone.status
    assert "send the request again" in gone.json()["detail"]
    again = ask(client, site, points, 1).json()["statusUrl"]
    completed(client, again)
    assert points == list(client.get(f"{again}/data").json()["data"])


def test_submitting_and_cancelling_has_its_limits(
    server: WorkerServer, client: Client, upstream: FakeUpstream, site: str
) -> None:
    """A few rows and upstream requests each, then 429 with the numbers and a Retry-After."""
    names = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 300 * DAY_MS, points=1000
    )
    upstream.latency_ms[site] = 300
    made = 0
    while (answer := ask(client, site, names, 300)).status == 202:
        url = answer.json()["statusUrl"]
        assert client.get(url).json()["totalChunks"] > 100
        assert 200 == client.delete(url).status
        made += 1
        assert made <= HOURLY_SAMPLES // (1000 * 300 * 100)
    assert (429, True) == (answer.status, 0 < int(answer.headers["Retry-After"]) <= 3600)
    assert f"{HOURLY_SAMPLES} are allowed" in answer.json()["detail"]
    [(count,)] = rows(
        server,
        "SELECT count(*) FROM job_chunks c JOIN queue_jobs j ON j.job_id = c.job_id"
        " WHERE j.site = ?1",
        site,
    )
    assert made <= count <= made * (CHUNKS_AHEAD + 1)


def test_a_head_request_makes_no_job(client: Client, upstream: FakeUpstream, site: str) -> None:
    """It says what a GET would, and asks nothing of anybody."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=1)
    query: dict[str, str] = {
        "site": site,
        "points": points[0],
        "start_time": str(START_MS),
        "end_time": str(START_MS + DAY_MS),
        "route": "queued",
    }
    answer = client.request("HEAD", "/api/timeseries", query)
    assert (202, b"") == (answer.status, answer.body)
    assert "Location" not in answer.headers
    assert [] == client.get(f"/api/jobs?site={site}").json()["jobs"]
