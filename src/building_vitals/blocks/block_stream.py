"""
Reads a block from the beginning to the end: its entries one after the other, and their samples.

Separate from the merger because it knows no other block.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from building_vitals.blocks.block import Entry, LostBlock, entries_of, foot_of
from building_vitals.cache.block_rows import BlockRow
from building_vitals.cache.segments import Level, Segment
from building_vitals.ports import ObjectStore

# Bytes that are read at a time of a block's series, and of its directory: a share of them, for as
# many small blocks are merged as large ones, and of large ones a merge may not take too many reads.
WINDOW_BYTES_MIN, WINDOW_BYTES_MAX = 65_536, 524_288
WINDOWS = 16


class Window:
    """Reads a block from the beginning to the end, some bytes ahead."""

    def __init__(self, objects: ObjectStore, block: BlockRow, start: int, stop: int) -> None:
        self._objects = objects
        self._block = block
        self._stop = stop
        self._size = min(max((stop - start) // WINDOWS, WINDOW_BYTES_MIN), WINDOW_BYTES_MAX)
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
            size = min(max(length, self._size), self._stop - offset)
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


class BlockStream:
    """One of the blocks that are merged: its entries one after the other, and their samples."""

    def __init__(self, objects: ObjectStore, block: BlockRow) -> None:
        self.block = block
        end = block.foot_offset + block.foot_bytes
        self._leaves = Window(objects, block, block.directory_offset, end)
        self._series = Window(objects, block, 0, block.directory_offset)

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
        Return the bytes of a segment's series, with those of its levels behind them.

        Raises:
            LostBlock: they are not those that were stored.
        """
        kept = [each for each in segment.levels or () if each.is_kept]
        size = segment.stored_bytes + sum(each.stored_bytes for each in kept)
        data = bytes(await self._series.read(segment.offset, size))
        if zlib.crc32(memoryview(data)[: segment.stored_bytes]) != segment.data_crc or not all(
            _is_intact(segment, each, data) for each in kept
        ):
            raise LostBlock(self.block.key)
        return data


def _is_intact(segment: Segment, level: Level, data: bytes) -> bool:
    """Return whether the bytes of a level are those that were stored."""
    start, frames = level.offset - segment.offset, level.frames
    own = memoryview(data)[start : start + level.stored_bytes]
    return frames is not None and zlib.crc32(own) == frames[-1].series_crc
