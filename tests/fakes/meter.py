"""Counts what Cloudflare bills: calls, rows and objects of a world on stand-ins."""

from __future__ import annotations

import re
from collections import Counter

from fakes.database import FakeDatabase
from fakes.world import World

# Of R2, by how it is billed; deleting is free.
CLASS_A, CLASS_B = ("put", "list"), ("get", "head")


class Meter:
    """
    Counts what is billed, from one reading to the next.

    A row that is inserted or deleted counts once and once more for each index that has an entry of
    it, as D1 bills it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows = RowsWritten(world.database)
        self._before: Counter[str] = Counter()
        self.read()

    def read(self) -> list[int]:
        """Return D1 calls, D1 rows written, R2 class A, R2 class B and upstream requests."""
        d1, r2 = self._world.database.failures.calls, self._world.objects.failures.calls
        now = Counter(
            d1=d1["rows"] + d1["batch"],
            rows=self._rows.total,
            a=sum(r2[each] for each in CLASS_A),
            b=sum(r2[each] for each in CLASS_B),
            upstream=self._world.upstream.requests,
        )
        since = [now[each] - self._before[each] for each in ("d1", "rows", "a", "b", "upstream")]
        self._before = now
        return since


class RowsWritten:
    """Counts rows as they are written, by triggers of this connection alone."""

    def __init__(self, database: FakeDatabase) -> None:
        self.total = 0
        connection = database.connection
        connection.create_function("note_rows", 1, self._note)
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        for (table,) in connection.execute(tables).fetchall():
            columns = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
            indexes = connection.execute(f"PRAGMA index_list({table})").fetchall()
            conditions = [
                _condition(database, index["name"]) for index in indexes if index["origin"] != "pk"
            ]
            for event, row in (("INSERT", "NEW"), ("DELETE", "OLD"), ("UPDATE", None)):
                entries = [_of_row(each, columns, row) for each in conditions] if row else []
                connection.execute(
                    f"CREATE TEMP TRIGGER count_{table}_{event} AFTER {event} ON main.{table} "
                    f"BEGIN SELECT note_rows({' + '.join(['1', *entries])}); END"
                )

    def _note(self, rows: int) -> None:
        self.total += rows


def _condition(database: FakeDatabase, index: str) -> str:
    """Return which rows have an entry in an index."""
    [row] = database.look("SELECT sql FROM sqlite_master WHERE name = ?1", index)
    _, _, condition = (row["sql"] or "").partition("WHERE")
    return condition.strip() or "1"


def _of_row(condition: str, columns: list[str], row: str) -> str:
    """Return a condition of an index as one of the row that a trigger is for."""
    names = "|".join(map(re.escape, columns))
    text = re.sub(rf"\b({names})\b", rf"{row}.\1", condition)
    return f"({text})"
