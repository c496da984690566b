"""The Worker's own state in D1: when maintenance last ended, who may run it next."""

from __future__ import annotations

from typing import NamedTuple

from building_vitals.access.keys_table import ApiKeys
from building_vitals.ports import Database, Statement

# The row of the whole run; the steps have rows of their own.
_RUN, _CLAIM, _PROBE = "run", "claim", "health probe"
_NOTE = """
INSERT INTO maintenance_state (step, place, updated_ms) VALUES (?1, '', ?2)
ON CONFLICT (step) DO UPDATE SET place = '', updated_ms = excluded.updated_ms
"""
_LAST = "SELECT updated_ms FROM maintenance_state WHERE step = ?1 AND place = ''"
_SEGMENT = "SELECT site FROM cache_segments LIMIT 1"
# Where no run has ended yet, the first look begins the waiting: a new Worker's cron is not late.
_BEGIN = """
INSERT OR IGNORE INTO maintenance_state (step, place, updated_ms) VALUES (?1, 'waiting', ?2)
"""
# ?1: the claim, ?2: now, ?3: the run, ?4: a run that ended before is long ago, ?5: so is a claim.
_TAKE = """
INSERT INTO maintenance_state (step, place, updated_ms)
SELECT ?1, '', ?2 FROM maintenance_state WHERE step = ?3 AND updated_ms < ?4
ON CONFLICT (step) DO UPDATE SET updated_ms = excluded.updated_ms
    WHERE maintenance_state.updated_ms NOT BETWEEN ?5 AND ?2
RETURNING step
"""


class WorkerState(NamedTuple):
    """
    The state of the Worker as its database has it.

    Attributes:
        maintained_ms: When the last maintenance run ended; None when there was none.
        has_key: Whether an API key exists that is neither revoked nor expired.
    """

    maintained_ms: int | None
    has_key: bool


class MaintenanceState:
    """Reads and notes the state, and lets one caller run what is overdue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, *, now_ms: int, overdue_ms: int, claim_ms: int) -> bool:
        """
        Return whether the caller is to run what is overdue.

        Args:
            now_ms: The present instant.
            overdue_ms: Age of the last run from which one is.
            claim_ms: How long the others leave it to who has claimed it.
        """
        outcomes = await self._database.batch(
            [
                Statement(_BEGIN, (_RUN, now_ms)),
                Statement(_TAKE, (_CLAIM, now_ms, _RUN, now_ms - overdue_ms, now_ms - claim_ms)),
            ]
        )
        return bool(outcomes[1].rows)

    async def read(self, now_ms: int) -> WorkerState:
        """
        Return the state, in one round trip.

        Raises:
            Unavailable: the database does not answer, or lacks its tables.
        """
        outcomes = await self._database.batch(
            [
                Statement(_LAST, (_RUN,)),
                ApiKeys.usable_statement(now_ms),
                Statement(_SEGMENT),
            ]
        )
        rows = outcomes[0].rows
        return WorkerState(
            maintained_ms=int(rows[0]["updated_ms"]) if rows else None,
            has_key=bool(outcomes[1].rows),
        )

    async def note_run(self, now_ms: int) -> None:
        """Note the end of a maintenance run."""
        await self._database.batch([Statement(_NOTE, (_RUN, now_ms))])

    async def try_write(self, now_ms: int) -> None:
        """
        Write one row.

        Raises:
            Unavailable: the database takes no writes.
        """
        await self._database.batch([Statement(_NOTE, (_PROBE, now_ms))])
