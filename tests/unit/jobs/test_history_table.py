"""Jobs that move into the history."""

from __future__ import annotations

from typing import Any

from building_vitals.instants import DAY_MS
from building_vitals.jobs import upkeep as jobs_upkeep
from building_vitals.jobs.history_table import JobHistory
from fakes.upkeep import NOW_MS, UpkeepBench, insert_job


class PuttingBack:
    """A database in which somebody puts a job back between two calls."""

    def __init__(self, bench: UpkeepBench) -> None:
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
    bench = UpkeepBench()
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
