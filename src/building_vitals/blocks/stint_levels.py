"""
The levels of a block's series: as they lie behind it, and as segments have them.

Each lies behind its own series, not beside those of other points, so that blocks are merged by
reading them from the beginning to the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from building_vitals.blocks.block import LevelBytes, StintLevel
from building_vitals.cache.segments import Level
from building_vitals.series.levels import Levels
from building_vitals.series.rollups import ROLLUP_MS


def laid_out(levels: Levels) -> LevelBytes:
    """Return levels that have been made as they lie in a block."""
    made = [] if levels.rollup is None else [(ROLLUP_MS, levels.rollup)]
    kept = [(width_ms, series) for width_ms, series in levels.kept if series.count]
    noted = [StintLevel(width, 0, count, ()) for width, count in sorted(levels.least.items())]
    first, rest = (
        [StintLevel(width, len(each.data), each.count, each.frames) for width, each in part]
        for part in (made, kept)
    )
    data = b"".join(series.data for _, series in (*made, *kept))
    return LevelBytes((*first, *noted, *rest), data)


def levels_at(
    offset: int, levels: Sequence[StintLevel] | None, level_samples: int
) -> tuple[Level, ...] | None:
    """
    Return levels as a segment has them.

    Args:
        offset: Where they begin in their block, bytes.
        levels: As they lie there.
        level_samples: As for `SegmentIndex.find`: 0 for none, below 0 for rollups alone.
    """
    if not level_samples or levels is None:
        return None
    return tuple(
        Level.of(each.width_ms, begin if each.stored_bytes else 0, *_sizes(each), each.frames)
        for each, begin in _placed(offset, levels)
        if level_samples > 0 or each.width_ms < 0
    )


def _sizes(level: StintLevel | Level) -> tuple[int, int]:
    return level.stored_bytes, level.count


def _placed(offset: int, levels: Iterable[StintLevel]) -> Iterator[tuple[StintLevel, int]]:
    """Yield levels with where each begins."""
    for each in levels:
        yield each, offset
        offset += each.stored_bytes


def carried(levels: Sequence[Level] | None, data: bytes) -> LevelBytes | None:
    """Return the levels of a segment as they lie in its block; *data* are the bytes of them all."""
    if levels is None:
        return None
    held = (StintLevel(each.width_ms, *_sizes(each), each.frames or ()) for each in levels)
    return LevelBytes(tuple(held), data)
