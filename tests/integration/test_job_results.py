"""The result of a large job on the real R2: materialised when the job is done, then piped."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client, until
from integration.harness.worker_server import WorkerServer

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
DAYS, POINTS = 120, 15
SITE = "large-result"


@pytest.fixture(scope="module")
def job(upstream: FakeUpstream, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A completed job of half a million samples, whose result has been materialised."""
    client: Client = request.getfixturevalue("worker").client
    end_ms = START_MS + DAYS * DAY_MS
    points = upstream.add_generated(SITE, points=POINTS, start_ms=START_MS, end_ms=end_ms)
    asked = {
        "site": SITE,
        "points": points,
        "start_time": START_MS,
        "end_time": end_ms,
        "route": "queued",
    }
    job_id = client.post("/api/timeseries", asked).json()["jobId"]

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get(f"/api/jobs/{job_id}").json()
        assert "failed" != found["status"], found
        return found if "completed" == found["status"] else None

    found: dict[str, Any] = until(look, 60, what="completed job")
    until(lambda: objects(client), what="materialised result")
    return found


def objects(client: Client) -> list[dict[str, Any]]:
    """Return the objects of results; beside them is the list of the site's points."""
    answer = client.get("/api/cache/objects", {"prefix": f"results/{SITE}/"})
    found: list[dict[str, Any]] = answer.json()["objects"]
    return [each for each in found if each["samples"] > 0]


def download(client: Client, job: dict[str, Any], **headers: str) -> Answer:
    """Return the result as a client that takes gzip gets it."""
    return client.get(job["dataUrl"], headers=headers)


def test_all_of_it_arrives(client: Client, upstream: FakeUpstream, job: dict[str, Any]) -> None:
    """Every sample of every point in the order of the request, and a length told beforehand."""
    answer = download(client, job)
    document = answer.json()
    points = list(document["data"])
    assert POINTS == len(points)
    for point in points:
        found = document["data"][point]
        expected = upstream.expected(SITE, point, START_MS, START_MS + DAYS * DAY_MS)
        assert (expected, len(expected)) == (found["samples"], found["count"])
    meta = document["_meta"]
    assert (job["samplesCount"], job["samplesCount"], "hit", "queued", True) == (
        *(meta["samplesCount"], meta["cache"]["samplesFromCache"], meta["cache"]["status"]),
        *(meta["routeType"], meta["cacheHit"]),
    )
    assert answer.headers["X-Request-Id"] == meta["requestId"]
    assert str(len(answer.wire)) == answer.headers["Content-Length"]
    [stored] = objects(client)
    assert 2_097_152 <= stored["size"] < len(answer.wire)
    assert (POINTS, job["samplesCount"]) == (stored["points"], stored["samples"])


def test_each_answer_has_an_end_of_its_own(client: Client, job: dict[str, Any]) -> None:
    """The same bytes, but for a request id that is in the header and in the document."""
    answers = [download(client, job) for _ in range(3)]
    ids = [each.json()["_meta"]["requestId"] for each in answers]
    assert [each.headers["X-Request-Id"] for each in answers] == ids
    assert 3 == len(set(ids))
    assert 1 == len({each.headers["ETag"] for each in answers})
    assert 1 == len({each.wire[:2_097_152] for each in answers})


def test_who_has_it_gets_no_body(client: Client, job: dict[str, Any]) -> None:
    """A known entity tag is a 304, a HEAD has the headers alone."""
    tag = str(download(client, job).headers["ETag"])
    known = download(client, job, **{"If-None-Match": tag})
    assert (304, b"", tag) == (known.status, known.wire, known.headers["ETag"])
    head = client.request("HEAD", job["dataUrl"])
    assert (200, b"", tag) == (head.status, head.wire, head.headers["ETag"])


def test_every_form_has_the_same_samples(client: Client, job: dict[str, Any]) -> None:
    """Plain JSON and CSV are spliced again, and are as complete."""
    whole = download(client, job).json()["data"]
    plain = client.get(job["dataUrl"], accepts_gzip=False)
    assert None is plain.headers.get("Content-Encoding")
    assert whole == plain.json()["data"]
    lines = client.get(job["dataUrl"], {"format": "csv"}).text.splitlines()
    assert job["samplesCount"] + 1 == len(lines)


def test_a_client_that_leaves_does_no_harm(
    worker: WorkerServer, client: Client, job: dict[str, Any]
) -> None:
    """A connection that is closed in the middle ends its own answer and no other."""
    url = urlsplit(worker.url)
    for _ in range(5):
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
        connection.request("GET", job["dataUrl"], headers={"Accept-Encoding": "gzip"})
        connection.getresponse().read(100_000)
        connection.close()
    assert job["samplesCount"] == download(client, job).json()["_meta"]["samplesCount"]


def test_a_purged_result_is_gone(client: Client, job: dict[str, Any]) -> None:
    """After a purge nobody gets the result; its object stays for those who read it already."""
    assert 0 < client.request("DELETE", f"/api/cache?site={SITE}").json()["deleted"]
    until(lambda: 410 == download(client, job).status, what="purged result")
    assert 200 == client.post("/api/maintenance/run").status
    assert 1 == len(objects(client))
