"""Live charts on the real runtime: their slivers lie in rows, through restarts and compaction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.oracle import DAY_MS, START_MS, Question, assert_exact, cache_of
from integration.harness.state_files import opened, rows
from integration.harness.worker_server import WorkerServer

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
RELOADS = 14
OBJECTS = "SELECT key FROM _mf_objects WHERE key LIKE 'timeseries/%'"
IN_ROWS = "SELECT count(*) AS n FROM cache_segments WHERE data IS NOT NULL"
OF_POINTS = "SELECT point, count(*) AS n FROM cache_segments WHERE site = ?1 GROUP BY point"


@pytest.fixture
def server(upstream: FakeUpstream, tmp_path: Path) -> Iterator[WorkerServer]:
    """A Worker of the test's own, not started yet."""
    yield WorkerServer(tmp_path, upstream=upstream.url, token=upstream.token)


def objects(server: WorkerServer) -> list[str]:
    """Return the objects that hold samples."""
    with opened(server.state, "_mf_objects") as bucket:
        return [row["key"] for row in bucket.execute(OBJECTS)]


def ask(upstream: FakeUpstream, server: WorkerServer, question: Question, **more: Any) -> str:
    """Return the cache status of an answer that is right."""
    answer = question.ask(server.client, **more)
    assert_exact(upstream, question, answer)
    return cache_of(answer)[0]


def test_a_live_chart_makes_no_object_until_it_adds_up(
    upstream: FakeUpstream, server: WorkerServer, site: str
) -> None:
    """Right at each reload, after compaction, after a restart, and when moved into objects."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 3 * DAY_MS, points=60, interval_s=60
    )
    charts = [
        Question(site, points[:6], START_MS, START_MS + 6 * HOUR_MS + number * 2 * MINUTE_MS)
        for number in range(RELOADS)
    ]
    last = charts[-1]
    with server:
        for number, chart in enumerate(charts):
            assert ("partial" if number else "miss") == ask(upstream, server, chart)
        # Each reload has its row, for the range lies in the past: nothing is written again.
        assert max(row["n"] for row in rows(server.state, OF_POINTS, site)) <= RELOADS
        assert "hit" == ask(upstream, server, last)
        assert [] == objects(server)
    with server:
        for gzip in (True, False):
            assert "hit" == ask(upstream, server, last, gzip=gzip)
        assert [] == objects(server)
        assert rows(server.state, IN_ROWS)[0]["n"] >= 6
        # Most of a day of each point, a few at a time: together more than a look-up brings along.
        whole = Question(site, points, START_MS + DAY_MS, START_MS + DAY_MS + 18 * HOUR_MS)
        for start in range(0, len(points), 6):
            ask(upstream, server, whole._replace(points=points[start : start + 6]))
        assert [] == objects(server)
        assert "hit" == ask(upstream, server, whole)
        assert [] != objects(server)
        assert "hit" == ask(upstream, server, whole)
    with server:
        assert "hit" == ask(upstream, server, whole)
        assert "hit" == ask(upstream, server, last)
    server.assert_clean_log()
