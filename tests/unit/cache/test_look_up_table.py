"""The look-up's statement: what it brings along, and what its rows say."""

from __future__ import annotations

import sys

import msgspec

from builders import FRESHNESS, Samples
from building_vitals.cache.block_rows import BlockRow, Mark
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.look_up_table import FEW_ROWS, LONG_DIRECTORY, find_statement, found_in
from building_vitals.cache.segments import Level, Segment, segment_of
from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.ports import Statement
from building_vitals.ranges import Range
from fakes.blocks import block_keys, keep_block
from fakes.database import FakeDatabase
from fakes.virtual_time import in_virtual_time
from fakes.world import World, days

FRAMES, FRAME_SAMPLES = 500, 3
FETCHED_MS = 20_000 * DAY_MS
MADE = Samples(
    (FETCHED_MS - n * MINUTE_MS, "1.5") for n in reversed(range(1, FRAMES * FRAME_SAMPLES + 1))
)
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


async def test_few_frames_travel_of_a_long_directory() -> None:
    """However long it is: those beside the cuts, the first and the last; for levels it is whole."""
    series = MADE.series([FRAME_SAMPLES] * FRAMES)
    known = Range(MADE[0][0], FETCHED_MS)
    made = segment_of("a", known, series, fetched_ms=FETCHED_MS, key="k", offset=0)
    assert len(msgspec.json.encode(made.frames)) > 2 * LONG_DIRECTORY
    database = FakeDatabase()
    index = SegmentIndex(database)
    await database.batch(
        index.insert_statements("site", [made], [FETCHED_MS + DAY_MS], [], now_ms=FETCHED_MS)
    )
    cut = Range((known.start_ms + known.end_ms) // 2, known.end_ms)
    rule = FRESHNESS, FETCHED_MS + DAY_MS // 24
    [found] = await index.find("site", ["a"], cut, rule)
    assert len(found.frames or ()) <= 8
    assert not found.has_directory
    for whole in (
        await index.find("site", ["a"], cut, rule, level_samples=1_000),
        await index.find("site", ["a"], cut),
    ):
        assert [made.frames] == [each.frames for each in whole]
        assert whole[0].has_directory
    database.connection.close()


def segment_of_samples(point: str = "p") -> Segment:
    """Return a segment with frames."""
    return segment_of(
        point,
        Range(0, FETCHED_MS),
        MADE.series([FRAME_SAMPLES] * FRAMES),
        fetched_ms=FETCHED_MS,
        key="k",
        offset=0,
    )


def test_segments_of_many_rows_hold_little() -> None:
    """They share what is the same, and none keeps the text that it came in."""
    levels = (Level.of(DAY_MS, 7, 9, 2, segment_of_samples().frames), Level.of(7 * DAY_MS))
    made = [
        msgspec.structs.replace(segment_of_samples(f"p{n}"), levels=levels, frames=None)
        for n in range(FEW_ROWS + 1)
    ]
    texts = [msgspec.json.encode([each, each]).decode() for each in made]
    held = [sys.getrefcount(each) for each in texts]
    rows = [{"segments": each} for each in texts]
    found, _ = found_in(rows)
    assert [] == rows
    assert [each for each in made for _ in range(2)] == found
    assert {levels[0].frames} == {each.levels[0].frames for each in found if each.levels}
    assert 1 == len({id(each.key) for each in found})
    assert len(made) == len({id(each.point) for each in found})
    assert held == [sys.getrefcount(each) for each in texts]
