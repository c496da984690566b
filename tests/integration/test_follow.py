"""A followed site on the real runtime: read by the queue's consumer, kept in blocks, forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import until
from integration.harness.oracle import DAY_MS, Question, assert_exact, cache_of
from integration.harness.state_files import opened, rows
from integration.harness.worker_server import WorkerServer

MINUTE_MS = 60_000
BLOCKS = "SELECT count(*) AS n FROM site_blocks WHERE site = ?1 AND gone_ms IS NULL"
# As if the last round had been long ago.
DUE = """
UPDATE site_follows SET next_ms = next_ms - 900000, message_ms = message_ms - 900000,
    round_end_ms = round_end_ms - 900000
WHERE site = ?1
"""


@pytest.fixture
def server(upstream: FakeUpstream, tmp_path: Path) -> Iterator[WorkerServer]:
    """A Worker of the test's own, not started yet."""
    yield WorkerServer(tmp_path, upstream=upstream.url, token=upstream.token)


def awaited(server: WorkerServer, site: str, state: str) -> dict[str, Any]:
    """Return the follow when it has come to a state."""

    def look() -> dict[str, Any] | None:
        found = server.client.get(f"/api/sites/{site}/follow")
        assert 200 == found.status, found.text
        document: dict[str, Any] = found.json()
        return document if document["state"] == state else None

    return until(look, 60, what=f"follow that is {state}")


def test_a_site_is_followed_and_forgotten(
    upstream: FakeUpstream, server: WorkerServer, site: str
) -> None:
    """Put; read back to its beginning by pages alone; every chart a hit; kept up; forgotten."""
    now_ms = int(time.time() * 1000)
    first_ms = now_ms - now_ms % DAY_MS - 3 * DAY_MS
    points = upstream.add_generated(
        site, start_ms=first_ms, end_ms=now_ms + DAY_MS, points=40, interval_s=300
    )
    path = f"/api/sites/{site}/follow"
    with server:
        assert 404 == server.client.get(path).status
        assert (
            400 == server.client.request("PUT", path, json={"since": "soon", "every": "9"}).status
        )
        put = server.client.request("PUT", path, json={"since": first_ms, "every": "5m"})
        assert (200, "backfilling", "5m") == (put.status, put.json()["state"], put.json()["every"])
        found = awaited(server, site, "following")
        assert (100, 0, None) == (
            found["backfill"]["progress"],
            found["backfill"]["etaSeconds"],
            found["error"],
        )
        assert found["samplesPerDay"] >= 40 * 3 * 288
        assert found["pagesPerDay"] == upstream.requests_for(site, "timeseries")
        assert rows(server.state, BLOCKS, site)[0]["n"] >= 1
        # Each chart is a hit up to the last round, without a word to the upstream.
        before = len(upstream.fetches(site))
        for start in (0, 20):
            chart = Question(site, points[start : start + 20], now_ms - DAY_MS, now_ms - 60_000)
            answer = chart.ask(server.client)
            assert_exact(upstream, chart, answer)
            assert "hit" == cache_of(answer)[0]
            cache = answer.json()["_meta"]["cache"]
            assert now_ms <= cache["knownUntil"] <= int(time.time() * 1000)
        live = Question(site, points[:20], now_ms - DAY_MS, int(time.time() * 1000) + DAY_MS)
        assert "hit" == cache_of(live.ask(server.client))[0]
        assert before == len(upstream.fetches(site))
    # Messages that wait are lost with this runtime, and an outage of ten minutes is over.
    with opened(server.state, "site_follows", to_change=True) as database:
        database.execute(DUE, (site,))
    with server:
        assert "behind" == server.client.get(path).json()["state"]
        done = server.client.post("/api/maintenance/run").json()["steps"]
        assert [1] == [step["changed"] for step in done if step["name"] == "follow"]
        assert 100 == awaited(server, site, "following")["backfill"]["progress"]
        assert now_ms - DAY_MS // 4 < follow_again(server, upstream, site, first_ms)
        assert 200 == server.client.delete(path, {"forget": "true"}).status
        assert 404 == server.client.get(path).status
        assert 0 == rows(server.state, BLOCKS, site)[0]["n"]
        chart = Question(site, points[:20], now_ms - DAY_MS, now_ms - 60_000)
        answer = chart.ask(server.client)
        assert_exact(upstream, chart, answer)
        assert "miss" == cache_of(answer)[0]
    server.assert_clean_log()


def follow_again(server: WorkerServer, upstream: FakeUpstream, site: str, since_ms: int) -> int:
    """Let go of a site and follow it again; return from when on the upstream was asked for it."""
    path, pages = f"/api/sites/{site}/follow", len(upstream.log(site, "timeseries"))
    assert 200 == server.client.delete(path).status
    again = server.client.request("PUT", path, json={"since": since_ms, "every": "5m"})
    assert 200 == again.status, again.text
    assert 100 == awaited(server, site, "following")["backfill"]["progress"]
    return min(each.range_ms[0] for each in upstream.log(site, "timeseries")[pages:])


def age(server: WorkerServer) -> None:
    """Let the lease of a dead consumer have ended, and its message be long overdue."""
    with opened(server.state, "site_follows", to_change=True) as database:
        database.execute("UPDATE site_follows SET lease_until_ms = 0, message_ms = 0")


def test_a_worker_that_is_killed_while_it_reads_loses_and_doubles_nothing(
    upstream: FakeUpstream, tmp_path: Path, site: str
) -> None:
    """Twice: what was stored is read no second time, what was not is read again."""
    now_ms = int(time.time() * 1000)
    first_ms = now_ms - now_ms % DAY_MS - 2 * DAY_MS
    points = upstream.add_generated(
        site, start_ms=first_ms, end_ms=now_ms + DAY_MS, points=800, interval_s=300
    )
    upstream.latency_ms[site] = 300
    path = f"/api/sites/{site}/follow"
    server = WorkerServer(
        tmp_path,
        upstream=upstream.url,
        token=upstream.token,
        variables={"UPSTREAM_PAGE_SIZE": "10000"},
    )

    def progress(more_than: int) -> int | None:
        found: int = server.client.get(path).json()["backfill"]["progress"]
        return found if found > more_than else None

    with server:
        put = server.client.request("PUT", path, json={"since": first_ms, "every": "1h"})
        assert 200 == put.status, put.text
        stored = until(lambda: progress(0), 90, what="block")
    for _ in range(2):
        age(server)
        server.start()
        try:
            server.client.post("/api/maintenance/run")
            time.sleep(3)
        finally:
            server.kill()
    age(server)
    upstream.latency_ms[site] = 0
    with server:
        assert stored <= server.client.get(path).json()["backfill"]["progress"] < 100
        server.client.post("/api/maintenance/run")
        awaited(server, site, "following")
        chart = Question(site, points[::41], first_ms, now_ms - 60_000)
        answer = chart.ask(server.client)
        assert_exact(upstream, chart, answer)
        assert "hit" == cache_of(answer)[0]
    starts = [asked.range_ms[0] for asked in upstream.log(site, "timeseries")]
    assert sorted(starts) == starts
    assert first_ms == starts[0] < starts[-1]
