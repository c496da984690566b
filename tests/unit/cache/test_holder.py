"""The fetch under a lease: its heartbeat, and what it tells of its end."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

DAY_MS = 86_400_000
TEN_DAYS = Range(EPOCH_MS - 20 * DAY_MS, EPOCH_MS - 10 * DAY_MS)
LEASES = "SELECT expires_ms, begun_ms, ends_ms FROM fetch_leases"


async def told(world: World, after_s: float) -> tuple[int, int]:
    """Return when a lease ends, and its fetch as expected: milliseconds from its beginning."""
    await asyncio.sleep(after_s)
    [row] = world.database.look(LEASES)
    return row["expires_ms"] - row["begun_ms"], row["ends_ms"] - row["begun_ms"]


@in_virtual_time
async def test_the_heart_beats_three_times_in_a_lease() -> None:
    """Each beat gives it its whole length again."""
    async with World() as world:
        world.upstream.page_ms = 20_000
        asking = asyncio.ensure_future(world.ask(["a"], TEN_DAYS, timeout_ms=100_000))
        lease_ms = world.options.lease_seconds * 1000
        beat_s = lease_ms // 3 / 1000
        found = [await told(world, each) for each in (0.1, beat_s, beat_s)]
        assert [lease_ms + n * (lease_ms // 3) for n in range(3)] == [each for each, _ in found]
        asking.cancel()
        await world.die()


@pytest.mark.parametrize(
    ("believed_ms", "ends"),
    [
        pytest.param(1000, [10_000, 10_000, 10_000], id="as planned"),
        pytest.param(100, [1000, 10_000, 10_000], id="longer: told with the first page"),
        pytest.param(9000, [90_000, 10_000, 10_000], id="shorter"),
    ],
)
@in_virtual_time
async def test_others_are_told_when_it_will_end(believed_ms: int, ends: list[int]) -> None:
    """Ten pages of a second each, whatever was believed."""
    async with World(page_size=288) as world:
        world.upstream.page_ms, world.upstream.believed_page_ms = 1000, believed_ms
        asking = asyncio.ensure_future(world.ask(["a"], TEN_DAYS))
        found = [await told(world, each) for each in (0.5, 1, 3)]
        assert all(
            abs(end - wanted) <= 100 for (_, end), wanted in zip(found, ends, strict=True)
        ), found
        await asking


@in_virtual_time
async def test_a_small_fetch_that_is_there_first_says_how_fast_they_are_not_what_is_left() -> None:
    """A tenth of the data at twice the time planned: all takes twice as long, not twenty times."""
    async with World(page_size=5000) as world:
        await world.ask(["a"], Range(TEN_DAYS.start_ms - DAY_MS, TEN_DAYS.start_ms))
        await world.settle()
        world.upstream.page_ms, world.upstream.believed_page_ms = 2000, 1000
        calls: list[int] = []

        async def during(number: int) -> None:
            calls.append(number)
            await asyncio.sleep(2 if len(calls) == 2 else 0)

        world.upstream.during = during
        whole = Range(TEN_DAYS.start_ms - 2 * DAY_MS, TEN_DAYS.end_ms)
        asking = asyncio.ensure_future(world.ask(["a"], whole))
        _, ends_ms = await told(world, 2.1)
        assert 2000 == ends_ms
        await asking


@in_virtual_time
async def test_a_hanging_request_is_expected_to_hang_on() -> None:
    """As long again as it has hung."""
    async with World(page_size=5000) as world:
        world.upstream.page_ms, world.upstream.believed_page_ms = 25_000, 1000
        asking = asyncio.ensure_future(world.ask(["a"], TEN_DAYS))
        _, ends_ms = await told(world, 7)
        assert 2 * 6666 == ends_ms
        await asking
