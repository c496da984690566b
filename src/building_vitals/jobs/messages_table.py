"""Messages of chunks in D1: which of them seem lost, and how many were given up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from building_vitals.jobs import progress_table
from building_vitals.jobs.model import ACTIVE, ChunkRef, sql_list
from building_vitals.ports import Database, Statement, json_parameter

_ACTIVE = sql_list(ACTIVE)

# How far each queue has come, and whether somebody works on a chunk of it: renews its claim.
_QUEUES = f"""
SELECT q.priority, q.reached_ms, q.claimed_ms, EXISTS (
    SELECT 1 FROM job_chunks c CROSS JOIN queue_jobs j ON j.job_id = c.job_id
    WHERE c.due_ms > ?1 AND c.status = 'processing' AND j.priority = q.priority
        AND j.status IN {_ACTIVE}
) AS is_served
FROM chunk_queues q
"""  # noqa: S608 - constants only

# CROSS JOIN keeps the order of loops: along the index, as far as the limit.
_DUE = f"""
SELECT c.job_id, c.chunk, j.priority, c.sends, coalesce(c.claim_expires_ms, 0) AS claim_expires_ms
FROM job_chunks c CROSS JOIN queue_jobs j ON j.job_id = c.job_id
WHERE c.due_ms <= ?1 AND j.status IN {_ACTIVE} AND CASE c.status
    WHEN 'processing' THEN c.due_ms <= ?2
    ELSE max(c.sent_ms, c.next_ms) <= (SELECT q.value FROM json_each(?3) q WHERE q.key = j.priority)
END
ORDER BY c.due_ms LIMIT ?4
"""  # noqa: S608 - constants only

_RESENT = """
UPDATE job_chunks SET sends = sends + 1, sent_ms = ?2, due_ms = r.due_ms
FROM (
    SELECT value ->> 0 AS job_id, value ->> 1 AS chunk, value ->> 2 AS due_ms FROM json_each(?1)
) r
WHERE job_chunks.job_id = r.job_id AND job_chunks.chunk = r.chunk
    AND job_chunks.due_ms IS NOT NULL
"""

# A message that is sent again by who got it is no lost one.
_DEFER = """
UPDATE job_chunks SET sent_ms = ?3, next_ms = ?4, due_ms = ?5
WHERE job_id = ?1 AND chunk = ?2 AND status = 'queued' AND due_ms IS NOT NULL
"""

_STALLED = f"""
SELECT job_id, priority FROM queue_jobs
WHERE status IN {_ACTIVE} AND NOT EXISTS (
    SELECT 1 FROM job_chunks o INDEXED BY job_chunks_open
    WHERE o.job_id = queue_jobs.job_id AND o.status <> 'completed'
)
LIMIT ?1
"""  # noqa: S608 - constants only

_DEAD_LETTER = """
UPDATE job_chunks SET dead_letters = dead_letters + 1 WHERE job_id = ?1 AND chunk = ?2
"""


class QueueProgress(msgspec.Struct, frozen=True):
    """
    How far a queue has come.

    Attributes:
        priority: Whose queue.
        reached_ms: When the latest message was sent whose chunk was claimed.
        claimed_ms: When a chunk was last claimed.
        is_served: Whether somebody works on a chunk of it.
    """

    priority: str
    reached_ms: int
    claimed_ms: int
    is_served: bool


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


class ChunkMessages:
    """Finds lost messages, and notes what was sent again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def queues(self, *, alive_ms: int) -> list[QueueProgress]:
        """
        Return how far the queues have come.

        A chunk is worked on that is due after *alive_ms*.
        """
        rows = await self._database.rows(_QUEUES, alive_ms)
        return msgspec.convert(rows, list[QueueProgress], strict=False)

    async def find_due(
        self, *, queued_ms: int, claimed_ms: int, sent_ms: Mapping[str, int], limit: int
    ) -> list[DueChunk]:
        """
        Return chunks to be sent again, the longest due first.

        Args:
            queued_ms: Those that nobody has begun and that are due by then,
            sent_ms: and whose messages were sent by an instant; one for each priority.
            claimed_ms: Those that somebody has and that are due by then.
            limit: So many.
        """
        sent = json_parameter(dict(sent_ms))
        rows = await self._database.rows(_DUE, queued_ms, claimed_ms, sent, limit)
        return msgspec.convert(rows, list[DueChunk])

    async def mark_resent(self, sent: Iterable[tuple[ChunkRef, int]], *, now_ms: int) -> None:
        """Note that chunks were sent again, and when each is due the next time."""
        rows = json_parameter([[ref.job_id, ref.chunk, due_ms] for ref, due_ms in sent])
        await self._database.batch([Statement(_RESENT, (rows, now_ms))])

    async def defer(self, ref: ChunkRef, *, now_ms: int, next_ms: int, due_ms: int) -> None:
        """Note that a chunk's message is sent on, to come at *next_ms*, and when it is due."""
        values = (ref.job_id, ref.chunk, now_ms, next_ms, due_ms)
        await self._database.batch([Statement(_DEFER, values)])

    async def count_dead_letter(self, ref: ChunkRef) -> None:
        """Note that the queue has given up a message of a chunk."""
        await self._database.batch([Statement(_DEAD_LETTER, (ref.job_id, ref.chunk))])

    async def stalled(self, *, limit: int) -> list[tuple[str, str]]:
        """Return active jobs that have no chunk to bring them on, with their priorities."""
        rows = await self._database.rows(_STALLED, limit)
        return [(row["job_id"], row["priority"]) for row in rows]

    async def make(self, job_id: str, *, now_ms: int, due_ms: int) -> list[int]:
        """Make the chunks of a job that come next, due at an instant; return their numbers."""
        outcomes = await self._database.batch(
            [progress_table.make(job_id, now_ms=now_ms, due_ms=due_ms)]
        )
        return [int(row["chunk"]) for row in outcomes[0].rows]
