"""The composition: which services one invocation gets, by its settings and by what it is for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from building_vitals.access.key_access import KeyAccess, OpenAccess
from building_vitals.app import App
from building_vitals.isolate import Isolate
from building_vitals.jobs.model import CLAIM_MS
from building_vitals.ranges import Range
from fakes.http import ScriptedHttp, answer
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, World

SITES = answer(200, {"items": [{"name": "hq"}], "page": 1, "pages": 1})
DAY = Range(EPOCH_MS - 86_400_000, EPOCH_MS)


def make_app(world: World, *, is_queued: bool = False, **settings: Any) -> App:
    """Return the services over a world's stand-ins, with an upstream that lists one site."""
    platform = msgspec.structs.replace(world.app.platform, http=ScriptedHttp(otherwise=SITES))
    changed = msgspec.structs.replace(world.settings, **settings)
    return App(platform, Isolate(), changed, is_queued=is_queued)


@in_virtual_time
async def test_keys_are_asked_for_unless_the_mode_is_open() -> None:
    """Any mode but `open` is closed."""
    async with World() as world:
        assert isinstance(make_app(world, auth_mode="open").access, OpenAccess)
        assert isinstance(make_app(world, auth_mode="keys").access, KeyAccess)
        assert isinstance(make_app(world, auth_mode="").access, KeyAccess)


@pytest.mark.parametrize(
    ("lease_seconds", "chunk_lease_ms"),
    [
        pytest.param(900, CLAIM_MS, id="longer than a claim"),
        pytest.param(5, 5_000, id="shorter than a claim"),
    ],
)
@in_virtual_time
async def test_leases_of_chunks_end_with_their_claims(
    lease_seconds: int, chunk_lease_ms: int
) -> None:
    """A consumer that dies blocks a chart no longer than its claim; charts lease as configured."""
    async with World() as world:
        cache = msgspec.structs.replace(world.options, lease_seconds=lease_seconds)
        world.settings = msgspec.structs.replace(world.settings, cache=cache)
        app = world.make_app()
        found: list[int] = []

        async def look(_: int) -> None:
            [lease] = world.database.look("SELECT expires_ms FROM fetch_leases")
            found.append(lease["expires_ms"] - world.clock.now_ms())

        world.upstream.during = look
        for filler, point in ((app.filler, "a"), (app.filler_for(world.run_later), "b")):
            await filler.fill(world.need([point], DAY), [])
            await world.settle()
        assert [lease_seconds * 1000, chunk_lease_ms] == found


@in_virtual_time
async def test_a_chunk_stores_by_the_way_its_runner_gives() -> None:
    """What a chunk's filler leaves to be done is the runner's to wait for, not the invocation's."""
    async with World(cache=OBJECTS_ONLY) as world:
        works: list[Any] = []
        await world.make_app().filler_for(works.append).fill(world.need(["a"], DAY), [])
        assert {} == world.started
        assert {} == world.objects.infos
        for work in works:
            await work
        assert 1 == len(world.objects.infos)


@in_virtual_time
async def test_every_room_has_its_steps_in_the_maintenance_run() -> None:
    """All periodic work is registered, each step once."""
    async with World() as world:
        done = (await world.app.maintenance.run()).steps
        names = [step.name for step in done]
        assert [] == [step for step in done if step.error is not msgspec.UNSET]
        assert len(names) == len(set(names))
        assert {"expired segments", "old jobs", "old datasets", "old requests"} <= set(names)
