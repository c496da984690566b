"""The figures as the database sums them up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals.instants import HOUR_MS
from building_vitals.statistics.figures_table import CacheFigures, RouteFigures, Statistics
from fakes.database import FakeDatabase

NOW_MS = 1_767_225_600_000


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """An empty database."""
    with FakeDatabase() as made:
        yield made


async def test_nothing_has_figures(database: FakeDatabase) -> None:
    """Every status is there, with none; nobody has asked for a quota yet."""
    figures = await Statistics(database).read(since_ms=NOW_MS)
    statuses = ("queued", "processing", "retrying", "completed", "failed", "cancelled")
    assert dict.fromkeys(statuses, 0) == figures.jobs
    assert (CacheFigures(), [], None) == (figures.cache, figures.routes, figures.quota)


@pytest.mark.parametrize(
    ("hour_ms", "is_counted"),
    [
        pytest.param(NOW_MS - HOUR_MS, False, id="the hour that has ended"),
        pytest.param(NOW_MS - HOUR_MS + 1, True, id="the hour in which the time begins"),
        pytest.param(NOW_MS, True, id="a later one"),
    ],
)
async def test_requests_count_from_the_start_of_an_hour(
    database: FakeDatabase, hour_ms: int, *, is_counted: bool
) -> None:
    """The hour in which the instant lies counts whole."""
    database.look(
        "INSERT INTO request_stats_hourly VALUES (?1, 'cached', 4, 4, 3, 10, 0, 0, 0)", hour_ms
    )
    database.look("INSERT INTO request_durations_hourly VALUES (?1, 'cached', 7, 4)", hour_ms)
    figures = await Statistics(database).read(since_ms=NOW_MS)
    one = RouteFigures(route_type="cached", count=4, avg_duration=2.5, cache_hits=3, p95_duration=7)
    assert ([one] if is_counted else []) == figures.routes


@pytest.mark.parametrize(
    ("slow", "p95"),
    [pytest.param(5, 10, id="5 of 100 slow"), pytest.param(6, 500, id="6 of 100 slow")],
)
async def test_the_95th_percentile(database: FakeDatabase, slow: int, p95: int) -> None:
    """The shortest step by which 95 of 100 were answered, over all hours together."""
    for n, (duration_ms, requests) in enumerate(((10, 60), (10, 40 - slow), (500, slow))):
        hour_ms = NOW_MS + n * HOUR_MS
        database.look(
            "INSERT INTO request_stats_hourly VALUES (?1, 'direct', ?2, 0, 0, 0, 0, 0, 0)",
            *(hour_ms, requests),
        )
        database.look(
            "INSERT INTO request_durations_hourly VALUES (?1, 'direct', ?2, ?3)",
            *(hour_ms, duration_ms, requests),
        )
    [route] = (await Statistics(database).read(since_ms=NOW_MS)).routes
    assert p95 == route.p95_duration


def insert_block(
    database: FakeDatabase, key: str, *, fetched_ms: int, gone_ms: int | None = None
) -> None:
    """Insert the row of a block of a thousand bytes."""
    database.look(
        "INSERT INTO site_blocks VALUES"
        " ('hq', 0, 9, ?1, 'e', 0, ?2, 2, 3, 1000, 0, 0, 0, 0, -1, ?3, 0, 0)",
        *(key, fetched_ms, gone_ms),
    )


async def test_blocks_count_as_the_objects_they_are(database: FakeDatabase) -> None:
    """Those that are read, with their bytes; one that waits for the clean-up does not."""
    insert_block(database, "old", fetched_ms=7)
    insert_block(database, "new", fetched_ms=9)
    insert_block(database, "gone", fetched_ms=1, gone_ms=20)
    cache = (await Statistics(database).read(since_ms=0)).cache
    assert CacheFigures(blocks=2, block_bytes=2000, oldest_ms=7, newest_ms=9) == cache
    for key, created_ms in (("first", 4), ("last", 12)):
        database.look(
            "INSERT INTO cache_metadata VALUES"
            " (?1, 'hq', 0, 9, 2, 3, 500, 100, 5.0, 0, ?2, 1, 9, NULL)",
            *(key, created_ms),
        )
    cache = (await Statistics(database).read(since_ms=0)).cache
    assert (4, 12, 2000) == (cache.oldest_ms, cache.newest_ms, cache.block_bytes)


async def test_archived_jobs_and_present_ones_add_up(database: FakeDatabase) -> None:
    """The history counts by status."""
    database.look("INSERT INTO job_totals VALUES ('failed', 7)")
    for job_id, status in (("a", "failed"), ("b", "queued")):
        database.look(
            "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms,"
            " end_ms, priority, status, total_chunks, estimated_size, metadata, created_ms,"
            " updated_ms) VALUES (?1, ?1, 'o', 'hq', 1, 0, 1, 'low', ?2, 2, 3, '{}', 1, 1)",
            *(job_id, status),
        )
    jobs = (await Statistics(database).read(since_ms=0)).jobs
    assert (8, 1, 0) == (jobs["failed"], jobs["queued"], jobs["completed"])
