"""State folders are their owner's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.private import keep_private


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Put the process's mask back."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    """Return the permissions of a path."""
    return f"{path.stat().st_mode & 0o777:o}"


def test_a_new_state_folder_is_private(tmp_path: Path) -> None:
    """So is all that this process writes from then on."""
    state = tmp_path / "deep" / "state"
    keep_private(state)
    (state / "v3" / "d1").mkdir(parents=True)
    (state / "v3" / "d1" / "db.sqlite").write_text("x")
    assert ["700", "700", "600"] == [
        mode(path) for path in (state, state / "v3" / "d1", state / "v3" / "d1" / "db.sqlite")
    ]


def test_an_old_state_folder_is_closed(tmp_path: Path) -> None:
    """What an earlier release wrote for everybody; files that are not the Worker's stay."""
    database, lock, other = (tmp_path / each for each in ("v3/db.sqlite", ".lock", "notes.txt"))
    for path in (database, lock, other):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        path.chmod(0o644)
    keep_private(tmp_path)
    assert ["700", "700", "600", "600", "644"] == [
        mode(path) for path in (tmp_path, database.parent, database, lock, other)
    ]
