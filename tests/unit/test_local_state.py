"""The state folder before a run: what cannot be used is said, and put aside when asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from devtools.console import StepFailed
from devtools.local_state import check_state, reset_state


def make_database(file: Path, *tables: str) -> None:
    """Make a database with some tables and a thousand rows in each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as database, database:
        for table in tables:
            database.execute(f"CREATE TABLE {table} (name TEXT)")
            database.executemany(f"INSERT INTO {table} VALUES (?)", [("x" * 50,)] * 1000)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state of an earlier run."""
    make_database(tmp_path / "v3" / "d1" / "files" / "a.sqlite", "d1_migrations", "api_keys")
    make_database(tmp_path / "v3" / "d1" / "files" / "metadata.sqlite", "alarms")
    make_database(tmp_path / "v3" / "r2" / "files" / "b.sqlite", "objects")
    (tmp_path / ".migrations").write_text("digest")
    return tmp_path


def d1(state: Path) -> Path:
    """Return the file of the D1 database."""
    return state / "v3" / "d1" / "files" / "a.sqlite"


def remove(state: Path) -> None:
    """Remove the database."""
    d1(state).unlink()


def replace_by_another(state: Path) -> None:
    """Put a database in its place that no migration has made."""
    d1(state).unlink()
    make_database(d1(state), "something")


def spoil_middle(state: Path) -> None:
    """Overwrite some pages of the database."""
    with d1(state).open("r+b") as file:
        file.seek(8192)
        file.write(b"garbage!" * 4096)


SPOILING: dict[str, Callable[[Path], object]] = {
    "garbage": lambda state: d1(state).write_bytes(b"garbage" * 1000),
    "garbage in the middle": spoil_middle,
    "empty": lambda state: d1(state).write_bytes(b""),
    "cut": lambda state: d1(state).write_bytes(d1(state).read_bytes()[:10_000]),
    "gone": remove,
    "of something else": replace_by_another,
    "bucket": lambda state: (state / "v3" / "r2" / "files" / "b.sqlite").write_bytes(b"garbage"),
}


def test_a_sound_state_is_used(state: Path) -> None:
    """It stays as it is, and so does a folder in which nothing has run yet."""
    before = d1(state).read_bytes()
    check_state(state)
    check_state(state / "new")
    assert before == d1(state).read_bytes()


@pytest.mark.parametrize("spoil", SPOILING.values(), ids=SPOILING)
def test_a_state_that_cannot_be_used_is_said(state: Path, spoil: Callable[[Path], object]) -> None:
    """One line names the file or the folder, and the option that helps."""
    spoil(state)
    with pytest.raises(StepFailed, match="--reset-state") as told:
        check_state(state)
    assert str(state) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_reset_puts_the_state_aside(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of it is lost, it is said where it is, and what is left is an empty state."""
    before = d1(state).read_bytes()
    reset_state(state)
    assert ["reset-1"] == [path.name for path in state.iterdir()]
    assert before == d1(state / "reset-1").read_bytes()
    assert str(state / "reset-1") in capsys.readouterr().out
    check_state(state)
    reset_state(state)
    assert ["reset-1"] == [path.name for path in state.iterdir()]
    make_database(d1(state), "d1_migrations")
    reset_state(state)
    assert {"reset-1", "reset-2"} == {path.name for path in state.iterdir()}
