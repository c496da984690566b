"""Which blocks are merged, whoever has stored them: rounds, backfills, jobs, over one another."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from building_vitals.blocks.merging import (
    MERGED_MIN,
    BlockPlace,
    due,
    level_of,
    merged_level,
    span_of,
)
from building_vitals.cache.block_rows import BlockRow
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range

STEP_MS = HOUR_MS
DAYS = 100
SLOTS = DAYS * DAY_MS // STEP_MS

lengths = st.sampled_from([1, 1, 1, 3, 10, 24, 7 * 24, 60 * 24])


class Stored(NamedTuple):
    """A block: its place, and of each slot of time which fetch it has."""

    place: BlockPlace
    fetches: dict[int, int]


def begin(number: int, first: int, length: int) -> Stored:
    """Return a block of a fetch."""
    known = Range(first * STEP_MS, min(first + length, SLOTS) * STEP_MS)
    row = BlockRow(f"k{number}", "e", *known, number, 0, 0, 0, 0)
    slots = range(first, known.end_ms // STEP_MS)
    return Stored(BlockPlace(row, level_of(known), 1), dict.fromkeys(slots, number))


def shown(blocks: list[Stored]) -> dict[int, int]:
    """Return which fetch a chart shows of each slot: that of the block that was fetched last."""
    found: dict[int, int] = {}
    for each in sorted(blocks, key=lambda one: one.place.row.fetched_ms):
        found |= each.fetches
    return found


def joined(parts: list[Stored], number: int) -> Stored:
    """Return what some blocks become."""
    places = [each.place for each in parts]
    latest_ms = max(each.row.fetched_ms for each in places)
    row = BlockRow(f"m{number}", "e", *span_of(places), latest_ms, 0, 0, 0, 0)
    return Stored(BlockPlace(row, merged_level(places), 1), shown(parts))


# A job over what rounds have read, and is read by rounds afterwards.
ROUNDS = [(n, 1) for n in range(70)]
OVER_EACH_OTHER = [*ROUNDS, (3, 60 * 24), *ROUNDS[5:], (1, 24), (500, 24), *ROUNDS]


@settings(deadline=None, max_examples=60)
@example(OVER_EACH_OTHER)
@given(st.lists(st.tuples(st.integers(0, SLOTS - 1), lengths), min_size=1, max_size=120))
def test_merging_ends_and_changes_nothing(stored: list[tuple[int, int]]) -> None:
    """After each block is stored, merging leaves fewer blocks that show what came last."""
    blocks: list[Stored] = []
    truth: dict[int, int] = {}
    numbers = count()
    for number, (first, length) in enumerate(stored, 1):
        made = begin(number, first, length)
        truth |= made.fetches
        own = made.place.row.range
        blocks = [each for each in blocks if each.place.row.range.clip(own) != each.place.row.range]
        blocks.append(made)
        while parts := due([each.place for each in blocks]):
            keys = {each.row.key for each in parts}
            assert MERGED_MIN <= len(keys) == len(parts)
            chosen = [each for each in blocks if each.place.row.key in keys]
            blocks = [each for each in blocks if each.place.row.key not in keys]
            blocks.append(joined(chosen, next(numbers)))
            assert truth == shown(blocks)
        assert truth == shown(blocks)
