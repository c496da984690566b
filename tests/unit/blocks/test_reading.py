"""Answers from blocks: what a round brought of all points answers any of them."""

from __future__ import annotations

from building_vitals.blocks.memory import DirectoryMemory
from building_vitals.blocks.reading import BlockReader
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range
from fakes.blocks import block_keys, keep_block
from fakes.failures import Fault
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days

NAMES = [f"point {n}" for n in range(200)]
SOME = ["point 3", "point 77", "point 150"]


@in_virtual_time
async def test_a_block_answers_for_every_point() -> None:
    """Any points and any part of its range are a hit, and the upstream is not asked."""
    async with World() as world:
        await keep_block(world, NAMES, days(10, 3))
        before = world.upstream.requests
        for asked in (days(10, 3), days(8, 5.01), days(4, 3.5)):
            got = await world.ask(SOME, asked)
            assert "hit" == got.report.status
            assert world.truth(SOME, asked) == got.samples
        assert before == world.upstream.requests
        assert [] == world.reported


@in_virtual_time
async def test_a_point_without_an_entry_is_known_to_be_empty() -> None:
    """A point that had no samples, or that nobody knew, is answered without a request."""
    async with World() as world:
        world.upstream.silent = {"silent"}
        await keep_block(world, [*SOME, "silent"], days(10, 3))
        before = world.upstream.requests
        got = await world.ask(["silent", SOME[0], "never named"], days(10, 3))
        assert "hit" == got.report.status
        assert ([], []) == (got.samples["silent"], got.samples["never named"])
        assert world.truth([SOME[0]], days(10, 3))[SOME[0]] == got.samples[SOME[0]]
        assert before == world.upstream.requests


@in_virtual_time
async def test_the_rest_is_fetched() -> None:
    """Beside a block there are gaps as beside any segment."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 5))
        world.upstream.asked.clear()
        got = await world.ask(SOME, days(12, 3))
        assert world.truth(SOME, days(12, 3)) == got.samples
        assert {days(12, 10), days(5, 3)} == {each.time_range for each in world.upstream.asked}


@in_virtual_time
async def test_the_newest_fetch_wins() -> None:
    """Of a block and a segment, and of two blocks, each instant is that of the one fetched last."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 4))
        world.upstream.changes = [world.clock.now_ms()]
        await world.clock.sleep(1000)
        await keep_block(world, SOME, days(8, 6))
        got = await world.ask(SOME, days(10, 4))
        new = world.truth(SOME, days(8, 6), 1)
        for point in SOME:
            old = world.upstream.truth(point, days(10, 8)), world.upstream.truth(point, days(6, 4))
            assert [*old[0], *new[point], *old[1]] == got.samples[point]


@in_virtual_time
async def test_trust_is_that_of_segments() -> None:
    """What a block knows is trusted as long as a segment of the same fetch would be."""
    async with World() as world:
        young = Range(EPOCH_MS - HOUR_MS, EPOCH_MS)
        await keep_block(world, SOME, young)
        await world.clock.sleep(DAY_MS)
        world.upstream.asked.clear()
        await world.ask(SOME, young)
        assert [young] == [each.time_range for each in world.upstream.asked]


@in_virtual_time
async def test_a_site_without_blocks_reads_none() -> None:
    """Nothing is asked of the bucket, nor more of the database, where there is no block."""
    async with World() as world:
        await world.ask(SOME, days(10, 3))
        await world.settle()
        began = dict(world.database.failures.calls)
        await world.filler.look_up(world.need(SOME, days(9, 4)))
        assert {"rows": 1 + began.pop("rows"), **began} == world.database.failures.calls
        assert {"put": 1} == world.objects.failures.calls


@in_virtual_time
async def test_what_segments_hold_is_not_looked_up() -> None:
    """A block that has nothing to say beside newer segments is not opened."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 5))
        await world.clock.sleep(1000)
        await world.ask(SOME, days(12, 3))
        # Another isolate, which remembers nothing: all comes from the segments it finds.
        other = world.make_app()
        need = world.need(SOME, days(5, 3))
        assert 3 == len(await other.filler.look_up(need))
        assert 0 == other.isolate.directories.size
        assert 6 < len(await other.filler.look_up(world.need(SOME, days(12, 3))))
        assert 0 < other.isolate.directories.size


@in_virtual_time
async def test_large_directories_are_read_by_bisection() -> None:
    """Foot and leaves are read, each once, and nothing else of the directory."""
    async with World() as world:
        names = [f"{n * 7919:032x}" for n in range(1_000)]
        week = days(3.1, 3)
        await keep_block(world, names, days(3.1, 3))
        [key] = block_keys(world)
        [row] = world.database.look("SELECT * FROM site_blocks")
        memory = DirectoryMemory()
        reader = BlockReader(
            objects=world.objects, memory=memory, lost=world.store.lost, whole_bytes=1000
        )
        index = SegmentIndex(world.database, more=lambda: reader)
        asked = [names[7], names[9]]
        before = world.objects.bytes_read
        found = await index.find("site", asked, week)
        read = world.objects.bytes_read - before
        assert ({*asked}, {key}) == ({each.point for each in found}, {each.key for each in found})
        assert memory.size <= read < (row["stored_bytes"] - row["directory_offset"]) / 2
        assert found == await index.find("site", asked, week)
        assert before + read == world.objects.bytes_read


@in_virtual_time
async def test_a_lost_block_is_a_gap() -> None:
    """A block that is gone, another one, or spoilt anywhere is forgotten; all is fetched again."""
    for spoil in ("lose", "directory", "foot", "series"):
        async with World() as world:
            await keep_block(world, SOME, days(10, 3))
            [key] = block_keys(world)
            [row] = world.database.look("SELECT * FROM site_blocks")
            if spoil == "lose":
                world.objects.lose(key)
            else:
                place = {"directory": row["directory_offset"], "foot": -1, "series": 5}[spoil]
                world.objects.spoil(key, place)
            got = await world.ask(SOME, days(10, 3), gzip=False)
            assert world.truth(SOME, days(10, 3)) == got.samples, spoil
            await world.settle()
            assert [] == block_keys(world)
            got = await world.ask(SOME, days(10, 3))
            assert "hit" == got.report.status


@in_virtual_time
async def test_a_bucket_that_is_down_is_told() -> None:
    """No block passes for lost because the bucket can't be reached."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 3))
        world.objects.failures.next("get", fault=Fault.REFUSED)
        try:
            await world.make_app().filler.look_up(world.need(SOME, days(10, 3)))
        except Unavailable:
            pass
        else:
            raise AssertionError("the bucket was not asked")
        assert 1 == len(block_keys(world))


@in_virtual_time
async def test_frames_are_left_out_where_all_is_taken() -> None:
    """A segment that is taken whole comes without its directory when that is not asked for."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 3))
        known: tuple[Freshness, int] = (world.freshness, world.clock.now_ms())
        whole = await world.index.find("site", SOME, days(11, 2), known)
        assert [None] * 3 == [each.frames for each in whole]
        for asked, rule in ((days(11, 2), None), (days(9, 2), known)):
            found = await world.index.find("site", SOME, asked, rule)
            assert all(each.frames for each in found)
