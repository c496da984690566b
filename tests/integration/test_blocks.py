"""Blocks on the real runtime: read, merged in parts, purged, through restarts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from building_vitals.blocks.merging import MERGED_MIN
from building_vitals.blocks.store import BlockStore
from building_vitals.cache.lease import FETCH_MS_MAX
from building_vitals.ports import Invocation
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import SeriesBuilder
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.object_store import FakeObjectStore
from fakes.upstream import FakeUpstream
from integration.harness.client import Client, until
from integration.harness.oracle import (
    START_MS,
    Question,
    assert_exact,
    cache_of,
    exact_value,
)
from integration.harness.state_files import opened, rows
from integration.harness.worker_server import WorkerServer

HOUR_MS = 3_600_000
ROUND_MS = 3 * HOUR_MS
ROUNDS = [Range(START_MS + n * ROUND_MS, START_MS + (n + 1) * ROUND_MS) for n in range(MERGED_MIN)]
OBJECTS = "SELECT object_key FROM site_blocks WHERE gone_ms IS NULL ORDER BY 1"
ALL = Range(ROUNDS[0].start_ms, ROUNDS[-1].end_ms)


@pytest.fixture
def server(upstream: FakeUpstream, tmp_path: Path) -> Iterator[WorkerServer]:
    """A Worker of the test's own, not started yet."""
    yield WorkerServer(tmp_path, upstream=upstream.url, token=upstream.token)


async def made(
    upstream: FakeUpstream, site: str, points: Sequence[str]
) -> tuple[FakeDatabase, FakeObjectStore]:
    """Return the rows and objects of blocks with all that a site has."""
    database, objects = FakeDatabase(), FakeObjectStore()
    invocation = Invocation(
        VirtualClock(),
        lambda work: work.close(),
        lambda where, error: None,
        lambda: secrets.token_hex(8),
    )
    store = BlockStore(objects=objects, database=database, invocation=invocation)
    for known in ROUNDS:
        series = []
        for point in points:
            held = sorted(dict(upstream.samples(site, point, *known)).items())
            builder = SeriesBuilder()
            text = ",".join(f"[{at_ms},{exact_value(value).text}]" for at_ms, value in held)
            builder.add_text(held[0][0], held[-1][0], len(held), text.encode())
            series.append(PointSeries(point, known, builder.build()))
        # So long ago that they may be merged.
        fetched_ms = int(time.time() * 1000) - FETCH_MS_MAX
        await store.keep(site, known, series, fetched_ms=fetched_ms)
    return database, objects


def seed(state: Path, database: FakeDatabase, objects: FakeObjectStore) -> None:
    """Put blocks where the local runtime keeps D1 and R2, while it is not running."""
    with opened(state, "queue_jobs", to_change=True) as connection:
        for row in database.look("SELECT * FROM site_blocks"):
            places = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO site_blocks VALUES ({places})", tuple(row.values()))
    [folder] = state.glob("v3/r2/*/blobs")
    with opened(state, "_mf_objects", to_change=True) as connection:
        for key, data in objects.contents.items():
            blob = secrets.token_hex(32) + f"{time.time_ns():016x}"
            (folder / blob).write_bytes(data)
            md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
            connection.execute(
                "INSERT INTO _mf_objects VALUES (?, ?, ?, ?, ?, ?, ?, '{}', ?)",
                (
                    *(key, blob, secrets.token_hex(16), len(data), md5),
                    *(int(time.time() * 1000), json.dumps({"md5": md5}), json.dumps({})),
                ),
            )


def test_blocks_answer_are_merged_and_purged(
    upstream: FakeUpstream, server: WorkerServer, site: str
) -> None:
    """Charts are hits with the truth before and after; what was purged is fetched again."""
    points = upstream.add_generated(
        site, start_ms=ALL.start_ms, end_ms=ALL.end_ms, points=120, interval_s=60
    )
    with server:
        # The runtime makes its files.
        chart = Question(site, points[:2], ALL.start_ms, ALL.start_ms + 60_000)
        assert_exact(upstream, chart, chart.ask(server.client, route="cached"))
        assert 200 == server.client.post("/api/maintenance/run").status
        assert 200 == server.client.get("/api/cache/objects").status
    upstream.clear_log(site)
    seed(server.state, *asyncio.run(made(upstream, site, points)))
    chart = Question(site, points[:20], ALL.start_ms, ALL.end_ms)
    with server:
        for gzip in (True, False):
            answer = chart.ask(server.client, gzip=gzip)
            assert_exact(upstream, chart, answer)
            assert "hit" == cache_of(answer)[0]
        run = server.client.post("/api/maintenance/run").json()
        assert {"name": "merged blocks", "changed": 1} in run["steps"]
        assert [{"level": 2, "points": 120, "samples": 120 * 1440}] == rows(
            server.state, "SELECT level, points, samples FROM site_blocks WHERE gone_ms IS NULL"
        )
        # In the isolate that remembers the blocks as they were; after a start: the next test.
        other = chart._replace(points=points[60:90])
        answer = other.ask(server.client)
        assert_exact(upstream, other, answer)
        assert "hit" == cache_of(answer)[0]
        assert 0 == upstream.requests_for(site)
        purged = {"site": site, "points": points[60], "start_time": ALL.start_ms + ROUND_MS}
        purged["end_time"] = ALL.start_ms + 2 * ROUND_MS
        assert 200 == server.client.delete("/api/cache", list(purged.items())).status
        answer = other.ask(server.client)
        assert_exact(upstream, other, answer)
        assert "partial" == cache_of(answer)[0]
        assert 0 < upstream.requests_for(site)
    server.assert_clean_log()


def uploading(state: Path) -> bool | None:
    """Return whether a merged block is on its way into the bucket, in parts."""
    with opened(state, "_mf_objects") as bucket:
        sql = "SELECT count(*) FROM _mf_multipart_uploads WHERE state = 0"
        return bool(bucket.execute(sql).fetchone()[0]) or None


def test_a_worker_that_is_killed_while_it_merges_loses_and_doubles_nothing(
    upstream: FakeUpstream, tmp_path: Path, site: str
) -> None:
    """Twice: the blocks are what they were, the next run makes one of them, and all is there."""
    points = upstream.add_generated(
        site, start_ms=ALL.start_ms, end_ms=ALL.end_ms, points=900, interval_s=60
    )
    server = WorkerServer(tmp_path, upstream=upstream.url, token=upstream.token)
    with server:
        # The runtime makes its files.
        assert 200 == server.client.post("/api/maintenance/run").status
        assert 200 == server.client.get("/api/cache/objects").status
    seed(server.state, *asyncio.run(made(upstream, site, points)))
    before = rows(server.state, OBJECTS)
    chart = Question(site, points[::47], ALL.start_ms, ALL.end_ms)
    for _ in range(2):
        server.start()
        run = threading.Thread(target=maintain, args=(server.client,))
        run.start()
        until(lambda: uploading(server.state), 60, what="merge")
        server.kill()
        run.join()
        assert before == rows(server.state, OBJECTS)
        with opened(server.state, "_mf_objects", to_change=True) as bucket:
            bucket.execute("DELETE FROM _mf_multipart_parts")
            bucket.execute("DELETE FROM _mf_multipart_uploads")
    with server:
        answer = chart.ask(server.client)
        assert_exact(upstream, chart, answer)
        assert "hit" == cache_of(answer)[0]
        steps = server.client.post("/api/maintenance/run").json()["steps"]
        assert {"name": "merged blocks", "changed": 1} in steps
        answer = chart._replace(points=points[::43]).ask(server.client)
        assert_exact(upstream, chart._replace(points=points[::43]), answer)
        assert "hit" == cache_of(answer)[0]
        assert 0 == len(upstream.fetches(site))
    assert [{"points": 900, "samples": 900 * 1440}] == rows(
        server.state, "SELECT points, samples FROM site_blocks WHERE gone_ms IS NULL"
    )
    with opened(server.state, "_mf_objects") as bucket:
        keys = {row["key"] for row in bucket.execute("SELECT key FROM _mf_objects")}
    known = {row["object_key"] for row in rows(server.state, "SELECT object_key FROM site_blocks")}
    assert known == {key for key in keys if key.startswith("blocks/")}


def maintain(client: Client) -> None:
    """Run maintenance in a Worker that is killed meanwhile."""
    with suppress(OSError, HTTPException):
        client.post("/api/maintenance/run")
