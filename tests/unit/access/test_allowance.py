"""What may be fetched for one key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from building_vitals.access.allowance import (
    AWAITED_MIN,
    REMEMBERED_MAX,
    AllowanceMemory,
    FetchAllowance,
)
from building_vitals.access.allowances_table import Allowances, AllowanceUse
from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.access.options import AllowanceOptions
from building_vitals.errors import AppError, RateLimited
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.invocation import invocation

ONE = Caller(key_id="one", is_admin=False, sites=None)
OTHER = Caller(key_id="other", is_admin=True, sites=None)
LIMITS = AllowanceOptions(at_once=100_000, per_minute=6000)


class Till:
    """Allowances of isolates that share a database and a clock."""

    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.clock = VirtualClock()
        self.reported: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    def allowance(
        self,
        caller: Caller | None = ONE,
        memory: AllowanceMemory | None = None,
        options: AllowanceOptions = LIMITS,
    ) -> FetchAllowance:
        """Return the allowance of a request, in an isolate of its own unless one is given."""
        found = FetchAllowance(
            allowances=Allowances(self.database),
            memory=memory or AllowanceMemory(),
            options=options,
            invocation=invocation(self.clock, run_later=self._later, on_fault=self._report),
        )
        found.caller = caller
        return found

    def _later(self, work: Any) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    def _report(self, where: str, error: AppError) -> None:
        self.reported.append(where)

    async def settle(self) -> None:
        """Return when what goes on after the answers has ended."""
        await asyncio.gather(*self._tasks)


@pytest.fixture
async def till() -> AsyncIterator[Till]:
    """A database without any use."""
    made = Till()
    yield made
    await made.settle()
    made.database.connection.close()


async def test_all_isolates_count_together(till: Till) -> None:
    """The refusal has the numbers, and says when there is room again."""
    await till.allowance().charge(60_000)
    await till.allowance().charge(40_000)
    with pytest.raises(RateLimited) as caught:
        await till.allowance().charge(12_000)
    assert (429, 120) == (caught.value.status, caught.value.retry_after_s)
    assert (
        "too much to fetch with this API key: this takes about 12,000 samples, and 0 are left of "
        "100,000, to which each minute adds 6,000: try again in 120 s" == caught.value.detail
    )
    till.clock.advance(120_000)
    await till.allowance().charge(12_000)


async def test_keys_count_apart_and_administrators_too(till: Till) -> None:
    """A key that has used up its allowance is in nobody else's way."""
    await till.allowance(ONE).charge(100_000)
    await till.allowance(OTHER).charge(100_000)
    with pytest.raises(RateLimited):
        await till.allowance(OTHER).charge(AWAITED_MIN)


@pytest.mark.parametrize(
    ("caller", "options"),
    [(ANYBODY, LIMITS), (None, LIMITS), (ONE, AllowanceOptions(at_once=0, per_minute=1))],
    ids=["open", "nobody", "no limit"],
)
async def test_who_has_no_limit(
    till: Till, caller: Caller | None, options: AllowanceOptions
) -> None:
    """The mode open, work without a caller, and a limit of 0: nothing is counted."""
    await till.allowance(caller, options=options).charge(10**9)
    assert {} == till.database.failures.calls


async def test_small_costs_are_not_waited_for(till: Till) -> None:
    """They are taken beside the fetch, and the isolate refuses what comes after by memory."""
    memory = AllowanceMemory()
    await till.allowance(memory=memory).charge(95_000)
    till.database.failures.calls.clear()
    await till.allowance(memory=memory).charge(4000)
    assert {} == till.database.failures.calls
    await till.settle()
    assert {"batch": 1} == till.database.failures.calls
    with pytest.raises(RateLimited, match="1,000 are left"):
        await till.allowance(memory=memory).charge(2000)
    await till.settle()
    assert {"batch": 1} == till.database.failures.calls


async def test_what_is_larger_than_all_says_when_to_come_back(till: Till) -> None:
    """It waits until nothing is in use."""
    await till.allowance().charge(60_000)
    with pytest.raises(RateLimited) as caught:
        await till.allowance().charge(150_000)
    assert 600 == caught.value.retry_after_s
    till.clock.advance(600_000)
    await till.allowance().charge(150_000)


async def test_without_the_database_nothing_is_refused(till: Till) -> None:
    """The limit protects a budget and decides nothing about access; the log hears of it."""
    till.database.failures.always("batch")
    await till.allowance().charge(10**9)
    await till.allowance().charge(1)
    await till.settle()
    assert ["allowance", "allowance"] == till.reported


def test_memory_is_bounded() -> None:
    """Of too many keys the first is forgotten."""
    memory = AllowanceMemory()
    for n in range(REMEMBERED_MAX + 1):
        memory.remember(f"k{n}", AllowanceUse(float(n), n))
    assert memory.recall("k0") is None
    assert AllowanceUse(1.0, 1) == memory.recall("k1")
