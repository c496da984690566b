"""
Chunks of jobs in D1: claimed, renewed, finished, put back, failed.

Each change is one batch that ends by bringing the job up to its chunks, so that two last chunks
cannot both miss that the job is complete.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from building_vitals.instants import SKEW_MS
from building_vitals.jobs import progress_table
from building_vitals.jobs.model import (
    ACTIVE,
    CHUNK_OPEN,
    CLAIM_MS,
    TERMINAL,
    ChunkRef,
    ChunkStatus,
    JobStatus,
    sql_list,
)
from building_vitals.ports import Database, Statement
from building_vitals.ranges import Range

_CLAIM_MS_MAX = CLAIM_MS + SKEW_MS
_ACTIVE, _OPEN = sql_list(ACTIVE), sql_list(CHUNK_OPEN)
_JOB_IS_ACTIVE = (
    f"EXISTS (SELECT 1 FROM queue_jobs j WHERE j.job_id = ?1 AND j.status IN {_ACTIVE})"  # noqa: S608
)

# A chunk can be claimed while its job is active, nobody else works on it, its time has come and it
# has attempts left. A low one waits until nothing more urgent is active. A claim that would hold
# longer than claims do is of a clock that was set back since.
_CLAIM = f"""
UPDATE job_chunks
SET status = 'processing', claim = ?3, claim_expires_ms = ?4, due_ms = ?5, attempts = attempts + 1,
    dead_letters = 0
WHERE job_id = ?1 AND chunk = ?2 AND attempts < ?7
    AND ((status = 'queued' AND next_ms <= ?6)
        OR (status = 'processing'
            AND (claim_expires_ms <= ?6 OR claim_expires_ms > ?6 + {_CLAIM_MS_MAX})))
    AND EXISTS (
        SELECT 1 FROM queue_jobs j WHERE j.job_id = ?1
            AND j.status IN {_ACTIVE}
            AND (j.priority <> 'low' OR j.created_ms <= ?8 OR NOT EXISTS (
                SELECT 1 FROM queue_jobs u
                WHERE u.priority IN ('high', 'normal')
                    AND u.status IN {_ACTIVE}
            ))
    )
"""  # noqa: S608 - constants only

# What the queue of a claimed chunk has come to. A check comes without a message, mostly.
_REACH = """
INSERT INTO chunk_queues (priority, reached_ms, claimed_ms)
SELECT j.priority, max(c.sent_ms, c.next_ms), ?4
FROM job_chunks c JOIN queue_jobs j ON j.job_id = c.job_id
WHERE c.job_id = ?1 AND c.chunk = ?2 AND c.claim = ?3 AND c.chunk < j.total_chunks
ON CONFLICT (priority) DO UPDATE SET
    reached_ms = max(reached_ms, excluded.reached_ms), claimed_ms = excluded.claimed_ms
"""

_STATE = """
SELECT j.status AS job_status, j.site, j.priority, j.created_ms, j.total_chunks, c.status, c.claim,
    coalesce(c.claim_expires_ms, 0) AS claim_expires_ms, c.next_ms, c.attempts, c.dead_letters,
    c.first_point, c.points_count, c.start_ms, c.end_ms, c.estimated, c.progress, c.error,
    EXISTS (
        SELECT 1 FROM job_chunks f INDEXED BY job_chunks_open
        WHERE f.job_id = ?1 AND f.status <> 'completed' AND f.status = 'failed'
    ) AS is_doomed
FROM job_chunks c JOIN queue_jobs j ON j.job_id = c.job_id
WHERE c.job_id = ?1 AND c.chunk = ?2
"""

# The parts that hold the points of a chunk, for the holder of its claim.
_POINTS = """
SELECT p.first_point, p.points
FROM job_chunks c CROSS JOIN job_points p ON p.job_id = c.job_id
    AND p.first_point < c.first_point + c.points_count
    AND p.first_point + p.points_count > c.first_point
WHERE c.job_id = ?1 AND c.chunk = ?2 AND c.claim = ?3 ORDER BY p.first_point
"""

_RENEW = f"""
UPDATE job_chunks
SET claim_expires_ms = ?4, due_ms = ?5, progress = max(progress, ?6),
    attempts = max(0, attempts - ?7)
WHERE job_id = ?1 AND chunk = ?2 AND claim = ?3 AND status = 'processing'
    AND {_JOB_IS_ACTIVE}
"""  # noqa: S608 - constants only

_CHECK = f"""
SELECT 1 AS goes_on FROM job_chunks c JOIN queue_jobs j ON j.job_id = c.job_id
WHERE c.job_id = ?1 AND c.chunk = ?2 AND c.claim = ?3 AND j.status IN {_ACTIVE}
"""  # noqa: S608 - constants only

# The first to finish has finished it, also when the claim has passed to another.
_FINISH = f"""
UPDATE job_chunks
SET status = 'completed', progress = 1, samples = ?3, text_bytes = ?4,
    upstream_requests = upstream_requests + ?5, attempts = attempts + ?6,
    claim = NULL, claim_expires_ms = NULL, due_ms = NULL, error = NULL, error_class = NULL
WHERE job_id = ?1 AND chunk = ?2 AND status IN {_OPEN}
"""  # noqa: S608 - constants only

_RELEASE = f"""
UPDATE job_chunks
SET status = 'queued', claim = NULL, claim_expires_ms = NULL, next_ms = ?4, due_ms = ?5,
    sends = 1, sent_ms = ?6, attempts = max(0, attempts - ?7), error = ?8, error_class = ?9,
    upstream_requests = upstream_requests + ?10
WHERE job_id = ?1 AND chunk = ?2 AND claim = ?3 AND status = 'processing'
    AND {_JOB_IS_ACTIVE}
"""  # noqa: S608 - constants only

# With a claim: only its holder's failure counts. Without: one that claims it after *now* is spared.
_FAIL = f"""
UPDATE job_chunks
SET status = 'failed', claim = NULL, claim_expires_ms = NULL, due_ms = NULL,
    error = ?4, error_class = ?5, failed_ms = ?6, upstream_requests = upstream_requests + ?7
WHERE job_id = ?1 AND chunk = ?2 AND CASE
    WHEN ?3 IS NOT NULL THEN claim = ?3 AND status = 'processing'
    ELSE status = 'queued' OR (status = 'processing'
        AND (claim_expires_ms <= ?6 OR claim_expires_ms > ?6 + {_CLAIM_MS_MAX}))
END AND {_JOB_IS_ACTIVE}
"""  # noqa: S608 - constants only


class ChunkState(msgspec.Struct, frozen=True, kw_only=True):
    """
    A chunk and what of its job matters to it.

    Attributes:
        created_ms, total_chunks: Of the job.
        claim_expires_ms, next_ms: 0 where there is none.
        error: Why its last attempt failed, if it did.
        is_doomed: Whether another chunk of the job has failed for good.
        points: The names, for the holder of the claim.
    """

    job_status: JobStatus
    site: str
    priority: str
    created_ms: int
    total_chunks: int
    status: ChunkStatus
    claim: str | None
    claim_expires_ms: int
    next_ms: int
    attempts: int
    dead_letters: int
    first_point: int
    points_count: int
    start_ms: int
    end_ms: int
    estimated: int
    progress: float
    error: str | None
    is_doomed: bool
    points: tuple[str, ...] | None = None

    @property
    def time_range(self) -> Range:
        """The chunk's part of the job's range."""
        return Range(self.start_ms, self.end_ms)

    def is_claimed(self, now_ms: int) -> bool:
        """Return whether somebody works on it."""
        holds_ms = self.claim_expires_ms - now_ms
        return self.status == "processing" and 0 < holds_ms <= _CLAIM_MS_MAX


class Result(msgspec.Struct, frozen=True):
    """
    Size of a finished chunk, and the requests it took.

    Attributes:
        unreadable_samples: Left out, because they cannot be read; for the log.
    """

    samples: int
    text_bytes: int
    upstream_requests: int
    unreadable_samples: int = 0


class ChunkOutcome(NamedTuple):
    """
    What the end of a chunk has led to.

    Attributes:
        made: Chunks that come next and are to be sent.
        job_status: What has become of the job, if that ended it; None otherwise.
    """

    made: list[int]
    job_status: JobStatus | None


class JobChunks:
    """Finds and changes chunks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self,
        ref: ChunkRef,
        claim: str,
        *,
        now_ms: int,
        expires_ms: int,
        due_ms: int,
        attempts_max: int,
        patience_ms: int,
    ) -> ChunkState | None:
        """
        Claim a chunk if that can be, and return its state; the claim tells whether it could.

        A chunk has *attempts_max* attempts in all; a low job gives way to more urgent ones for
        *patience_ms*.
        """
        place = (ref.job_id, ref.chunk)
        values = (*place, claim, expires_ms, due_ms, now_ms, attempts_max, now_ms - patience_ms)
        outcomes = await self._database.batch(
            [
                Statement(_CLAIM, values),
                Statement(_REACH, (*place, claim, now_ms)),
                Statement(_STATE, place),
                Statement(_POINTS, (*place, claim)),
                progress_table.recount(ref.job_id, now_ms=now_ms),
            ]
        )
        state = _state(outcomes[2].rows)
        if state is None or state.claim != claim:
            return state
        return msgspec.structs.replace(state, points=_points(state, outcomes[3].rows))

    async def look(self, ref: ChunkRef) -> ChunkState | None:
        """Return a chunk's state; None when there is no such job."""
        return _state(await self._database.rows(_STATE, ref.job_id, ref.chunk))

    async def renew(
        self,
        ref: ChunkRef,
        claim: str,
        *,
        now_ms: int,
        expires_ms: int,
        due_ms: int,
        share: float | None,
        is_spared: bool = False,
        makes_due_ms: int | None = None,
    ) -> list[int] | None:
        """
        Keep a claim and note how far it has come.

        Args:
            ref: The chunk.
            claim: Whose it is.
            now_ms: The present instant.
            expires_ms: Until when the claim holds.
            due_ms: When the chunk is to be sent again.
            share: How far it has come; None: no further, and nothing of the job changes.
            is_spared: Whether the attempt counts no longer.
            makes_due_ms: Makes the chunks that come next, to be sent again at that instant unless
                something happens; None: makes none.

        Returns:
            The chunks that were made and are to be sent; None when the work is not to go on.
        """
        values = (ref.job_id, ref.chunk, claim, expires_ms, due_ms, share or 0, int(is_spared))
        statements = [Statement(_RENEW, values)]
        if share is not None:
            statements.append(progress_table.recount(ref.job_id, now_ms=now_ms))
        if makes_due_ms is not None:
            statements.append(progress_table.make(ref.job_id, now_ms=now_ms, due_ms=makes_due_ms))
        outcomes = await self._database.batch(statements)
        if not outcomes[0].changes:
            return None
        return _numbers(outcomes[-1].rows) if makes_due_ms is not None else []

    async def goes_on(self, ref: ChunkRef, claim: str) -> bool:
        """Return whether the claim holds and the job is active."""
        return bool(await self._database.rows(_CHECK, ref.job_id, ref.chunk, claim))

    async def finish(
        self, ref: ChunkRef, result: Result, *, now_ms: int, due_ms: int, is_spared: bool = False
    ) -> ChunkOutcome:
        """
        Mark a chunk as done, and make those that come next; once more changes nothing.

        Args:
            ref: The chunk.
            result: What it has brought.
            now_ms: The present instant.
            due_ms: When the chunks that come next are to be sent again unless something happens.
            is_spared: Whether the attempt counts again: retries are the attempts but one.
        """
        added = (result.samples, result.text_bytes, result.upstream_requests)
        done = Statement(_FINISH, (ref.job_id, ref.chunk, *added, int(is_spared)))
        outcomes = await self._database.batch(
            [
                progress_table.add(ref.job_id, ref.chunk, added, is_spared=is_spared),
                done,
                progress_table.make(ref.job_id, now_ms=now_ms, due_ms=due_ms),
                progress_table.recount(ref.job_id, now_ms=now_ms),
            ]
        )
        return ChunkOutcome(_numbers(outcomes[2].rows), _ended(outcomes[3].rows))

    async def release(
        self,
        ref: ChunkRef,
        claim: str,
        *,
        now_ms: int,
        next_ms: int,
        due_ms: int,
        is_counted: bool,
        error: str | None,
        error_class: str | None,
        upstream_requests: int = 0,
    ) -> None:
        """
        Put a chunk back, to be tried from *next_ms* on; the attempt counts if *is_counted*.

        The requests that it has taken in vain, or for a part of the chunk, are added to the others.
        """
        place = (ref.job_id, ref.chunk, claim)
        uncounted = 0 if is_counted else 1
        failure = (error, error_class, upstream_requests)
        values = (*place, next_ms, due_ms, now_ms, uncounted, *failure)
        await self._database.batch(
            [Statement(_RELEASE, values), progress_table.recount(ref.job_id, now_ms=now_ms)]
        )

    async def fail(
        self,
        ref: ChunkRef,
        claim: str | None,
        *,
        now_ms: int,
        error: str,
        error_class: str,
        upstream_requests: int = 0,
        is_hopeless: bool = False,
    ) -> JobStatus | None:
        """
        Mark a chunk as failed for good, if the claim holds; None: if nobody works on it.

        Args:
            ref: The chunk.
            claim: Whose it is.
            now_ms: The present instant.
            error: Why.
            error_class: What kind of failure that is.
            upstream_requests: Those of the last attempt.
            is_hopeless: Whether that ends the job at once: no other chunk would do better.

        Returns:
            What has become of the job, if that ended it.
        """
        failure = (error, error_class, now_ms, upstream_requests)
        outcomes = await self._database.batch(
            [
                Statement(_FAIL, (ref.job_id, ref.chunk, claim, *failure)),
                progress_table.recount(ref.job_id, now_ms=now_ms, is_hopeless=is_hopeless),
            ]
        )
        return _ended(outcomes[1].rows)


def _numbers(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["chunk"]) for row in rows]


def _ended(rows: list[dict[str, Any]]) -> JobStatus | None:
    """Return the status in the rows of a recount, if the job has ended just now."""
    status: JobStatus | None = rows[0]["status"] if rows else None
    return status if status in TERMINAL else None


def _state(rows: list[dict[str, Any]]) -> ChunkState | None:
    return msgspec.convert(rows[0], ChunkState, strict=False) if rows else None


def _points(state: ChunkState, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the chunk's points from the parts that hold them."""
    names: list[str] = []
    for row in rows:
        names += msgspec.json.decode(row["points"], type=list[str])
    first = state.first_point - int(rows[0]["first_point"]) if rows else 0
    return tuple(names[first : first + state.points_count])
