"""A SQLite database in memory with the real schema, that keeps D1's rules."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Self

from building_vitals.errors import Unavailable
from building_vitals.ports import Outcome, Statement
from fakes.failures import Failures

SCHEMA_SQL = Path(__file__).resolve().parents[2] / "schema.sql"
# https://developers.cloudflare.com/d1/platform/limits/
PARAMETERS_MAX = 100
VALUE_BYTES_MAX = 2_000_000
SQL_BYTES_MAX = 100_000
LIKE_PATTERN_BYTES_MAX = 50
QUERIES_MAX = 1_000
# Pyodide hands larger ones over as BigInt, which D1 does not take.
INTEGER_MAX = 2**53 - 2


# Statements of the present invocation; tasks that it starts count along. None where none began.
_queries: ContextVar[Counter[str] | None] = ContextVar("queries", default=None)


@cache
def _empty() -> bytes:
    """Return a database with the schema alone: copying one takes a tenth of making one."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA_SQL.read_text(encoding="utf-8"))
        return connection.serialize()


def begin_invocation() -> None:
    """Count the statements of the running task, and of those it starts, from 0 on."""
    _queries.set(Counter())


class FakeDatabase:
    """
    A Database, with D1's limits.

    Attributes:
        failures: Makes calls fail: `rows` and `batch`.
        connection: For looking at tables without a trace.
        rows_read: Rows that statements have given back.
    """

    def __init__(self) -> None:
        self.failures = Failures("D1")
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.deserialize(_empty())
        for limit, most in (
            # Of a value and of a row alike, also of those that a statement makes on its way.
            (sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
            (sqlite3.SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX),
            (sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, PARAMETERS_MAX),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LIKE_PATTERN_BYTES_MAX),
        ):
            self.connection.setlimit(limit, most)
        self.rows_read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Return the rows of one statement."""
        async with self.failures.call("rows"):
            return self._all_or_nothing([Statement(sql, values)])[0].rows

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements in one transaction: all of them or none."""
        if not statements:
            return []
        async with self.failures.call("batch"):
            return self._all_or_nothing(statements)

    def look(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Return the rows of a statement that nobody is to notice."""
        return [dict(row) for row in self.connection.execute(sql, values)]

    def _all_or_nothing(self, statements: Sequence[Statement]) -> list[Outcome]:
        self.connection.execute("BEGIN")
        try:
            outcomes = [self._run(each) for each in statements]
        except (sqlite3.Error, OverflowError, ValueError) as error:
            self.connection.execute("ROLLBACK")
            raise Unavailable(f"D1 refused: {error}") from error
        self.connection.execute("COMMIT")
        return outcomes

    def _run(self, statement: Statement) -> Outcome:
        _check(statement)
        _count()
        before = self.connection.total_changes
        values = [_bound(value) for value in statement.values]
        found = self.connection.execute(statement.sql, values).fetchall()
        self.rows_read += len(found)
        rows = [{name: _as_number(row[name]) for name in row.keys()} for row in found]  # noqa: SIM118
        return Outcome(rows, self.connection.total_changes - before)


def _count() -> None:
    """Refuse a statement that is one too many for its invocation."""
    queries = _queries.get()
    if queries is None:
        return
    queries["all"] += 1
    if queries["all"] > QUERIES_MAX:
        raise ValueError("Too many API requests by single Worker invocation.")


def _check(statement: Statement) -> None:
    """Refuse what D1 refuses."""
    if len(statement.values) > PARAMETERS_MAX:
        raise ValueError(f"too many SQL variables: {len(statement.values)}")
    if len(statement.sql.encode()) > SQL_BYTES_MAX:
        raise ValueError("statement too long: SQLITE_TOOBIG")
    for value in statement.values:
        if isinstance(value, str) and len(value.encode()) > VALUE_BYTES_MAX:
            raise ValueError(f"string or blob too big: {len(value.encode())} bytes")
        if isinstance(value, int) and abs(value) > INTEGER_MAX:
            raise ValueError(f"D1_TYPE_ERROR: type 'bigint' not supported for value '{value}'")


def _bound(value: str | int | float | None) -> str | float | None:
    """Return a value as it reaches SQLite: JavaScript's numbers are all fractions."""
    return float(value) if isinstance(value, int) else value


def _as_number(value: Any) -> Any:
    """Return a value as JavaScript hands it over: a whole number is an int."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
