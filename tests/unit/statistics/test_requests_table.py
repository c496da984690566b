"""What the database keeps of requests: rows, sums by hour and route, hits of objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from building_vitals.instants import HOUR_MS
from building_vitals.statistics.events import RequestEvent
from building_vitals.statistics.requests_table import TEXT_MAX, RequestAnalytics, WeightedRequest
from fakes.database import FakeDatabase

NOW_MS = 1_767_225_600_000


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """An empty database."""
    with FakeDatabase() as made:
        yield made


def counted(weight: int = 1, **about: Any) -> WeightedRequest:
    """Return a request of 5 ms that hit the cache."""
    about = {"route": "cached", "cache_status": "hit", "time_ms": NOW_MS, **about}
    event = RequestEvent(request_id="r", endpoint="e", duration_ms=5, **{"status": 200, **about})
    return WeightedRequest(event, weight)


async def test_sums_are_by_hour_and_route_and_weighted(database: FakeDatabase) -> None:
    """A request stands for its weight in every sum, in the hour in which it came in."""
    table = RequestAnalytics(database)
    await table.record(
        [
            counted(3, time_ms=NOW_MS + HOUR_MS - 1, samples=2, body_bytes=7, upstream_requests=1),
            counted(1, cache_status="miss", error="upstream_failed"),
            counted(1, time_ms=NOW_MS + HOUR_MS),
            counted(1, route="direct", cache_status="bypass", status=404),
        ]
    )
    await table.record([counted(1)])
    rows = database.look("SELECT * FROM request_stats_hourly ORDER BY hour_ms, route_type")
    names = ("route_type", "requests", "successes", "cache_hits", "duration_ms_sum", "samples")
    assert [
        (NOW_MS, "cached", 5, 4, 4, 25, 6),
        (NOW_MS, "direct", 1, 0, 0, 5, 0),
        (NOW_MS + HOUR_MS, "cached", 1, 1, 1, 5, 0),
    ] == [(row["hour_ms"], *(row[name] for name in names)) for row in rows]
    assert [(21, 3)] == [
        (row["bytes"], row["upstream_requests"]) for row in rows if row["requests"] == 5
    ]
    assert [5, 1, 1] == [
        row["requests"]
        for row in database.look("SELECT * FROM request_durations_hourly ORDER BY requests DESC")
    ]


async def test_who_asked_for_no_samples_leaves_no_row(database: FakeDatabase) -> None:
    """Neither a row nor a sum, nor a call of the database."""
    await RequestAnalytics(database).record([counted(route="none", object_keys=("k",))])
    assert {} == database.failures.calls


async def test_long_texts_are_cut(database: FakeDatabase) -> None:
    """They come from requests."""
    await RequestAnalytics(database).record([counted(site="s" * 300, error="e" * 300)])
    [row] = database.look("SELECT site, error FROM request_analytics")
    assert ("s" * TEXT_MAX, "e" * TEXT_MAX) == (row["site"], row["error"])


@pytest.mark.parametrize(
    ("created_ms", "hits", "last_ms"),
    [
        pytest.param(NOW_MS - 1, 6, NOW_MS + 2, id="older"),
        pytest.param(NOW_MS, 2, NOW_MS + 2, id="made for the first request"),
        pytest.param(NOW_MS + 2, 0, NOW_MS + 2, id="made for the last request"),
    ],
)
async def test_objects_count_requests_that_found_them(
    database: FakeDatabase, created_ms: int, hits: int, last_ms: int
) -> None:
    """An object made for a request was no hit of it; hits are weighted."""
    database.look(
        "INSERT INTO cache_metadata VALUES ('k', 'hq', 0, 1, 1, 5, 30, 10, 3, 0, ?1, ?1, 9, NULL)",
        created_ms,
    )
    await RequestAnalytics(database).record(
        [
            counted(4, object_keys=("k", "unknown")),
            counted(2, object_keys=("k",), time_ms=NOW_MS + 2),
        ]
    )
    assert [{"hits": hits, "last_access_ms": last_ms}] == database.look(
        "SELECT hits, last_access_ms FROM cache_metadata"
    )


async def test_a_job_is_told_of_when_it_has_changed(database: FakeDatabase) -> None:
    """Since an instant, that included."""
    database.look(
        "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms, end_ms,"
        " priority, status, total_chunks, estimated_size, metadata, created_ms, updated_ms)"
        " VALUES ('j', 'h', 'o', 'hq', 1, 0, 1, 'low', 'failed', 2, 3, '{}', 10, 17)"
    )
    table = RequestAnalytics(database)
    assert None is await table.find_job("j", since_ms=18)
    assert None is await table.find_job("other")
    found = await table.find_job("j", since_ms=17)
    assert found is not None
    assert ("failed", 7, "hq") == (found.outcome, found.duration_ms, found.site)


async def test_old_rows_go_a_few_at_a_time(database: FakeDatabase) -> None:
    """The oldest first, from each of three tables."""
    table = RequestAnalytics(database)
    for n in range(3):
        await table.record([counted(time_ms=NOW_MS + n * HOUR_MS)])
    last_ms = NOW_MS + 2 * HOUR_MS
    assert 3 == await table.delete(before_ms=last_ms, limit=1)
    assert [{"time_ms": NOW_MS + HOUR_MS}, {"time_ms": last_ms}] == database.look(
        "SELECT time_ms FROM request_analytics ORDER BY 1"
    )
    assert 3 == await table.delete(before_ms=last_ms, limit=9)
    assert 0 == await table.delete(before_ms=last_ms, limit=9)
