"""The clean-up: all of what is over goes, none of what is in use, in bounded runs that go on."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.cache import upkeep as cache_upkeep
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.upkeep_table import CacheUpkeep
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.jobs import upkeep as jobs_upkeep
from building_vitals.jobs.history_table import JobHistory
from building_vitals.maintenance.run import Maintenance
from building_vitals.ranges import Range
from building_vitals.statistics import upkeep as statistics_upkeep
from building_vitals.statistics.requests_table import RequestAnalytics
from building_vitals.upkeep import OBJECT_GRACE_MS, Step
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.failures import Fault
from fakes.invocation import invocation
from fakes.object_store import FakeObjectStore
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

NOW_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
FRESHNESS = Freshness(
    settle_after_ms=2 * HOUR_MS,
    settled_ttl_ms=DAY_MS,
    provisional_ttl_ms=HOUR_MS,
    grace_ms=DAY_MS,
)
LIFE_MS = 2 * DAY_MS


class Bench:
    """A database, a bucket, and the steps over them."""

    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.now_ms = NOW_MS
        self.objects = FakeObjectStore(lambda: self.now_ms)
        self.upkeep = CacheUpkeep(self.database, SegmentIndex(self.database))

    def steps(self) -> list[Step]:
        """Return the steps as they are composed."""
        return [
            cache_upkeep.ExpiredSegments(self.upkeep, FRESHNESS),
            cache_upkeep.ExpiredObjects(self.upkeep, self.objects),
            cache_upkeep.OrphanObjects(self.upkeep, self.objects),
            jobs_upkeep.OldJobs(JobHistory(self.database)),
            statistics_upkeep.OldRequests(RequestAnalytics(self.database)),
            cache_upkeep.OldMarks(self.upkeep),
            cache_upkeep.Recount(self.upkeep),
        ]

    async def run(self) -> dict[str, int]:
        """Run all steps once; return what each has changed."""
        return {step.name: await step.run(self.now_ms) for step in self.steps()}

    def segment(self, key: str, fetched_ms: int, *, point: str = "p", ends_ms: int = 10) -> None:
        """Insert a segment that was settled when fetched."""
        self.database.look(
            "INSERT INTO cache_segments VALUES ('hq', ?1, ?2, ?3, ?4, ?5, '', 0, 1, 1, 1, 0, 0, 0,"
            " '[]', ?6)",
            *(point, ends_ms - 1, ends_ms, fetched_ms, key, fetched_ms + LIFE_MS),
        )

    async def object(self, key: str, fetched_ms: int, *, is_known: bool = True) -> None:
        """Store an object, and its row."""
        self.now_ms, now_ms = fetched_ms, self.now_ms
        await self.objects.put(key, b"x", content_type="t")
        self.now_ms = now_ms
        if is_known:
            self.database.look(
                "INSERT INTO cache_metadata "
                "VALUES (?1, 'hq', 0, 1, 1, 5, 30, 10, 3, 0, ?2, ?2, ?3)",
                *(key, fetched_ms, fetched_ms + LIFE_MS),
            )

    def count(self, table: str) -> int:
        """Return the rows of a table."""
        return int(self.database.look(f"SELECT count(*) AS n FROM {table}")[0]["n"])


def key(n: int | str) -> str:
    """Return the key of an object."""
    return f"timeseries/hq/x/{n}.seg"


async def test_expired_segments_go_and_others_stay() -> None:
    """A segment goes when its life and grace are over, not before."""
    bench = Bench()
    bench.segment(key(1), NOW_MS - LIFE_MS - 1, point="over")
    bench.segment(key(2), NOW_MS - LIFE_MS, point="just not")
    bench.segment(key(3), NOW_MS - HOUR_MS, point="fresh")
    assert 1 == await cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS).run(NOW_MS)
    assert ["fresh", "just not"] == [
        row["point"] for row in bench.database.look("SELECT point FROM cache_segments ORDER BY 1")
    ]


async def test_a_longer_life_takes_effect_at_once() -> None:
    """What was filed under a shorter life is filed anew, and hides nothing that is over."""
    bench = Bench()
    longer = Freshness(2 * HOUR_MS, 30 * DAY_MS, HOUR_MS, DAY_MS)
    for n in range(cache_upkeep.SEGMENTS_AT_ONCE + 5):
        bench.segment(key(n), NOW_MS - 10 * DAY_MS + n, point=f"{n:05}")
    bench.segment(key("old"), NOW_MS - 31 * DAY_MS - 1, point="over", ends_ms=20)
    step = cache_upkeep.ExpiredSegments(bench.upkeep, longer)
    assert 1 == await step.run(NOW_MS)
    assert 0 == await step.run(NOW_MS)
    assert cache_upkeep.SEGMENTS_AT_ONCE + 5 == bench.count("cache_segments")
    assert 0 == bench.count(f"cache_segments WHERE expires_ms < {NOW_MS}")


async def test_provisional_segments_live_shorter() -> None:
    """Kind and configuration decide, as when reading."""
    bench = Bench()
    fetched_ms = NOW_MS - FRESHNESS.provisional_ttl_ms - FRESHNESS.grace_ms - 1
    bench.segment(key(1), fetched_ms, point="provisional", ends_ms=fetched_ms)
    bench.segment(key(1), fetched_ms, point="settled")
    bench.database.look("UPDATE cache_segments SET expires_ms = ?1", NOW_MS - 1)
    assert 1 == await cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS).run(NOW_MS)
    assert [{"point": "settled"}] == bench.database.look("SELECT point FROM cache_segments")


async def test_an_object_goes_after_its_last_segment() -> None:
    """While anything is known of an object it stays; after that it and its row go."""
    bench = Bench()
    await bench.object(key(1), NOW_MS - 3 * DAY_MS)
    await bench.object(key(2), NOW_MS - 3 * DAY_MS)
    bench.segment(key(1), NOW_MS - HOUR_MS)
    step = cache_upkeep.ExpiredObjects(bench.upkeep, bench.objects)
    assert 1 == await step.run(NOW_MS)
    assert {key(1)} == set(bench.objects.infos)
    assert [{"object_key": key(1), "expires_ms": NOW_MS - HOUR_MS + LIFE_MS}] == (
        bench.database.look("SELECT object_key, expires_ms FROM cache_metadata")
    )


async def test_an_object_stays_for_whoever_is_about_to_read_it() -> None:
    """The object outlives its last segment by a grace period."""
    bench = Bench()
    await bench.object(key(1), NOW_MS - LIFE_MS - 1)
    step = cache_upkeep.ExpiredObjects(bench.upkeep, bench.objects)
    assert 0 == await step.run(NOW_MS)
    assert 1 == await step.run(NOW_MS + OBJECT_GRACE_MS)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("operation", ["delete", "batch"])
async def test_a_run_that_dies_is_made_good_by_the_next(operation: str, fault: Fault) -> None:
    """Wherever the run breaks off, no row is left without its object going too, nor the reverse."""
    bench = Bench()
    await bench.object(key(1), NOW_MS - 9 * DAY_MS)
    step = cache_upkeep.ExpiredObjects(bench.upkeep, bench.objects)
    failures = bench.objects.failures if operation == "delete" else bench.database.failures
    failures.next(operation, fault=fault)
    if operation == "batch":
        # The first batch finds the objects; the second drops their rows.
        failures.clear()
        calls = iter([None, fault])
        failures.by_chance(lambda name: next(calls, None) if name == "batch" else None)
    with pytest.raises(Unavailable):
        await step.run(NOW_MS)
    failures.clear()
    await step.run(NOW_MS)
    assert (set(), 0) == (set(bench.objects.infos), bench.count("cache_metadata"))


async def test_objects_nobody_knows_of_go_after_an_hour() -> None:
    """An object without a row may be about to get one; after an hour it is an orphan."""
    bench = Bench()
    await bench.object(key("orphan"), NOW_MS - HOUR_MS - 1, is_known=False)
    await bench.object(key("young"), NOW_MS - HOUR_MS + 1, is_known=False)
    await bench.object("datasets/other", NOW_MS - 9 * DAY_MS, is_known=False)
    await bench.object(key("known"), NOW_MS - 9 * DAY_MS)
    bench.segment(key("known"), NOW_MS - HOUR_MS)
    await bench.object(key("rowless"), NOW_MS - 9 * DAY_MS, is_known=False)
    bench.segment(key("rowless"), NOW_MS - HOUR_MS, point="q")
    step = cache_upkeep.OrphanObjects(bench.upkeep, bench.objects)
    assert 1 == await step.run(NOW_MS)
    assert {key("young"), key("known"), key("rowless"), "datasets/other"} == set(
        bench.objects.infos
    )


async def test_replaced_objects_go_before_they_expire() -> None:
    """An object whose segments were all replaced goes when it has not been read for an hour."""
    bench = Bench()
    await bench.object(key("replaced"), NOW_MS - 2 * HOUR_MS)
    await bench.object(key("in use"), NOW_MS - 2 * HOUR_MS)
    bench.database.look(
        "UPDATE cache_metadata SET last_access_ms = ?1 WHERE object_key = ?2",
        *(NOW_MS - 5, key("in use")),
    )
    assert 1 == await cache_upkeep.OrphanObjects(bench.upkeep, bench.objects).run(NOW_MS)
    assert {key("in use")} == set(bench.objects.infos)
    assert 1 == bench.count("cache_metadata")


async def test_the_walk_through_the_bucket_goes_on_where_it_stopped() -> None:
    """Each run looks at some pages; in the end all have been seen, and the walk begins anew."""
    bench = Bench()
    bench.objects.page_objects_max = 3
    for n in range(40):
        await bench.object(key(f"{n:02}"), NOW_MS - 9 * DAY_MS, is_known=n % 2 == 0)
        if n % 2 == 0:
            bench.segment(key(f"{n:02}"), NOW_MS - HOUR_MS, point=str(n))
    step = cache_upkeep.OrphanObjects(bench.upkeep, bench.objects)
    found = [await step.run(NOW_MS) for _ in range(3)]
    assert 20 == sum(found)
    assert all(found)
    assert 20 == len(bench.objects.infos)
    assert None is await bench.upkeep.place(step.name)
    assert cache_upkeep.PAGES_MAX * 3 >= bench.objects.failures.calls["list"]


async def test_a_place_that_cannot_be_gone_on_from_is_forgotten() -> None:
    """A cursor the bucket refuses costs one run; the next begins at the beginning."""
    bench = Bench()
    await bench.object(key("orphan"), NOW_MS - 9 * DAY_MS, is_known=False)
    step = cache_upkeep.OrphanObjects(bench.upkeep, bench.objects)
    await bench.upkeep.keep_place(step.name, "no cursor at all", now_ms=NOW_MS)
    with pytest.raises(Unavailable):
        await step.run(NOW_MS)
    assert 1 == await step.run(NOW_MS)


def insert_job(bench: Bench, job_id: str, status: str, ended_ms: int) -> None:
    """Insert a job with a chunk and its points."""
    bench.database.look(
        "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms, end_ms,"
        " priority, status, total_chunks, estimated_size, metadata, created_ms,"
        " updated_ms, started_ms, completed_ms) VALUES (?1, ?1, 'o', 'hq', 2, 3, 4, 'low', ?2, 5,"
        " 6, '{}', 7, ?3, 8, ?3)",
        *(job_id, status, ended_ms),
    )
    bench.database.look("INSERT INTO job_points VALUES (?1, '[]')", job_id)
    bench.database.look(
        "INSERT INTO job_chunks (job_id, chunk, first_point, points_count, start_ms, end_ms,"
        " estimated, status, sent_ms, next_ms) VALUES (?1, 0, 0, 1, 3, 4, 6, 'completed', 1, 1)",
        job_id,
    )


async def test_old_jobs_become_history() -> None:
    """A job that ended a week ago moves, its chunks and points go; active and younger ones stay."""
    bench = Bench()
    over_ms = NOW_MS - jobs_upkeep.JOB_AGE_MS - 1
    for status in ("completed", "failed", "cancelled", "queued", "processing", "retrying"):
        insert_job(bench, f"old-{status}", status, over_ms)
    insert_job(bench, "young", "completed", over_ms + 1)
    assert 3 == await jobs_upkeep.OldJobs(JobHistory(bench.database)).run(NOW_MS)
    assert ["old-cancelled", "old-completed", "old-failed"] == [
        row["job_id"] for row in bench.database.look("SELECT job_id FROM job_history ORDER BY 1")
    ]
    assert (4, 4, 4) == tuple(map(bench.count, ("queue_jobs", "job_points", "job_chunks")))
    [kept] = bench.database.look(
        "SELECT site, points_count, start_ms, end_ms, priority, status, total_chunks, created_ms,"
        " started_ms, ended_ms, archived_ms FROM job_history WHERE job_id = 'old-completed'"
    )
    assert ("hq", 2, 3, 4, "low", "completed", 5, 7, 8, over_ms, NOW_MS) == tuple(kept.values())
    assert 0 == await jobs_upkeep.OldJobs(JobHistory(bench.database)).run(NOW_MS)


class PuttingBack:
    """A database in which somebody puts a job back between two calls."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Find jobs; then one is put back."""
        found = await self._bench.database.rows(sql, *values)
        self._bench.database.look("UPDATE queue_jobs SET status = 'queued' WHERE job_id = 'back'")
        return found

    async def batch(self, statements: Any) -> Any:
        """Run statements."""
        return await self._bench.database.batch(statements)


async def test_a_job_put_back_is_not_archived() -> None:
    """What is active again when it would be moved stays, with its chunks."""
    bench = Bench()
    over_ms = NOW_MS - jobs_upkeep.JOB_AGE_MS - 1
    insert_job(bench, "back", "failed", over_ms)
    insert_job(bench, "over", "failed", over_ms)
    putting_back = PuttingBack(bench)
    await JobHistory(putting_back).archive(
        "failed", before_ms=NOW_MS - DAY_MS, now_ms=NOW_MS, limit=9
    )
    assert [{"job_id": "back"}] == bench.database.look("SELECT job_id FROM queue_jobs")
    assert [{"job_id": "back"}] == bench.database.look("SELECT job_id FROM job_chunks")
    assert [{"status": "failed", "jobs": 1}] == bench.database.look("SELECT * FROM job_totals")


async def test_old_requests_go() -> None:
    """Rows and sums go after 30 days."""
    bench = Bench()
    for age_ms in (0, statistics_upkeep.REQUEST_AGE_MS, statistics_upkeep.REQUEST_AGE_MS + 1):
        at_ms = NOW_MS - age_ms
        bench.database.look(
            "INSERT INTO request_analytics (request_id, time_ms, site, points_count, route_type,"
            " cache_status, format, estimated_size, actual_size, bytes, upstream_requests,"
            " duration_ms, status, success, weight)"
            " VALUES ('r', ?1, 's', 1, 'cached', 'hit', 'json', 1, 1, 1, 0, 5, 200, 1, 1)",
            at_ms,
        )
        bench.database.look(
            "INSERT INTO request_stats_hourly VALUES (?1, 'cached', 1, 1, 1, 5, 1, 1, 0)", at_ms
        )
        bench.database.look(
            "INSERT INTO request_durations_hourly VALUES (?1, 'cached', 5, 1)", at_ms
        )
    assert 3 == await statistics_upkeep.OldRequests(RequestAnalytics(bench.database)).run(NOW_MS)
    tables = ("request_analytics", "request_stats_hourly", "request_durations_hourly")
    assert (2, 2, 2) == tuple(map(bench.count, tables))


async def test_leases_and_purges_go() -> None:
    """Leases go a minute after their end, marks of purges after a day."""
    bench = Bench()
    for n, expires_ms in enumerate(
        (NOW_MS - cache_upkeep.LEASE_AGE_MS - 1, NOW_MS - 1, NOW_MS + 5)
    ):
        bench.database.look(
            "INSERT INTO fetch_leases VALUES (?1, 'hq', '[]', 0, 1, ?2)", str(n), expires_ms
        )
    for n, purged_ms in enumerate((NOW_MS - DAY_MS - 1, NOW_MS - DAY_MS)):
        bench.database.look("INSERT INTO cache_purges VALUES (?1, ?2)", str(n), purged_ms)
    assert 2 == await cache_upkeep.OldMarks(bench.upkeep).run(NOW_MS)
    assert (2, 1) == (bench.count("fetch_leases"), bench.count("cache_purges"))


async def test_totals_are_counted_anew_once_a_day() -> None:
    """What was changed by hand is put right."""
    bench = Bench()
    await bench.object(key(1), NOW_MS)
    step = cache_upkeep.Recount(bench.upkeep)
    assert 1 == await step.run(NOW_MS)
    await bench.object(key(2), NOW_MS)
    assert 0 == await step.run(NOW_MS + DAY_MS - 1)
    assert [(1, 1, 5, 30, 10, NOW_MS)] == [
        tuple(row.values()) for row in bench.database.look("SELECT * FROM cache_totals")
    ]
    assert 1 == await step.run(NOW_MS + DAY_MS)
    assert [{"objects": 2, "stored_bytes": 20}] == bench.database.look(
        "SELECT objects, stored_bytes FROM cache_totals"
    )


async def test_a_large_clean_up_comes_to_its_end_in_several_runs() -> None:
    """30,000 segments of 3,000 objects and 30,000 old rows: each run is bounded, the last empty."""
    bench = Bench()
    for n in range(3000):
        await bench.object(key(n), NOW_MS - 9 * DAY_MS)
        for point in range(10):
            bench.segment(key(n), NOW_MS - 9 * DAY_MS, point=f"{n}/{point}")
    for n in range(30_000):
        bench.database.look(
            "INSERT INTO request_analytics (request_id, time_ms, site, points_count, route_type,"
            " cache_status, format, estimated_size, actual_size, bytes, upstream_requests,"
            " duration_ms, status, success, weight)"
            " VALUES (?1, ?2, 's', 1, 'cached', 'hit', 'json', 1, 1, 1, 0, 5, 200, 1, 1)",
            *(str(n), NOW_MS - 40 * DAY_MS + n),
        )
    runs = []
    while True:
        bench.database.failures.calls.clear()
        runs.append(await bench.run())
        assert bench.database.failures.calls.total() < 120
        if not any(runs[-1].values()):
            break
    assert 3 <= len(runs) <= 5
    assert 30_000 == sum(run["expired segments"] for run in runs)
    assert 3000 == sum(run["expired objects"] + run["orphan objects"] for run in runs)
    assert 30_000 == sum(run["old requests"] for run in runs)
    assert {} == bench.objects.infos
    assert (0, 0, 0) == tuple(
        map(bench.count, ("cache_segments", "cache_metadata", "request_analytics"))
    )
    assert [(0, 0, 0, 0)] == [
        tuple(row.values())
        for row in bench.database.look(
            "SELECT objects, samples, text_bytes, stored_bytes FROM cache_totals"
        )
    ]


async def test_one_failing_step_stops_no_other() -> None:
    """The bucket is down: what needs only the database is done all the same, and both are told."""
    bench = Bench()
    await bench.object(key(1), NOW_MS - 9 * DAY_MS)
    bench.segment(key(1), NOW_MS - 9 * DAY_MS)
    insert_job(bench, "old", "completed", 5)
    bench.objects.failures.always("*")
    reported: list[str] = []
    run = Maintenance(
        bench.steps(),
        invocation(VirtualClock(NOW_MS), on_fault=lambda where, error: reported.append(where)),
    )
    done = {each["name"]: each for each in (await run.run())["steps"]}
    assert {"expired objects", "orphan objects"} == {
        name for name, each in done.items() if "error" in each
    }
    assert ["maintenance: expired objects", "maintenance: orphan objects"] == reported
    assert (1, 1) == (done["expired segments"]["changed"], done["old jobs"]["changed"])


@in_virtual_time
async def test_totals_go_with_what_is_stored_replaced_and_purged() -> None:
    """After fills, compactions, purges and clean-up the totals are those of the rows."""
    async with World() as world:
        upkeep = CacheUpkeep(world.database, world.index)

        def totals() -> list[dict[str, Any]]:
            return world.database.look(
                "SELECT objects, samples, text_bytes, stored_bytes FROM cache_totals"
            )

        def sums() -> list[dict[str, Any]]:
            return world.database.look(
                "SELECT count(*) AS objects, coalesce(sum(samples), 0) AS samples,"
                " coalesce(sum(text_bytes), 0) AS text_bytes,"
                " coalesce(sum(stored_bytes), 0) AS stored_bytes FROM cache_metadata"
            )

        for n in range(12):
            start_ms = EPOCH_MS - (30 - n) * DAY_MS
            await world.ask(["a", "b"], Range(start_ms, start_ms + DAY_MS))
            await world.settle()
            assert sums() == totals()
        assert 12 == sums()[0]["objects"]
        await world.ask(["a", "b"], Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 18 * DAY_MS))
        await world.settle()
        assert sums() == totals()
        await world.clock.sleep(3 * DAY_MS)
        for step in (
            cache_upkeep.ExpiredSegments(upkeep, world.freshness),
            cache_upkeep.ExpiredObjects(upkeep, world.objects),
        ):
            assert await step.run(world.clock.now_ms()) > 0
        assert sums() == totals()
        assert ({}, 0) == (world.objects.infos, totals()[0]["objects"])
        truth = world.truth(["a"], Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 29 * DAY_MS))
        again = await world.ask(["a"], Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 29 * DAY_MS))
        assert ("miss", truth) == (again.report.status, again.samples)


@in_virtual_time
async def test_cleaning_up_while_it_is_read_harms_no_answer() -> None:
    """Objects that go between look-up and read are gaps: answers stay exact."""
    async with World() as world:
        time_range = Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 29 * DAY_MS)
        await world.ask(["a"], time_range)
        await world.settle()
        await world.objects.delete(list(world.objects.infos))
        got = await world.ask(["a"], time_range)
        assert world.truth(["a"], time_range) == got.samples
