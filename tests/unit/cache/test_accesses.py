"""When accesses are noted: seldom, and never in the way of an answer."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.cache.accesses import OBJECTS_REMEMBERED_MAX, AccessMemory
from building_vitals.cache.options import CacheOptions
from building_vitals.isolate import Isolate
from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

DAY_MS = 86_400_000
NOTED = "SELECT last_access_ms FROM cache_metadata"
PAST = Range(EPOCH_MS - 90 * DAY_MS, EPOCH_MS - 80 * DAY_MS)


@in_virtual_time
async def test_an_access_is_noted_once_in_a_part_of_the_age_for_the_clean_up() -> None:
    """A hit a minute for days writes every day, in all isolates together."""
    async with World(cache=CacheOptions(max_cache_age=8 * 86_400)) as world:
        await world.ask(["a"], PAST)
        await world.settle()
        noted = []
        services = [world.make_app(Isolate()).timeseries for _ in range(3)]
        for _ in range(72):
            for service in services:
                await service.fetch_timeseries(world.question(["a"], PAST))
                await world.settle()
            noted.append(world.database.look(NOTED)[0]["last_access_ms"])
            await asyncio.sleep(3600)
        assert [EPOCH_MS + n * DAY_MS for n in range(3)] == sorted(set(noted))
        # Each isolate once a day, and the first day not at all.
        assert 6 == world.started["Accesses.note"]
        assert [] == world.reported


@in_virtual_time
async def test_a_note_that_fails_is_tried_again() -> None:
    """The answer does not hear of it."""
    async with World() as world:
        await world.ask(["a"], PAST)
        await world.settle()
        await asyncio.sleep(20 * DAY_MS / 1000)
        world.database.failures.next("batch")
        for _ in range(2):
            got = await world.ask(["a"], PAST)
            await world.settle()
            assert ("hit", world.truth(["a"], PAST)) == (got.report.status, got.samples)
            await asyncio.sleep(2)
        assert ["access"] == [where for where, _ in world.reported]
        assert [{"last_access_ms": EPOCH_MS + 20 * DAY_MS + 2000}] == world.database.look(NOTED)


@pytest.mark.parametrize("more", [0, 1])
def test_memory_is_bounded(more: int) -> None:
    """The objects noted longest ago are forgotten first."""
    memory = AccessMemory()
    memory.note(map(str, range(OBJECTS_REMEMBERED_MAX + more)), 5)
    assert (0 if more else 5) == memory.noted_ms("0")
    assert 5 == memory.noted_ms(str(OBJECTS_REMEMBERED_MAX - 1))
