"""The files in which the local runtime keeps D1 and R2, for looking at them and for ageing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def opened(state: Path, table: str, *, to_change: bool = False) -> Iterator[sqlite3.Connection]:
    """
    Open the database of a state folder that has a table.

    Args:
        state: Folder of a Worker's R2 and D1.
        table: `queue_jobs` for D1's, `_mf_objects` for R2's.
        to_change: Only while no Worker runs; what was changed is there when the block ends.
    """
    mode = "rw" if to_change else "ro"
    for path in sorted(state.glob("v3/*/*/*.sqlite")):
        with closing(sqlite3.connect(f"file:{path}?mode={mode}", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            sql = "SELECT 1 FROM sqlite_schema WHERE name = ?"
            if connection.execute(sql, (table,)).fetchone() is None:
                continue
            yield connection
            connection.commit()
            return
    raise LookupError(f"no database below {state} has a table {table}")


def rows(state: Path, sql: str, *values: Any) -> list[dict[str, Any]]:
    """Return rows of the D1 database."""
    with opened(state, "queue_jobs") as connection:
        return [dict(row) for row in connection.execute(sql, values)]
