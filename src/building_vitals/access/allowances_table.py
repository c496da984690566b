"""Allowances in D1: one row for each key, which all isolates share."""

from __future__ import annotations

from typing import NamedTuple

from building_vitals.instants import MINUTE_MS
from building_vitals.ports import Database, Statement

# ?1: the key; ?2: the cost; ?3: now; ?4: samples that each minute gives back; ?5: samples at once.
# A cost above ?5 is let in where nothing is in use, since no waiting would help it. No row changes
# where there is no room.
_LEFT = f"max(0.0, used - max(0, ?3 - updated_ms) * ?4 / {MINUTE_MS}.0)"
_TAKE = f"""
INSERT INTO key_allowances (key_id, used, updated_ms) VALUES (?1, ?2, ?3)
ON CONFLICT (key_id) DO UPDATE SET used = {_LEFT} + ?2, updated_ms = max(updated_ms, ?3)
WHERE {_LEFT} + ?2 <= ?5 OR {_LEFT} = 0
"""  # noqa: S608 - constants only
_STATE = "SELECT used, updated_ms FROM key_allowances WHERE key_id = ?1"


class AllowanceUse(NamedTuple):
    """
    What of an allowance is in use.

    Attributes:
        used: Samples, at *updated_ms*.
        updated_ms: Each minute since has given some back.
    """

    used: float
    updated_ms: int

    def used_at(self, now_ms: int, per_minute: int) -> float:
        """Return the samples that are in use at an instant."""
        return max(0.0, self.used - max(0, now_ms - self.updated_ms) * per_minute / MINUTE_MS)


class Allowances:
    """Takes samples from the allowances of keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, key_id: str, cost: int, *, at_once: int, per_minute: int, now_ms: int
    ) -> tuple[bool, AllowanceUse]:
        """
        Take *cost* samples from a key's allowance, if it has as many; in one round trip.

        Returns:
            Whether they were taken, and what is in use then.

        Raises:
            Unavailable: the database does not answer.
        """
        values = (key_id, float(cost), now_ms, per_minute, at_once)
        outcomes = await self._database.batch(
            [Statement(_TAKE, values), Statement(_STATE, (key_id,))]
        )
        (row,) = outcomes[1].rows
        return outcomes[0].changes > 0, AllowanceUse(float(row["used"]), int(row["updated_ms"]))
