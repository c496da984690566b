"""An isolate that computes all the time makes everybody late: nobody is passed for that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from building_vitals.ranges import Range
from fakes.virtual_time import hog, in_virtual_time
from fakes.world import World, days


@asynccontextmanager
async def busy(busy_ms: int) -> AsyncIterator[None]:
    """Let something else compute for as long as the block lasts."""
    task = asyncio.ensure_future(hog(busy_ms=busy_ms))
    try:
        yield
    finally:
        task.cancel()


async def asked(world: World, points: list[str], time_range: Range) -> None:
    """Ask, and see that the answer is right."""
    got = await world.ask(points, time_range)
    assert world.truth(points, time_range) == got.samples


@pytest.mark.parametrize("busy_ms", [300, 700, 1500])
@in_virtual_time
async def test_overlapping_misses_fetch_each_sample_once_however_busy_the_isolate(
    busy_ms: int,
) -> None:
    """Thirty small and large needs of an upstream that takes 50 ms."""
    async with World(page_size=50_000) as world:
        world.upstream.page_ms = 50
        chance = random.Random(2)
        needs = []
        for _ in range(30):
            start = chance.randrange(2, 24) / 4
            points = chance.sample(["a", "b", "c", "d", "e", "f"], chance.randint(1, 6))
            needs.append((points, days(20 - start, 20 - start - chance.randrange(1, 9) / 4)))
        async with busy(busy_ms):
            await asyncio.gather(*(asked(world, *each) for each in needs))
        distinct = {
            (point, at)
            for points, time_range in needs
            for point in points
            for at in world.upstream.times(point, time_range)
        }
        assert len(distinct) <= world.upstream.samples_sent <= 1.02 * len(distinct)


@pytest.mark.parametrize("busy_ms", [700, 1500, 4900])
@in_virtual_time
async def test_identical_misses_cost_one_however_busy_the_isolate(busy_ms: int) -> None:
    """A heartbeat that comes late, and a look that does, say nothing of the holder."""
    async with World() as world:
        world.upstream.page_ms = 200
        async with busy(busy_ms):
            await asyncio.gather(*(asked(world, ["a"], days(4, 2)) for _ in range(20)))
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_a_small_part_of_a_large_fetch_is_passed_as_soon_as_the_isolate_is_free() -> None:
    """Time that was lost to computing counts against nobody, and what comes after it does."""
    async with World(page_size=288) as world:
        world.upstream.page_ms, world.upstream.believed_page_ms = 1000, 100
        large = asyncio.ensure_future(world.ask(["a"], days(20, 10)))
        await asyncio.sleep(0.1)
        async with busy(400):
            await asyncio.sleep(0.2)
        began_ms = world.clock.now_ms()
        await asked(world, ["a"], days(10.1, 10))
        assert world.clock.now_ms() - began_ms <= 2000
        await large


@in_virtual_time
async def test_a_holder_that_hangs_in_a_busy_isolate_is_passed_while_there_is_time() -> None:
    """However much time is lost: whoever waits keeps some to fetch in."""
    async with World() as world:
        world.upstream.believed_page_ms = 1000

        async def hanging(_: int) -> None:
            if 1 == len(world.upstream.asked):
                await asyncio.sleep(60)

        world.upstream.during = hanging
        first = asyncio.ensure_future(world.ask(["a"], days(4, 2), timeout_ms=90_000))
        await asyncio.sleep(0.1)
        began_ms = world.clock.now_ms()
        async with busy(300):
            await asyncio.gather(*(asked(world, ["a"], days(4, 2)) for _ in range(3)))
        assert world.clock.now_ms() - began_ms <= 25_000
        assert 2 == len(world.upstream.asked)
        await first
