"""What the health check tells, and to whom."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from building_vitals.access.api_keys import hash_key
from building_vitals.access.keys_table import ApiKeys
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.errors import AppError
from building_vitals.maintenance.health import NO_KEY, VERSION, HealthService
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.invocation import invocation
from fakes.object_store import FakeObjectStore

ROOT = Path(__file__).resolve().parents[3]


class Ward:
    """A HealthService and what it looks after."""

    def __init__(
        self, database: FakeDatabase, auth_mode: str, statistics: FakeDatabase | None = None
    ) -> None:
        self.database = database
        self.objects = FakeObjectStore()
        self.reports: list[str] = []
        self.health = HealthService(
            index=SegmentIndex(database),
            objects=self.objects,
            invocation=invocation(VirtualClock(), on_fault=self._report),
            auth_mode=auth_mode,
            keys=ApiKeys(database),
            statistics=statistics,
        )

    def _report(self, where: str, error: AppError) -> None:
        self.reports.append(f"{where}: {error.detail}")


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """The Worker's tables."""
    with FakeDatabase() as fake:
        yield fake


async def checked(ward: Ward) -> tuple[str, dict[str, Any]]:
    """Return the status and the checks."""
    health = await ward.health.check()
    return health.status, msgspec.to_builtins(health.checks)


async def test_open_mode_asks_for_no_keys(database: FakeDatabase) -> None:
    """Where everybody is let in the document says so, and nothing of keys."""
    ward = Ward(database, "open")
    assert ("healthy", {"d1": "ok", "r2": "ok"}) == await checked(ward)
    assert "open" == (await ward.health.check()).auth_mode


async def test_missing_key_is_told_and_is_no_fault(database: FakeDatabase) -> None:
    """Without a usable key the check says it, and the deployment still counts as sound."""
    ward = Ward(database, "keys")
    assert ("healthy", {"d1": "ok", "r2": "ok", "keys": NO_KEY}) == await checked(ward)
    database.connection.execute(
        "INSERT INTO api_keys (key_id, name, key_hash, role, sites, created_ms)"
        " VALUES ('k', 'n', ?, 'admin', '*', 1)",
        (hash_key("x"),),
    )
    assert ("healthy", {"d1": "ok", "r2": "ok", "keys": "ok"}) == await checked(ward)


async def test_what_is_down_is_named_and_no_more(database: FakeDatabase) -> None:
    """Strangers hear which part is down; what it said itself goes into the log."""
    ward = Ward(database, "keys")
    database.failures.always("rows")
    status, checks = await checked(ward)
    assert "degraded" == status
    assert {"d1": "D1 refused", "r2": "ok", "keys": "D1 refused"} == checks
    assert "health: D1 refused: rows is made to fail" in ward.reports


async def test_statistics_are_told_and_are_no_fault(database: FakeDatabase) -> None:
    """Where they have a database of their own; without it charts are answered all the same."""
    with FakeDatabase() as own:
        ward = Ward(database, "open", own)
        assert ("healthy", {"d1": "ok", "r2": "ok", "stats": "ok"}) == await checked(ward)
        own.failures.always("rows")
        expected = {"d1": "ok", "r2": "ok", "stats": "D1 refused"}
        assert ("healthy", expected) == await checked(ward)


def test_the_version_is_the_projects() -> None:
    """What health tells is what the project's files name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    assert [VERSION] * 2 == [project["version"], package["version"]]
