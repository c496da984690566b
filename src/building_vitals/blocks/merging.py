"""
Which blocks are merged: eight neighbours of a level become one of the next, as log-structured
stores do.

So each sample is written again four times at the most, and a range of any length lies in few
blocks. A round of 15 minutes becomes part of one of 2 hours, 16 hours, 5 and 40 days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from building_vitals.cache.block_rows import BlockRow
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range

MERGED_MIN = 8
# Smaller blocks between those that are merged join them, so many at the most.
BETWEEN_MAX = 12
# How long what counts as of a level is at least; what is longer than the last is left as it is.
LEVEL_SPANS_MS = (0, 2 * HOUR_MS, 16 * HOUR_MS, 5 * DAY_MS, 40 * DAY_MS)
LEVEL_MAX = len(LEVEL_SPANS_MS) - 1


class BlockPlace(msgspec.Struct, frozen=True):
    """A block with its level and the bytes of its object."""

    row: BlockRow
    level: int
    stored_bytes: int


def level_of(time_range: Range) -> int:
    """Return the level of a block that is not merged of others."""
    return max(
        level for level, span_ms in enumerate(LEVEL_SPANS_MS) if time_range.duration_ms >= span_ms
    )


def merged_level(parts: Sequence[BlockPlace]) -> int:
    """Return the level of what some blocks become."""
    counts = Counter(each.level for each in parts)
    chosen = [level for level, count in counts.items() if count >= MERGED_MIN]
    above = 1 + max(chosen, default=min(counts))
    widest = max(each.level for each in parts)
    return min(LEVEL_MAX, max(above, widest, level_of(span_of(parts))))


def span_of(parts: Iterable[BlockPlace]) -> Range:
    """Return from where the first of some blocks begins to where the last one ends."""
    ranges = [each.row.range for each in parts]
    return Range(min(each.start_ms for each in ranges), max(each.end_ms for each in ranges))


def due(blocks: Sequence[BlockPlace]) -> list[BlockPlace]:
    """
    Return blocks of a site that are to become one, none where there are too few.

    The smallest level comes first, and of it the oldest data. Smaller blocks that lie between them
    join them. What becomes one counts as fetched when the last of it was; so a block that was
    fetched in between and overlaps it joins it, or an answer would go back in time there.
    """
    for level in range(LEVEL_MAX):
        of_level = sorted(
            (each for each in blocks if each.level == level), key=lambda each: each.row.range
        )
        for group in _neighbours(of_level, level):
            if len(group) >= MERGED_MIN:
                chosen = group[:MERGED_MIN]
                return _closed([*chosen, *_between(chosen, blocks)], blocks)
    return []


def _neighbours(ordered: Sequence[BlockPlace], level: int) -> list[list[BlockPlace]]:
    """Return groups of blocks of a level; a long time without any lies between two groups."""
    groups: list[list[BlockPlace]] = []
    for each in ordered:
        start_ms = each.row.start_ms
        if groups and start_ms - span_of(groups[-1]).end_ms <= LEVEL_SPANS_MS[level + 1]:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _between(chosen: Sequence[BlockPlace], blocks: Sequence[BlockPlace]) -> list[BlockPlace]:
    """
    Return smaller blocks that lie within the span of the chosen ones, some at the most.

    Such as each chunk of a job leaves: they lie too far apart to be merged with one another.
    """
    span, level = span_of(chosen), chosen[0].level
    found = [
        each
        for each in blocks
        if each.level < level and each.row.range.clip(span) == each.row.range
    ]
    return found[:BETWEEN_MAX]


def _closed(chosen: Sequence[BlockPlace], blocks: Sequence[BlockPlace]) -> list[BlockPlace]:
    """Return the chosen blocks with those that overlap them and were fetched in between."""
    found = list(chosen)
    keys = {each.row.key for each in found}
    while True:
        last_ms = max(each.row.fetched_ms for each in found)
        more = [
            each
            for each in blocks
            if each.row.key not in keys
            and any(
                each.row.range.clip(one.row.range) and one.row.fetched_ms <= each.row.fetched_ms
                for one in found
            )
            and each.row.fetched_ms <= last_ms
        ]
        if not more:
            return found
        found += more
        keys |= {each.row.key for each in more}
