"""Blocks are stored whole or not at all."""

from __future__ import annotations

import pytest

from builders import samples
from building_vitals.blocks import store as blocks_store
from building_vitals.cache.object_keys import BLOCKS_PREFIX
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import Series
from fakes.blocks import block_keys, keep_block, series_of
from fakes.failures import Fault
from fakes.virtual_time import in_virtual_time
from fakes.world import World, days

SOME = ["a", "b", "c"]


@in_virtual_time
async def test_a_block_is_one_object_and_one_row() -> None:
    """Whatever the number of points; the row says what the object holds."""
    async with World() as world:
        names = [f"point {n}" for n in range(500)]
        await keep_block(world, names, days(2, 1))
        assert {"put": 1} == world.objects.failures.calls
        [key] = block_keys(world)
        assert key.startswith(f"{BLOCKS_PREFIX}site/2025-12-30_2025-12-31/")
        [row] = world.database.look("SELECT * FROM site_blocks")
        held = sum(len(each) for each in world.truth(names, days(2, 1)).values())
        assert (500, held, 2, world.objects.infos[key].size, None) == (
            *(row["points"], row["samples"], row["level"]),
            *(row["stored_bytes"], row["gone_ms"]),
        )
        assert {"site": "site", "points": "500", "samples": str(held)}.items() <= (
            world.objects.infos[key].metadata.items()
        )


@in_virtual_time
async def test_a_large_block_is_streamed() -> None:
    """Beyond what is put at once it goes in parts, and reads the same."""
    async with World() as world:
        text = "x" * 1_000
        held = samples(" ".join(f'{n}:"{n * 7919 % 65_537:05}{text}"' for n in range(1, 1_500)))
        frames = held.series([100] * 14)
        # Bytes that nobody inflates: the store copies a series as it is.
        wide = Series(frames.frames, frames.data + bytes(blocks_store.PUT_BYTES_MAX))
        known = Range(0, DAY_MS)
        await world.app.blocks.keep(
            "site", known, [PointSeries("a", known, wide)], fetched_ms=2 * DAY_MS
        )
        assert 1 == world.objects.failures.calls["put_stream"]
        [key] = block_keys(world)
        assert world.objects.infos[key].size > blocks_store.PUT_BYTES_MAX


@in_virtual_time
async def test_stints_of_a_point_are_put_together() -> None:
    """A point that comes in parts, in any order, has all of them; between them is a gap."""
    async with World() as world:
        series = [
            *await series_of(world, SOME, days(4, 3)),
            *await series_of(world, SOME, days(6, 5)),
        ]
        await world.app.blocks.keep("site", days(6, 3), series, fetched_ms=world.clock.now_ms())
        world.upstream.asked.clear()
        got = await world.ask(SOME, days(6, 3))
        assert world.truth(SOME, days(6, 3)) == got.samples
        assert [days(5, 4)] == [each.time_range for each in world.upstream.asked]


@in_virtual_time
async def test_samples_of_calls_by_point_are_refused() -> None:
    """They may be others than the raw ones, which all of a block counts as."""
    async with World() as world:
        known = Range(0, 10)
        series = PointSeries("a", known, samples("5:1").series(), is_by_point=True)
        with pytest.raises(ValueError, match="by point"):
            await world.app.blocks.keep("site", known, [series], fetched_ms=10)
        assert {} == world.objects.infos


@in_virtual_time
async def test_a_failure_is_told_and_leaves_no_promise() -> None:
    """Without its object there is no row; without its row the object is an orphan."""
    async with World() as world:
        world.objects.failures.next("put", fault=Fault.REFUSED)
        with pytest.raises(Unavailable):
            await keep_block(world, SOME, days(2, 1))
        assert ([], {}) == (block_keys(world), world.objects.infos)
        world.database.failures.next("batch", fault=Fault.REFUSED)
        with pytest.raises(Unavailable):
            await keep_block(world, SOME, days(2, 1))
        assert ([], 1) == (block_keys(world), len(world.objects.infos))


@in_virtual_time
async def test_all_blocks_of_a_site_are_let_go_of() -> None:
    """They are read no longer; the blocks of other sites are."""
    async with World() as world:
        await keep_block(world, SOME, days(3, 2))
        await keep_block(world, SOME, days(2, 1))
        series = await series_of(world, SOME, days(2, 1))
        await world.app.blocks.keep("other", days(2, 1), series, fetched_ms=world.clock.now_ms())
        assert 2 == await world.app.blocks.forget("site")
        assert 1 == len(block_keys(world))
        assert 0 == await world.app.blocks.forget("site")
        # The objects stay for a while, for who reads them, but are shown no longer.
        listed = await world.app.cache_admin.list_objects(prefix="blocks/", limit=9, cursor=None)
        assert block_keys(world) == [each.key for each in listed.objects]
        assert [] == await world.index.find("site", SOME, days(3, 1))
        assert 3 == len(await world.index.find("other", SOME, days(3, 1)))


@in_virtual_time
async def test_what_is_kept_of_a_site_is_told() -> None:
    """With when it was fetched; without jobs' blocks, what was purged of all points, or dropped."""
    async with World() as world:
        assert [] == await world.app.blocks.kept("site")
        at_ms = world.clock.now_ms()
        await keep_block(world, SOME, days(3, 2))
        await world.clock.sleep(1000)
        await keep_block(world, SOME, days(2.5, 1))
        await keep_block(world, SOME, days(6, 5), is_once=True)
        found = [(days(3, 2), at_ms), (days(2.5, 1), at_ms + 1000)]
        assert found == sorted(await world.app.blocks.kept("site"), key=lambda each: each[1])
        await world.index.purge("site", ["a"], days(3, 1), now_ms=world.clock.now_ms())
        assert 2 == len(await world.app.blocks.kept("site"))
        await world.index.purge("site", None, days(2.75, 2), now_ms=world.clock.now_ms())
        assert [days(3, 2.75), days(2.5, 1).clip(days(2, 1))] == [
            each for each, _ in sorted(await world.app.blocks.kept("site"))
        ]
        await world.app.blocks.forget("site")
        assert [] == await world.app.blocks.kept("site")


@in_virtual_time
async def test_who_stores_hears_what_is_known_of_some_points() -> None:
    """As a look-up would say it, where whole; of a point without samples that it has none."""
    async with World() as world:
        known = days(3, 2)
        world.upstream.silent = {"silent"}
        series = await series_of(world, [*SOME, "silent"], known)
        told = await world.app.blocks.keep(
            *("site", known, series),
            fetched_ms=world.clock.now_ms(),
            is_once=True,
            points=["silent", SOME[0]],
        )
        points, now_ms = ["silent", SOME[0]], world.clock.now_ms()
        found = await world.index.find("site", points, known, (world.freshness, now_ms))
        assert found == told
        assert [("silent", 0), (SOME[0], len(world.truth(SOME, known)[SOME[0]]))] == [
            (each.point, each.count) for each in told
        ]
