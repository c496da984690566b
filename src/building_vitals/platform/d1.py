"""The `Database` port on a D1 binding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pyodide.ffi import JsException, jsnull, to_js

from building_vitals.errors import Unavailable
from building_vitals.platform.lookup import bare, require_binding
from building_vitals.ports import Outcome, Statement


class D1Database:
    """Runs statements on D1 and gives rows as plain dicts."""

    def __init__(self, env: Any, name: str) -> None:
        """
        Args:
            env: The Worker's bindings.
            name: Of the binding; where the Worker has none, every use is refused as unavailable.
        """
        self._env = env
        self._name = name

    @cached_property
    def _binding(self) -> Any:
        """The binding as it is: this module converts once per answer, not value by value."""
        return bare(require_binding(self._env, self._name))

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Return the rows of one statement."""
        try:
            return _rows(await self._prepare(Statement(sql, values)).all())
        except JsException as error:
            raise _unavailable(error) from error

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements in one transaction: all of them or none."""
        if not statements:
            return []
        try:
            prepared = to_js([self._prepare(each) for each in statements])
            answers = await self._binding.batch(prepared)
            return [Outcome(_rows(answer), int(answer.meta.changes)) for answer in answers]
        except JsException as error:
            raise _unavailable(error) from error

    def _prepare(self, statement: Statement) -> Any:
        prepared = self._binding.prepare(statement.sql)
        if not statement.values:
            return prepared
        return prepared.bind(*(jsnull if value is None else value for value in statement.values))


def _rows(answer: Any) -> list[dict[str, Any]]:
    """Return the rows of D1's answer: converted in one go, which is what costs time here."""
    rows: list[dict[str, Any]] = answer.results.to_py() if answer.results else []
    for row in rows:
        for name, value in row.items():
            if value is jsnull:
                row[name] = None
    return rows


def _unavailable(error: JsException) -> Unavailable:
    return Unavailable(f"D1 refused: {str(error)[:300]}")
