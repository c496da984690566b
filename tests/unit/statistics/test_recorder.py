"""What is recorded of requests: rows, sums, hits and points, in one batch after the answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from building_vitals.errors import AppError, Unavailable
from building_vitals.statistics.events import DeadLetterEvent, FollowEvent, JobEvent, RequestEvent
from building_vitals.statistics.metrics import Metric, dead_letter_metric, follow_metric, job_metric
from building_vitals.statistics.recorder import (
    BATCHES_MAX,
    LINGER_MS,
    OVERDUE_MS,
    REQUESTS_PER_BATCH_MAX,
    REQUESTS_WAITING_MAX,
    AnalyticsService,
    Outbox,
)
from building_vitals.statistics.requests_table import RequestAnalytics, WeightedRequest
from fakes.database import FakeDatabase
from fakes.invocation import invocation
from fakes.virtual_time import EPOCH_MS, LoopClock, in_virtual_time

HOUR_MS = 3_600_000
EVENT = RequestEvent(
    request_id="r",
    time_ms=EPOCH_MS,
    endpoint="GET /api/timeseries",
    site="hq",
    points=2,
    route="cached",
    cache_status="hit",
    format="json",
    estimated=200,
    missing=150,
    samples=288,
    body_bytes=1000,
    duration_ms=12,
    status=200,
)


class Points:
    """Keeps points."""

    def __init__(self) -> None:
        self.written: list[Metric] = []
        self.is_broken = False

    def write(self, points: Sequence[Metric]) -> int:
        """Keep points."""
        if self.is_broken:
            raise Unavailable("Analytics Engine refused")
        self.written += points
        return len(points)


class ChanceClock(LoopClock):
    """A clock with real chance."""

    def __init__(self) -> None:
        super().__init__()
        self._random = random.Random(3)

    def jitter(self) -> float:
        """Return a random number."""
        return self._random.random()


class Bench:
    """The service of one isolate, and what it wrote."""

    def __init__(self, rate: float = 1.0) -> None:
        self.clock = ChanceClock()
        self.database = FakeDatabase()
        self.points = Points()
        self.outbox = Outbox()
        self.reported: list[tuple[str, AppError]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.rate = rate

    def service(
        self, background: Callable[[Coroutine[Any, Any, None]], None] | None = None
    ) -> AnalyticsService:
        """Return the service of one invocation."""
        return AnalyticsService(
            requests=RequestAnalytics(self.database),
            metrics=self.points,
            outbox=self.outbox,
            invocation=invocation(
                self.clock,
                run_later=background or self.run,
                on_fault=lambda where, error: self.reported.append((where, error)),
            ),
            sample_rate=self.rate,
        )

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something after the answer."""
        self.tasks.append(asyncio.ensure_future(work))

    def record(self, **about: Any) -> None:
        """Record a request in an invocation of its own."""
        event = msgspec.structs.replace(EVENT, **about)
        self.service().record_request(lambda: event)

    async def settle(self) -> None:
        """Return when all has been written."""
        await asyncio.gather(*self.tasks)


@in_virtual_time
async def test_a_request_leaves_a_row_sums_and_a_point() -> None:
    """All that is known of a request is written, once."""
    bench = Bench()
    bench.record(error=None)
    await bench.settle()
    [row] = bench.database.look("SELECT * FROM request_analytics")
    expected = {
        "id": 1,
        "request_id": "r",
        "time_ms": EPOCH_MS,
        "site": "hq",
        "points_count": 2,
        "route_type": "cached",
        "cache_status": "hit",
        "format": "json",
        "estimated_size": 200,
        "actual_size": 288,
        "bytes": 1000,
        "upstream_requests": 0,
        "duration_ms": 12,
        "status": 200,
        "success": 1,
        "error": None,
        "weight": 1,
        "missing_size": 150,
    }
    assert expected == row
    assert [
        {
            "hour_ms": EPOCH_MS,
            "route_type": "cached",
            "requests": 1,
            "successes": 1,
            "cache_hits": 1,
            "duration_ms_sum": 12,
            "samples": 288,
            "bytes": 1000,
            "upstream_requests": 0,
        }
    ] == bench.database.look("SELECT * FROM request_stats_hourly")
    assert [("hq", "r")] == [(each.index, each.blobs[1]) for each in bench.points.written]
    assert {"batch": 1} == dict(bench.database.failures.calls)


@in_virtual_time
async def test_requests_of_a_moment_share_a_batch() -> None:
    """The first writes for those that follow at once; a later one writes for itself."""
    bench = Bench()
    for n in range(5):
        bench.record(request_id=str(n), duration_ms=10 * n)
    await bench.clock.sleep(LINGER_MS // 2)
    bench.record(request_id="late", route="direct", cache_status="bypass")
    await bench.settle()
    assert {"batch": 1} == dict(bench.database.failures.calls)
    assert [5, 1] == [
        row["requests"]
        for row in bench.database.look("SELECT requests FROM request_stats_hourly ORDER BY 1 DESC")
    ]
    bench.record(request_id="alone")
    await bench.settle()
    assert {"batch": 2} == dict(bench.database.failures.calls)
    assert 7 == len(bench.points.written)
    assert {0, 10, 20, 30, 40, 12} == {
        row["duration_ms"] for row in bench.database.look("SELECT * FROM request_durations_hourly")
    }


@in_virtual_time
async def test_many_requests_are_written_in_several_batches() -> None:
    """A batch stays small enough for one parameter, and each has an invocation of its own."""
    bench = Bench()
    for n in range(2 * REQUESTS_PER_BATCH_MAX + 1):
        bench.record(request_id=str(n))
    await bench.settle()
    assert {"batch": 3} == dict(bench.database.failures.calls)
    assert 3 == len(bench.tasks)
    assert [{"n": 2 * REQUESTS_PER_BATCH_MAX + 1}] == bench.database.look(
        "SELECT count(*) AS n FROM request_analytics"
    )


@in_virtual_time
async def test_the_requests_of_a_dead_invocation_are_written_by_another() -> None:
    """Should the one that promised to write never do so, it is written a little later."""
    bench = Bench()
    bench.service(lambda work: work.close()).record_request(lambda: EVENT)
    bench.record(request_id="trusting")
    assert [] == bench.tasks
    await bench.clock.sleep(OVERDUE_MS)
    bench.record(request_id="wary")
    await bench.settle()
    assert ["r", "trusting", "wary"] == [
        row["request_id"] for row in bench.database.look("SELECT * FROM request_analytics")
    ]


@in_virtual_time
async def test_what_asked_for_no_samples_has_no_row() -> None:
    """A request without a route is a point of Analytics Engine, and nothing in D1."""
    bench = Bench()
    bench.record(route="none", status=404, error="not_found")
    await bench.settle()
    assert {} == dict(bench.database.failures.calls)
    assert ["failure"] == [each.blobs[4] for each in bench.points.written]


@in_virtual_time
async def test_failures_are_no_successes() -> None:
    """A status of 400 or more, or an answer cut short, is a failure."""
    bench = Bench()
    bench.record(status=502, error="upstream_failed", cache_status="none")
    bench.record(error="client_gone")
    bench.record(status=304)
    await bench.settle()
    assert [0, 0, 1] == [
        row["success"] for row in bench.database.look("SELECT * FROM request_analytics")
    ]
    assert [{"requests": 3, "successes": 1, "cache_hits": 2}] == bench.database.look(
        "SELECT requests, successes, cache_hits FROM request_stats_hourly"
    )


@in_virtual_time
async def test_hours_and_routes_are_summed_apart() -> None:
    """A request counts in the hour in which it came in."""
    bench = Bench()
    bench.record(time_ms=EPOCH_MS - 1)
    bench.record(time_ms=EPOCH_MS)
    bench.record(time_ms=EPOCH_MS + HOUR_MS - 1, cache_status="stale")
    bench.record(route="direct", cache_status="bypass")
    await bench.settle()
    assert [
        {"hour_ms": EPOCH_MS - HOUR_MS, "route_type": "cached", "n": 1},
        {"hour_ms": EPOCH_MS, "route_type": "cached", "n": 2},
        {"hour_ms": EPOCH_MS, "route_type": "direct", "n": 1},
    ] == bench.database.look(
        "SELECT hour_ms, route_type, requests AS n FROM request_stats_hourly ORDER BY 1, 2"
    )
    assert [2, 1] == [
        row["cache_hits"]
        for row in bench.database.look(
            "SELECT cache_hits FROM request_stats_hourly WHERE route_type = 'cached' "
            "ORDER BY hour_ms DESC"
        )
    ]


@in_virtual_time
async def test_objects_count_their_hits() -> None:
    """An object that was there before the request has a hit; one made for it, or gone, has none."""
    bench = Bench()
    for key, created_ms in (("old", EPOCH_MS - 10), ("fresh", EPOCH_MS + 5)):
        bench.database.look(
            "INSERT INTO cache_metadata VALUES (?1, 'hq', 0, 1, 1, 1, 1, 1, 1, 3, ?2, ?2, 0, NULL)",
            key,
            created_ms,
        )
    bench.record(object_keys=("old", "fresh", "gone"))
    bench.record(object_keys=("old",))
    bench.record(object_keys=("old", "fresh"), time_ms=EPOCH_MS + 50)
    await bench.settle()
    assert [
        {"object_key": "fresh", "hits": 4, "last_access_ms": EPOCH_MS + 50},
        {"object_key": "old", "hits": 6, "last_access_ms": EPOCH_MS + 50},
    ] == bench.database.look("SELECT object_key, hits, last_access_ms FROM cache_metadata")


@in_virtual_time
async def test_sampled_requests_stand_for_all() -> None:
    """At a rate of 0.3 about a third has a row, and all figures are about those of all requests."""
    bench = Bench(rate=0.3)
    bench.database.look(
        "INSERT INTO cache_metadata VALUES ('k', 'hq', 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, NULL)"
    )
    for n in range(3000):
        bench.record(request_id=str(n), duration_ms=n % 40, object_keys=("k",))
        if n % 100 == 0:
            await bench.settle()
    await bench.settle()
    [counts] = bench.database.look(
        "SELECT count(*) AS n, sum(weight) AS requests, sum(weight * duration_ms) AS duration_ms "
        "FROM request_analytics"
    )
    assert 800 < counts["n"] < 1000
    assert 2800 < counts["requests"] < 3200
    [sums] = bench.database.look("SELECT requests, duration_ms_sum FROM request_stats_hourly")
    assert (counts["requests"], counts["duration_ms"]) == tuple(sums.values())
    assert [{"hits": counts["requests"]}] == bench.database.look("SELECT hits FROM cache_metadata")
    assert [{"n": counts["requests"]}] == bench.database.look(
        "SELECT sum(requests) AS n FROM request_durations_hourly"
    )
    assert counts["requests"] == sum(each.doubles[6] for each in bench.points.written)


@in_virtual_time
async def test_at_rate_zero_nothing_is_written() -> None:
    """Statistics can be switched off."""
    bench = Bench(rate=0.0)
    bench.record()
    assert [] == bench.tasks


@in_virtual_time
async def test_a_broken_database_is_reported_and_harms_nobody() -> None:
    """The row is lost, the point is not, and the next request is written again."""
    bench = Bench()
    bench.database.failures.next("batch")
    bench.record()
    await bench.settle()
    assert ["analytics"] == [where for where, _ in bench.reported]
    assert 1 == len(bench.points.written)
    bench.record()
    await bench.settle()
    assert 1 == len(bench.database.look("SELECT 1 FROM request_analytics"))


@in_virtual_time
async def test_a_dataset_that_refuses_costs_no_row() -> None:
    """What can't be a point is a row all the same, and is reported."""
    bench = Bench()
    bench.points.is_broken = True
    bench.record()
    await bench.settle()
    bench.service().record_dead_letter(
        DeadLetterEvent(job_id="j", chunk=0, outcome="failed", attempts=1)
    )
    await bench.settle()
    assert ["analytics", "analytics"] == [where for where, _ in bench.reported]
    assert 1 == len(bench.database.look("SELECT 1 FROM request_analytics"))


@in_virtual_time
async def test_texts_may_hold_anything() -> None:
    """Whatever a client sends as a site or format is stored as text, cut where it is long."""
    bench = Bench()
    bench.record(site="'); DROP TABLE request_analytics; --\u0001☃" + "x" * 500, request_id='"')
    await bench.settle()
    [row] = bench.database.look("SELECT site, request_id FROM request_analytics")
    assert row["site"].startswith("'); DROP TABLE request_analytics; --\u0001☃")
    assert (200, '"') == (len(row["site"]), row["request_id"])


def insert_job(bench: Bench, status: str, updated_ms: int) -> None:
    """Insert a job that was queued at the epoch of the tests."""
    bench.database.look(
        "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms, end_ms,"
        " priority, status, total_chunks, estimated_size, samples_count, data_size, retry_count,"
        " upstream_requests, error_class, metadata, created_ms, updated_ms)"
        " VALUES ('j', 'h', 'o', 'hq', 1, 0, 1, 'low', ?1, 2, 3, 4, 6, 7, 8, 'upstream', '{}',"
        " ?2, ?3)",
        *(status, EPOCH_MS, updated_ms),
    )


@in_virtual_time
async def test_a_job_is_a_point_when_queued_and_when_ended() -> None:
    """Whatever the rate; what is under way when one of its chunks ends is none yet."""
    bench = Bench(rate=0.0)
    insert_job(bench, "processing", EPOCH_MS + 5)
    bench.service().record_queued_job("j")
    bench.service().record_ended_job("j", since_ms=EPOCH_MS)
    await bench.settle()
    event = JobEvent(
        job_id="j",
        site="hq",
        outcome="queued",
        priority="low",
        points=1,
        chunks=2,
        estimated=3,
        samples=4,
        data_bytes=6,
        retries=7,
        upstream_requests=8,
        error="upstream",
    )
    assert [job_metric(event)] == bench.points.written
    bench.database.look("UPDATE queue_jobs SET status = 'failed'")
    bench.service().record_ended_job("j", since_ms=EPOCH_MS + 6)
    bench.service().record_ended_job("j", since_ms=EPOCH_MS)
    bench.service().record_ended_job("unknown", since_ms=EPOCH_MS)
    await bench.settle()
    ended = msgspec.structs.replace(event, outcome="failed", duration_ms=5)
    assert [job_metric(event), job_metric(ended)] == bench.points.written


@in_virtual_time
async def test_readings_of_a_followed_site_are_a_point() -> None:
    """At any rate; a dataset that refuses them is reported."""
    bench = Bench(rate=0.0)
    event = FollowEvent(
        site="hq", outcome="round", rounds=1, pages=2, samples=3, lag_ms=4, duration_ms=5
    )
    bench.service().record_follow(event)
    assert [follow_metric(event)] == bench.points.written
    bench.points.is_broken = True
    bench.service().record_follow(event)
    assert ["analytics"] == [where for where, _ in bench.reported]


@in_virtual_time
async def test_a_dead_letter_is_a_point() -> None:
    """Site and error are those of its job; without the database they are left out."""
    bench = Bench(rate=0.0)
    insert_job(bench, "failed", EPOCH_MS)
    dead = DeadLetterEvent(job_id="j", chunk=0, outcome="failed", attempts=1)
    bench.service().record_dead_letter(dead)
    await bench.settle()
    bench.database.failures.next("rows")
    bench.service().record_dead_letter(dead)
    await bench.settle()
    told = msgspec.structs.replace(dead, site="hq", error="upstream")
    assert [dead_letter_metric(told), dead_letter_metric(dead)] == bench.points.written
    assert ["analytics"] == [where for where, _ in bench.reported]


@in_virtual_time
async def test_a_slow_database_makes_the_outbox_drop_the_oldest() -> None:
    """While D1 hangs, a bounded number of requests waits; what is dropped is counted and told."""
    bench = Bench()
    hanging = asyncio.Event()

    async def hang(_: str) -> None:
        await hanging.wait()

    bench.database.failures.before = hang
    total = 0
    for _ in range(20):
        for _ in range(REQUESTS_PER_BATCH_MAX):
            bench.record(request_id=str(total))
            total += 1
        await bench.clock.sleep(2 * LINGER_MS)
    assert len(bench.tasks) <= BATCHES_MAX
    hanging.set()
    await bench.settle()
    bench.record(request_id="next")
    await bench.settle()
    rows = [row["request_id"] for row in bench.database.look("SELECT * FROM request_analytics")]
    dropped = total + 1 - len(rows)
    assert REQUESTS_WAITING_MAX <= len(rows) <= (BATCHES_MAX + 2) * REQUESTS_PER_BATCH_MAX + 501
    assert {"0", str(total - 1), "next"} <= set(rows)
    told = [error.detail for where, error in bench.reported if where == "analytics"]
    assert [f"{dropped} requests were not recorded: the database is too slow"] == told


@in_virtual_time
async def test_a_database_of_its_own_keeps_requests_off_the_main_one() -> None:
    """Rows and sums are written there; hits of objects, and jobs, stay where those are."""
    bench = Bench()
    main = FakeDatabase()
    main.look(
        "INSERT INTO cache_metadata VALUES ('k', 'hq', 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, NULL)"
    )
    table = RequestAnalytics(bench.database, main)
    await table.record([WeightedRequest(msgspec.structs.replace(EVENT, object_keys=("k",)), 1)])
    assert 1 == len(bench.database.look("SELECT * FROM request_analytics"))
    assert 1 == len(bench.database.look("SELECT * FROM request_durations_hourly"))
    assert [] == main.look("SELECT * FROM request_analytics")
    assert [{"hits": 1}] == main.look("SELECT hits FROM cache_metadata")
    main.failures.calls.clear()
    await table.record([WeightedRequest(EVENT, 1)])
    assert {} == dict(main.failures.calls)
    assert await table.find_job("j") is None
    assert {"rows": 1} == dict(main.failures.calls)
