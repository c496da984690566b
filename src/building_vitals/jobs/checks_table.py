"""The check before a job's end in D1: how far it has come, and chunks that are made undone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from building_vitals.jobs import progress_table
from building_vitals.jobs.model import ACTIVE, ChunkRef, sql_list
from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.ranges import Range

_STATE = "SELECT check_place, check_found, check_passes FROM queue_jobs WHERE job_id = ?1"

_PART = """
SELECT chunk, first_point, points_count, start_ms, end_ms FROM job_chunks
WHERE job_id = ?1 AND chunk >= ?2 AND chunk < ?3 ORDER BY chunk
"""

_NAMES = """
SELECT first_point, points FROM job_points
WHERE job_id = ?1 AND first_point < ?3 AND first_point + points_count > ?2 ORDER BY first_point
"""

# All that follows only for the holder of the check's claim, while the job is active.
_HOLDS = f"""EXISTS (
    SELECT 1 FROM job_chunks h CROSS JOIN queue_jobs j ON j.job_id = h.job_id
    WHERE h.job_id = ?1 AND h.chunk = ?2 AND h.claim = ?3 AND j.status IN {sql_list(ACTIVE)}
)"""  # noqa: S608 - constants only

_NOTE = f"""
UPDATE queue_jobs SET check_place = ?4, check_found = ?5, check_passes = ?6
WHERE job_id = ?1 AND {_HOLDS}
"""  # noqa: S608 - constants only

# Before chunks that were done are no longer so: their job loses what they had added.
_SUBTRACT = f"""
UPDATE queue_jobs SET
    completed_chunks = completed_chunks - c.chunks, samples_count = samples_count - c.samples,
    data_size = data_size - c.text_bytes, done_requests = done_requests - c.requests,
    done_estimated = done_estimated - c.estimated
FROM (
    SELECT count(*) AS chunks, coalesce(sum(samples), 0) AS samples,
        coalesce(sum(text_bytes), 0) AS text_bytes,
        coalesce(sum(upstream_requests), 0) AS requests, coalesce(sum(estimated), 0) AS estimated
    FROM json_each(?4) k CROSS JOIN job_chunks d ON d.job_id = ?1 AND d.chunk = k.value
    WHERE d.status = 'completed'
) c
WHERE queue_jobs.job_id = ?1 AND {_HOLDS}
"""  # noqa: S608 - constants only
# It keeps its count of requests, as its job does that of retries.
_UNDO = f"""
UPDATE job_chunks
SET status = 'queued', attempts = 0, sends = 1, dead_letters = 0, sent_ms = ?5, next_ms = 0,
    due_ms = ?6, samples = 0, text_bytes = 0
WHERE job_id = ?1 AND status = 'completed' AND chunk IN (SELECT value FROM json_each(?4))
    AND {_HOLDS}
"""  # noqa: S608 - constants only
_DROP = f"DELETE FROM job_chunks WHERE job_id = ?1 AND chunk = ?2 AND {_HOLDS}"  # noqa: S608


class CheckState(msgspec.Struct, frozen=True):
    """
    How far a check has come.

    Attributes:
        check_place: Chunks that it has gone through in this pass.
        check_found: Those of them whose data had gone.
        check_passes: Passes before that found some.
    """

    check_place: int
    check_found: int
    check_passes: int


class CheckChunk(msgspec.Struct, frozen=True):
    """A chunk that is done, as it was planned."""

    chunk: int
    first_point: int
    points_count: int
    start_ms: int
    end_ms: int

    @property
    def time_range(self) -> Range:
        """Its part of the job's range."""
        return Range(self.start_ms, self.end_ms)


class JobChecks:
    """Finds and changes what concerns the check before a job's end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, job_id: str) -> CheckState:
        """Return how far the check of a job has come."""
        return msgspec.convert((await self._database.rows(_STATE, job_id))[0], CheckState)

    async def part(
        self, job_id: str, start: int, stop: int
    ) -> list[tuple[CheckChunk, tuple[str, ...]]]:
        """Return some of a job's chunks, from *start* to before *stop*, each with its points."""
        rows = await self._database.rows(_PART, job_id, start, stop)
        chunks = msgspec.convert(rows, list[CheckChunk])
        if not chunks:
            return []
        first = min(each.first_point for each in chunks)
        last = max(each.first_point + each.points_count for each in chunks)
        found = await self._database.rows(_NAMES, job_id, first, last)
        offset = int(found[0]["first_point"]) if found else 0
        names = [
            name for row in found for name in msgspec.json.decode(row["points"], type=list[str])
        ]
        return [
            (each, tuple(names[each.first_point - offset :][: each.points_count]))
            for each in chunks
        ]

    async def note(self, ref: ChunkRef, claim: str, state: CheckState) -> None:
        """Note how far the check has come, if the claim still holds."""
        await self._database.batch([_note(ref, claim, state)])

    async def undo(
        self,
        ref: ChunkRef,
        claim: str,
        state: CheckState,
        chunks: Sequence[int],
        *,
        now_ms: int,
        due_ms: int,
    ) -> bool:
        """
        Have chunks fetched again whose data have gone: the check ends, and comes again after them.

        Args:
            ref: The check.
            claim: Whose it is.
            state: How far it has come.
            chunks: The chunks.
            now_ms: When their messages are sent.
            due_ms: When those may be sent again.

        Returns:
            Whether that was done; False when the claim no longer holds.
        """
        held = (ref.job_id, ref.chunk, claim)
        numbers = json_parameter(list(chunks))
        outcomes = await self._database.batch(
            [
                Statement(_SUBTRACT, (*held, numbers)),
                Statement(_UNDO, (*held, numbers, now_ms, due_ms)),
                _note(ref, claim, state),
                Statement(_DROP, held),
                progress_table.recount(ref.job_id, now_ms=now_ms),
            ]
        )
        return outcomes[3].changes > 0


def _note(ref: ChunkRef, claim: str, state: CheckState) -> Statement:
    counts = (state.check_place, state.check_found, state.check_passes)
    return Statement(_NOTE, (ref.job_id, ref.chunk, claim, *counts))
