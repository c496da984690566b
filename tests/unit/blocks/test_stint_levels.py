"""Levels as they lie in a block, and as segments have them."""

from __future__ import annotations

from builders import samples
from building_vitals.blocks.block import LevelBytes
from building_vitals.blocks.stint_levels import carried, laid_out, levels_at
from building_vitals.cache.segments import Level
from building_vitals.instants import HOUR_MS
from building_vitals.series.levels import Levels, LevelSeries
from building_vitals.series.rollups import ROLLUP_MS

FINE, WIDE = samples("10:1 20:2 30:3").series(), samples("10:1").series()
SUMS = samples("0:7").series()
LEVELS = Levels(
    (LevelSeries(HOUR_MS, FINE), LevelSeries(4 * HOUR_MS, WIDE)), {900_000: 9, 1: 8}, SUMS
)
LAID = laid_out(LEVELS)


def test_levels_lie_behind_each_other_the_rollup_first() -> None:
    """Then the notes of those that are not kept, which take no bytes, then those that are."""
    assert SUMS.data + FINE.data + WIDE.data == LAID.data
    assert [
        (ROLLUP_MS, len(SUMS.data), 1, SUMS.frames),
        (1, 0, 8, ()),
        (900_000, 0, 9, ()),
        (HOUR_MS, len(FINE.data), 3, FINE.frames),
        (4 * HOUR_MS, len(WIDE.data), 1, WIDE.frames),
    ] == [(each.width_ms, each.stored_bytes, each.count, each.frames) for each in LAID.levels]


def test_segments_have_them_where_they_lie() -> None:
    """Each with its place in the block; a note has none."""
    found = levels_at(100, LAID.levels, 1)
    assert found is not None
    at = 100 + len(SUMS.data)
    assert [
        Level.of(ROLLUP_MS, 100, len(SUMS.data), 1, SUMS.frames),
        Level.of(1, count=8),
        Level.of(900_000, count=9),
        Level.of(HOUR_MS, at, len(FINE.data), 3, FINE.frames),
        Level.of(4 * HOUR_MS, at + len(FINE.data), len(WIDE.data), 1, WIDE.frames),
    ] == list(found)


def test_what_is_not_asked_for_stays_away() -> None:
    """No levels, or rollups alone; of a series without any, none."""
    assert levels_at(0, LAID.levels, 0) is None
    assert levels_at(0, None, 1) is None
    rollups = levels_at(100, LAID.levels, -1)
    assert rollups is not None
    assert [(ROLLUP_MS, 100)] == [(each.width_ms, each.offset) for each in rollups]
    assert () == levels_at(0, laid_out(Levels((), {})).levels, -1)


def test_they_are_carried_as_they_are() -> None:
    """From one block into another, by what a segment has of them."""
    found = levels_at(33, LAID.levels, 1)
    assert carried(found, LAID.data) == LAID
    assert carried(None, b"") is None
    assert carried((), b"") == LevelBytes((), b"")
