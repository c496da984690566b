"""Results of large jobs in D1: the object of each, and what its end is made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.ranges import Range

_BEGIN = """
INSERT OR IGNORE INTO job_results (job_id, site, start_ms, end_ms, object_key, expires_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE EXISTS (SELECT 1 FROM queue_jobs WHERE job_id = ?1 AND status = 'completed')
"""
# Not when it was purged while it was being made.
_FINISH = """
UPDATE job_results SET expires_ms = ?3, object_etag = ?4, answer_etag = ?5, stored_bytes = ?6,
    text_bytes = ?7, crc = ?8, glue = ?9, samples = ?10
WHERE job_id = ?1 AND object_key = ?2 AND expires_ms > 0
"""
_FIND = """
SELECT object_key, object_etag, answer_etag, stored_bytes, text_bytes, crc, glue, samples
FROM job_results
WHERE job_id = ?1 AND object_etag IS NOT NULL AND expires_ms > ?2
"""
_MISSING = """
SELECT job_id FROM queue_jobs AS job
WHERE status = 'completed' AND updated_ms BETWEEN ?1 AND ?2 AND data_size >= ?3
    AND NOT EXISTS (SELECT 1 FROM job_results WHERE job_id = job.job_id)
ORDER BY updated_ms LIMIT ?4
"""
# A purged result was read until it was purged: expires_ms says when that was, below 0.
_EXPIRED = """
SELECT job_id, object_key FROM job_results
WHERE expires_ms < ?1 AND (object_etag IS NULL OR abs(expires_ms) < ?2)
ORDER BY expires_ms LIMIT ?3
"""
_NAMED = """
SELECT r.object_key FROM json_each(?1) k CROSS JOIN job_results r
    ON r.job_id = k.value ->> 0 AND r.object_key = k.value ->> 1
"""
_DROP = """
DELETE FROM job_results WHERE (job_id, object_key) IN (
    SELECT value ->> 0, value ->> 1 FROM json_each(?1)
)
"""


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    A job's result: one object that is its JSON, compressed, but for the end.

    Attributes:
        object_key, object_etag, stored_bytes: The object.
        answer_etag: Entity tag of answers made from it.
        text_bytes, crc: Bytes and CRC-32 of its text.
        glue: Text that follows, not among its bytes.
        samples: Samples in it.
    """

    object_key: str
    object_etag: str
    answer_etag: str
    stored_bytes: int
    text_bytes: int
    crc: int
    glue: str
    samples: int


class ResultPlace(NamedTuple):
    """A job, and the object its result lies in."""

    job_id: str
    object_key: str


class JobResults:
    """Records, finds and forgets results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self, job_id: str, site: str, time_range: Range, object_key: str, *, expires_ms: int
    ) -> bool:
        """
        Note that a completed job's result is being made; return False where there is a note.

        Should its writer die, the note stands until *expires_ms*.
        """
        values = (job_id, site, *time_range, object_key, expires_ms)
        return (await self._database.batch([Statement(_BEGIN, values)]))[0].changes > 0

    async def finish(self, job_id: str, result: JobResult, *, expires_ms: int) -> None:
        """Make a result known, unless it was purged in the meantime."""
        values = (
            *(job_id, result.object_key, expires_ms, result.object_etag, result.answer_etag),
            *(result.stored_bytes, result.text_bytes, result.crc, result.glue, result.samples),
        )
        await self._database.batch([Statement(_FINISH, values)])

    @staticmethod
    def find_statement(job_id: str, now_ms: int) -> Statement:
        """Return the statement whose rows `found` reads."""
        return Statement(_FIND, (job_id, now_ms))

    @staticmethod
    def found(rows: Sequence[dict[str, object]]) -> JobResult | None:
        """Return the result in the rows of a find statement."""
        return msgspec.convert(rows[0], JobResult) if rows else None

    async def missing(
        self, *, since_ms: int, before_ms: int, data_size_min: int, limit: int
    ) -> list[str]:
        """Return large jobs completed between two instants that have no result, not even begun."""
        rows = await self._database.rows(_MISSING, since_ms, before_ms, data_size_min, limit)
        return [row["job_id"] for row in rows]

    async def expired(
        self, *, before_ms: int, limit: int, readable_before_ms: int | None = None
    ) -> list[ResultPlace]:
        """
        Return results that expired before an instant or were purged.

        Those that could be read stay until they had expired, or were purged, before
        *readable_before_ms*.
        """
        readable_ms = before_ms if readable_before_ms is None else readable_before_ms
        return _places(await self._database.rows(_EXPIRED, before_ms, readable_ms, limit))

    async def named(self, places: Sequence[ResultPlace]) -> set[str]:
        """Return those of some objects that are results which somebody knows of."""
        rows = await self._database.rows(_NAMED, json_parameter(places))
        return {row["object_key"] for row in rows}

    async def drop(self, places: Sequence[ResultPlace]) -> None:
        """Forget results."""
        names = json_parameter(places)
        await self._database.batch([Statement(_DROP, (names,))])


def _places(rows: Sequence[dict[str, Any]]) -> list[ResultPlace]:
    return [ResultPlace(row["job_id"], row["object_key"]) for row in rows]
