"""What an isolate remembers of follows."""

from __future__ import annotations

import asyncio

from building_vitals.cache.followed import Followed
from building_vitals.follow.memory import (
    NONE_REMEMBERED_MS,
    REMEMBERED_MS,
    FollowedSites,
    FollowMemory,
)
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from fakes.follow_world import SITE, FollowWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time


@in_virtual_time
async def test_a_followed_site_is_looked_at_every_few_seconds() -> None:
    """With what has been read of it, the last round included."""
    async with FollowWorld() as world:
        memory = FollowMemory()
        sites = FollowedSites(world.follows.all, memory, world.invocation)
        await world.follow(DAY_MS)
        await sites.refresh(SITE)
        assert Followed(EPOCH_MS, 300_000) == sites.of(SITE)
        await world.deliver()
        await sites.refresh(SITE)
        assert Followed(EPOCH_MS, 300_000) == sites.of(SITE)
        await asyncio.sleep(REMEMBERED_MS / 1000)
        await sites.refresh(SITE)
        known = Range(EPOCH_MS - DAY_MS, EPOCH_MS)
        assert Followed(EPOCH_MS, 300_000, (known,), EPOCH_MS) == sites.of(SITE)
        await world.follows.delete(SITE)
        memory.forget()
        await sites.refresh(SITE)
        assert None is sites.of(SITE)


@in_virtual_time
async def test_other_sites_cost_next_to_nothing() -> None:
    """They are looked at now and then; at once where blocks show that somebody follows them."""
    async with FollowWorld() as world:
        sites = FollowedSites(world.follows.all, FollowMemory(), world.invocation)
        calls = world.database.failures.calls
        await sites.refresh(SITE)
        for _ in range(10):
            await sites.refresh(SITE)
            await asyncio.sleep(NONE_REMEMBERED_MS / 10_001)
        assert 1 == calls["rows"]
        await world.follow(DAY_MS)
        await sites.refresh(SITE)
        assert None is sites.of(SITE)
        await sites.refresh(SITE, has_blocks=True)
        assert sites.of(SITE) is not None
        await asyncio.sleep(NONE_REMEMBERED_MS / 1000)
        await sites.refresh("other")
        assert 3 == calls["rows"]


@in_virtual_time
async def test_a_database_that_is_down_changes_nothing() -> None:
    """What was known stays, and the fault is told."""
    async with FollowWorld() as world:
        sites = FollowedSites(world.follows.all, FollowMemory(), world.invocation)
        await world.follow(DAY_MS)
        await sites.refresh(SITE)
        before = sites.of(SITE)
        await asyncio.sleep(REMEMBERED_MS / 1000)
        world.database.failures.next("rows")
        await sites.refresh(SITE)
        assert before is not None
        assert before == sites.of(SITE)
        assert ["follows"] == [where for where, _ in world.reported]
