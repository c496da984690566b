"""Maintenance behind ordinary requests, when cron is dead."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from building_vitals.errors import AppError
from building_vitals.instants import DAY_MS
from building_vitals.maintenance.overdue import (
    CLAIM_MS,
    INTERVAL_MS,
    LOOK_MS,
    OVERDUE_MS,
    LastLook,
    OverdueMaintenance,
)
from building_vitals.maintenance.run import Maintenance
from building_vitals.maintenance.state_table import MaintenanceState
from building_vitals.upkeep import ROUTINE
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.invocation import invocation

NOW_MS = 1_767_225_600_000


class DeadState(MaintenanceState):
    """The state of a run that dies before it can note its end."""

    async def note_run(self, now_ms: int) -> None:
        """Note nothing."""


class CountedStep:
    """A step that counts its runs."""

    name, rank = "counted", ROUTINE

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, now_ms: int) -> int:
        """Count."""
        self.runs += 1
        return 1


class Deployment:
    """A database, a clock, and isolates that serve requests."""

    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.clock = VirtualClock(NOW_MS)
        self.step = CountedStep()
        self.reported: list[tuple[str, AppError]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.state = MaintenanceState(self.database)

    def maintenance(self, *, dies: bool = False) -> Maintenance:
        """Return the run; one that *dies* never notes its end."""
        told = invocation(self.clock, on_fault=lambda *fault: self.reported.append(fault))
        state = DeadState(self.database) if dies else self.state
        return Maintenance([self.step], state, told)

    async def serve(self, isolate: LastLook, *, requests: int = 1, dies: bool = False) -> int:
        """Serve requests; return how often maintenance ran behind them."""
        before = self.step.runs
        for _ in range(requests):
            OverdueMaintenance(
                state=self.state,
                last_look=isolate,
                maintenance=lambda: self.maintenance(dies=dies),
                invocation=invocation(
                    self.clock,
                    run_later=self.run_later,
                    on_fault=lambda *fault: self.reported.append(fault),
                ),
            ).look_later()
        await asyncio.gather(*self.tasks)
        return self.step.runs - before

    def run_later(self, work: Coroutine[Any, Any, None]) -> None:
        """Work after the answer."""
        self.tasks.append(asyncio.ensure_future(work))

    def row(self, step: str) -> list[dict[str, Any]]:
        """Return what is noted of the run, or of its claim."""
        return self.database.look("SELECT * FROM maintenance_state WHERE step = ?1", step)


async def test_the_end_of_a_run_is_noted() -> None:
    """Whoever started it: health reads the row."""
    site = Deployment()
    await site.maintenance().run()
    site.clock.advance(1000)
    await site.maintenance().run()
    assert [{"step": "run", "place": "", "updated_ms": NOW_MS + 1000}] == site.row("run")


async def test_a_run_whose_end_cannot_be_noted_is_a_run() -> None:
    """Its outcome is told all the same."""
    site = Deployment()
    site.database.failures.always("*")
    [done] = (await site.maintenance().run()).steps
    assert ("counted", 1) == (done.name, done.changed)
    assert ["maintenance: end"] == [where for where, _ in site.reported]


async def test_overdue_maintenance_is_run_by_one_request() -> None:
    """One of three isolates with ten requests each runs it, and again three intervals later."""
    site = Deployment()
    await site.maintenance().run()
    isolates = [LastLook() for _ in range(3)]
    site.clock.advance(OVERDUE_MS)
    assert [0, 0, 0] == [await site.serve(each, requests=10) for each in isolates]
    site.clock.advance(LOOK_MS)
    assert 1 == sum([await site.serve(each, requests=10) for each in isolates])
    for _ in range(3 * INTERVAL_MS // LOOK_MS):
        site.clock.advance(LOOK_MS)
        assert 0 == sum([await site.serve(each) for each in isolates])
    site.clock.advance(LOOK_MS)
    assert 1 == sum([await site.serve(each) for each in isolates])


async def test_an_isolate_looks_once_a_minute() -> None:
    """Many requests cost one call of the database, behind an answer."""
    site, isolate = Deployment(), LastLook()
    await site.serve(isolate, requests=50)
    site.clock.advance(LOOK_MS - 1)
    await site.serve(isolate, requests=50)
    assert {"batch": 1} == dict(site.database.failures.calls)


async def test_a_new_worker_is_not_overdue() -> None:
    """Before the first run the first look counts as one: cron has its time."""
    site, isolate = Deployment(), LastLook()
    assert 0 == await site.serve(isolate)
    site.clock.advance(OVERDUE_MS + 1)
    assert 1 == await site.serve(isolate)


async def test_a_dead_run_is_heritage_of() -> None:
    """Should the one that claimed it die, another runs it two minutes later."""
    site, first, second = Deployment(), LastLook(), LastLook()
    await site.maintenance().run()
    site.clock.advance(DAY_MS)
    assert 1 == await site.serve(first, dies=True)
    assert 0 == await site.serve(second)
    site.clock.advance(CLAIM_MS + 1)
    assert 1 == await site.serve(second)


async def test_a_clock_set_back_holds_nothing_up() -> None:
    """A look and a claim of the future count for nothing."""
    site, isolate = Deployment(), LastLook()
    await site.maintenance().run()
    site.clock.advance(DAY_MS)
    assert 1 == await site.serve(isolate, dies=True)
    site.clock.advance(-DAY_MS // 2)
    assert 1 == await site.serve(isolate)


async def test_a_database_that_fails_is_told() -> None:
    """The look is lost, nothing else."""
    site = Deployment()
    site.database.failures.next("batch")
    assert 0 == await site.serve(LastLook())
    assert ["overdue maintenance"] == [where for where, _ in site.reported]
