"""Jobs that ended long ago, moved to `job_history`."""

from __future__ import annotations

from building_vitals.jobs.model import TERMINAL, sql_list
from building_vitals.ports import Database, Statement, json_parameter

_ENDED = """
SELECT job_id FROM queue_jobs
WHERE status = ?1 AND updated_ms < ?2 ORDER BY updated_ms LIMIT ?3
"""

# Judged once more: a failed job may have been put back since it was found.
_STILL_ENDED = f"""
job_id IN (SELECT value FROM json_each(?1)) AND status IN {sql_list(TERMINAL)}
"""  # noqa: S608 - constants only

_COUNT_ARCHIVED = f"""
INSERT INTO job_totals (status, jobs)
SELECT status, count(*) FROM queue_jobs WHERE {_STILL_ENDED}
    AND NOT EXISTS (SELECT 1 FROM job_history h WHERE h.job_id = queue_jobs.job_id)
GROUP BY status
ON CONFLICT (status) DO UPDATE SET jobs = jobs + excluded.jobs
"""  # noqa: S608 - constants only

_ARCHIVE = f"""
INSERT OR IGNORE INTO job_history (
    job_id, owner, site, points_count, start_ms, end_ms, priority, status, total_chunks,
    estimated_size, samples_count, data_size, retry_count, upstream_requests, error, error_class,
    metadata, created_ms, started_ms, ended_ms, archived_ms
)
SELECT job_id, owner, site, points_count, start_ms, end_ms, priority, status, total_chunks,
    estimated_size, samples_count, data_size, retry_count, upstream_requests, error, error_class,
    metadata, created_ms, started_ms,
    coalesce(completed_ms, failed_ms, cancelled_ms, updated_ms), ?2
FROM queue_jobs WHERE {_STILL_ENDED}
"""  # noqa: S608 - constants only

_FORGET_JOBS = tuple(
    f"""
DELETE FROM {table} WHERE job_id IN (
    SELECT h.job_id FROM json_each(?1) k CROSS JOIN job_history h ON h.job_id = k.value
)
"""  # noqa: S608 - constants only
    for table in ("job_chunks", "job_points", "job_plans", "queue_jobs")
)


class JobHistory:
    """Moves jobs to the history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def archive(self, status: str, *, before_ms: int, now_ms: int, limit: int) -> int:
        """Move jobs that ended before an instant to job_history; return how many."""
        rows = await self._database.rows(_ENDED, status, before_ms, limit)
        if not rows:
            return 0
        names = json_parameter([row["job_id"] for row in rows])
        await self._database.batch(
            [
                Statement(_COUNT_ARCHIVED, (names,)),
                Statement(_ARCHIVE, (names, now_ms)),
                *(Statement(sql, (names,)) for sql in _FORGET_JOBS),
            ]
        )
        return len(rows)
