"""Keeping what came: stored and known, and the lease let go of however that ends."""

from __future__ import annotations

import pytest

from building_vitals.cache.keeping import Keeper
from building_vitals.cache.lease import Lease
from building_vitals.errors import Unavailable
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import Series
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

HOUR = Range(EPOCH_MS - 3_600_000, EPOCH_MS)
LEASES, SEGMENTS = "SELECT * FROM fetch_leases", "SELECT * FROM cache_segments"
LEASE = Lease("lease", "site", ("a",), HOUR, EPOCH_MS + 10_000)
EMPTY = PointSeries("a", HOUR, Series((), b""))


async def keeper_of(world: World) -> Keeper:
    """Return a keeper, with a lease to let go of."""
    await world.database.batch([world.leases.take_statement(LEASE, now_ms=EPOCH_MS)])
    return Keeper(world.store, world.database, world.invocation)


@in_virtual_time
async def test_a_part_is_known_while_the_lease_is_held() -> None:
    """What is stored on the way is found by others; the rest of the range is still leased."""
    async with World() as world:
        keeper = await keeper_of(world)
        made = keeper.object_of("site", [EMPTY], EPOCH_MS)
        assert made is not None
        stored = await keeper.store(made)
        assert [HOUR] == [each.range for each in stored.segments]
        assert (1, 1) == (len(world.database.look(SEGMENTS)), len(world.database.look(LEASES)))


@pytest.mark.parametrize("came", [[EMPTY], []], ids=["something", "nothing"])
@in_virtual_time
async def test_the_end_lets_go_of_the_lease(came: list[PointSeries]) -> None:
    """In one call with what is stored, or alone."""
    async with World() as world:
        keeper = await keeper_of(world)
        world.database.failures.calls.clear()
        await keeper.end(keeper.object_of("site", came, EPOCH_MS), LEASE)
        assert {"batch": 1} == world.database.failures.calls
        assert (len(came), 0) == (
            len(world.database.look(SEGMENTS)),
            len(world.database.look(LEASES)),
        )


@in_virtual_time
async def test_a_part_that_can_not_be_stored_is_told_of() -> None:
    """The fetch must know, because it has given the samples away."""
    async with World() as world:
        keeper = await keeper_of(world)
        made = keeper.object_of("site", [EMPTY], EPOCH_MS)
        assert made is not None
        world.database.failures.next("batch")
        with pytest.raises(Unavailable):
            await keeper.store(made)


@in_virtual_time
async def test_an_end_that_fails_lets_go_all_the_same() -> None:
    """The fault is reported; those who wait need not wait for the lease to run out."""
    async with World() as world:
        keeper = await keeper_of(world)
        world.database.failures.next("batch")
        await keeper.end(keeper.object_of("site", [EMPTY], EPOCH_MS), LEASE)
        assert ["store"] == [where for where, _ in world.reported]
        assert [] == world.database.look(LEASES)


@in_virtual_time
async def test_a_lease_that_can_not_be_let_go_of_is_reported() -> None:
    """It runs out by itself."""
    async with World() as world:
        keeper = await keeper_of(world)
        world.database.failures.next("batch")
        await keeper.release(LEASE)
        assert ["release"] == [where for where, _ in world.reported]
        assert 1 == len(world.database.look(LEASES))
