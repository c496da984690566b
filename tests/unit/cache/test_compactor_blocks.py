"""Charts of blocks: read from many places the first time, from one the second."""

from __future__ import annotations

from building_vitals.cache.lease import FETCH_MS_MAX
from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from fakes.blocks import block_keys, keep_block
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days

STEP_MS = 15 * MINUTE_MS
BEGIN_MS = EPOCH_MS - 200 * HOUR_MS
NAMES = [f"point {n}" for n in range(30)]
SOME = ["point 3", "point 11", "silent"]


async def keep_rounds(world: World, count: int, begin: int = 0) -> Range:
    """Store rounds of all points that overlap a little, a second apart; return their range."""
    world.upstream.silent = {"silent"}
    for n in range(begin, begin + count):
        first_ms = BEGIN_MS + n * STEP_MS
        known = Range(first_ms - (MINUTE_MS if n > begin else 0), first_ms + STEP_MS)
        await keep_block(world, [*NAMES, "silent"], known)
        await world.clock.sleep(1000)
    # No fetch that began before the last of them is under way any longer.
    await world.clock.sleep(FETCH_MS_MAX)
    return Range(BEGIN_MS + begin * STEP_MS, BEGIN_MS + (begin + count) * STEP_MS)


async def ask_anew(world: World, points: list[str], time_range: Range) -> tuple[int, int]:
    """Ask an isolate that remembers nothing; return the reads and the requests that it took."""
    world.app = world.make_app()
    world.service, world.compactor = world.app.timeseries, world.app.compactor
    gets, requests = world.objects.failures.calls["get"], world.upstream.requests
    got = await world.ask(points, time_range)
    assert world.truth(points, time_range) == got.samples
    reads = world.objects.failures.calls["get"] - gets
    await world.settle()
    return reads, world.upstream.requests - requests


@in_virtual_time
async def test_the_second_chart_reads_one_place() -> None:
    """What a chart read of many blocks lies together afterwards; the blocks stay."""
    async with World(interval_ms=MINUTE_MS) as world:
        asked = await keep_rounds(world, 12)
        keys = block_keys(world)
        # A directory and some series of each.
        assert (24, 0) == await ask_anew(world, SOME, asked)
        assert 1 == world.started["Compactor.compact"]
        assert keys == block_keys(world)
        assert [("point 11", 1), ("point 3", 1), ("silent", 1)] == [
            tuple(row.values())
            for row in world.database.look(
                "SELECT point, count(*) AS n FROM cache_segments GROUP BY 1 ORDER BY 1"
            )
        ]
        assert (1, 0) == await ask_anew(world, SOME, asked)
        assert 1 == world.started["Compactor.compact"]
        # Other points, and a merge, change nothing.
        assert (24, 0) == await ask_anew(world, ["point 5"], asked)
        assert 1 == await world.app.merger.merge_due("site", 9)
        assert 0 == (await ask_anew(world, [*SOME, "point 5"], asked))[1]
        assert [] == world.reported


@in_virtual_time
async def test_few_reads_are_left_as_they_are() -> None:
    """A chart of a few blocks is not copied."""
    async with World(interval_ms=MINUTE_MS) as world:
        asked = await keep_rounds(world, 8)
        await ask_anew(world, SOME, asked)
        assert 0 == world.started["Compactor.compact"]
        assert [] == world.database.look("SELECT * FROM cache_segments")


@in_virtual_time
async def test_a_purge_while_it_is_copied_wins() -> None:
    """What was purged meanwhile of one point is not made known; the other points are."""
    async with World(interval_ms=MINUTE_MS) as world:
        asked = await keep_rounds(world, 12)
        need = world.need(SOME, asked)
        purged = Range(asked.start_ms, asked.start_ms + STEP_MS)

        async def purge(operation: str) -> None:
            if operation == "put":
                world.objects.failures.before = None
                await world.index.purge("site", ["point 3"], purged, now_ms=need.now_ms)

        world.objects.failures.before = purge
        await world.compactor.compact(need)
        assert ["point 11", "silent"] == sorted(
            row["point"] for row in world.database.look("SELECT point FROM cache_segments")
        )
        world.upstream.asked.clear()
        await world.ask(SOME, asked)
        assert [(("point 3",), purged)] == [
            (each.points, each.time_range) for each in world.upstream.asked
        ]


@in_virtual_time
async def test_a_newer_segment_is_not_hidden() -> None:
    """What was fetched between the blocks of a chart stays what the chart shows."""
    async with World(interval_ms=MINUTE_MS) as world:
        await keep_rounds(world, 4)
        world.upstream.changes = [world.clock.now_ms()]
        middle = Range(BEGIN_MS + STEP_MS, BEGIN_MS + 2 * STEP_MS)
        await world.index.purge("site", ["point 3"], middle, now_ms=world.clock.now_ms())
        await world.clock.sleep(1000)
        await world.ask(SOME, middle)
        await world.settle()
        await keep_rounds(world, 10, begin=4)
        asked = Range(BEGIN_MS, BEGIN_MS + 14 * STEP_MS)
        before = (await world.ask(SOME, asked)).samples
        await world.settle()
        assert 1 == world.started["Compactor.compact"]
        await world.clock.sleep(2000)
        assert before == (await world.ask(SOME, asked)).samples
        assert before["point 3"] != world.truth(["point 3"], asked)["point 3"]


@in_virtual_time
async def test_charts_of_blocks_get_levels() -> None:
    """A chart with `max_points` finds its levels the second time, and the same samples."""
    async with World(interval_ms=MINUTE_MS) as world:
        asked = days(8, 5)
        await keep_block(world, NAMES, asked)
        first = await world.ask(SOME[:2], asked, max_points=200)
        await world.settle()
        rows = world.database.look("SELECT point, levels FROM cache_segments ORDER BY 1")
        assert ["point 11", "point 3"] == [row["point"] for row in rows]
        assert all(row["levels"] for row in rows)
        await world.clock.sleep(2000)
        second = await world.ask(SOME[:2], asked, max_points=200)
        assert first.samples == second.samples
        assert all(len(each) <= 200 for each in second.samples.values())
