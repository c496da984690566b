"""
Chunks of jobs in D1: claimed, renewed, finished, failed, and found when they are lost.

Each change is one batch that ends by recounting the job from its chunks, so that two last chunks
cannot both miss that the job is complete.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from building_vitals.jobs.model import (
    ACTIVE,
    CHUNK_OPEN,
    ChunkRef,
    ChunkStatus,
    JobStatus,
    sql_list,
)
from building_vitals.ports import Database, Statement
from building_vitals.ranges import Range

_ACTIVE, _OPEN = sql_list(ACTIVE), sql_list(CHUNK_OPEN)
_JOB_IS_ACTIVE = (
    f"EXISTS (SELECT 1 FROM queue_jobs j WHERE j.job_id = ?1 AND j.status IN {_ACTIVE})"  # noqa: S608
)

# A chunk can be claimed while its job is active, nobody else works on it, its time has come and it
# has attempts left. A low one waits until nothing more urgent is active.
_CLAIM = f"""
UPDATE job_chunks
SET status = 'processing', claim = ?3, claim_expires_ms = ?4, due_ms = ?5, attempts = attempts + 1
WHERE job_id = ?1 AND chunk = ?2 AND attempts < ?7
    AND ((status = 'queued' AND next_ms <= ?6)
        OR (status = 'processing' AND claim_expires_ms <= ?6))
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

_STATE = """
SELECT j.status AS job_status, j.site, j.priority, j.created_ms, c.status, c.claim,
    coalesce(c.claim_expires_ms, 0) AS claim_expires_ms, c.next_ms, c.attempts, c.dead_letters,
    c.start_ms, c.end_ms, c.estimated, c.progress,
    EXISTS (
        SELECT 1 FROM job_chunks f WHERE f.job_id = ?1 AND f.status = 'failed'
    ) AS is_doomed,
    CASE WHEN c.claim = ?3 THEN (
        SELECT json_group_array(e.value) FROM job_points p, json_each(p.points) e
        WHERE p.job_id = ?1 AND e.key >= c.first_point
            AND e.key < c.first_point + c.points_count
    ) END AS points
FROM job_chunks c JOIN queue_jobs j ON j.job_id = c.job_id
WHERE c.job_id = ?1 AND c.chunk = ?2
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

_IS_COMPLETE = "SELECT 1 AS complete FROM queue_jobs WHERE job_id = ?1 AND status = 'completed'"

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
    ELSE status = 'queued' OR (status = 'processing' AND claim_expires_ms <= ?6)
END AND {_JOB_IS_ACTIVE}
"""  # noqa: S608 - constants only

# Recounts a job from its chunks. Progress is weighted by size and stays below 100 to the end.
_RECOUNT = f"""
UPDATE queue_jobs SET
    status = CASE
        WHEN c.done = c.chunks THEN 'completed'
        WHEN c.open = 0 THEN 'failed'
        WHEN c.waiting > 0 THEN 'retrying'
        WHEN c.started > 0 THEN 'processing'
        ELSE queue_jobs.status END,
    progress = max(queue_jobs.progress,
        CASE WHEN c.done = c.chunks THEN 100 ELSE min(99, CAST(c.share * 100 AS INTEGER)) END),
    completed_chunks = c.done, samples_count = c.samples, data_size = c.text_bytes,
    retry_count = c.retries, upstream_requests = c.requests,
    error = (
        SELECT e.error FROM job_chunks e WHERE e.job_id = ?1 AND e.error IS NOT NULL
        ORDER BY e.status <> 'failed', e.chunk LIMIT 1
    ),
    error_class = (
        SELECT e.error_class FROM job_chunks e WHERE e.job_id = ?1 AND e.error IS NOT NULL
        ORDER BY e.status <> 'failed', e.chunk LIMIT 1
    ),
    started_ms = coalesce(started_ms, CASE WHEN c.started > 0 THEN ?2 END),
    completed_ms = CASE WHEN c.done = c.chunks THEN ?2 END,
    failed_ms = CASE WHEN c.done < c.chunks AND c.open = 0 THEN ?2 END,
    updated_ms = ?2
FROM (
    SELECT count(*) AS chunks,
        count(*) FILTER (WHERE status = 'completed') AS done,
        count(*) FILTER (WHERE status IN {_OPEN}) AS open,
        count(*) FILTER (WHERE status = 'queued' AND error IS NOT NULL) AS waiting,
        count(*) FILTER (WHERE status <> 'queued' OR attempts > 0) AS started,
        coalesce(sum(max(attempts - 1, 0)), 0) AS retries,
        coalesce(sum(samples), 0) AS samples,
        coalesce(sum(text_bytes), 0) AS text_bytes,
        coalesce(sum(upstream_requests), 0) AS requests,
        1.0 * sum(estimated * progress) / sum(estimated) AS share
    FROM job_chunks WHERE job_id = ?1
) c
WHERE job_id = ?1 AND queue_jobs.status IN {_ACTIVE}
"""  # noqa: S608 - constants only

# CROSS JOIN keeps the order of loops: along the index, as far as the limit.
_DUE = f"""
SELECT c.job_id, c.chunk, j.priority, c.sends, coalesce(c.claim_expires_ms, 0) AS claim_expires_ms
FROM job_chunks c CROSS JOIN queue_jobs j ON j.job_id = c.job_id
WHERE c.due_ms <= ?1 AND (c.status = 'queued' OR c.due_ms <= ?2)
    AND j.status IN {_ACTIVE} ORDER BY c.due_ms LIMIT ?3
"""  # noqa: S608 - constants only

_RESENT = """
UPDATE job_chunks SET sends = sends + 1, sent_ms = ?2, due_ms = r.due_ms
FROM (
    SELECT value ->> 0 AS job_id, value ->> 1 AS chunk, value ->> 2 AS due_ms FROM json_each(?1)
) r
WHERE job_chunks.job_id = r.job_id AND job_chunks.chunk = r.chunk
    AND job_chunks.due_ms IS NOT NULL
"""

_DEAD_LETTER = """
UPDATE job_chunks SET dead_letters = dead_letters + 1 WHERE job_id = ?1 AND chunk = ?2
"""


class ChunkState(msgspec.Struct, frozen=True, kw_only=True):
    """
    A chunk and what of its job matters to it.

    Attributes:
        claim_expires_ms, next_ms: 0 where there is none.
        is_doomed: Whether another chunk of the job has failed for good.
        points: The names, for the holder of the claim.
    """

    job_status: JobStatus
    site: str
    priority: str
    created_ms: int
    status: ChunkStatus
    claim: str | None
    claim_expires_ms: int
    next_ms: int
    attempts: int
    dead_letters: int
    start_ms: int
    end_ms: int
    estimated: int
    progress: float
    is_doomed: bool
    points: tuple[str, ...] | None

    @property
    def time_range(self) -> Range:
        """The chunk's part of the job's range."""
        return Range(self.start_ms, self.end_ms)


class DueChunk(msgspec.Struct, frozen=True):
    """A chunk whose message seems lost, or whose claim seems abandoned."""

    job_id: str
    chunk: int
    priority: str
    sends: int
    claim_expires_ms: int

    @property
    def ref(self) -> ChunkRef:
        """What its message says."""
        return ChunkRef(self.job_id, self.chunk)


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
                Statement(_STATE, (*place, claim)),
                Statement(_RECOUNT, (ref.job_id, now_ms)),
            ]
        )
        return _state(outcomes[1].rows)

    async def look(self, ref: ChunkRef) -> ChunkState | None:
        """Return a chunk's state; None when there is no such job."""
        return _state(await self._database.rows(_STATE, ref.job_id, ref.chunk, None))

    async def renew(
        self,
        ref: ChunkRef,
        claim: str,
        *,
        now_ms: int,
        expires_ms: int,
        due_ms: int,
        share: float,
        is_spared: bool = False,
    ) -> bool:
        """
        Keep a claim and note how far it has come; return whether the work is to go on.

        With *is_spared*, the attempt counts no longer.
        """
        values = (ref.job_id, ref.chunk, claim, expires_ms, due_ms, share, int(is_spared))
        outcomes = await self._database.batch(
            [
                Statement(_RENEW, values),
                Statement(_RECOUNT, (ref.job_id, now_ms)),
            ]
        )
        return outcomes[0].changes > 0

    async def goes_on(self, ref: ChunkRef, claim: str) -> bool:
        """Return whether the claim holds and the job is active."""
        return bool(await self._database.rows(_CHECK, ref.job_id, ref.chunk, claim))

    async def finish(
        self, ref: ChunkRef, result: Result, *, now_ms: int, is_spared: bool = False
    ) -> bool:
        """
        Mark a chunk as done; return whether its job is complete. Once more changes nothing.

        With *is_spared*, the attempt counts again: retries are the attempts but one.
        """
        values = (
            ref.job_id,
            ref.chunk,
            result.samples,
            result.text_bytes,
            result.upstream_requests,
            int(is_spared),
        )
        return await self._change(ref, Statement(_FINISH, values), now_ms)

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
        await self._change(ref, Statement(_RELEASE, values), now_ms)

    async def fail(
        self,
        ref: ChunkRef,
        claim: str | None,
        *,
        now_ms: int,
        error: str,
        error_class: str,
        upstream_requests: int = 0,
    ) -> None:
        """Mark a chunk as failed for good, if the claim holds; None: if nobody works on it."""
        failure = (error, error_class, now_ms, upstream_requests)
        values = (ref.job_id, ref.chunk, claim, *failure)
        await self._change(ref, Statement(_FAIL, values), now_ms)

    async def count_dead_letter(self, ref: ChunkRef) -> None:
        """Note that the queue has given up a message of a chunk."""
        await self._database.batch([Statement(_DEAD_LETTER, (ref.job_id, ref.chunk))])

    async def find_due(self, *, queued_ms: int, claimed_ms: int, limit: int) -> list[DueChunk]:
        """
        Return chunks to be sent again, the longest due first: those that nobody has begun and that
        are due by *queued_ms*, and those that somebody has and that are due by *claimed_ms*.
        """
        rows = await self._database.rows(_DUE, queued_ms, claimed_ms, limit)
        return [msgspec.convert(row, DueChunk) for row in rows]

    async def mark_resent(self, sent: Iterable[tuple[ChunkRef, int]], *, now_ms: int) -> None:
        """Note that chunks were sent again, and when each is due the next time."""
        rows = msgspec.json.encode([[ref.job_id, ref.chunk, due_ms] for ref, due_ms in sent])
        await self._database.batch([Statement(_RESENT, (rows.decode(), now_ms))])

    async def _change(self, ref: ChunkRef, change: Statement, now_ms: int) -> bool:
        recount = Statement(_RECOUNT, (ref.job_id, now_ms))
        state = Statement(_IS_COMPLETE, (ref.job_id,))
        return bool((await self._database.batch([change, recount, state]))[2].rows)


def _state(rows: list[dict[str, object]]) -> ChunkState | None:
    if not rows:
        return None
    row = dict(rows[0])
    names = row["points"]
    row["points"] = msgspec.json.decode(names) if isinstance(names, str) else None
    return msgspec.convert(row, ChunkState, strict=False)
