"""
Segments for a benchmark, made by the Worker's own code and written where `stack.mjs` finds them.

Separate because a cache that knows a year takes minutes to fill by requests, and a second this way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.leveling import levels_of, with_levels
from building_vitals.cache.segment_object import SegmentObject, segment_object
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import FRAME_SAMPLES_MIN, Series, SeriesBuilder
from building_vitals.series.levels import Levels
from fakes.upstream_series import GeneratedSeries

DAY_MS = 86_400_000
# Bytes of samples from which on an object is full, as those that compaction makes.
OBJECT_BYTES = 6_291_456
# Early enough that 998 days after it have happened.
START_MS = 1_704_067_200_000


class Shape(NamedTuple):
    """
    What a site's cache is to know.

    Attributes:
        site: Its name.
        points: Their number.
        days: From *start_ms* on.
        interval_ms: Between two samples of a point.
        segment_days: Of each segment; 0 for one of all days.
        series_count: Different series, which the points share in turn; 0: each has its own.
        start_ms: The first instant.
        apart_ms: Between the fetches of two segments of a point, which lie in objects of their own
            then, as a job leaves them; 0: all were fetched at once.
        has_levels: Whether they have levels; a job stores none.
        object_points: Points of one object; 0 for all.
    """

    site: str
    points: int
    days: int
    interval_ms: int
    segment_days: int = 0
    series_count: int = 0
    start_ms: int = START_MS
    apart_ms: int = 0
    has_levels: bool = True
    object_points: int = 0

    @property
    def names(self) -> list[str]:
        """The points' names."""
        return [f"{self.site}/AHU-{n:04d}/Supply Air.Temperature" for n in range(self.points)]

    @property
    def end_ms(self) -> int:
        """Where what is known ends."""
        return self.start_ms + self.days * DAY_MS


def write_seed(folder: Path, shapes: Sequence[Shape], now_ms: int) -> None:
    """Write the objects of all shapes, and the statements that make them known."""
    with (folder / "seed.jsonl").open("w") as lines:
        for shape in shapes:
            for n, made in enumerate(_objects(shape, now_ms)):
                # R2's entity tag of an object that was put in one part.
                object_etag = hashlib.md5(made.data, usedforsecurity=False).hexdigest()
                name = f"{shape.site}-{n}.bin"
                (folder / name).write_bytes(made.data)
                segments = [
                    msgspec.structs.replace(each, object_etag=object_etag) for each in made.segments
                ]
                statements = [
                    {"sql": each.sql, "values": list(each.values)}
                    for each in SegmentIndex.insert_statements(
                        shape.site,
                        segments,
                        [now_ms + 30 * DAY_MS] * len(segments),
                        [made.row()],
                        now_ms=now_ms,
                    )
                ]
                line = {"key": made.key, "file": name, "statements": statements}
                lines.write(f"{json.dumps(line)}\n")


def added_share(shape: Shape) -> float:
    """Return the bytes that levels and rollups add, as a share of those of the samples."""
    with_them = without = 0
    for made in _objects(shape._replace(points=1), 0):
        with_them += len(made.data)
        without += sum(each.stored_bytes for each in made.segments)
    return with_them / without - 1


def _objects(shape: Shape, now_ms: int) -> Iterator[SegmentObject]:
    """Yield objects of some megabytes, each with whole segments of all points, or of some."""
    step_ms = (shape.segment_days or shape.days) * DAY_MS
    many = shape.object_points or shape.points
    together: list[PointSeries] = []
    starts = range(shape.start_ms, shape.end_ms, step_ms)
    for turn, start_ms in enumerate(starts):
        known = Range(start_ms, min(start_ms + step_ms, shape.end_ms))
        fetched_ms = now_ms - shape.apart_ms * (len(starts) - turn)
        names = shape.names[: shape.series_count or shape.points]
        # As a fetch has them: levels are made once of each.
        series = [_leveled(_series(shape, name, known), shape) for name in names]
        for first in range(0, shape.points, many):
            together += [
                PointSeries(name, known, *series[n % len(series)])
                for n, name in enumerate(shape.names[first : first + many], first)
            ]
            size = sum(len(each.series.data) for each in together)
            is_full = size > OBJECT_BYTES or start_ms == starts[-1]
            if is_full or shape.apart_ms or shape.object_points:
                nonce = f"seed-{shape.site}-{start_ms}-{first}"
                yield _object(shape, together, fetched_ms, nonce)
                together = []


def _object(
    shape: Shape, together: list[PointSeries], fetched_ms: int, nonce: str
) -> SegmentObject:
    made = segment_object(shape.site, together, fetched_ms=fetched_ms, nonce=nonce)
    if not shape.has_levels:
        return made
    data, segments = asyncio.run(with_levels(made.data, made.segments, made.levels))
    return msgspec.structs.replace(made, data=data, segments=segments)


def _leveled(series: Series, shape: Shape) -> tuple[Series, bool, Levels | None]:
    """Return a series, that it came of pages, and its levels."""
    levels = asyncio.run(levels_of(series.frames, series.data)) if shape.has_levels else None
    return series, False, levels


def _series(shape: Shape, name: str, known: Range) -> Series:
    """Return a point's series, with frames of as many days as the Worker gives them."""
    builder, generated = SeriesBuilder(), GeneratedSeries(name, shape.interval_ms, 2)
    step_ms = -(-FRAME_SAMPLES_MIN * shape.interval_ms // DAY_MS) * DAY_MS
    for start_ms in range(known.start_ms, known.end_ms, step_ms):
        times = range(start_ms, min(start_ms + step_ms, known.end_ms), shape.interval_ms)
        values = generated.texts(start_ms // shape.interval_ms, len(times))
        text = ",".join(
            [f"[{ms},{value[1:-1]}]" for ms, value in zip(times, values, strict=True) if value]
        )
        builder.add_text(times[0], times[-1], len(times), text.encode())
    return builder.build()
