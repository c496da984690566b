"""Statistics in a database of their own: the binding STATS_DB, which wrangler.toml does without."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from devtools.toolchain import Toolchain
from fakes.upstream import FakeUpstream
from integration.harness.client import until
from integration.harness.project_copy import ProjectCopy

START_MS = 1_735_689_600_000
DAY_MS = 86_400_000
TABLES = ("request_analytics", "request_stats_hourly", "request_durations_hourly")


def counts(state: Path) -> list[tuple[bool, int]]:
    """Return of each D1 database whether it has segments, and its rows of statistics."""
    found = []
    for file in sorted((state / "v3" / "d1").rglob("*.sqlite")):
        with closing(sqlite3.connect(file)) as database:
            if not database.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'cache_segments'"
            ).fetchone():
                continue
            [segments] = database.execute("SELECT count(*) FROM cache_segments").fetchone()
            rows = sum(
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES
            )
            found.append((segments > 0, rows))
    return sorted(found)


def test_requests_are_recorded_apart(
    upstream: FakeUpstream, site: str, tools: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Rows and sums are written and read there; segments, objects and jobs stay in DB."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=2)
    copy = ProjectCopy(
        tmp_path_factory.mktemp("apart"),
        tools,
        upstream,
        databases={"STATS_DB": "request-statistics"},
    )
    with copy.running() as run:
        for _ in range(3):
            answer = run.client.post(
                "/api/timeseries",
                {
                    "site": site,
                    "points": points,
                    "start_time": START_MS,
                    "end_time": START_MS + DAY_MS,
                    "route": "cached",
                },
            )
            assert 200 == answer.status, answer.text
        figures = until(
            lambda: (
                found
                if (found := run.client.get("/api/stats").json()["requests"])
                and found[0]["count"] == 3
                else None
            ),
            what="statistics",
        )
        assert [("cached", 3)] == [(each["route_type"], each["count"]) for each in figures]
        health = run.client.get("/api/health").json()
        assert ("healthy", "ok") == (health["status"], health["checks"]["stats"])
        state = run.state
    main, own = sorted(counts(state), reverse=True)
    assert (True, 0) == main
    assert not own[0]
    assert own[1] >= 3
