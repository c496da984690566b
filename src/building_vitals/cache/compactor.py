"""
Joins segments that lie scattered over many objects, and stores them as one segment per point.

A chart that reloads every minute adds a sliver per minute; without this a read would soon touch a
thousand objects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.joining import join, runs
from building_vitals.cache.need import Need
from building_vitals.cache.segments import Piece, Segment, pieces, verify
from building_vitals.cache.store import Blobs, LostObjects, SegmentStore, segment_object
from building_vitals.errors import AppError
from building_vitals.ports import Invocation
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import Frame

# Objects that one answer may be read from before its segments are joined.
OBJECTS_MAX = 8
# Stored bytes that are joined at once; what is more stays as it is.
COMPACTED_BYTES_MAX = 8_388_608


class Compactor:
    """Joins the segments that answers are made of."""

    def __init__(
        self,
        *,
        store: SegmentStore,
        index: SegmentIndex,
        freshness: Freshness,
        invocation: Invocation,
    ) -> None:
        self._store = store
        self._index = index
        self._clock = invocation.clock
        self._freshness = freshness
        self._new_id = invocation.new_id
        self._on_fault = invocation.on_fault

    @staticmethod
    def is_due(object_keys: Collection[str]) -> bool:
        """Return whether an answer is made of more objects than it should be."""
        return len(object_keys) > OBJECTS_MAX

    async def compact(self, need: Need) -> None:
        """Join the segments that a request touches; failures are reported and change nothing."""
        try:
            await self._compact(need)
        except LostObjects as lost:
            await self._store.forget_lost(need.site, lost)
        except AppError as error:
            self._on_fault("compaction", error)

    async def _compact(self, need: Need) -> None:
        now_ms = self._clock.now_ms()
        by_point: dict[str, list[Segment]] = {}
        for each in await self._index.find(
            need.site, need.points, need.time_range, directories=True
        ):
            by_point.setdefault(each.point, []).append(each)
        planned = self._plan(by_point, now_ms)
        replaced_pieces = [
            piece
            for run in planned
            for segment, _ in run.parts
            for piece in pieces(segment, segment.range)
        ]
        blobs = await self._store.read(replaced_pieces, {})
        _verify(replaced_pieces, blobs)

        def read(segment: Segment, frame: Frame) -> memoryview:
            return blobs.slice(segment.key, segment.offset + frame.offset, frame.stored_bytes)

        groups: dict[int, list[PointSeries]] = {}
        for run in planned:
            try:
                fold = join(run.point, run.known, run.parts, read)
            except ValueError as error:
                raise LostObjects(sorted({segment.key for segment, _ in run.parts})) from error
            groups.setdefault(run.fetched_ms, []).append(fold)
        made = [
            await self._store.put(
                segment_object(need.site, point_series, fetched_ms=fetched_ms, nonce=self._new_id())
            )
            for fetched_ms, point_series in groups.items()
        ]
        replaced = [segment for run in planned for segment, _ in run.parts]
        replaced += self._superseded(by_point, now_ms)
        if replaced:
            removal = SegmentIndex.remove_statements(need.site, replaced)
            await self._store.commit(made, now_ms=now_ms, before=removal)

    def _superseded(self, by_point: Mapping[str, Sequence[Segment]], now_ms: int) -> list[Segment]:
        """Return the expired segments that are of no use, because fresh ones hold all of theirs."""
        found: list[Segment] = []
        for of_point in by_point.values():
            is_fresh = [self._freshness.is_known(each, now_ms) for each in of_point]
            known = merge(each.range for each in compress(of_point, is_fresh))
            found += [
                each
                for each, fresh in zip(of_point, is_fresh, strict=True)
                if not fresh and not gaps(known, each.range)
            ]
        return found

    def _plan(self, by_point: Mapping[str, Sequence[Segment]], now_ms: int) -> list[_Run]:
        """Return the runs to join, as far as they fit into memory."""
        planned: list[_Run] = []
        size = 0
        for point, of_point in by_point.items():
            for known, fetched_ms, parts in runs(
                of_point, freshness=self._freshness, now_ms=now_ms
            ):
                size += sum(segment.stored_bytes for segment, _ in parts)
                if size > COMPACTED_BYTES_MAX:
                    return planned
                planned.append(_Run(point, known, fetched_ms, parts))
        return planned


def _verify(pieces: Sequence[Piece], blobs: Blobs) -> None:
    """
    Return when all bytes are those that were stored: frames are copied without a look into them.

    Raises:
        LostObjects: they are not.
    """
    spoilt = set()
    for piece in pieces:
        try:
            verify(piece, blobs.piece(piece))
        except ValueError:
            spoilt.add(piece.key)
    if spoilt:
        raise LostObjects(sorted(spoilt))


class _Run(NamedTuple):
    """Segments of one point to be joined."""

    point: str
    known: Range
    fetched_ms: int
    parts: list[tuple[Segment, Range]]
