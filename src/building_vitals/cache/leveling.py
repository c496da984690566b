"""
Makes the levels of what is about to be stored, behind the answer.

In the object they lie behind the samples, a width after the other, so that one read of it has a
level of many points.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from building_vitals.cache.segments import Level, Segment
from building_vitals.series.frames import Series, frame_text
from building_vitals.series.levels import LevelsBuilder, LevelSeries, columns_of

# A segment of no more stored bytes is thinned from its samples each time.
LEVELED_BYTES_MIN = 8_192
# Others may go on after so many frames: some 10,000 samples.
FRAMES_AT_ONCE = 16


async def with_levels(data: bytes, segments: Sequence[Segment]) -> tuple[bytes, list[Segment]]:
    """
    Return the bytes of an object with levels behind them, and the segments that know of them.

    Args:
        data: All series of the object.
        segments: With their directories; those that are small stay as they are.
    """
    made: dict[int, list[tuple[int, Series]]] = {}
    leveled = list(segments)
    for n, segment in enumerate(segments):
        if segment.stored_bytes > LEVELED_BYTES_MIN:
            found, noted = await _levels_of(segment, memoryview(data))
            leveled[n] = msgspec.structs.replace(segment, levels=noted)
            for width_ms, series in found:
                made.setdefault(width_ms, []).append((n, series))
    parts, offset = [data], len(data)
    for width_ms in sorted(made):
        for n, series in made[width_ms]:
            size = len(series.data)
            level = Level(width_ms, offset, size, series.count, series.frames)
            each = leveled[n]
            others = [one for one in each.levels or () if one.width_ms != width_ms]
            leveled[n] = msgspec.structs.replace(
                each, levels=tuple(sorted([*others, level], key=_width_of))
            )
            parts.append(series.data)
            offset += size
    return (b"".join(parts) if made else data), leveled


async def _levels_of(
    segment: Segment, data: memoryview
) -> tuple[list[LevelSeries], tuple[Level, ...]]:
    """Return the levels of a segment that are worth keeping, and what is noted of others."""
    frames = segment.frames or ()
    builder = LevelsBuilder(segment.count, frames[-1].last_ms - frames[0].first_ms)
    for n, frame in enumerate(frames, 1):
        start = segment.offset + frame.offset
        builder.add(columns_of(frame_text(frame, data[start : start + frame.stored_bytes])))
        if n % FRAMES_AT_ONCE == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    noted = tuple(Level(width_ms, 0, 0, count, ()) for width_ms, count in builder.least().items())
    return list(builder.build()), noted


def _width_of(level: Level) -> int:
    return level.width_ms
