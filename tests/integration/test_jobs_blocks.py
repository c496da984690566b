"""A job over most of a site keeps all that the pages bring, on the real runtime."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.traits import FAITHFUL
from fakes.upstream import FakeUpstream
from integration.harness.oracle import START_MS, Question, assert_exact, cache_of
from integration.harness.state_files import rows
from integration.harness.worker_server import WorkerServer
from integration.test_real_jobs import UNKNOWN, VARIABLES, completed, submit

DAY_MS = 86_400_000
DAYS, POINTS, ASKED = 6, 400, 390
PER_DAY = 288


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    """A faithful upstream: its pages hold the whole site, and nothing filters them."""
    with FakeUpstream(traits=FAITHFUL) as server:
        yield server


def test_a_chart_of_what_nobody_asked_for_is_a_hit(
    upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory, site: str
) -> None:
    """Whole and zoomed, before and after merging, without a request; strangers are told."""
    end_ms = START_MS + DAYS * DAY_MS
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=end_ms, points=POINTS)
    with WorkerServer(
        tmp_path_factory.mktemp("jobs-blocks"),
        upstream=upstream.url,
        token=upstream.token,
        variables=VARIABLES,
    ).healthy() as server:
        client = server.client
        job = completed(client, submit(client, site, [*points[:ASKED], UNKNOWN], DAYS))
        assert ASKED * DAYS * PER_DAY == job["samplesCount"]
        few = client.get(job["dataUrl"], {"max_points": "20"}).json()["data"]
        assert "unknown point" == few[UNKNOWN]["error"]
        assert {None} == {found["error"] for name, found in few.items() if name != UNKNOWN}
        requests = upstream.requests_for(site)
        chart = Question(site, points[ASKED:], START_MS, end_ms)
        answer = chart.ask(client)
        assert_exact(upstream, chart, answer)
        assert "hit" == cache_of(answer)[0]
        first = chart.ask(client, max_points=300).json()["data"]
        while any(
            step["changed"]
            for step in client.post("/api/maintenance/run").json()["steps"]
            if step["name"] == "merged blocks"
        ):
            pass
        again = chart._replace(points=points[ASKED - 5 :])
        answer = again.ask(client)
        assert_exact(upstream, again, answer)
        assert "hit" == cache_of(answer)[0]
        zoomed = again.ask(client, max_points=300).json()["data"]
        assert all(first[name] == zoomed[name] for name in again.points if name in first)
        assert requests == upstream.requests_for(site)
        counted = rows(
            server.state,
            "SELECT sum(samples) AS samples, min(is_once) AS is_once, max(points) AS points "
            "FROM site_blocks WHERE gone_ms IS NULL",
        )
        expected = {"samples": POINTS * DAYS * PER_DAY, "is_once": 1, "points": POINTS}
        assert [expected] == counted
