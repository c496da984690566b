"""Which blocks are merged."""

from __future__ import annotations

import itertools
import random

import pytest

from building_vitals.blocks.merging import (
    BETWEEN_MAX,
    LEVEL_MAX,
    MERGED_MIN,
    BlockPlace,
    due,
    level_of,
    merged_level,
    span_of,
)
from building_vitals.cache.block_rows import BlockRow
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

STEP_MS = 15 * MINUTE_MS
_KEYS = itertools.count()


def block(
    start_ms: int, end_ms: int, fetched_ms: int | None = None, level: int | None = None
) -> BlockPlace:
    """Return a block, fetched at its end unless told otherwise."""
    fetched_ms = end_ms if fetched_ms is None else fetched_ms
    row = BlockRow(f"k{next(_KEYS)}", "e", start_ms, end_ms, fetched_ms, 0, 0, 0, 0)
    level = level_of(Range(start_ms, end_ms)) if level is None else level
    return BlockPlace(row, level, 1000)


def rounds(first: int, count: int) -> list[BlockPlace]:
    """Return blocks of a quarter of an hour each, which overlap a little."""
    return [block(n * STEP_MS - MINUTE_MS, (n + 1) * STEP_MS) for n in range(first, first + count)]


def merged(parts: list[BlockPlace]) -> BlockPlace:
    """Return what some blocks become."""
    span = span_of(parts)
    last_ms = max(each.row.fetched_ms for each in parts)
    return block(span.start_ms, span.end_ms, last_ms, merged_level(parts))


@pytest.mark.parametrize(
    ("duration_ms", "level"),
    [(MINUTE_MS, 0), (2 * HOUR_MS, 1), (DAY_MS, 2), (5 * DAY_MS, 3), (400 * DAY_MS, LEVEL_MAX)],
)
def test_a_block_has_the_level_of_its_length(duration_ms: int, level: int) -> None:
    """What was fetched at once stands beside what was merged to the same length."""
    assert level == level_of(Range(7, 7 + duration_ms))


def test_eight_become_one() -> None:
    """No fewer, and the oldest first."""
    assert [] == due(rounds(0, MERGED_MIN - 1))
    some = rounds(0, MERGED_MIN + 3)
    random.Random(1).shuffle(some)
    chosen = due(some)
    assert sorted(each.row.range for each in some)[:MERGED_MIN] == [
        each.row.range for each in chosen
    ]
    assert 1 == merged_level(chosen)


def test_a_month_of_rounds_lies_in_few_blocks() -> None:
    """Merged as they come, there are at most seven of each level, and all samples are there."""
    held: list[BlockPlace] = []
    for n in range(30 * 96):
        held += rounds(n, 1)
        while chosen := due(held):
            held = [each for each in held if each not in chosen] + [merged(chosen)]
        assert all(
            sum(each.level == level for each in held) < MERGED_MIN for level in range(LEVEL_MAX)
        )
    assert len(held) < 24
    assert (-MINUTE_MS, 30 * DAY_MS) == tuple(span_of(held))


def test_what_was_fetched_in_between_joins() -> None:
    """Or what becomes one would hide it, though it is older there."""
    some = rounds(0, MERGED_MIN)
    later = block(0, 5 * DAY_MS, some[-1].row.fetched_ms + 1)
    before = block(-DAY_MS, 5 * DAY_MS, some[0].row.fetched_ms - 1)
    between = block(0, STEP_MS, some[3].row.fetched_ms)
    apart = block(20 * DAY_MS, 21 * DAY_MS, some[3].row.fetched_ms)
    # Fetched in between, too, and overlapped by what joins alone.
    along = block(-DAY_MS, 1, some[4].row.fetched_ms)
    between_wide = block(-STEP_MS, STEP_MS, some[3].row.fetched_ms, level=1)
    assert [*some] == due([*some, later, before, apart])
    chosen = due([*some, later, before, apart, between_wide, along])
    assert {each.row.key for each in [*some, between_wide, along]} == {
        each.row.key for each in chosen
    }
    assert between.row.key in {each.row.key for each in due([*some, between])}


def test_blocks_with_a_long_time_between_them_stay_apart() -> None:
    """What was followed a year ago is not merged with what is followed now."""
    assert [] == due([*rounds(0, 4), *rounds(40_000, 4)])
    chosen = due([*rounds(0, 4), *rounds(40_000, MERGED_MIN)])
    assert 40_000 * STEP_MS - MINUTE_MS == span_of(chosen).start_ms


def test_the_largest_are_left_as_they_are() -> None:
    """Blocks of 40 days are merged no further."""
    assert [] == due([block(n * 40 * DAY_MS, (n + 1) * 40 * DAY_MS) for n in range(20)])


def test_what_each_chunk_of_a_job_leaves_is_not_left_behind() -> None:
    """A part of three hours and one of an hour, by turns, over two months, lie in few blocks."""
    held: list[BlockPlace] = []
    at_ms = 0
    for _ in range(360):
        for length_ms in (170 * MINUTE_MS, 70 * MINUTE_MS):
            held.append(block(at_ms, at_ms + length_ms, 10**12 + at_ms))
            at_ms += length_ms
    merges = 0
    while chosen := due(held):
        assert len(chosen) <= MERGED_MIN + BETWEEN_MAX
        held = [each for each in held if each not in chosen] + [merged(chosen)]
        merges += 1
    # At most seven of each level, but for the ends of groups.
    assert len(held) <= 30
    assert merges < 120


def test_smaller_blocks_do_not_hold_back_the_level_of_what_is_made() -> None:
    """Eight of a level become the next, whatever joins them."""
    chosen = [block(n * HOUR_MS, (n + 1) * HOUR_MS, level=1) for n in range(MERGED_MIN)]
    assert 2 == merged_level([*chosen, block(0, 1, level=0)])
    assert 3 == merged_level([*chosen, block(0, 1, level=3)])
    assert 1 == merged_level([block(0, 1, level=0), block(0, 1, level=1)])
