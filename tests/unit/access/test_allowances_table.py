"""Allowances in D1: taken in one statement, given back by time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals.access.allowances_table import Allowances, AllowanceUse
from fakes.database import FakeDatabase

NOW_MS = 1_767_225_600_000


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """The Worker's tables."""
    with FakeDatabase() as fake:
        yield fake


async def took(database: FakeDatabase, cost: int, after_ms: int, key_id: str = "k") -> bool:
    """Return whether a cost was taken from an allowance of 1,000 samples, 60 of them a minute."""
    taken, _ = await Allowances(database).take(
        key_id, cost, at_once=1000, per_minute=60, now_ms=NOW_MS + after_ms
    )
    return taken


async def test_an_allowance_ends_and_comes_back(database: FakeDatabase) -> None:
    """What does not fit is not taken; each second gives one back, and never too many."""
    assert [True, True, False] == [await took(database, each, 0) for each in (600, 400, 1)]
    assert [False, True] == [await took(database, 11, 10_000), await took(database, 10, 10_000)]
    assert await took(database, 1000, 3_000_000)
    assert not await took(database, 1, 3_000_000)


async def test_each_key_has_its_own(database: FakeDatabase) -> None:
    """One key's use is nothing to another; each has one row."""
    assert await took(database, 1000, 0)
    assert await took(database, 1000, 0, "other")
    assert not await took(database, 1, 0)
    assert [{"n": 2}] == database.look("SELECT count(*) AS n FROM key_allowances")


async def test_what_is_larger_than_all_waits_until_nothing_is_in_use(
    database: FakeDatabase,
) -> None:
    """No waiting would make it fit, so it is let in, and paid for afterwards."""
    assert await took(database, 1500, 0)
    assert not await took(database, 1500, 0)
    assert not await took(database, 1500, 1_499_000)
    assert await took(database, 1500, 1_500_000)


async def test_a_clock_behind_gives_nothing_back(database: FakeDatabase) -> None:
    """Isolates' clocks differ: an earlier instant neither gives back nor takes again."""
    assert await took(database, 500, 10_000)
    assert await took(database, 400, 0)
    (row,) = database.look("SELECT used, updated_ms FROM key_allowances")
    assert {"used": 900.0, "updated_ms": NOW_MS + 10_000} == row


async def test_one_round_trip(database: FakeDatabase) -> None:
    """A cost is taken, or refused, in a single batch."""
    await took(database, 500, 0)
    await took(database, 501, 0)
    assert {"batch": 2} == database.failures.calls


def test_use_falls_with_time() -> None:
    """By what a minute gives back, down to nothing."""
    use = AllowanceUse(100.0, NOW_MS)
    assert [100.0, 40.0, 0.0] == [
        use.used_at(NOW_MS + after_ms, 60) for after_ms in (-5, 60_000, 120_000)
    ]
