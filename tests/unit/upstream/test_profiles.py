"""Keeping profiles: memory, D1, and what happens without either."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.upstream.profile import Observation, SiteProfile
from building_vitals.upstream.profiles import (
    CLAIM_MS,
    READ_AGAIN_MS,
    SITES_REMEMBERED_MAX,
    ProfileMemory,
    SiteProfiles,
)
from fakes.clock import VirtualClock
from fakes.invocation import invocation
from fakes.profiles import RememberedProfiles, Rows

DOWN = Unavailable("D1 is down")


class Isolate:
    """An isolate with its memory, over a table that others share."""

    def __init__(self, clock: VirtualClock, rows: Rows) -> None:
        self.table = RememberedProfiles("https://u", rows)
        self.memory = ProfileMemory()
        self.reported: list[Exception] = []
        self.works: list[Coroutine[Any, Any, None]] = []
        self.profiles = SiteProfiles(
            table=self.table,
            memory=self.memory,
            invocation=invocation(
                clock,
                run_later=self.works.append,
                on_fault=lambda where, error: self.reported.append(error),
            ),
        )

    async def settle(self) -> int:
        """Do what is left for after the answer; return how much it was."""
        count = len(self.works)
        while self.works:
            await self.works.pop(0)
        return count


class World:
    """Two isolates."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.rows: Rows = {}
        self.one, self.other = (Isolate(self.clock, self.rows) for _ in range(2))

    def seen(self, busy_ms: int) -> Observation:
        """Return the observation of one call."""
        now_ms = self.clock.now_ms()
        return Observation(
            is_by_point=True,
            is_whole_site=False,
            points_count=1,
            time_range=Range(now_ms - DAY_MS, now_ms),
            requests=1,
            busy_ms=busy_ms,
            now_ms=now_ms,
        )


async def test_what_one_isolate_learns_the_others_read() -> None:
    """A site that nobody has asked for has an empty profile; later, what was learned."""
    world = World()
    assert SiteProfile() == await world.one.profiles.read("hq")
    assert SiteProfile() == await world.other.profiles.read("hq")
    world.one.profiles.learn("hq", world.seen(500))
    assert 1 == await world.one.settle()

    assert 500 == world.one.profiles.known("hq").call_ms
    world.clock.advance(READ_AGAIN_MS - 1)
    assert 0 == (await world.other.profiles.read("hq")).call_ms
    world.clock.advance(1)
    assert 500 == (await world.other.profiles.read("hq")).call_ms


async def test_small_changes_add_up_before_they_are_written() -> None:
    """The memory has each change at once, D1 one that says something."""
    world = World()
    await world.one.profiles.read("hq")
    world.one.profiles.learn("hq", world.seen(1_000))
    assert 1 == await world.one.settle()
    writes = []
    for _ in range(5):
        world.one.profiles.learn("hq", world.seen(1_300))
        writes.append(await world.one.settle())

    assert [0, 0, 0, 1, 0] == writes
    assert 1_000 < world.one.profiles.known("hq").call_ms < 1_300


async def test_without_d1_nothing_fails() -> None:
    """The usual figures stand in, what is learned stays in the memory, faults are reported."""
    world = World()
    world.one.table.failure = DOWN
    assert SiteProfile() == await world.one.profiles.read("hq")
    world.one.profiles.learn("hq", world.seen(500))
    assert 500 == (await world.one.profiles.read("hq")).call_ms
    assert not await world.one.profiles.claim_check("hq")
    await world.one.settle()

    assert {DOWN} == set(world.one.reported)


async def test_what_could_not_be_read_is_not_overwritten() -> None:
    """D1 may know more than an isolate that could not read it, and is read when it is back."""
    world = World()
    rich = SiteProfile(is_same=True, checked_ms=1, call_ms=9.0)
    world.one.table.put("hq", rich)
    world.one.table.failure = DOWN
    await world.one.profiles.read("hq")
    world.one.table.failure = None
    world.one.profiles.learn("hq", world.seen(500))
    world.one.profiles.learn("hq", world.seen(50_000))
    await world.one.settle()

    assert rich == world.rows["https://u", "hq"].profile
    assert rich == await world.one.profiles.read("hq")


async def test_d1_that_fails_later_leaves_what_was_read() -> None:
    """An older profile is better than none; a write that fails is reported."""
    world = World()
    world.one.table.put("hq", SiteProfile(points=3))
    await world.one.profiles.read("hq")
    world.one.table.failure = DOWN
    world.clock.advance(READ_AGAIN_MS)
    assert SiteProfile(points=3) == await world.one.profiles.read("hq")
    world.one.profiles.learn("hq", world.seen(500))
    await world.one.settle()

    assert [DOWN, DOWN] == world.one.reported


async def test_profile_that_cannot_be_decoded_is_none() -> None:
    """A row of another release costs a fault in the log, and no answer."""
    world = World()
    world.one.table.failure = ValueError("Expected `int`, got `str`")

    assert SiteProfile() == await world.one.profiles.read("hq")
    assert 1 == len(world.one.reported)


async def test_one_of_two_isolates_compares() -> None:
    """The first who claims; when its time is over, the next."""
    world = World()
    claims = [await each.profiles.claim_check("hq") for each in (world.one, world.other)]
    world.clock.advance(CLAIM_MS)
    claims.append(await world.other.profiles.claim_check("hq"))

    assert [True, False, True] == claims


@pytest.mark.parametrize("count", [SITES_REMEMBERED_MAX, SITES_REMEMBERED_MAX + 1])
async def test_memory_is_bounded(count: int) -> None:
    """With too many sites it starts again; nothing is lost of what D1 has."""
    world = World()
    for number in range(count):
        world.one.table.put(f"site-{number}", SiteProfile(points=number + 1))
        await world.one.profiles.read(f"site-{number}")

    assert (count if count <= SITES_REMEMBERED_MAX else 1) == len(world.one.memory.by_site)
    assert SiteProfile(points=1) == await world.one.profiles.read("site-0")
