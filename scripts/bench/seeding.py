"""
Segments for a benchmark, made by the Worker's own code and written where `stack.mjs` finds them.

Separate because a cache that knows a year takes minutes to fill by requests, and a second this way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.leveling import with_levels
from building_vitals.cache.segment_object import segment_object
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import FRAME_SAMPLES_MIN, Series, SeriesBuilder
from fakes.upstream_series import GeneratedSeries

DAY_MS = 86_400_000
# Early enough that 998 days after it have happened.
START_MS = 1_704_067_200_000


class Shape(NamedTuple):
    """
    What a site's cache is to know.

    Attributes:
        site: Its name.
        points: Their number.
        days: From `START_MS` on.
        interval_ms: Between two samples of a point.
    """

    site: str
    points: int
    days: int
    interval_ms: int

    @property
    def names(self) -> list[str]:
        """The points' names."""
        return [f"{self.site}/AHU-{n:04d}/Supply Air.Temperature" for n in range(self.points)]

    @property
    def end_ms(self) -> int:
        """Where what is known ends."""
        return START_MS + self.days * DAY_MS


def write_seed(folder: Path, shapes: Sequence[Shape], now_ms: int) -> None:
    """Write the objects of all shapes, and the statements that make them known."""
    objects, statements = [], []
    for shape in shapes:
        made = segment_object(
            shape.site,
            [
                PointSeries(name, Range(START_MS, shape.end_ms), _series(shape, name))
                for name in shape.names
            ],
            fetched_ms=now_ms,
            nonce=f"seed-{shape.site}",
        )
        data, leveled = asyncio.run(with_levels(made.data, made.segments))
        made = msgspec.structs.replace(made, data=data, segments=leveled)
        # R2's entity tag of an object that was put in one part.
        object_etag = hashlib.md5(made.data, usedforsecurity=False).hexdigest()
        (folder / f"{shape.site}.bin").write_bytes(made.data)
        objects.append({"key": made.key, "file": f"{shape.site}.bin"})
        segments = [
            msgspec.structs.replace(each, object_etag=object_etag) for each in made.segments
        ]
        statements += [
            {"sql": each.sql, "values": list(each.values)}
            for each in SegmentIndex.insert_statements(
                shape.site,
                segments,
                [now_ms + 30 * DAY_MS] * len(segments),
                [made.row()],
                now_ms=now_ms,
            )
        ]
    (folder / "seed.json").write_text(json.dumps({"objects": objects, "statements": statements}))


def added_share(shape: Shape) -> float:
    """Return the bytes that levels add, as a share of those of the samples."""
    name, known = shape.names[0], Range(START_MS, shape.end_ms)
    series = [PointSeries(name, known, _series(shape, name))]
    made = segment_object(shape.site, series, fetched_ms=0, nonce="share")
    data, _ = asyncio.run(with_levels(made.data, made.segments))
    return len(data) / len(made.data) - 1


def _series(shape: Shape, name: str) -> Series:
    """Return a point's series, with frames of as many days as the Worker gives them."""
    builder, generated = SeriesBuilder(), GeneratedSeries(name, shape.interval_ms, 2)
    step_ms = -(-FRAME_SAMPLES_MIN * shape.interval_ms // DAY_MS) * DAY_MS
    for start_ms in range(START_MS, shape.end_ms, step_ms):
        times = range(start_ms, min(start_ms + step_ms, shape.end_ms), shape.interval_ms)
        values = generated.texts(start_ms // shape.interval_ms, len(times))
        text = ",".join(
            [f"[{ms},{value[1:-1]}]" for ms, value in zip(times, values, strict=True) if value]
        )
        builder.add_text(times[0], times[-1], len(times), text.encode())
    return builder.build()
