"""Reading a block from the beginning to the end."""

from __future__ import annotations

import pytest

from builders import samples
from building_vitals.blocks.block import BlockBuilder, Known, LostBlock, place_in_order
from building_vitals.blocks.block_stream import BlockStream
from building_vitals.blocks.directory import segments_of
from building_vitals.blocks.stint_levels import laid_out
from building_vitals.cache.block_rows import BlockRow
from building_vitals.instants import HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.levels import Levels, LevelSeries
from fakes.object_store import FakeObjectStore

KNOWN = Range(0, 1000)
SERIES, LEVEL = samples("10:1 20:2 30:3").series([1, 2]), samples("10:1 30:3").series()
HELD = Known(KNOWN, SERIES, 0, laid_out(Levels((LevelSeries(HOUR_MS, LEVEL),), {})))
NAMES = sorted(("a", "b", "c"), key=place_in_order)


async def stored(objects: FakeObjectStore) -> BlockRow:
    """Store a block of some points that are alike."""
    builder = BlockBuilder([KNOWN])
    for name in NAMES:
        builder.add(name, [HELD])
    place = builder.end()
    info = await objects.put("blocks/k", builder.take(), content_type="x")
    where = place.offset, place.foot_offset, place.foot_bytes, place.foot_crc
    return BlockRow("blocks/k", info.object_etag, *KNOWN, 5, *where)


async def read(objects: FakeObjectStore, row: BlockRow) -> list[tuple[str, bytes]]:
    """Return the bytes of each point, in the order in which they come."""
    stream = BlockStream(objects, row)
    await stream.begin()
    return [
        (entry.point, await stream.series(segment))
        async for entry in stream.entries()
        for segment in segments_of(
            row, stream.foot, entry.point, entry, marks=[], time_range=KNOWN, level_samples=1
        )
    ]


async def test_each_point_comes_with_its_levels() -> None:
    """In the order of the block, by one read of the series, and two of the directory."""
    objects = FakeObjectStore()
    row = await stored(objects)
    assert [(name, SERIES.data + LEVEL.data) for name in NAMES] == await read(objects, row)
    assert 3 == objects.failures.calls["get"]


@pytest.mark.parametrize("at", [0, len(SERIES.data) - 1, len(SERIES.data), -1])
async def test_bytes_that_were_not_stored_are_noticed(at: int) -> None:
    """Those of a series, of a level, and of the foot."""
    objects = FakeObjectStore()
    row = await stored(objects)
    objects.spoil("blocks/k", at)
    with pytest.raises(LostBlock):
        await read(objects, row)


async def test_a_block_that_is_gone_is_lost() -> None:
    """Whoever reads it hears that, at once."""
    objects = FakeObjectStore()
    row = await stored(objects)
    objects.lose("blocks/k")
    with pytest.raises(LostBlock):
        await read(objects, row)
