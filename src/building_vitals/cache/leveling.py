"""
Makes the levels and the rollups of what is about to be stored, behind the answer.

In the object they lie behind the samples, the rollups first and then a width after the other, so
that one read of it has a level of many points.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from building_vitals.cache.segments import LEVELED_BYTES_MIN, Level, Segment
from building_vitals.series.frames import Frame, Series, frame_text
from building_vitals.series.levels import Levels, LevelsBuilder, columns_of
from building_vitals.series.rollups import ROLLUP_MS, RollupBuilder

# Others may go on after so many frames: some 10,000 samples.
FRAMES_AT_ONCE = 16


async def with_levels(
    data: bytes, segments: Sequence[Segment], known: Sequence[Levels | None] = ()
) -> tuple[bytes, list[Segment]]:
    """
    Return the bytes of an object with levels behind them, and the segments that know of them.

    Args:
        data: All series of the object.
        segments: With their directories; those that are small stay as they are.
        known: Levels of each, where there are some already.
    """
    made: dict[int, list[tuple[int, Series]]] = {}
    leveled = list(segments)
    for n, segment in enumerate(segments):
        levels = known[n] if known else None
        if levels is None and segment.stored_bytes > LEVELED_BYTES_MIN:
            end = segment.offset + segment.stored_bytes
            own = memoryview(data)[segment.offset : end]
            levels = await levels_of(segment.frames or (), own)
        if levels is not None:
            noted = tuple(Level.of(width, count=count) for width, count in levels.least.items())
            leveled[n] = msgspec.structs.replace(segment, levels=noted)
            for width_ms, series in levels.kept:
                made.setdefault(width_ms, []).append((n, series))
            if levels.rollup is not None:
                made.setdefault(ROLLUP_MS, []).append((n, levels.rollup))
    parts, offset = [data], len(data)
    for width_ms in sorted(made):
        for n, series in made[width_ms]:
            size = len(series.data)
            level = Level.of(width_ms, offset, size, series.count, series.frames)
            together = sorted([*(leveled[n].levels or ()), level], key=_order)
            leveled[n] = msgspec.structs.replace(leveled[n], levels=tuple(together))
            parts.append(series.data)
            offset += size
    return (b"".join(parts) if made else data), leveled


async def levels_of(frames: Sequence[Frame], data: bytes | memoryview) -> Levels:
    """Return the levels and the rollup of a series; others may go on meanwhile."""
    if not frames:
        return Levels((), {})
    count = sum(frame.count for frame in frames)
    builder = LevelsBuilder(count, frames[-1].last_ms - frames[0].first_ms)
    sums = RollupBuilder()
    for n, frame in enumerate(frames, 1):
        columns = columns_of(
            frame_text(frame, data[frame.offset : frame.offset + frame.stored_bytes])
        )
        builder.add(columns)
        sums.add(columns)
        if n % FRAMES_AT_ONCE == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    return builder.build()._replace(rollup=sums.build())


def _order(level: Level) -> tuple[bool, int]:
    """Return its place: a rollup first, then notes, then what is kept; a look-up goes by that."""
    return level.is_kept and level.width_ms > 0, level.width_ms
