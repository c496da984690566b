"""What purges and losses do to blocks."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.cache.options import CacheOptions
from building_vitals.cache.segments import Place
from building_vitals.instants import DAY_MS, HOUR_MS
from fakes.blocks import block_keys, keep_block, series_of
from fakes.virtual_time import in_virtual_time
from fakes.world import OBJECTS_ONLY, World, days

SOME = ["a", "b", "c"]


async def purged(world: World, points: list[str] | None, first: float, last: float) -> int:
    """Purge days of a world."""
    return await world.app.cache_admin.purge("site", points, days(first, last))


def asked_of(world: World) -> list[Any]:
    """Return what the upstream was asked for: points and ranges."""
    return [(each.points, each.time_range) for each in world.upstream.asked]


@in_virtual_time
async def test_a_purge_cuts_blocks_at_once() -> None:
    """What was purged of some points or of all is fetched again, and nothing else."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 3))
        await world.clock.sleep(1000)
        world.upstream.changes = [world.clock.now_ms()]
        assert 1 == await purged(world, ["b"], 8, 6)
        await world.clock.sleep(1000)
        world.upstream.asked.clear()
        got = await world.ask(SOME, days(10, 3))
        assert [(("b",), days(8, 6))] == asked_of(world)
        assert world.truth(["a", "c"], days(10, 3)) == {p: got.samples[p] for p in "ac"}
        assert [
            *world.upstream.truth("b", days(10, 8)),
            *world.upstream.truth("b", days(8, 6), 1),
            *world.upstream.truth("b", days(6, 3)),
        ] == got.samples["b"]
        await world.settle()
        assert 2 == await purged(world, None, 7, 5)
        world.upstream.asked.clear()
        await world.ask(SOME, days(10, 3))
        assert [(tuple(SOME), days(7, 5))] == asked_of(world)


@in_virtual_time
async def test_what_was_being_fetched_is_cut_too() -> None:
    """A block that is stored after a purge, of a fetch that began before, has nothing of it."""
    async with World() as world:
        fetched_ms = world.clock.now_ms()
        await world.clock.sleep(1000)
        await purged(world, None, 8, 6)
        await world.clock.sleep(1000)
        await world.app.blocks.keep("site", days(10, 3), [], fetched_ms=fetched_ms)
        world.upstream.asked.clear()
        await world.ask(SOME, days(10, 3))
        assert [(tuple(SOME), days(8, 6))] == asked_of(world)


@in_virtual_time
async def test_a_block_of_which_nothing_is_left_goes() -> None:
    """A purge of all of it lets go of it; one that was fetched since stays."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 3))
        await world.clock.sleep(1000)
        await purged(world, None, 11, 3)
        assert [] == block_keys(world)
        await world.clock.sleep(1000)
        await keep_block(world, SOME, days(10, 3))
        assert 1 == len(block_keys(world))
        assert "hit" == (await world.ask(SOME, days(10, 3))).report.status


@in_virtual_time
async def test_marks_stay_as_long_as_a_block_needs_them() -> None:
    """Days later what was purged is still cut out; without the block the mark goes."""
    async with World() as world:
        await keep_block(world, SOME, days(20, 13))
        await world.clock.sleep(1000)
        await purged(world, ["b"], 18, 16)
        await purged(world, ["b"], 12, 11)
        await world.clock.sleep(2 * HOUR_MS)
        await world.app.maintenance.run()
        marks = "SELECT start_ms FROM cache_purges"
        assert [{"start_ms": days(18, 16).start_ms}] == world.database.look(marks)
        await world.clock.sleep(DAY_MS)
        world.upstream.asked.clear()
        await world.ask(["b"], days(20, 13))
        assert [(("b",), days(18, 16))] == asked_of(world)
        await world.app.blocks.forget("site")
        await world.app.maintenance.run()
        assert [] == world.database.look(marks)


@in_virtual_time
async def test_nothing_older_shows_where_a_block_was_lost() -> None:
    """Neither an older segment nor an older block beneath it is taken in its place."""
    async with World() as world:
        await keep_block(world, SOME, days(12, 6))
        await world.ask(["a"], days(6, 3))
        await world.settle()
        await world.clock.sleep(1000)
        world.upstream.changes = [world.clock.now_ms()]
        await keep_block(world, SOME, days(10, 5))
        [first, key] = sorted(
            block_keys(world), key=lambda each: world.objects.infos[each].uploaded_ms
        )
        world.objects.lose(key)
        # The first answer finds it lost while it reads; afterwards nobody remembers it.
        await world.make_app().filler.look_up(world.need(SOME, days(12, 3)))
        await world.settle()
        assert [first] == block_keys(world)
        got = await world.ask(SOME, days(12, 5))
        for point in SOME:
            assert [
                *world.upstream.truth(point, days(12, 10)),
                *world.upstream.truth(point, days(10, 5), 1),
            ] == got.samples[point]


@pytest.mark.parametrize("cache", [OBJECTS_ONLY, CacheOptions()], ids=["object", "sliver"])
@in_virtual_time
async def test_an_older_block_does_not_show_where_a_segment_is_lost(cache: CacheOptions) -> None:
    """What lies beneath it was fetched earlier: it is fetched again, also after a merge."""
    async with World(cache=cache) as world:
        await keep_block(world, SOME, days(10, 3))
        await world.clock.sleep(1000)
        world.upstream.changes = [world.clock.now_ms()]
        series = await series_of(world, ["b"], days(8, 7.9))
        made = world.store.made("site", series, fetched_ms=world.clock.now_ms())
        await world.store.commit([await world.store.put(made)], now_ms=world.clock.now_ms())
        # As if all purges there had been carried out.
        world.database.look("UPDATE site_blocks SET cut_ms = ?1", world.clock.now_ms() + DAY_MS)
        await world.clock.sleep(2000)
        places = [each.place for each in made.segments]
        await world.index.forget(places, now_ms=world.clock.now_ms())
        assert [-1] == [row["cut_ms"] for row in world.database.look("SELECT * FROM site_blocks")]
        world.upstream.asked.clear()
        got = await world.ask(SOME, days(10, 3))
        assert [(("b",), days(8, 7.9))] == asked_of(world)
        assert [
            *world.upstream.truth("b", days(10, 8)),
            *world.upstream.truth("b", days(8, 7.9), 1),
            *world.upstream.truth("b", days(7.9, 3)),
        ] == got.samples["b"]
        assert world.truth(["a"], days(10, 3))["a"] == got.samples["a"]


@in_virtual_time
async def test_a_segment_that_is_lost_leaves_no_mark_where_no_block_is() -> None:
    """Most sites have none: nothing more is written than before."""
    async with World(cache=OBJECTS_ONLY) as world:
        await world.ask(SOME, days(8, 7))
        await world.settle()
        await keep_block(world, SOME, days(5, 3))
        [key] = {row["object_key"] for row in world.database.look("SELECT * FROM cache_segments")}
        await world.index.forget([Place(key)], now_ms=world.clock.now_ms())
        assert [] == world.database.look("SELECT * FROM cache_segments")
        assert [] == world.database.look("SELECT * FROM cache_purges")
