"""
Stores blocks: the object first, its row after.

A crash in between leaves an object that nobody knows of, which the clean-up removes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from building_vitals.blocks.block import (
    VERSION,
    BlockBuilder,
    DirectoryPlace,
    Entry,
    Foot,
    Known,
    place_in_order,
)
from building_vitals.blocks.blocks_table import Blocks, StoredBlock
from building_vitals.blocks.directory import segments_of
from building_vitals.blocks.merging import level_of
from building_vitals.cache.block_rows import BlockRow, cut_out
from building_vitals.cache.object_keys import block_object_key
from building_vitals.cache.segments import BlockSegment
from building_vitals.instants import format_instant
from building_vitals.ports import Database, Invocation, ObjectInfo, ObjectStore
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.folding import PointSeries

CONTENT_TYPE = "application/vnd.building-vitals.block"
# A block of more bytes is put as a stream.
PUT_BYTES_MAX = 8_388_608
CHUNK_BYTES = 1_048_576


class BlockStore:
    """Stores what is known of all points of a site."""

    def __init__(self, *, objects: ObjectStore, database: Database, invocation: Invocation) -> None:
        self._objects = objects
        self._blocks = Blocks(database)
        self._clock = invocation.clock
        self._new_id = invocation.new_id

    async def keep(
        self,
        site: str,
        known: Range,
        series: Sequence[PointSeries],
        *,
        fetched_ms: int,
        is_once: bool = False,
        points: Sequence[str] = (),
    ) -> list[BlockSegment]:
        """
        Store a block, and make it known; return what it knows of some points, without directories.

        Args:
            site: The site.
            known: What is known of all points of the site: those that *series* does not name have
                no samples there.
            series: All that the site had in that range, from pages; of a point any number, each
                known over its own range, disjoint.
            fetched_ms: When the fetch began; nothing later than that is known.
            is_once: Whether it was fetched for a request, and not by a follow.
            points: Their names.

        Raises:
            Unavailable: the bucket or the database can't be reached.
            ValueError: a series came of calls by point.
        """
        builder = BlockBuilder([known])
        asked, found = frozenset(points), dict[str, Entry]()
        for point, parts in _by_point(series):
            entry = builder.add(point, parts)
            if entry is not None and point in asked:
                found[point] = entry
        place = builder.end()
        key = block_object_key(site, known, nonce=self._new_id())
        info = await self._put(site, key, known, builder)
        block = stored_block(
            key,
            info,
            known,
            builder,
            place,
            level=level_of(known),
            fetched_ms=fetched_ms,
            is_once=is_once,
        )
        await self._blocks.insert(site, block, now_ms=self._clock.now_ms())
        row, foot = block_row(block), Foot(VERSION, (known,), ())
        return [
            msgspec.structs.replace(segment, frames=None)
            for point in points
            for segment in segments_of(
                *(row, foot, point, found.get(point)), marks=[], time_range=known
            )
        ]

    async def kept(self, site: str) -> list[tuple[Range, int]]:
        """
        Return of which ranges of a site blocks are known, and when each was fetched; in any order.

        What only jobs have read is left out, as it is trusted for another time, and what was purged
        of all points; what was purged of some is a gap of theirs.

        Raises:
            Unavailable: the database can't be reached.
        """
        rows = [each.row for each in await self._blocks.of_site(site)]
        blocks = [each for each in rows if not each.is_once]
        if not blocks:
            return []
        span = Range(min(each.start_ms for each in blocks), max(each.end_ms for each in blocks))
        since_ms = min(each.fetched_ms for each in blocks)
        marks = await self._blocks.marks(site, span, since_ms=since_ms)
        return [
            (part, each.fetched_ms)
            for each in blocks
            for part in gaps(merge(cut_out(marks, "", each.fetched_ms)), each.range)
        ]

    async def forget(self, site: str) -> int:
        """
        Let go of all blocks of a site; return how many.

        Raises:
            Unavailable: the database can't be reached.
        """
        return await self._blocks.drop(site, now_ms=self._clock.now_ms())

    async def _put(self, site: str, key: str, known: Range, builder: BlockBuilder) -> ObjectInfo:
        counts = {"points": str(builder.points), "samples": str(builder.samples)}
        metadata = block_metadata(site, known) | counts
        data = builder.take()
        if len(data) <= PUT_BYTES_MAX:
            return await self._objects.put(key, data, content_type=CONTENT_TYPE, metadata=metadata)
        return await self._objects.put_stream(
            key, _chunks(data), len(data), content_type=CONTENT_TYPE, metadata=metadata
        )


def block_metadata(site: str, known: Range) -> dict[str, str]:
    """Return what a block's object says of itself before its points are known."""
    return {
        "site": site,
        "start": format_instant(known.start_ms),
        "end": format_instant(known.end_ms),
    }


def stored_block(
    key: str,
    info: ObjectInfo,
    known: Range,
    builder: BlockBuilder,
    place: DirectoryPlace,
    *,
    level: int,
    fetched_ms: int,
    cut_ms: int = -1,
    is_once: bool = False,
) -> StoredBlock:
    """Return the row of a block that has been put."""
    return StoredBlock(
        key=key,
        object_etag=info.object_etag,
        range=known,
        level=level,
        fetched_ms=fetched_ms,
        points=builder.points,
        samples=builder.samples,
        stored_bytes=builder.stored_bytes,
        directory_offset=place.offset,
        foot_offset=place.foot_offset,
        foot_bytes=place.foot_bytes,
        foot_crc=place.foot_crc,
        cut_ms=cut_ms,
        is_once=is_once,
    )


def block_row(block: StoredBlock) -> BlockRow:
    """Return a block as the index knows it."""
    return BlockRow(
        *(block.key, block.object_etag, *block.range, block.fetched_ms, block.directory_offset),
        *(block.foot_offset, block.foot_bytes, block.foot_crc, block.is_once),
    )


def _by_point(series: Sequence[PointSeries]) -> list[tuple[str, list[Known]]]:
    """Return the series of each point by time, in a block's order."""
    found: dict[str, list[Known]] = {}
    for each in series:
        if each.is_by_point:
            raise ValueError(f"a block is made of pages alone: {each.point!r} came by point")
        found.setdefault(each.point, []).append(Known(each.known, each.series))
    return [
        (point, sorted(found[point], key=lambda one: one.range))
        for point in sorted(found, key=place_in_order)
    ]


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]
