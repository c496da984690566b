"""Counts the statements of an invocation, of which D1 runs only so many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from building_vitals.ports import Database, Outcome, Statement

# https://developers.cloudflare.com/d1/platform/limits/
STATEMENTS_MAX = 1000
# Beyond half of them nothing long is begun, and near the end what is under way is put off.
STATEMENTS_SPENT = STATEMENTS_MAX // 2
STATEMENTS_LEFT_MIN = 150


class StatementCount:
    """
    A Database that counts what it is asked, whether it answers or not.

    Attributes:
        statements: Those so far.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements = 0

    @property
    def is_spent(self) -> bool:
        """Whether so many have run that nothing long is to be begun."""
        return self.statements >= STATEMENTS_SPENT

    @property
    def is_nearly_out(self) -> bool:
        """Whether what is under way has just enough left to come to an orderly end."""
        return self.statements >= STATEMENTS_MAX - STATEMENTS_LEFT_MIN

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Return the rows of one statement."""
        self.statements += 1
        return await self._database.rows(sql, *values)

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements in one transaction: all of them or none."""
        self.statements += len(statements)
        return await self._database.batch(statements)
