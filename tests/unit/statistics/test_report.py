"""The figures of /api/stats against counting by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.follow.service import followed_sites
from building_vitals.instants import format_instant
from building_vitals.jobs.history_table import JobHistory
from building_vitals.statistics.durations import duration_step
from building_vitals.statistics.events import RequestEvent
from building_vitals.statistics.figures_table import Statistics
from building_vitals.statistics.report import StatisticsService
from building_vitals.statistics.requests_table import RequestAnalytics, WeightedRequest
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase

NOW_MS = 1_767_267_000_000  # half past some hour
HOUR_MS = 3_600_000
NOTHING = {
    "cache": {
        "totalObjects": 0,
        "totalSize": 0,
        "totalSizeMB": 0.0,
        "oldestEntry": None,
        "newestEntry": None,
        "hitRate": 0,
        "compressionRatio": 0,
    },
    "jobs": {"total_jobs": 0, "completed": 0, "failed": 0, "active": 0},
    "requests": [],
    "hours": [],
    "upstream": {"limit": 0, "used": 0, "current": 0},
    "follows": [],
    "timestamp": format_instant(NOW_MS),
}


def service(database: FakeDatabase, limit: int = 0) -> StatisticsService:
    """Return the service at a fixed instant."""
    return StatisticsService(
        statistics=Statistics(database),
        clock=VirtualClock(NOW_MS),
        upstream_limit=limit,
        followed=followed_sites,
    )


async def document_of(service: StatisticsService) -> dict[str, Any]:
    """Return the report as JSON has it."""
    document: dict[str, Any] = msgspec.to_builtins(await service.read())
    return document


def request_event(duration_ms: int, **about: Any) -> RequestEvent:
    """Return a request of the last hour."""
    return RequestEvent(
        **{
            "request_id": "r",
            "time_ms": NOW_MS - 5000,
            "endpoint": "",
            "route": "cached",
            "cache_status": "hit",
            "duration_ms": duration_ms,
            "status": 200,
            **about,
        }
    )


def insert_job(database: FakeDatabase, job_id: str, status: str) -> None:
    """Insert a job."""
    database.look(
        "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms, end_ms,"
        " priority, status, total_chunks, estimated_size, metadata, created_ms,"
        " updated_ms) VALUES (?1, ?1, 'o', 'hq', 1, 0, 1, 'normal', ?2, 1, 1, '{}', 1, 1)",
        job_id,
        status,
    )


async def test_an_empty_database_has_figures() -> None:
    """Nothing has happened, and nothing is missing from the document."""
    with FakeDatabase() as database:
        assert NOTHING == await document_of(service(database))


async def test_all_figures_take_one_round_trip() -> None:
    """The database is asked once."""
    with FakeDatabase() as database:
        await document_of(service(database))
        assert {"batch": 1} == dict(database.failures.calls)


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 100, 1000])
async def test_percentiles_are_those_of_the_sorted_list(count: int) -> None:
    """p95 is the duration by which 95 of 100 were answered, within the steps' width."""
    chance = random.Random(count)
    durations = [int(chance.lognormvariate(3, 1.5)) for _ in range(count)]
    exact = sorted(durations)[math.ceil(0.95 * count) - 1]
    with FakeDatabase() as database:
        await RequestAnalytics(database).record(
            [WeightedRequest(request_event(each), 1) for each in durations]
        )
        [found] = (await document_of(service(database)))["requests"]
        assert duration_step(exact) == found["p95_duration"]
        assert count == found["count"]
        assert pytest.approx(sum(durations) / count, abs=0.006) == found["avg_duration"]


async def test_means_are_rounded_in_one_place() -> None:
    """A mean that lies halfway is the same in the document and in the view."""
    with FakeDatabase() as database:
        now_ms = database.look("SELECT unixepoch() * 1000 AS now")[0]["now"]
        await RequestAnalytics(database).record(
            [
                WeightedRequest(request_event(n, time_ms=now_ms, route=f"route {total}"), 1)
                for total in range(64)
                for n in (total, 0, 0, 0, 0, 0, 0, 0)
            ]
        )
        found = (await document_of(service(database)))["requests"]
        rows = database.look("SELECT route_type, avg_duration FROM v_request_stats")
    assert {row["route_type"]: row["avg_duration"] for row in rows} == {
        each["route_type"]: each["avg_duration"] for each in found
    }


async def test_requests_count_by_route_and_day() -> None:
    """Each route has its own figures; the hour 24 hours ago counts, the one before does not."""
    with FakeDatabase() as database:
        await RequestAnalytics(database).record(
            [
                WeightedRequest(request_event(10, cache_status="miss"), 1),
                WeightedRequest(request_event(20, cache_status="stale"), 2),
                WeightedRequest(request_event(30, time_ms=NOW_MS - 24 * HOUR_MS - 1), 1),
                WeightedRequest(request_event(40, route="direct", cache_status="bypass"), 1),
                WeightedRequest(
                    request_event(50, route="queued", status=202, cache_status="none"), 1
                ),
                WeightedRequest(request_event(9999, time_ms=NOW_MS - 25 * HOUR_MS), 1),
            ]
        )
        document = await document_of(service(database))
    assert [
        ("cached", 4, 20.0, 30, 3),
        ("direct", 1, 40.0, 40, 0),
        ("queued", 1, 50.0, 50, 0),
    ] == [tuple(each.values()) for each in document["requests"]]
    assert 0.6 == document["cache"]["hitRate"]


async def test_hours_are_those_that_were_counted() -> None:
    """Each hour has its requests, successes, hit rate and routes, the present one last."""
    first_ms, last_ms = NOW_MS - 2 * HOUR_MS, NOW_MS
    with FakeDatabase() as database:
        await RequestAnalytics(database).record(
            [
                WeightedRequest(request_event(10, time_ms=first_ms), 3),
                WeightedRequest(request_event(50, time_ms=first_ms, cache_status="miss"), 1),
                WeightedRequest(
                    request_event(7, time_ms=first_ms, route="direct", cache_status="bypass"), 1
                ),
                WeightedRequest(
                    request_event(
                        9, time_ms=last_ms, route="direct", cache_status="none", status=502
                    ),
                    2,
                ),
            ]
        )
        hours = (await document_of(service(database)))["hours"]
    start_ms = first_ms - first_ms % HOUR_MS
    cached = {
        "routeType": "cached",
        "requests": 4,
        "successes": 4,
        "cacheHits": 3,
        "avgDuration": 20.0,
        "p95Duration": 50,
    }
    direct = {
        "routeType": "direct",
        "requests": 1,
        "successes": 1,
        "cacheHits": 0,
        "avgDuration": 7.0,
        "p95Duration": 7,
    }
    failed = {**direct, "requests": 2, "successes": 0, "avgDuration": 9.0, "p95Duration": 9}
    assert [
        (format_instant(start_ms), 5, 5, 0.75, [cached, direct]),
        (format_instant(start_ms + HOUR_MS), 0, 0, None, []),
        (format_instant(start_ms + 2 * HOUR_MS), 2, 0, None, [failed]),
    ] == [tuple(hour.values()) for hour in hours]


@pytest.mark.parametrize(
    ("ages_h", "now_ms", "starts_h"),
    [
        pytest.param([0], NOW_MS, [0], id="the first hour"),
        pytest.param([5, 3], NOW_MS, range(5, -1, -1), id="idle hours since"),
        pytest.param([23], NOW_MS, range(23, -1, -1), id="a day"),
        pytest.param([24], NOW_MS, range(23, -1, -1), id="the hour before is too old"),
        pytest.param([700, 1], NOW_MS, range(23, -1, -1), id="a month"),
        pytest.param([30], NOW_MS - NOW_MS % HOUR_MS, range(23, -1, -1), id="on the hour"),
        pytest.param([30], NOW_MS - NOW_MS % HOUR_MS - 1, range(23, -1, -1), id="just before it"),
        pytest.param([-2], NOW_MS, [], id="another clock's future alone"),
    ],
)
async def test_hours_begin_with_the_first_request_and_are_at_most_24(
    ages_h: list[int], now_ms: int, starts_h: Iterable[int]
) -> None:
    """Idle hours are there with nothing; those before the first request are not."""
    with FakeDatabase() as database:
        await RequestAnalytics(database).record(
            [
                WeightedRequest(request_event(1, time_ms=now_ms - age_h * HOUR_MS), 1)
                for age_h in ages_h
            ]
        )
        clock = VirtualClock(now_ms)
        asked = StatisticsService(
            statistics=Statistics(database),
            clock=clock,
            upstream_limit=0,
            followed=followed_sites,
        )
        hours = (await document_of(asked))["hours"]
    this_ms = now_ms - now_ms % HOUR_MS
    assert [format_instant(this_ms - n * HOUR_MS) for n in starts_h] == [
        hour["start"] for hour in hours
    ]
    counted = [n for n in starts_h if n in ages_h]
    assert counted == [n for n, hour in zip(starts_h, hours, strict=True) if hour["requests"]]


async def test_an_hour_without_durations_has_no_percentile() -> None:
    """Sums whose durations are gone are told without them."""
    with FakeDatabase() as database:
        await RequestAnalytics(database).record(
            [
                WeightedRequest(request_event(8), 1),
                WeightedRequest(request_event(8, time_ms=NOW_MS - 2 * HOUR_MS), 1),
            ]
        )
        database.look("DELETE FROM request_durations_hourly WHERE hour_ms < ?1", NOW_MS - HOUR_MS)
        hours = (await document_of(service(database)))["hours"]
    assert [None, 8] == [each["p95Duration"] for hour in hours for each in hour["routes"]]


@pytest.mark.parametrize("count", [1, 19, 20, 21, 300])
async def test_percentiles_of_an_hour_are_those_of_its_sorted_list(count: int) -> None:
    """Other hours and routes do not count."""
    chance = random.Random(count)
    hours = {n: [int(chance.lognormvariate(3, 1.5)) for _ in range(count)] for n in range(3)}
    with FakeDatabase() as database:
        await RequestAnalytics(database).record(
            [
                WeightedRequest(request_event(each, time_ms=NOW_MS - n * HOUR_MS, route=route), 1)
                for n, durations in hours.items()
                for route in ("cached", "direct")
                for each in durations
            ]
        )
        found = (await document_of(service(database)))["hours"]
    exact = [
        duration_step(sorted(hours[n])[math.ceil(0.95 * count) - 1]) for n in sorted(hours)[::-1]
    ]
    assert [[each, each] for each in exact] == [
        [route["p95Duration"] for route in hour["routes"]] for hour in found
    ]


async def test_jobs_count_wherever_they_are() -> None:
    """Active, ended and archived jobs are all counted, each once."""
    with FakeDatabase() as database:
        for n, status in enumerate(
            ["queued", "processing", "retrying", "completed", "completed", "failed", "cancelled"]
        ):
            insert_job(database, str(n), status)
        before = (await document_of(service(database)))["jobs"]
        assert {"total_jobs": 7, "completed": 2, "failed": 1, "active": 3} == before
        history = JobHistory(database)
        for status in ("completed", "failed", "cancelled"):
            await history.archive(status, before_ms=2, now_ms=NOW_MS, limit=10)
        assert [{"n": 4}] == database.look("SELECT count(*) AS n FROM job_history")
        assert [{"n": 3}] == database.look("SELECT count(*) AS n FROM queue_jobs")
        assert before == (await document_of(service(database)))["jobs"]


async def test_the_view_of_requests_says_the_same() -> None:
    """v_request_stats is what /api/stats says of requests, at the database's own time."""
    with FakeDatabase() as database:
        now_ms = database.look("SELECT unixepoch() * 1000 AS now")[0]["now"]
        await RequestAnalytics(database).record(
            [
                WeightedRequest(
                    request_event(n, route=route, time_ms=now_ms - n * 1_000_000), 1 + n % 3
                )
                for n in range(120)
                for route in ("cached", "direct")
            ]
        )
        clock = VirtualClock(now_ms)
        document = await document_of(
            StatisticsService(
                statistics=Statistics(database),
                clock=clock,
                upstream_limit=0,
                followed=followed_sites,
            )
        )
        rows = database.look(
            "SELECT route_type, count, avg_duration, p95_duration, cache_hits FROM v_request_stats"
        )
    assert rows == document["requests"]
    assert 2 == len(rows)


async def test_the_quota_is_shown_as_it_is_now() -> None:
    """What an earlier minute used does not count; what it allowed recovers."""
    with FakeDatabase() as database:
        asked = service(database, limit=100)
        assert {"limit": 100, "used": 0, "current": 100} == (await document_of(asked))["upstream"]
        minute_ms = NOW_MS - NOW_MS % 60_000
        database.look("INSERT INTO upstream_quota VALUES (1, ?1, 30, 0, 40, 5, 0, 0)", minute_ms)
        assert {"limit": 100, "used": 30, "current": 40} == (await document_of(asked))["upstream"]
        database.look("UPDATE upstream_quota SET minute_ms = ?1", minute_ms - 120_000)
        assert {"limit": 100, "used": 0, "current": 60} == (await document_of(asked))["upstream"]


async def test_a_million_rows_do_not_slow_it_down() -> None:
    """The rows that are read depend on routes, hours and steps, not on what has happened."""
    with FakeDatabase() as database:
        steps: list[int] = []
        for count in (10, 1000):
            await RequestAnalytics(database).record(
                [WeightedRequest(request_event(n % 10), 1) for n in range(count)]
            )
            for n in range(count):
                database.look(
                    "INSERT OR IGNORE INTO cache_metadata "
                    "VALUES (?1, 'hq', 0, 1, 1, 1, 1, 1, 1, 0, ?2, 0, 0, NULL)",
                    str(n),
                    n,
                )
            steps.append(0)

            def count_step() -> int:
                steps[-1] += 1
                return 0

            database.connection.set_progress_handler(count_step, 1)
            await document_of(service(database))
            database.connection.set_progress_handler(None, 1)
    assert 0.9 < steps[1] / steps[0] < 1.1, steps


async def test_requests_may_have_a_database_of_their_own() -> None:
    """The report reads both: requests there, jobs, objects and quota here."""
    with FakeDatabase() as main, FakeDatabase() as own:
        await RequestAnalytics(own, main).record([WeightedRequest(request_event(5), 3)])
        apart = StatisticsService(
            statistics=Statistics(main, own),
            clock=VirtualClock(NOW_MS),
            upstream_limit=0,
            followed=followed_sites,
        )
        document = await document_of(apart)
        assert [3] == [each["count"] for each in document["requests"]]
        assert NOTHING["jobs"] == document["jobs"]
        assert ({"batch": 1}, {"batch": 2}) == (
            dict(main.failures.calls),
            dict(own.failures.calls),
        )


async def test_followed_sites_are_told_with_their_lag() -> None:
    """Each as its own document tells, by name."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        for site in ("z", "a"):
            await follows.put(
                site, since_ms=NOW_MS - HOUR_MS, every_ms=60_000, every="1m", now_ms=NOW_MS - 9_000
            )
        found = (await document_of(service(database)))["follows"]
        assert [("a", "backfilling", 9, 0), ("z", "backfilling", 9, 0)] == [
            (each["site"], each["state"], each["lagSeconds"], each["backfill"]["progress"])
            for each in found
        ]


async def test_blocks_are_objects_of_the_cache() -> None:
    """They count with their bytes; the ratio is that of objects whose text is known."""
    with FakeDatabase() as database:
        block = "INSERT INTO site_blocks VALUES ('hq', 0, 9, 'b', 'e', 0, ?1, 2, 3, ?2, {})"
        database.look(block.format("0, 0, 0, 0, -1, NULL, 0, 0"), NOW_MS, 1_048_576)
        database.look("INSERT OR REPLACE INTO cache_totals VALUES (1, 2, 9, 5000, 1000, 0)")
        cache = (await document_of(service(database)))["cache"]
        assert (3, 1_049_576, 1.0, 5.0) == (
            *(cache["totalObjects"], cache["totalSize"], cache["totalSizeMB"]),
            cache["compressionRatio"],
        )
        assert format_instant(NOW_MS) == cache["oldestEntry"] == cache["newestEntry"]
