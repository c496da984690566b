"""Jobs in D1: submitted once, found, listed, cancelled, put back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from building_vitals.instants import HOUR_MS, INSTANT_MAX_MS
from building_vitals.jobs import progress_table
from building_vitals.jobs.chunking import JobPlan
from building_vitals.jobs.model import ACTIVE, Job, sql_list
from building_vitals.jobs.results_table import JobResult, JobResults
from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.ranges import Range

_ACTIVE = sql_list(ACTIVE)
# Bytes of JSON in one part of a job's points: D1 takes values of 2 MB.
POINTS_BYTES_MAX = 1_000_000

# Not inserted when the same request of the same owner is active, or the owner has too much queued
# or has submitted too much since ?16, whatever became of it.
_INSERT_JOB = f"""
INSERT INTO queue_jobs (
    job_id, request_hash, owner, site, points_count, start_ms, end_ms, priority, status,
    total_chunks, estimated_size, metadata, created_ms, updated_ms, planned_estimated
)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'queued', ?9, ?10, ?11, ?12, ?12, ?17
WHERE ?13 > (SELECT count(*) FROM queue_jobs WHERE owner = ?3
    AND status IN {_ACTIVE})
    AND ?14 >= ?10 + (
        SELECT coalesce(sum(estimated_size), 0) FROM queue_jobs
        WHERE owner = ?3 AND status IN {_ACTIVE}
    )
    AND ?15 >= ?10 + (
        SELECT coalesce(sum(estimated_size), 0) FROM queue_jobs
        WHERE owner = ?3 AND created_ms > ?16
    )
ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants only

_INSERT_POINTS = """
INSERT INTO job_points (job_id, first_point, points_count, points)
SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM queue_jobs WHERE job_id = ?1)
"""

_INSERT_PLAN = """
INSERT INTO job_plans (job_id, bounds, edges, samples_per_day)
SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM queue_jobs WHERE job_id = ?1)
"""

_FIND_ACTIVE = f"""
SELECT job_id FROM queue_jobs WHERE owner = ?1 AND request_hash = ?2
    AND status IN {_ACTIVE}
"""  # noqa: S608 - constants only

_USAGE = f"""
SELECT count(*) AS jobs, coalesce(sum(estimated_size), 0) AS samples, (
    SELECT coalesce(sum(estimated_size), 0) FROM queue_jobs WHERE owner = ?1 AND created_ms > ?2
) AS recent_samples
FROM queue_jobs WHERE owner = ?1 AND status IN {_ACTIVE}
"""  # noqa: S608 - constants only

# When the job was submitted with which so many samples of those since ?2 will have been forgotten.
_FREED = """
SELECT min(created_ms) AS created_ms FROM (
    SELECT created_ms, sum(estimated_size) OVER (ORDER BY created_ms, job_id) AS samples
    FROM queue_jobs WHERE owner = ?1 AND created_ms > ?2
)
WHERE samples >= ?3
"""

_REMOVE = (
    "DELETE FROM job_chunks WHERE job_id = ?1",
    "DELETE FROM job_points WHERE job_id = ?1",
    "DELETE FROM job_plans WHERE job_id = ?1",
    "DELETE FROM queue_jobs WHERE job_id = ?1",
)

_COLUMNS = """
job_id, owner, site, points_count, start_ms, end_ms, priority, status, progress, total_chunks,
completed_chunks, estimated_size, samples_count, data_size, retry_count, error, error_class,
created_ms, started_ms, completed_ms, failed_ms, cancelled_ms, metadata
"""

_FIND = f"SELECT {_COLUMNS} FROM queue_jobs WHERE job_id = ?1"  # noqa: S608 - constants only

_POINTS = "SELECT points FROM job_points WHERE job_id = ?1 ORDER BY first_point"

_LIST_BY = """
SELECT {columns} FROM queue_jobs
WHERE {owner} (created_ms, job_id) < (?2, ?3)
    AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR site = ?5)
ORDER BY created_ms DESC, job_id DESC LIMIT ?6
"""
_LIST_OWN = _LIST_BY.format(columns=_COLUMNS, owner="owner = ?1 AND")
_LIST_ALL = _LIST_BY.format(columns=_COLUMNS, owner="?1 IS NULL AND")

_CANCEL = f"""
UPDATE queue_jobs SET status = 'cancelled', cancelled_ms = ?2, updated_ms = ?2
WHERE job_id = ?1 AND status IN {_ACTIVE}
"""  # noqa: S608 - constants only
_CANCEL_CHUNKS = """
UPDATE job_chunks INDEXED BY job_chunks_open SET due_ms = NULL
WHERE job_id = ?1 AND status <> 'completed'
    AND EXISTS (SELECT 1 FROM queue_jobs WHERE job_id = ?1 AND status = 'cancelled')
"""

_REVIVE = f"""
UPDATE queue_jobs
SET status = 'queued', error = NULL, error_class = NULL, failed_ms = NULL, updated_ms = ?2,
    check_place = 0, check_found = 0, check_passes = 0
WHERE job_id = ?1 AND status = 'failed' AND NOT EXISTS (
    SELECT 1 FROM queue_jobs o WHERE o.owner = queue_jobs.owner
        AND o.request_hash = queue_jobs.request_hash
        AND o.status IN {_ACTIVE}
)
"""  # noqa: S608 - constants only
_REVIVE_CHUNKS = """
UPDATE job_chunks INDEXED BY job_chunks_open
SET status = 'queued', attempts = 0, sends = 1, dead_letters = 0, sent_ms = ?2, next_ms = 0,
    due_ms = ?3, claim = NULL, claim_expires_ms = NULL, error = NULL, error_class = NULL,
    failed_ms = NULL
WHERE job_id = ?1 AND status <> 'completed'
    AND EXISTS (SELECT 1 FROM queue_jobs WHERE job_id = ?1 AND status = 'queued')
RETURNING chunk
"""

_FAILURES = """
SELECT c.job_id, j.site, c.chunk, c.error_class, c.error, c.attempts, c.failed_ms
FROM job_chunks c JOIN queue_jobs j ON j.job_id = c.job_id
WHERE c.failed_ms IS NOT NULL ORDER BY c.failed_ms DESC LIMIT ?1
"""
_FAILURE_COUNTS = """
SELECT error_class, count(*) AS total, count(*) FILTER (WHERE failed_ms >= ?1) AS recent
FROM job_chunks WHERE failed_ms IS NOT NULL GROUP BY error_class
"""


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """
    A job that is to be queued.

    Attributes:
        plan: How it is cut into chunks.
        due_ms: When its chunks are to be sent again unless something happens.
    """

    job_id: str
    request_hash: str
    owner: str
    site: str
    points: tuple[str, ...]
    time_range: Range
    priority: str
    estimated: int
    metadata: dict[str, object]
    plan: JobPlan
    now_ms: int
    due_ms: int


class OwnerLimits(NamedTuple):
    """
    What an owner may have: active jobs, their samples, and samples submitted in an hour.

    Samples are estimated.
    """

    active_jobs: int
    queued_samples: int
    hourly_samples: int


class SubmissionOutcome(NamedTuple):
    """
    What became of a submission.

    Attributes:
        job_id: The active job of this request; None when the owner has too much queued.
        is_new: Whether it was inserted just now.
        active_jobs, queued_samples: What the owner has queued.
        hourly_samples: What the owner has submitted within an hour, whatever became of it.
        made: The chunks that were made and are to be sent.
    """

    job_id: str | None
    is_new: bool
    active_jobs: int
    queued_samples: int
    hourly_samples: int
    made: list[int]


class Failure(msgspec.Struct, frozen=True):
    """A chunk that failed for good."""

    job_id: str
    site: str
    chunk: int
    error_class: str | None
    error: str | None
    attempts: int
    failed_ms: int


class FailureCount(msgspec.Struct, frozen=True):
    """Failed chunks of one class."""

    error_class: str | None
    total: int
    recent: int


class Jobs:
    """Finds and changes jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, job: NewJob, limits: OwnerLimits) -> SubmissionOutcome:
        """
        Insert a job and its first chunks, unless its request is active or over a limit of its
        owner.
        """
        plan, since_ms = job.plan, job.now_ms - HOUR_MS
        values = (
            *(job.job_id, job.request_hash, job.owner, job.site, len(job.points), *job.time_range),
            *(job.priority, plan.chunks_count, job.estimated, json_parameter(job.metadata)),
            *(job.now_ms, *limits, since_ms, plan.estimated),
        )
        cut = (json_parameter(plan.bounds), json_parameter(plan.edges), plan.samples_per_day)
        outcomes = await self._database.batch(
            [
                Statement(_INSERT_JOB, values),
                Statement(_INSERT_PLAN, (job.job_id, *cut)),
                progress_table.make(
                    job.job_id, now_ms=job.now_ms, due_ms=job.due_ms, site=job.site
                ),
                Statement(_FIND_ACTIVE, (job.owner, job.request_hash)),
                Statement(_USAGE, (job.owner, since_ms)),
                *_points_statements(job.job_id, job.points),
            ]
        )
        made, active, usage = outcomes[2].rows, outcomes[3].rows, outcomes[4].rows[0]
        job_id = str(active[0]["job_id"]) if active else None
        return SubmissionOutcome(
            job_id,
            job_id == job.job_id,
            usage["jobs"],
            usage["samples"],
            usage["recent_samples"],
            [int(row["chunk"]) for row in made],
        )

    async def freed_ms(self, owner: str, samples: int, *, now_ms: int) -> int:
        """Return when an owner's hour will have forgotten so many of its samples."""
        since_ms = now_ms - HOUR_MS
        [row] = await self._database.rows(_FREED, owner, since_ms, samples)
        return int(row["created_ms"] or now_ms) + HOUR_MS

    async def find_active(self, owner: str, request_hash: str) -> str | None:
        """Return the active job of a request; None for none."""
        rows = await self._database.rows(_FIND_ACTIVE, owner, request_hash)
        return str(rows[0]["job_id"]) if rows else None

    async def remove(self, job_id: str) -> None:
        """Remove a job of which nobody has heard."""
        await self._database.batch([Statement(sql, (job_id,)) for sql in _REMOVE])

    async def find(self, job_id: str) -> Job | None:
        """Return a job."""
        rows = await self._database.rows(_FIND, job_id)
        return msgspec.convert(rows[0], Job) if rows else None

    async def find_with_result(
        self, job_id: str, *, now_ms: int
    ) -> tuple[Job | None, JobResult | None]:
        """Return a job and its materialised result, if there is one."""
        job, result = await self._database.batch(
            [Statement(_FIND, (job_id,)), JobResults.find_statement(job_id, now_ms)]
        )
        found = msgspec.convert(job.rows[0], Job) if job.rows else None
        return found, JobResults.found(result.rows)

    async def points(self, job_id: str) -> tuple[str, ...]:
        """Return the points of a job, in the order of its request."""
        rows = await self._database.rows(_POINTS, job_id)
        parts = (msgspec.json.decode(row["points"], type=list[str]) for row in rows)
        return tuple(chain.from_iterable(parts))

    async def page(
        self,
        *,
        owner: str | None,
        after: tuple[int, str] | None,
        status: str | None,
        site: str | None,
        limit: int,
    ) -> list[Job]:
        """
        Return jobs, the newest first; None for *owner* is those of every key.

        The page begins after a job, of which *after* is creation time and id.
        """
        created_ms, job_id = after or (INSTANT_MAX_MS, "")
        sql = _LIST_ALL if owner is None else _LIST_OWN
        rows = await self._database.rows(sql, owner, created_ms, job_id, status, site, limit)
        return msgspec.convert(rows, list[Job])

    async def cancel(self, job_id: str, *, now_ms: int) -> bool:
        """Cancel a job; return whether it was active."""
        outcomes = await self._database.batch(
            [Statement(_CANCEL, (job_id, now_ms)), Statement(_CANCEL_CHUNKS, (job_id,))]
        )
        return outcomes[0].changes > 0

    async def revive(self, job_id: str, *, now_ms: int, due_ms: int) -> list[int] | None:
        """Put a failed job back; return the chunks to run again, or None when it can't be."""
        outcomes = await self._database.batch(
            [
                Statement(_REVIVE, (job_id, now_ms)),
                Statement(_REVIVE_CHUNKS, (job_id, now_ms, due_ms)),
            ]
        )
        if not outcomes[0].changes:
            return None
        return [int(row["chunk"]) for row in outcomes[1].rows]

    async def failures(self, limit: int) -> list[Failure]:
        """Return failed chunks, the latest first."""
        return msgspec.convert(await self._database.rows(_FAILURES, limit), list[Failure])

    async def failure_counts(self, since_ms: int) -> list[FailureCount]:
        """Return how many chunks have failed, by class, and how many of them since *since_ms*."""
        rows = await self._database.rows(_FAILURE_COUNTS, since_ms)
        return msgspec.convert(rows, list[FailureCount])


def _points_statements(job_id: str, points: Sequence[str]) -> list[Statement]:
    """Return statements that insert a job's points, in parts that D1 takes."""
    parts: list[tuple[int, list[str]]] = []
    left = 0
    for n, name in enumerate(points):
        size = len(json_parameter(name).encode()) + 1
        if not parts or size > left:
            parts.append((n, []))
            left = POINTS_BYTES_MAX
        parts[-1][1].append(name)
        left -= size
    return [
        Statement(_INSERT_POINTS, (job_id, first, len(names), json_parameter(names)))
        for first, names in parts
    ]
