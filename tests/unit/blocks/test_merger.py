"""Merging: what was known is known afterwards, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable

import pytest

from building_vitals.blocks.leveling import LEVELED_SAMPLES_MAX
from building_vitals.blocks.merger import BlockMerger
from building_vitals.blocks.merging import MERGED_MIN
from building_vitals.cache.segments import Segment
from building_vitals.errors import Unavailable
from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.upkeep import OBJECT_GRACE_MS
from fakes.blocks import block_keys, keep_block, series_of
from fakes.failures import Fault
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

SOME = ["a", "b", "c"]
STEP_MS = 15 * MINUTE_MS
ALL = Range(EPOCH_MS - 40 * HOUR_MS, EPOCH_MS - 40 * HOUR_MS + MERGED_MIN * STEP_MS)


async def keep_rounds(world: World, points: list[str], count: int = MERGED_MIN) -> None:
    """Store rounds that overlap by a minute, each fetched a second after the one before."""
    for n in range(count):
        begin_ms = ALL.start_ms + n * STEP_MS
        first_ms = begin_ms - MINUTE_MS if n else begin_ms
        await keep_block(world, points, Range(first_ms, begin_ms + STEP_MS))
        await world.clock.sleep(1000)


async def merge(world: World, leveled_samples: int = LEVELED_SAMPLES_MAX) -> int:
    """Merge what is due."""
    merger = BlockMerger(
        objects=world.objects,
        database=world.database,
        lost=world.store.lost,
        invocation=world.app.invocation,
        leveled_samples=leveled_samples,
    )
    return await merger.merge_due("site", 10)


async def found(world: World, points: list[str]) -> list[Segment]:
    """Return what another isolate finds."""
    return await world.make_app().index.find("site", points, ALL)


@in_virtual_time
async def test_eight_rounds_become_one_block() -> None:
    """One object and one row, with the samples of all, each point in one series."""
    async with World(interval_ms=MINUTE_MS) as world:
        names = [f"point {n}" for n in range(100)]
        world.upstream.silent = {"silent"}
        await keep_rounds(world, [*names, "silent"])
        stored = sum(info.size for info in world.objects.infos.values())
        before = world.upstream.requests
        assert 1 == await merge(world)
        [key] = block_keys(world)
        [row] = world.database.look("SELECT * FROM site_blocks WHERE gone_ms IS NULL")
        truth = world.truth([*names, "silent"], ALL)
        assert (100, sum(map(len, truth.values())), 1, *ALL) == (
            *(row["points"], row["samples"], row["level"], row["start_ms"], row["end_ms"]),
        )
        assert row["stored_bytes"] == world.objects.infos[key].size < 0.7 * stored
        segments = await found(world, ["point 7", "silent"])
        assert [("point 7", 1), ("silent", 0)] == [
            (each.point, len(each.frames or ())) for each in segments
        ]
        got = await world.ask([*names, "silent"], ALL)
        assert truth == got.samples
        assert ("hit", before) == (got.report.status, world.upstream.requests)


@in_virtual_time
async def test_the_newest_fetch_wins_when_blocks_are_merged() -> None:
    """Of rounds that overlap, each instant is that of the later one."""
    async with World(interval_ms=MINUTE_MS) as world:
        await keep_rounds(world, SOME, 4)
        world.upstream.changes = [world.clock.now_ms()]
        await keep_block(world, SOME, Range(ALL.start_ms + STEP_MS // 3, ALL.start_ms + STEP_MS))
        await keep_rounds(world, SOME)
        expected = (await world.ask(SOME, ALL)).samples
        assert 1 == await merge(world)
        await world.clock.sleep(2000)
        assert expected == (await world.ask(SOME, ALL)).samples


@in_virtual_time
async def test_large_frames_are_copied_as_they_are() -> None:
    """Frames of a good size are the same bytes afterwards; small ones are put together."""
    async with World(interval_ms=1000) as world:
        await keep_rounds(world, ["a"])
        frames = {each.data_crc: each for n in await found(world, ["a"]) for each in n.frames or ()}
        assert 1 == await merge(world)
        [segment] = await found(world, ["a"])
        assert segment.frames is not None
        assert any(each.count >= 512 and each.data_crc in frames for each in segment.frames)
        assert segment.count == len(world.truth(["a"], ALL)["a"])


@in_virtual_time
async def test_what_was_purged_is_carried_out() -> None:
    """Its bytes are gone from the merged block, the mark goes, and the rest is known as before."""
    async with World(interval_ms=MINUTE_MS) as world:
        world.upstream.silent = {"silent", "nobody"}
        await keep_rounds(world, [*SOME, "silent"])
        of_point = Range(ALL.start_ms + 20 * MINUTE_MS, ALL.start_ms + 70 * MINUTE_MS)
        of_site = Range(ALL.end_ms - 21 * MINUTE_MS, ALL.end_ms - 11 * MINUTE_MS)
        now_ms = world.clock.now_ms()
        await world.index.purge("site", ["b", "nobody"], of_point, now_ms=now_ms)
        await world.index.purge("site", None, of_site, now_ms=now_ms)
        samples = len(SOME) * len(world.truth(["a"], ALL)["a"])
        assert 1 == await merge(world)
        [row] = world.database.look("SELECT * FROM site_blocks WHERE gone_ms IS NULL")
        assert samples - 3 * 10 - 50 == row["samples"]
        assert now_ms == row["cut_ms"]
        await world.clock.sleep(2 * HOUR_MS)
        await world.app.maintenance.run()
        assert [] == world.database.look("SELECT * FROM cache_purges")
        world.upstream.asked.clear()
        got = await world.ask([*SOME, "nobody"], ALL)
        assert {(("b", "nobody"), of_point), (("a", "b", "c", "nobody"), of_site)} == {
            (tuple(sorted(each.points)), each.time_range) for each in world.upstream.asked
        }
        assert world.truth(SOME, ALL) == {point: got.samples[point] for point in SOME}


@in_virtual_time
async def test_a_purge_while_blocks_are_merged_voids_the_merge() -> None:
    """Nothing that was purged comes back: the blocks stay as they were, with the mark."""
    async with World(interval_ms=MINUTE_MS) as world:
        await keep_rounds(world, SOME)
        before = block_keys(world)
        purged = Range(ALL.start_ms, ALL.start_ms + STEP_MS)

        async def purge(operation: str) -> None:
            if operation == "put_parts":
                world.objects.failures.before = None
                await world.index.purge("site", ["a"], purged, now_ms=world.clock.now_ms())

        world.objects.failures.before = purge
        assert 0 == await merge(world)
        assert before == block_keys(world)
        assert {*before} == set(world.objects.infos)
        assert 1 == await merge(world)
        world.upstream.asked.clear()
        await world.ask(SOME, ALL)
        assert [(("a",), purged)] == [
            (each.points, each.time_range) for each in world.upstream.asked
        ]


@in_virtual_time
async def test_two_merges_at_once_are_one() -> None:
    """The second one finds its blocks replaced, and leaves nothing behind."""
    async with World(interval_ms=MINUTE_MS) as world:
        await keep_rounds(world, SOME)
        await asyncio.gather(merge(world), world.make_app().merger.merge_due("site", 10))
        [key] = block_keys(world)
        gone = world.database.look("SELECT object_key FROM site_blocks WHERE gone_ms > 0")
        assert {key, *(row["object_key"] for row in gone)} == set(world.objects.infos)
        assert world.truth(SOME, ALL) == (await world.ask(SOME, ALL)).samples


@pytest.mark.parametrize("calls", range(0, 60, 3))
def test_death_at_any_moment_loses_and_doubles_nothing(calls: int) -> None:
    """Whichever call to bucket or database is the last, all is known, and the next run ends it."""

    @in_virtual_time
    async def run() -> None:
        async with World(interval_ms=MINUTE_MS) as world:
            await keep_rounds(world, SOME)
            left = calls

            async def die(_: str) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    await asyncio.Event().wait()

            world.objects.failures.before = world.database.failures.before = die
            task = asyncio.ensure_future(merge(world))
            await asyncio.sleep(60)
            await world.die(task)
            world.objects.failures.before = world.database.failures.before = None
            assert world.truth(SOME, ALL) == (await world.ask(SOME, ALL)).samples
            await merge(world)
            [key] = block_keys(world)
            assert world.truth(SOME, ALL) == (await world.ask(SOME, ALL)).samples
            await world.clock.sleep(OBJECT_GRACE_MS + HOUR_MS)
            await world.app.maintenance.run()
            assert [key] == [each for each in world.objects.infos if each.startswith("blocks/")]
            assert 1 == len(world.database.look("SELECT * FROM site_blocks"))

    run()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda world, key: world.objects.lose(key), id="gone"),
        pytest.param(lambda world, key: world.objects.spoil(key, 3), id="series"),
        pytest.param(lambda world, key: world.objects.spoil(key, -1), id="foot"),
        pytest.param(lambda world, key: world.objects.overwrite(key, b"x" * 9), id="another"),
    ],
)
def test_a_lost_part_is_forgotten(spoil: Callable[[World, str], None]) -> None:
    """It becomes a gap, and is not copied; the others stay."""

    @in_virtual_time
    async def run() -> None:
        async with World(interval_ms=MINUTE_MS) as world:
            await keep_rounds(world, SOME)
            keys = block_keys(world)
            spoil(world, keys[2])
            assert 0 == await merge(world)
            await world.settle()
            assert [each for each in keys if each != keys[2]] == block_keys(world)
            assert world.truth(SOME, ALL) == (await world.ask(SOME, ALL)).samples

    run()


@in_virtual_time
async def test_a_bucket_that_fails_is_told() -> None:
    """The blocks stay as they are."""
    async with World(interval_ms=MINUTE_MS) as world:
        await keep_rounds(world, SOME)
        before = block_keys(world)
        world.objects.failures.next("put_parts", fault=Fault.REFUSED)
        with pytest.raises(Unavailable):
            await merge(world)
        world.objects.failures.next("get", fault=Fault.REFUSED)
        with pytest.raises(Unavailable):
            await merge(world)
        assert before == block_keys(world)


@in_virtual_time
async def test_a_merge_holds_a_part_of_the_blocks_alone() -> None:
    """However large they are: windows, and the directory of what is made."""
    async with World() as world:
        series = await series_of(world, ["a"], Range(EPOCH_MS - 60 * 24 * HOUR_MS, EPOCH_MS))
        for n in range(MERGED_MIN):
            known = Range(ALL.start_ms + n * STEP_MS, ALL.start_ms + (n + 1) * STEP_MS)
            # Bytes that nobody looks into, of one point each.
            held = [PointSeries(f"{n} {m}", known, series[0].series) for m in range(40)]
            await world.app.blocks.keep("site", known, held, fetched_ms=world.clock.now_ms())
        size = sum(info.size for info in world.objects.infos.values())
        tracemalloc.start()
        try:
            assert 1 == await merge(world, leveled_samples=0)
            [key] = block_keys(world)
            # The stand-in holds all that it was given, twice while it puts it together.
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert world.objects.infos[key].size > 0.95 * size
        assert most < 2 * size + 12 * 1024 * 1024


@in_virtual_time
async def test_a_segment_that_was_fetched_in_between_stays_the_newest() -> None:
    """What a merged block has there counts as fetched before it, however often it is merged."""
    async with World(interval_ms=MINUTE_MS) as world:
        await keep_rounds(world, SOME, 4)
        world.upstream.changes = [world.clock.now_ms()]
        between = Range(ALL.start_ms + STEP_MS + 1, ALL.start_ms + 2 * STEP_MS + 7)
        fetched = await series_of(world, ["b"], between)
        made = world.store.made("site", fetched, fetched_ms=world.clock.now_ms())
        await world.store.commit([await world.store.put(made)], now_ms=world.clock.now_ms())
        await world.clock.sleep(1000)
        for n in range(4, MERGED_MIN * MERGED_MIN):
            begin_ms = ALL.start_ms + n * STEP_MS
            await keep_block(world, SOME, Range(begin_ms, begin_ms + STEP_MS))
            await world.clock.sleep(1000)
        asked = Range(ALL.start_ms, ALL.start_ms + MERGED_MIN * MERGED_MIN * STEP_MS)
        expected = (await world.ask(SOME, asked)).samples
        for merges, left in ((1, MERGED_MIN * MERGED_MIN - 7), (99, 1)):
            await world.app.merger.merge_due("site", merges)
            assert left == len(block_keys(world))
            await world.clock.sleep(2000)
            assert expected == (await world.ask(SOME, asked)).samples
        assert world.upstream.truth("b", between, 1) == [
            each for each in expected["b"] if between.start_ms <= each[0] < between.end_ms
        ]


@in_virtual_time
async def test_what_gets_no_levels_gets_them_when_it_is_merged_again() -> None:
    """A merge makes so many at the most, and none is begun once many have been made."""
    async with World(interval_ms=MINUTE_MS) as world:
        names = [f"point {n}" for n in range(4)]
        first_ms = EPOCH_MS - 300 * HOUR_MS
        for n in range(MERGED_MIN * MERGED_MIN):
            begin_ms = first_ms + n * 3 * HOUR_MS
            await keep_block(world, names, Range(begin_ms, begin_ms + 3 * HOUR_MS))
            await world.clock.sleep(1000)
        count = MERGED_MIN * 180
        # Of two points, and three; each time nothing else is merged then.
        assert 1 == await merge(world, leveled_samples=2 * count)
        assert 1 == await merge(world, leveled_samples=3 * count + 7)
        span = Range(first_ms, first_ms + 48 * HOUR_MS)
        found = await world.make_app().index.find("site", names, span, level_samples=1)
        assert [2, 3] == [
            sum(each.levels is not None for each in found if each.start_ms == start_ms)
            for start_ms in (span.start_ms, span.start_ms + 24 * HOUR_MS)
        ]
        while await merge(world):
            pass
        [_] = block_keys(world)
        found = await world.make_app().index.find("site", names, span, level_samples=1)
        assert names == sorted(each.point for each in found)
        assert all(each.levels for each in found)
        assert [] == world.reported
