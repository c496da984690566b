"""The look-up's statement, and what its rows say."""

from __future__ import annotations

from building_vitals.cache.block_rows import BlockRow, Mark
from building_vitals.cache.look_up_table import find_statement, found_in
from building_vitals.ports import Statement
from building_vitals.ranges import Range
from fakes.blocks import block_keys, keep_block
from fakes.virtual_time import in_virtual_time
from fakes.world import World, days

SOME = ["a", "b"]


async def looked_up(world: World, time_range: Range) -> list[dict[str, str]]:
    """Return the rows of a look-up."""
    statement: Statement = find_statement("site", SOME, time_range, known=None, level_samples=0)
    return await world.database.rows(statement.sql, *statement.values)


@in_virtual_time
async def test_blocks_come_with_the_segments() -> None:
    """One statement finds both, with the purges of these points in this range."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 3))
        await world.ask(SOME, days(3, 2))
        await world.settle()
        await world.clock.sleep(1000)
        now_ms = world.clock.now_ms()
        for points in (["a"], ["c"], None):
            await world.index.purge("site", points, days(8, 7), now_ms=now_ms)
        await world.index.purge("site", ["a"], days(1, 0), now_ms=now_ms)
        segments, blocks = found_in(await looked_up(world, days(9, 2)))
        assert [("a", days(3, 2)), ("b", days(3, 2))] == [
            (each.point, each.range) for each in segments
        ]
        assert blocks is not None
        [row] = world.database.look("SELECT * FROM site_blocks")
        assert [
            BlockRow(
                *(block_keys(world)[0], row["object_etag"], *days(10, 3), row["fetched_ms"]),
                *(row["directory_offset"], row["foot_offset"], row["foot_bytes"], row["foot_crc"]),
            )
        ] == blocks.blocks
        assert [Mark("", *days(8, 7), now_ms), Mark("a", *days(8, 7), now_ms)] == blocks.marks


@in_virtual_time
async def test_of_a_site_without_blocks_no_row_tells() -> None:
    """Neither where there are none nor where they lie elsewhere in time, or are gone."""
    async with World() as world:
        assert [] == await looked_up(world, days(10, 3))
        await keep_block(world, SOME, days(10, 3))
        assert ([], None) == found_in(await looked_up(world, days(12, 10)))
        await world.app.blocks.forget("site")
        assert [] == await looked_up(world, days(10, 3))
