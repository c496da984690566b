"""The local database: made once, copied afterwards, migrated when it is old."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import pytest

from devtools import local_database
from devtools.children import Children
from devtools.local_database import prepare_database
from devtools.signals import StopSignals
from devtools.wrangler import Wrangler

WRITE = "import sys; from pathlib import Path; p = Path(sys.argv[1]); p.parent.mkdir(parents=True)"


class FakeWrangler:
    """Makes a file for a database; a migration adds to it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.calls: list[str] = []

    def environment(self) -> dict[str, str]:
        """Return none."""
        return {}

    def execute(self, state: Path, database: str, file: Path) -> list[str]:
        """Return what makes a database of a file."""
        self.calls.append("execute")
        target = state / "v3" / "d1" / "files" / "db.sqlite"
        return [sys.executable, "-c", f"{WRITE}; p.write_text('made')", str(target), str(file)]

    def migrate(self, state: Path, database: str) -> list[str]:
        """Return what migrates one."""
        self.calls.append("migrate")
        target = state / "v3" / "d1" / "files" / "db.sqlite"
        script = "import sys; open(sys.argv[1], 'a').write(', migrated')"
        return [sys.executable, "-c", script, str(target)]


def prepared(wrangler: FakeWrangler, state: Path, kept: Path) -> str:
    """Prepare the database of a state folder; returns what is in it."""
    with StopSignals() as signals, Children(signals) as children:
        prepare_database(cast("Wrangler", wrangler), state, children, kept=kept)
    return (state / "v3" / "d1" / "files" / "db.sqlite").read_text()


def test_an_empty_database_is_made_once(tmp_path: Path) -> None:
    """Other states get a copy; what one of them writes stays its own."""
    wrangler, kept = FakeWrangler(tmp_path), tmp_path / "kept"
    states = [tmp_path / name for name in ("one", "two", "three")]
    for state in states[:2]:
        state.mkdir()
        assert "made" == prepared(wrangler, state, kept)
    (states[0] / "v3" / "d1" / "files" / "db.sqlite").write_text("mine")
    states[2].mkdir()
    assert "made" == prepared(wrangler, states[2], kept)
    assert "mine" == prepared(wrangler, states[0], kept)
    assert ["execute"] == wrangler.calls
    assert 1 == len(list(kept.iterdir()))


def test_a_new_schema_makes_a_new_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of what was made of other ingredients would lack a table."""
    wrangler, kept = FakeWrangler(tmp_path), tmp_path / "kept"
    schema = tmp_path / "schema.sql"
    monkeypatch.setattr(local_database, "SCHEMA_SQL", schema)
    for number in range(2):
        schema.write_text(f"-- {number}")
        state = tmp_path / f"state-{number}"
        state.mkdir()
        prepared(wrangler, state, kept)
    assert ["execute", "execute"] == wrangler.calls


def test_a_migration_of_another_name_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wrangler tells migrations apart by their names alone: what it lacks is applied."""
    wrangler, kept, state = FakeWrangler(tmp_path), tmp_path / "kept", tmp_path / "state"
    migrations = tmp_path / "migrations"
    monkeypatch.setattr(local_database, "MIGRATIONS", migrations)
    migrations.mkdir()
    (migrations / "0010_last.sql").write_text("-- the last")
    state.mkdir()
    prepared(wrangler, state, kept)
    (migrations / "0010_last.sql").rename(migrations / "0009_last.sql")
    assert "made, migrated" == prepared(wrangler, state, kept)
    (tmp_path / "other").mkdir()
    prepared(wrangler, tmp_path / "other", kept)
    assert ["execute", "migrate", "execute"] == wrangler.calls


def test_an_old_database_is_migrated_where_it_is(tmp_path: Path) -> None:
    """Its data stay."""
    wrangler, kept, state = FakeWrangler(tmp_path), tmp_path / "kept", tmp_path / "state"
    state.mkdir()
    prepared(wrangler, state, kept)
    (state / ".migrations").write_text("of an older version")
    assert "made, migrated" == prepared(wrangler, state, kept)
