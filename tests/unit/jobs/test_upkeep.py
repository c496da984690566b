"""The periodic work of jobs: ended ones become history."""

from __future__ import annotations

from building_vitals.jobs import upkeep as jobs_upkeep
from building_vitals.jobs.history_table import JobHistory
from fakes.upkeep import NOW_MS, UpkeepBench, insert_job


async def test_old_jobs_become_history() -> None:
    """A job that ended a week ago moves, its chunks and points go; active and younger ones stay."""
    bench = UpkeepBench()
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
