"""What the Worker notes about itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals.errors import Unavailable
from building_vitals.maintenance.state_table import MaintenanceState, WorkerState
from fakes.database import FakeDatabase


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """The Worker's tables."""
    with FakeDatabase() as fake:
        yield fake


async def test_the_last_run_counts(database: FakeDatabase) -> None:
    """A probe's write is none, and places of steps stay as they are."""
    state = MaintenanceState(database)
    database.look("INSERT INTO maintenance_state VALUES ('recount', 'x', 9)")
    await state.try_write(5)
    assert WorkerState(None, has_key=False) == await state.read(6)
    for now_ms in (7, 8):
        await state.note_run(now_ms)
    assert WorkerState(8, has_key=False) == await state.read(9)
    places = database.look("SELECT place FROM maintenance_state WHERE step = 'recount'")
    assert [{"place": "x"}] == places


async def test_a_full_disk_shows_in_the_write_alone(database: FakeDatabase) -> None:
    """Reading goes on."""
    database.look("PRAGMA query_only = 1")
    state = MaintenanceState(database)
    assert WorkerState(None, has_key=False) == await state.read(6)
    with pytest.raises(Unavailable):
        await state.try_write(7)
