"""On the real runtime: what was fetched in chunks becomes one segment, with levels."""

from __future__ import annotations

from fakes.upstream import FakeUpstream
from integration.harness.client import until
from integration.harness.oracle import DAY_MS, START_MS, Question, assert_exact, cache_of
from integration.harness.state_files import rows
from integration.harness.worker_server import WorkerServer

CHUNK_MS, CHUNKS = 2 * DAY_MS, 4
END_MS = START_MS + CHUNKS * CHUNK_MS
SEGMENTS = """
SELECT start_ms, end_ms, fetched_ms, levels IS NOT NULL AS has_levels FROM cache_segments
WHERE site = ?1 AND start_ms >= ?2 ORDER BY point, start_ms
"""
MARKS = "SELECT start_ms, end_ms, purged_ms FROM cache_purges WHERE site = ?1"


def test_chunks_become_one(upstream: FakeUpstream, worker: WorkerServer, site: str) -> None:
    """Behind a chart, fetched when the first was; a purge of a part and a new fetch are right."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=END_MS, points=6, interval_s=60)
    # The first fetch of a site is of another kind, so that the Worker learns what is best.
    first = Question(site, points, START_MS - CHUNK_MS, START_MS)
    assert "miss" == cache_of(first.ask(worker.client))[0]
    for start_ms in range(START_MS, END_MS, CHUNK_MS):
        chunk = Question(site, points, start_ms, start_ms + CHUNK_MS)
        assert "miss" == cache_of(chunk.ask(worker.client))[0]
    until(
        lambda: len(rows(worker.state, SEGMENTS, site, START_MS)) == CHUNKS * len(points),
        what="all chunks",
    )
    apart = rows(worker.state, SEGMENTS, site, START_MS)
    instants = {each["fetched_ms"] for each in apart}
    assert CHUNKS == len(instants)
    whole = Question(site, points, START_MS, END_MS)
    assert "hit" == cache_of(whole.ask(worker.client, max_points=500))[0]
    until(
        lambda: len(rows(worker.state, SEGMENTS, site, START_MS)) == len(points),
        what="one segment",
    )
    joined = (START_MS, END_MS, min(instants), 1)
    assert {joined} == {
        tuple(each.values()) for each in rows(worker.state, SEGMENTS, site, START_MS)
    }
    marks = [tuple(each.values()) for each in rows(worker.state, MARKS, site)]
    assert [(START_MS, END_MS, max(instants))] * len(points) == marks
    answer = whole.ask(worker.client)
    assert_exact(upstream, whole, answer)
    assert "hit" == cache_of(answer)[0]
    purge = {"site": site, "start_time": START_MS + DAY_MS, "end_time": START_MS + CHUNK_MS}
    assert {"deleted": len(points)} == worker.client.delete("/api/cache", purge).json()
    answer = whole.ask(worker.client)
    assert_exact(upstream, whole, answer)
    assert "partial" == cache_of(answer)[0]
