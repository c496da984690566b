"""The Worker restored from a snapshot of its memory, as production starts every isolate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.toolchain import Toolchain
from fakes.upstream import WORKER_MARGIN_MS, FakeUpstream
from integration.harness.client import Answer, Client, until
from integration.harness.oracle import CONTENT_TYPES
from integration.harness.project_copy import CopyRun
from integration.harness.snapshots import SnapshotProject
from integration.harness.worker_server import FORBIDDEN

SITE = "snapshot-site"
POINTS = 3
START_MS = 1_735_689_600_000
DAY_MS = 86_400_000
UNASKED = {"start_time": START_MS - 20 * DAY_MS, "end_time": START_MS - 10 * DAY_MS}
TOP_LEVEL = "the top level has run"
# JavaScript's console, because only a snapshot that is being made may write there at the top level.
TELLING = f"\nimport js\n\njs.console.log({TOP_LEVEL!r})\n"
UNSERIALISABLE = "\nimport js\n\nENCODER = js.TextEncoder.new()\n"
CRON = "/cdn-cgi/handler/scheduled?cron=*/5+*+*+*+*&format=json"


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    """An upstream of its own, for a site that all tests here share."""
    with FakeUpstream(margin_ms=WORKER_MARGIN_MS) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def points(upstream: FakeUpstream) -> list[str]:
    """The points of the site."""
    return upstream.add_generated(
        SITE, start_ms=START_MS, end_ms=START_MS + 9 * DAY_MS, points=POINTS
    )


@pytest.fixture(scope="module")
def project(
    upstream: FakeUpstream, tools: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> SnapshotProject:
    """The project, of which a snapshot has been made."""
    folder = tmp_path_factory.mktemp("snapshot")
    found = SnapshotProject(folder, tools, upstream, planted=TELLING)
    assert TOP_LEVEL in found.save()
    return found


@pytest.fixture(scope="module")
def restored(project: SnapshotProject) -> Iterator[CopyRun]:
    """The Worker from the snapshot; at the end its log must be clean."""
    with project.restored() as running:
        yield running
        log = running.log()
    # Else it was started as always, and nothing below would prove anything.
    assert TOP_LEVEL not in log
    assert [] == [line for line in log.splitlines() if any(bad in line for bad in FORBIDDEN)]


@pytest.fixture
def client(restored: CopyRun) -> Client:
    """Sends requests to the restored Worker."""
    return restored.client


def ask(client: Client, points: list[str], **options: Any) -> Answer:
    """Ask for days of the site's points."""
    question = {
        "site": SITE,
        "points": points,
        "start_time": START_MS,
        "end_time": START_MS + 2 * DAY_MS,
        **options,
    }
    return client.post("/api/timeseries", question)


def assert_samples(upstream: FakeUpstream, document: Any, days: int) -> None:
    """See that a document has what the upstream has of the first days."""
    assert POINTS == len(document["data"])
    for name in document["data"]:
        expected = upstream.expected(SITE, name, START_MS, START_MS + days * DAY_MS)
        assert expected == document["data"][name]["samples"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api/health", "status"),
        ("/openapi.json", "paths"),
        ("/api/stats", "cache"),
        ("/api/upstream", "sites"),
        ("/api/sites", "items"),
        # Kept compressed by a package that must not be imported at the top level.
        (f"/api/sites/{SITE}/points", "items"),
        ("/api/jobs", "jobs"),
        ("/api/cache/objects", "objects"),
        ("/api/queue/dlq/stats", "dlq"),
    ],
)
def test_documents(client: Client, path: str, key: str) -> None:
    """Each document comes, once read by a fresh isolate and once again."""
    for _ in range(2):
        answer = client.get(path)
        assert 200 == answer.status, answer.text
        assert key in answer.json(), answer.text


def test_samples_directly(client: Client, upstream: FakeUpstream, points: list[str]) -> None:
    """The direct route answers with what the upstream has."""
    answer = ask(client, points, route="direct")
    assert (200, "direct") == (answer.status, answer.headers["X-Route-Type"]), answer.text
    assert_samples(upstream, answer.json(), 2)


def test_samples_from_the_cache(client: Client, upstream: FakeUpstream, points: list[str]) -> None:
    """A miss is stored, and what follows is a hit, in every format and with fewer samples."""
    question = {"route": "cached", "end_time": START_MS + 3 * DAY_MS}
    statuses = []
    for _ in range(2):
        answer = ask(client, points, **question)
        statuses.append(answer.headers["X-Cache-Status"])
        assert_samples(upstream, answer.json(), 3)
    assert ["miss", "hit"] == statuses
    for output, content_type in CONTENT_TYPES.items():
        answer = ask(client, points, **question, format=output, max_points=100)
        assert (200, content_type) == (answer.status, answer.headers["Content-Type"])
        assert answer.body


def test_a_job(client: Client, upstream: FakeUpstream, points: list[str]) -> None:
    """A real queue delivers its chunks, and its result is read from the cache."""
    queued = ask(client, points, route="queued", end_time=START_MS + 9 * DAY_MS)
    assert 202 == queued.status, queued.text
    path = queued.headers["Location"]
    job = until(
        lambda: found if (found := client.get(path).json())["status"] == "completed" else None,
        what="end of the job",
    )
    events = client.get(f"{path}/events")
    assert "event: completed" in events.text
    assert_samples(upstream, client.get(job["dataUrl"]).json(), 9)


def test_maintenance(client: Client) -> None:
    """Cron and the route run the same steps, and none of them fails."""
    fired = client.get(CRON)
    assert (200, "ok") == (fired.status, fired.json()["outcome"])
    answer = client.post("/api/maintenance/run")
    assert 200 == answer.status, answer.text
    assert [] == [step for step in answer.json()["steps"] if "error" in step]


def test_each_isolate_has_chance_of_its_own(
    project: SnapshotProject, restored: CopyRun, points: list[str]
) -> None:
    """Isolates of one snapshot give other identities, to requests and to jobs."""
    with project.restored() as other:
        clients = (restored.client, other.client)
        requests = [client.get("/api/health").headers["X-Request-Id"] for client in clients]
        jobs = [
            ask(client, points, route="queued", **UNASKED).json()["jobId"] for client in clients
        ]
    assert 2 == len(set(requests))
    assert 2 == len(set(jobs))


def test_what_no_snapshot_can_hold_is_refused(
    upstream: FakeUpstream, tools: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A JavaScript object in a module's variable fails here with the text of production."""
    folder = tmp_path_factory.mktemp("refused")
    spoilt = SnapshotProject(folder, tools, upstream, planted=UNSERIALISABLE)
    told = spoilt.refused()
    assert re.search(r"Can't serialize top-level variable\.", told), told
    assert "[object TextEncoder]" in told
    assert [] == list(spoilt.snapshots.iterdir())
