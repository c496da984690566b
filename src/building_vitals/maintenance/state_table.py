"""When maintenance last ran, and who may run it next, in D1."""

from __future__ import annotations

from building_vitals.ports import Database, Statement

# The row of the whole run; the steps have rows of their own.
_RUN = "run"
_CLAIM = "claim"

_SET = """
INSERT INTO maintenance_state (step, place, updated_ms) VALUES (?1, '', ?2)
ON CONFLICT (step) DO UPDATE SET updated_ms = excluded.updated_ms
"""
# Where no run has ended yet, the first look begins the waiting: a new Worker's cron is not late.
_BEGIN = "INSERT OR IGNORE INTO maintenance_state (step, place, updated_ms) VALUES (?1, '', ?2)"
# ?1: the claim, ?2: now, ?3: the run, ?4: a run that ended before is long ago, ?5: so is a claim.
_TAKE = """
INSERT INTO maintenance_state (step, place, updated_ms)
SELECT ?1, '', ?2 FROM maintenance_state WHERE step = ?3 AND updated_ms < ?4
ON CONFLICT (step) DO UPDATE SET updated_ms = excluded.updated_ms
    WHERE maintenance_state.updated_ms NOT BETWEEN ?5 AND ?2
RETURNING step
"""


class MaintenanceState:
    """Notes runs, and lets one caller run what is overdue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note_run(self, now_ms: int) -> None:
        """Note that a run has ended."""
        await self._database.batch([Statement(_SET, (_RUN, now_ms))])

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
