"""The maintenance run: every step gets its turn, in bounded runs that go on."""

from __future__ import annotations

import msgspec

from building_vitals.instants import DAY_MS
from building_vitals.maintenance.run import Maintenance
from building_vitals.maintenance.state_table import MaintenanceState
from building_vitals.upkeep import OBJECT_GRACE_MS
from fakes.clock import VirtualClock
from fakes.invocation import invocation
from fakes.upkeep import NOW_MS, UpkeepBench, insert_job, key


async def test_a_large_clean_up_comes_to_its_end_in_several_runs() -> None:
    """30,000 segments of 3,000 objects and 30,000 old rows: each run is bounded, the last empty."""
    bench = UpkeepBench()
    for n in range(3000):
        await bench.object(key(n), NOW_MS - 29 * DAY_MS)
        for point in range(10):
            bench.segment(key(n), NOW_MS - 29 * DAY_MS, point=f"{n}/{point}")
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
        bench.now_ms += OBJECT_GRACE_MS + 1
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
    bench = UpkeepBench()
    await bench.object(key(1), NOW_MS - 29 * DAY_MS)
    bench.segment(key(1), NOW_MS - 29 * DAY_MS)
    bench.database.look("UPDATE cache_metadata SET orphaned_ms = 1")
    insert_job(bench, "old", "completed", 5)
    bench.objects.failures.always("*")
    reported: list[str] = []
    run = Maintenance(
        bench.steps(),
        MaintenanceState(bench.database),
        invocation(VirtualClock(NOW_MS), on_fault=lambda where, error: reported.append(where)),
    )
    done = {each.name: each for each in (await run.run()).steps}
    assert {"expired objects", "orphan objects"} == {
        name for name, each in done.items() if each.error is not msgspec.UNSET
    }
    assert ["maintenance: expired objects", "maintenance: orphan objects"] == reported
    assert (1, 1) == (done["expired segments"].changed, done["old jobs"].changed)


async def test_the_end_of_a_run_is_noted() -> None:
    """Health tells how long ago a run ended; that it could not be noted stops nothing."""
    bench, reported = UpkeepBench(), list[str]()
    state = MaintenanceState(bench.database)
    maintenance = Maintenance(
        [],
        state,
        invocation(VirtualClock(NOW_MS), on_fault=lambda where, error: reported.append(where)),
    )
    assert (await state.read(NOW_MS)).maintained_ms is None
    assert [] == (await maintenance.run()).steps
    assert NOW_MS == (await state.read(NOW_MS)).maintained_ms
    bench.database.failures.always("batch")
    assert [] == (await maintenance.run()).steps
    assert ["maintenance: end"] == reported
