"""
The `Database` port on a D1 binding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyodide.ffi import JsException

from building_vitals.core.errors import Unavailable
from building_vitals.core.ports import Outcome, Statement


class D1Database:
    """
    Runs statements on D1 and gives rows as plain dicts.
    """

    def __init__(self, binding: Any | None) -> None:
        """
        Args:
            binding: None where the Worker has none: every use is then refused as unavailable.
        """
        self._bound = binding

    @property
    def _binding(self) -> Any:
        if self._bound is None:
            raise Unavailable("the binding DB is missing")
        return self._bound

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """
        Return the rows of one statement.
        """
        try:
            answer = await self._prepare(Statement(sql, values)).all()
        except JsException as error:
            raise _unavailable(error) from error
        rows: list[dict[str, Any]] = answer["results"]
        return rows

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """
        Run statements in one transaction: all of them or none.
        """
        if not statements:
            return []
        try:
            answers = await self._binding.batch([self._prepare(each) for each in statements])
        except JsException as error:
            raise _unavailable(error) from error
        return [
            Outcome(answer["results"] or [], int(answer["meta"]["changes"])) for answer in answers
        ]

    def _prepare(self, statement: Statement) -> Any:
        prepared = self._binding.prepare(statement.sql)
        return prepared.bind(*statement.values) if statement.values else prepared


def _unavailable(error: JsException) -> Unavailable:
    return Unavailable(f"D1 refused: {str(error)[:300]}")
