"""What the health check tells, to whom, and what it costs."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from building_vitals.access.api_keys import hash_key
from building_vitals.errors import AppError
from building_vitals.maintenance.health import (
    NO_KEY,
    NO_TOKEN,
    OVERDUE_MS,
    REMEMBERED_MS,
    WRITES_TRIED_AGAIN_MS,
    WRITES_TRIED_MS,
    HealthService,
)
from building_vitals.maintenance.health_documents import VERSION, HealthMemory, unset_health
from building_vitals.maintenance.state_table import MaintenanceState
from building_vitals.ports import Clock
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.invocation import invocation
from fakes.object_store import FakeObjectStore
from fakes.virtual_time import LoopClock, in_virtual_time

ROOT = Path(__file__).resolve().parents[3]
FINE = {"d1": "ok", "r2": "ok", "queues": "ok", "upstream": "ok", "maintenance": "has never run"}


class Ward:
    """A HealthService and what it looks after."""

    def __init__(
        self,
        database: FakeDatabase,
        auth_mode: str,
        *,
        has_token: bool = True,
        clock: Clock | None = None,
        statistics: FakeDatabase | None = None,
    ) -> None:
        self.database = database
        self.objects = FakeObjectStore()
        self.clock = VirtualClock()
        self.reports: list[str] = []
        self.missing: list[str] = []
        self.state = MaintenanceState(database)
        self.memory = HealthMemory()
        self.health = HealthService(
            state=self.state,
            objects=self.objects,
            missing_queues=lambda: self.missing,
            auth_mode=auth_mode,
            has_token=has_token,
            memory=self.memory,
            invocation=invocation(clock or self.clock, on_fault=self._report),
            statistics=statistics,
        )

    def _report(self, where: str, error: AppError) -> None:
        self.reports.append(f"{where}: {error.detail}")

    async def checked(self, after_ms: int = REMEMBERED_MS) -> tuple[str, dict[str, Any]]:
        """Return status and checks, after the last ones have been forgotten."""
        self.clock.advance(after_ms)
        health = await self.health.check()
        return health.status, msgspec.to_builtins(health.checks)

    def fill_disk(self, *, is_full: bool) -> None:
        """Let writes fail while reads go on."""
        self.database.look(f"PRAGMA query_only = {int(is_full)}")


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """The Worker's tables."""
    with FakeDatabase() as fake:
        yield fake


def add_key(database: FakeDatabase) -> None:
    """Insert a usable key."""
    database.connection.execute(
        "INSERT INTO api_keys (key_id, name, key_hash, role, sites, created_ms)"
        " VALUES ('k', 'n', ?, 'admin', '*', 1)",
        (hash_key("x"),),
    )


async def test_open_mode_asks_for_no_keys(database: FakeDatabase) -> None:
    """Where everybody is let in the document says so, and nothing of keys."""
    ward = Ward(database, "open")
    assert ("healthy", FINE) == await ward.checked()
    assert "open" == (await ward.health.check()).auth_mode


async def test_missing_key_is_told_and_is_no_fault(database: FakeDatabase) -> None:
    """Without a usable key the check says it, and the deployment still counts as sound."""
    ward = Ward(database, "keys")
    assert ("healthy", FINE | {"keys": NO_KEY}) == await ward.checked()
    add_key(database)
    assert ("healthy", FINE | {"keys": "ok"}) == await ward.checked()


async def test_what_is_down_is_named_and_no_more(database: FakeDatabase) -> None:
    """Strangers hear which part is down; what it said itself goes into the log."""
    ward = Ward(database, "keys")
    database.failures.always("batch")
    status, checks = await ward.checked()
    assert "degraded" == status
    down = {"d1": "D1 refused", "keys": "D1 refused", "maintenance": "not checked"}
    assert FINE | down == checks
    assert "health: D1 refused: batch is made to fail" in ward.reports


@pytest.mark.parametrize("table", ["api_keys", "maintenance_state", "cache_segments"])
async def test_a_missing_table_is_degraded(database: FakeDatabase, table: str) -> None:
    """Whichever of the tables cannot be read, the Worker is not healthy."""
    ward = Ward(database, "keys")
    database.look(f"DROP TABLE {table}")
    assert "degraded" == (await ward.checked())[0]


async def test_bindings_and_secrets_that_are_missing(database: FakeDatabase) -> None:
    """No queue, no token: each is named."""
    ward = Ward(database, "open", has_token=False)
    ward.missing = ["CHART_QUEUE", "CHART_QUEUE_LOW"]
    told = {"queues": "binding missing: CHART_QUEUE, CHART_QUEUE_LOW", "upstream": NO_TOKEN}
    assert ("degraded", FINE | told) == await ward.checked()


async def test_a_full_disk_is_degraded(database: FakeDatabase) -> None:
    """Reads work and writes fail: it is told until a write works again."""
    ward = Ward(database, "open")
    assert "healthy" == (await ward.checked())[0]
    ward.fill_disk(is_full=True)
    ward.objects.failures.always("put")
    status, checks = await ward.checked(WRITES_TRIED_MS)
    assert "degraded" == status
    assert "takes no writes: D1 refused" == checks["d1"]
    assert checks["r2"].startswith("takes no writes: R2")
    assert "degraded" == (await ward.checked())[0]
    ward.fill_disk(is_full=False)
    ward.objects.failures.clear()
    assert ("healthy", FINE) == await ward.checked(WRITES_TRIED_AGAIN_MS)


async def test_the_probe_leaves_nothing_in_the_bucket(database: FakeDatabase) -> None:
    """An object that was written to try it is removed."""
    ward = Ward(database, "open")
    await ward.checked()
    assert 1 == ward.objects.failures.calls["put"]
    assert {} == ward.objects.infos


@in_virtual_time
async def test_a_storm_of_strangers_costs_one_look() -> None:
    """Hundreds at once wait for the first one's look; later ones get it from memory."""

    async def slowly(_: str) -> None:
        await asyncio.sleep(0.25)

    with FakeDatabase() as database:
        ward = Ward(database, "open", clock=LoopClock())
        database.failures.before = slowly
        found = await asyncio.gather(*(ward.health.check() for _ in range(300)))
        assert {"healthy"} == {each.status for each in found}
        for _ in range(100):
            await ward.health.check()
        # One reads, one tries to write.
        assert {"batch": 2} == database.failures.calls
        assert {"head": 1, "put": 1, "delete": 1} == ward.objects.failures.calls
        await asyncio.sleep(REMEMBERED_MS / 1000)
        await ward.health.check()
        assert {"batch": 3} == database.failures.calls


async def test_a_look_that_never_ends_is_not_waited_for(database: FakeDatabase) -> None:
    """Should the one who looks die, another looks soon."""
    ward = Ward(database, "open")
    ward.memory.asking_until_ms = ward.clock.now_ms() + 4000
    assert "healthy" == (await ward.health.check()).status
    assert 4000 <= sum(ward.clock.sleeps) < 4100


async def test_the_age_of_maintenance(database: FakeDatabase) -> None:
    """Null before the first run; an overdue one is told, and is no failure of a check."""
    ward = Ward(database, "open")
    assert (await ward.health.check()).maintenance_age_seconds is None
    await ward.state.note_run(ward.clock.now_ms())
    ward.clock.advance(90_000)
    health = await ward.health.check()
    assert (90, "ok") == (health.maintenance_age_seconds, health.checks.maintenance)
    status, checks = await ward.checked(OVERDUE_MS)
    assert "healthy" == status
    assert "overdue: a run is expected every 5 minutes" == checks["maintenance"]


def test_refused_settings_are_degraded() -> None:
    """Health names the vars and not their values, and says what was not looked at."""
    health = unset_health(["DEFAULT_TTL", "ACE_API_URL"], 0)
    assert "degraded" == health.status
    assert "refused: DEFAULT_TTL, ACE_API_URL; the log says why" == health.checks.settings
    assert "not checked" == health.checks.d1


async def test_statistics_are_told_and_are_no_fault(database: FakeDatabase) -> None:
    """Where they have a database of their own; without it charts are answered all the same."""
    with FakeDatabase() as own:
        ward = Ward(database, "open", statistics=own)
        assert ("healthy", FINE | {"stats": "ok"}) == await ward.checked()
        own.failures.always("rows")
        assert ("healthy", FINE | {"stats": "D1 refused"}) == await ward.checked(REMEMBERED_MS)


def test_the_version_is_the_projects() -> None:
    """What health tells is what the project's files name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    assert [VERSION] * 2 == [project["version"], package["version"]]
