"""The state folder of a local run: whether its databases can be read, and putting it aside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from devtools.console import StepFailed, say

# What wrangler keeps there, and the note of what the database was made of.
KEPT = ("v3", ".migrations")
STAMP = ".migrations"
# A larger one is not read to its end at every start.
CHECKED_BYTES_MAX = 256 * 1024 * 1024


def check_state(state: Path) -> None:
    """
    See that the databases of a state folder can be used, where there are any.

    Raises:
        StepFailed: one is damaged, empty or gone; says how to go on.
    """
    fault = _fault(state)
    if fault is not None:
        raise StepFailed(
            f"{fault}; start with --reset-state to put the state aside and begin with an empty one"
        )


def _fault(state: Path) -> str | None:
    """Return what is wrong; None where all is well, or nothing is there yet."""
    files = sorted((state / "v3").rglob("*.sqlite"))
    for file in files:
        fault = _fault_of(file)
        if fault is not None:
            return f"the database {file} is damaged ({fault})"
    d1 = [file for file in files if "d1" in file.relative_to(state).parts]
    if not (state / STAMP).is_file():
        return None
    if not any(_has_tables(file) for file in d1):
        return f"the D1 database of {state} is gone"
    return None


def _fault_of(file: Path) -> str | None:
    size = file.stat().st_size
    if size == 0:
        return "it is empty"
    try:
        with closing(sqlite3.connect(file)) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if size > CHECKED_BYTES_MAX:
                return None
            [found] = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else str(found).splitlines()[0]


def _has_tables(file: Path) -> bool:
    """Return whether a database is one that the migrations have made."""
    with closing(sqlite3.connect(file)) as database:
        sql = "SELECT count(*) FROM sqlite_master WHERE name = 'd1_migrations'"
        return bool(database.execute(sql).fetchone()[0])


def reset_state(state: Path) -> None:
    """Put what is in a state folder aside, in a folder beside it there."""
    kept = [state / name for name in KEPT if (state / name).exists()]
    if not kept:
        return
    number = 1 + len(list(state.glob("reset-*")))
    aside = state / f"reset-{number}"
    aside.mkdir()
    for path in kept:
        path.rename(aside / path.name)
    say(f"The state is reset; what was there is in {aside}")
