"""
Makes one block of several, without holding more than some megabytes of them.

All are in the order of their points' hashes, so each is read once from the beginning to the end,
and what comes is written as it comes. Whole frames of a good size are copied as they are; small
ones, of rounds of a few samples, are put together. What was purged is left out.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

from building_vitals.blocks.block import (
    BlockBuilder,
    DirectoryPlace,
    Entry,
    Known,
    LostBlock,
    entries_of,
    foot_of,
    place_in_order,
)
from building_vitals.blocks.blocks_table import Blocks, Rival
from building_vitals.blocks.directory import segments_of
from building_vitals.blocks.merging import BlockPlace, due, merged_level, span_of
from building_vitals.blocks.store import CONTENT_TYPE, block_metadata, stored_block
from building_vitals.cache.block_rows import BlockRow, Mark
from building_vitals.cache.coverage import Cover, cover
from building_vitals.cache.joining import join
from building_vitals.cache.object_keys import block_object_key
from building_vitals.cache.segments import BlockSegment, Place, Segment
from building_vitals.errors import AppError
from building_vitals.ports import Database, Invocation, ObjectStore
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.frames import Frame, Series

# Bytes that are read of a block at a time: of its series, and of its directory.
WINDOW_BYTES = 524_288
# Bytes that are handed on at a time.
CHUNK_BYTES = 262_144
# Points after which others may go on: some milliseconds.
POINTS_AT_ONCE = 16


class BlockMerger:
    """Merges the blocks of a site."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        database: Database,
        lost: Callable[[Collection[Place]], Awaitable[object]],
        invocation: Invocation,
    ) -> None:
        """
        Args:
            objects: The bucket.
            database: The tables.
            lost: Has objects forgotten that are gone or spoilt.
            invocation: Of this moment.
        """
        self._objects = objects
        self._blocks = Blocks(database)
        self._lost = lost
        self._clock = invocation.clock
        self._new_id = invocation.new_id
        self._on_fault = invocation.on_fault

    async def merge_due(self, site: str, most: int, *, before_ms: int | None = None) -> int:
        """
        Merge blocks of a site as long as some are due; return how many times.

        Should it end at any moment, what was known before or what is known after is there.

        Args:
            site: The site.
            most: How many times at the most.
            before_ms: Blocks that were fetched later are left alone: what becomes one counts as
                fetched when the last of it was, and would hide a fetch that began before and is
                not stored yet. Left out, nobody else fetches.

        Raises:
            Unavailable: the bucket or the database can't be reached.
        """
        for done in range(most):
            parts = due(await self._blocks.of_site(site, before_ms=before_ms))
            if not parts or not await self._merge(site, parts):
                return done
        return most

    async def _merge(self, site: str, parts: Sequence[BlockPlace]) -> bool:
        """Make one block of several; return whether it has taken their place."""
        span = span_of(parts)
        since_ms = min(each.row.fetched_ms for each in parts)
        marks = await self._blocks.marks(site, span, since_ms=since_ms)
        merge_run = _MergeRun(self._objects, [each.row for each in parts], marks)
        key = block_object_key(site, span, nonce=self._new_id())
        try:
            oldest_ms = await merge_run.begin()
            merge_run.rivals = await self._blocks.rivals(
                site, span, since_ms=oldest_ms, until_ms=max(each.row.fetched_ms for each in parts)
            )
            info = await self._objects.put_parts(
                key,
                merge_run.chunks(),
                content_type=CONTENT_TYPE,
                metadata=block_metadata(site, span),
            )
        except LostBlock as error:
            await self._lost([Place(error.key)])
            return False
        block = stored_block(
            key,
            info,
            span,
            merge_run.builder,
            merge_run.place,
            level=merged_level(parts),
            fetched_ms=max(each.row.fetched_ms for each in parts),
            cut_ms=max((each.purged_ms for each in marks), default=-1),
        )
        now_ms = self._clock.now_ms()
        if await self._blocks.replace(site, block, parts, marks, now_ms=now_ms):
            return True
        try:
            await self._objects.delete([key])
        except AppError as error:
            # The clean-up finds it.
            self._on_fault("merged block", error)
        return False


class _Window:
    """Reads a block from the beginning to the end, some bytes ahead."""

    def __init__(self, objects: ObjectStore, block: BlockRow, stop: int) -> None:
        self._objects = objects
        self._block = block
        self._stop = stop
        self._start = 0
        self._data = memoryview(b"")

    async def read(self, offset: int, length: int) -> memoryview:
        """
        Return bytes of the block, not before those that were read last.

        Raises:
            LostBlock: it is gone or another.
        """
        begin = offset - self._start
        if begin < 0 or begin + length > len(self._data):
            size = min(max(length, WINDOW_BYTES), self._stop - offset)
            data = await self._objects.get(
                self._block.key,
                offset=offset,
                length=size,
                object_etag=self._block.object_etag,
            )
            if data is None or size < length:
                raise LostBlock(self._block.key)
            self._start, self._data, begin = offset, memoryview(data), 0
        return self._data[begin : begin + length]


class _BlockStream:
    """One of the blocks that are merged: its entries one after the other, and their samples."""

    def __init__(self, objects: ObjectStore, block: BlockRow) -> None:
        self.block = block
        self._leaves = _Window(objects, block, block.foot_offset + block.foot_bytes)
        self._series = _Window(objects, block, block.directory_offset)

    async def begin(self) -> None:
        """
        Read the foot.

        Raises:
            LostBlock: the block is gone or spoilt.
        """
        block = self.block
        try:
            data = await self._leaves.read(block.foot_offset, block.foot_bytes)
            self.foot = foot_of(bytes(data), block.foot_crc)
        except ValueError as error:
            raise LostBlock(block.key) from error

    async def entries(self) -> AsyncIterator[Entry]:
        """
        Yield all entries.

        Raises:
            LostBlock: the block is gone or spoilt.
        """
        for leaf in self.foot.leaves:
            try:
                found = entries_of(leaf, await self._leaves.read(leaf.offset, leaf.stored_bytes))
            except ValueError as error:
                raise LostBlock(self.block.key) from error
            for entry in found:
                yield entry

    async def series(self, segment: Segment) -> bytes:
        """
        Return the bytes of a segment's series.

        Raises:
            LostBlock: they are not those that were stored.
        """
        data = bytes(await self._series.read(segment.offset, segment.stored_bytes))
        if zlib.crc32(data) != segment.data_crc:
            raise LostBlock(self.block.key)
        return data


class _MergeRun:
    """
    One merge under way.

    Attributes:
        builder: Of the block that is made.
        place: Where its directory lies, when all has come.
        rivals: Segments of a point that were fetched in between.
    """

    builder: BlockBuilder
    place: DirectoryPlace

    def __init__(
        self,
        objects: ObjectStore,
        blocks: Sequence[BlockRow],
        marks: Sequence[Mark],
    ) -> None:
        self.rivals: Mapping[str, Sequence[Rival]] = {}
        self._parts = [_BlockStream(objects, each) for each in blocks]
        self._marks = list(marks)
        self._span = Range(
            min(each.start_ms for each in blocks), max(each.end_ms for each in blocks)
        )

    async def begin(self) -> int:
        """
        Find out what is known, and return when the oldest of it was fetched.

        Raises:
            LostBlock: a block is gone or spoilt.
        """
        for each in self._parts:
            await each.begin()
        self.builder = BlockBuilder(merge(each.range for each in self._known_of("", {})))
        return min(each.foot.oldest_ms or each.block.fetched_ms for each in self._parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """
        Yield the bytes of the block.

        Raises:
            LostBlock: a block is gone or spoilt.
        """
        builder = self.builder
        count = 0
        async for point, entries in self._points():
            builder.add(point, await self._joined(point, self._known_of(point, entries)))
            count += 1
            if builder.untaken_bytes >= CHUNK_BYTES:
                yield builder.take()
            if count % POINTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self.place = builder.end()
        yield builder.take()

    async def _points(self) -> AsyncIterator[tuple[str, dict[int, Entry]]]:
        """Yield all points in order, with their entries by the number of the part."""
        streams = [each.entries() for each in self._parts]
        heads = [await anext(each, None) for each in streams]
        # Of these it has to be said that something is not known, also where they have no samples.
        purged = sorted({each.point for each in self._marks if each.point}, key=place_in_order)
        while True:
            names = {each.point for each in heads if each is not None} | set(purged[:1])
            if not names:
                return
            point = min(names, key=place_in_order)
            found: dict[int, Entry] = {}
            for n, head in enumerate(heads):
                if head is not None and head.point == point:
                    found[n] = head
                    heads[n] = await anext(streams[n], None)
            if purged[:1] == [point]:
                del purged[0]
            yield point, found

    def _known_of(self, point: str, entries: dict[int, Entry]) -> list[BlockSegment]:
        """Return what the parts know of a point, without what was purged."""
        return [
            segment
            for n, part in enumerate(self._parts)
            for segment in segments_of(
                part.block,
                part.foot,
                point,
                entries.get(n),
                marks=self._marks,
                time_range=self._span,
            )
        ]

    async def _joined(self, point: str, segments: Sequence[BlockSegment]) -> list[Known]:
        """
        Return what is known of a point as a series for each range: of each instant what was fetched
        last, and as fetched when the last of them was, but for where rivals lie: there it must
        stay older than what was fetched in between.
        """
        by_key = {each.block.key: each for each in self._parts}
        used = cover(point, segments, self._span)
        data: dict[tuple[str, int], bytes] = {}
        for segment, _ in used.known:
            place = segment.key, segment.offset
            if segment.count and place not in data:
                data[place] = await by_key[segment.key].series(segment)

        def read(segment: Segment, frame: Frame) -> bytes:
            own = data[segment.key, segment.offset]
            return own[frame.offset : frame.offset + frame.stored_bytes]

        found: list[Known] = []
        for time_range, parts, fetched_ms in _stretches(used, self.rivals.get(point, ())):
            match [each for each in parts if each[0].count]:
                case []:
                    series = Series((), b"")
                case [(segment, part)] if part == segment.range and not segment.is_cut:
                    series = Series(segment.frames or (), data[segment.key, segment.offset])
                case _:
                    try:
                        series = join(point, time_range, parts, read).series
                    except ValueError as error:
                        # What was stored is at hand; so it was spoilt before that.
                        raise LostBlock(next(each.key for each, _ in parts if each.key)) from error
            found.append((time_range, series, fetched_ms))
        return found


def _stretches(
    used: Cover, rivals: Sequence[Rival]
) -> list[tuple[Range, list[tuple[Segment, Range]], int]]:
    """Return what becomes one: its range, its parts, and when it was fetched if it stays apart."""
    found: list[tuple[Range, list[tuple[Segment, Range]], int]] = []
    for segment, whole in used.known:
        newer = (time_range for time_range, at_ms in rivals if at_ms >= segment.fetched_ms)
        beside = gaps(merge(newer), whole)
        pieces = [(each, 0) for each in beside]
        pieces += [(each, segment.fetched_ms) for each in gaps(beside, whole)]
        for piece, fetched_ms in sorted(pieces):
            last = found[-1] if found else None
            if last is not None and not fetched_ms and not last[2] and last[0].end_ms == piece[0]:
                joined = Range(last[0].start_ms, piece.end_ms)
                found[-1] = (joined, [*last[1], (segment, piece)], 0)
            else:
                found.append((piece, [(segment, piece)], fetched_ms))
    return found
