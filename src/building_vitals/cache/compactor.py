"""
Brings segments together that lie scattered over many objects: in one object, and joined where
they follow each other.

A chart that reloads every minute adds a sliver per minute; without this a read would soon touch a
thousand objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from building_vitals.cache.coverage import Cover, superseded
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.joining import is_small, join, runs
from building_vitals.cache.need import Need
from building_vitals.cache.segments import Segment, pieces
from building_vitals.cache.store import LostObjects, SegmentStore, segment_object
from building_vitals.errors import AppError
from building_vitals.ports import Invocation
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import Frame

# Objects that one answer may be read from before its segments are brought together.
OBJECTS_MAX = 8
# Objects that must become one: fewer are not worth the writing.
GATHERED_MIN = 3
# Stored bytes that are brought together at once; what is more stays as it is.
COMPACTED_BYTES_MAX = 8_388_608


def gathered(segments: Iterable[Segment]) -> frozenset[str]:
    """
    Return the objects whose segments are worth bringing together in one.

    The smallest come first, so that what was brought together before is not written again for each
    sliver that is added. None where they would be too few.
    """
    sizes: dict[str, int] = {}
    for each in segments:
        if each.count and is_small(each):
            sizes[each.key] = sizes.get(each.key, 0) + each.stored_bytes
    found: list[str] = []
    size = 0
    for key in sorted(sizes, key=lambda key: (sizes[key], key)):
        size += sizes[key]
        if size > COMPACTED_BYTES_MAX:
            break
        found.append(key)
    return frozenset(found if len(found) >= GATHERED_MIN else ())


class Compactor:
    """Brings the segments together that answers are made of."""

    def __init__(
        self,
        *,
        store: SegmentStore,
        index: SegmentIndex,
        freshness_of: Callable[[str], Freshness],
        invocation: Invocation,
    ) -> None:
        self._store = store
        self._index = index
        self._clock = invocation.clock
        self._freshness_of = freshness_of
        self._new_id = invocation.new_id
        self._on_fault = invocation.on_fault

    @staticmethod
    def is_due(covers: Sequence[Cover]) -> bool:
        """Return whether an answer is made of more objects than it should be, and need be."""
        segments = [segment for each in covers for segment, _ in each.known]
        objects = {each.key for each in segments if each.count}
        return len(objects) > OBJECTS_MAX and bool(gathered(segments))

    async def compact(self, need: Need) -> None:
        """Bring a request's segments together; failures are reported and change nothing."""
        try:
            await self._compact(need)
        except LostObjects:
            # The store has told of them, and the next asking fetches.
            return
        except AppError as error:
            self._on_fault("compaction", error)

    async def _compact(self, need: Need) -> None:
        now_ms = self._clock.now_ms()
        by_point: dict[str, list[Segment]] = {}
        for each in await self._index.find(need.site, need.points, need.time_range):
            by_point.setdefault(each.point, []).append(each)
        useless = [
            each
            for of_point in by_point.values()
            for is_by_point in (False, True)
            for each in superseded([one for one in of_point if one.is_by_point == is_by_point])
        ]
        if useless:
            await self._index.remove(need.site, useless)
        planned = self._plan(by_point, self._freshness_of(need.site), now_ms)
        if not planned:
            return
        joined = await self._join(planned)
        made = await self._store.put(
            segment_object(
                need.site,
                joined,
                fetched_ms=[run.fetched_ms for run in planned],
                nonce=self._new_id(),
            )
        )
        parts = [[segment for segment, _ in run.parts] for run in planned]
        await self._store.move(made, parts, now_ms=now_ms)

    async def _join(self, planned: Sequence[_Run]) -> list[PointSeries]:
        """Return the series of each run."""
        read_pieces = [
            piece
            for run in planned
            for segment, _ in run.parts
            for piece in pieces(segment, segment.range)
        ]
        # Frames are copied without a look into them.
        blobs = await self._store.read(read_pieces, {}, is_verified=True)

        def read(segment: Segment, frame: Frame) -> memoryview:
            return blobs.slice(segment.key, segment.offset + frame.offset, frame.stored_bytes)

        joined: list[PointSeries] = []
        for run in planned:
            try:
                joined.append(join(run.point, run.known, run.parts, read))
            except ValueError as error:
                keys = {segment.key for segment, _ in run.parts if segment.key}
                raise await self._store.lost(keys) from error
        return joined

    @staticmethod
    def _plan(
        by_point: Mapping[str, Sequence[Segment]], freshness: Freshness, now_ms: int
    ) -> list[_Run]:
        """Return what is to be brought together, by point; as much as fits into memory."""
        known = {
            point: [each for each in of_point if freshness.is_known(each, now_ms)]
            for point, of_point in by_point.items()
        }
        keys = gathered(each for of_point in known.values() for each in of_point)
        # Where nothing is gathered, rows that tell of no samples are left alone too.
        if not keys:
            return []
        return [
            _Run(point, *run)
            for point, of_point in known.items()
            for run in runs([each for each in of_point if not each.count or each.key in keys])
        ]


class _Run(NamedTuple):
    """Segments of one point that become one."""

    point: str
    known: Range
    fetched_ms: int
    parts: list[tuple[Segment, Range]]
