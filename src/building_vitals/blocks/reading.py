"""
Reads what blocks know of some points: their feet and leaves, as segments.

A small directory is read whole, a large one by bisection: the foot, then the leaves that may have
a point. What was read is remembered in the isolate.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)

import msgspec

from building_vitals.blocks.block import Entry, Foot, LostBlock, entries_of, foot_of, name_hash
from building_vitals.blocks.directory import leaf_reads, leaves_with, segments_of
from building_vitals.blocks.memory import FOOT, DirectoryMemory
from building_vitals.cache.block_rows import BlockRow, FoundBlocks
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import BlockSegment, Place, Segment
from building_vitals.ports import ObjectStore
from building_vitals.ranges import Range, gaps, merge

# A directory of no more bytes is read whole: a round of some 7,000 points has 450 KB.
WHOLE_BYTES_MAX = 524_288
# Reads under way at once; the platform has six connections for everything.
READS_MAX = 4
# Blocks whose leaves are held at once.
BLOCKS_MAX = 4
# Leaves that are decoded before others may go on: some milliseconds.
LEAVES_AT_ONCE = 16

# Returns what a block, with its foot, knows of a point by its entry.
OfPoint = Callable[[BlockRow, Foot, str, Entry | None], list[BlockSegment]]


class BlockReader:
    """Finds the segments that lie in blocks."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        memory: DirectoryMemory,
        lost: Callable[[Collection[Place]], Awaitable[object]],
        whole_bytes: int = WHOLE_BYTES_MAX,
    ) -> None:
        """
        Args:
            objects: The bucket.
            memory: Of the isolate.
            lost: Has objects forgotten that are gone or spoilt.
            whole_bytes: Bytes of the largest directory that is read whole.
        """
        self._whole_bytes = whole_bytes
        self._objects = objects
        self._memory = memory
        self._lost = lost

    async def find(
        self,
        points: Sequence[str],
        time_range: Range,
        *,
        found: FoundBlocks,
        segments: Sequence[Segment],
        known: tuple[Freshness, int] | None,
        level_samples: int = 0,
    ) -> list[Segment]:
        """
        Return the segments of *points* in *time_range* that lie in blocks.

        A block that turns out to be lost is forgotten, and nothing of it found.

        Args:
            points: Their names.
            time_range: The range.
            found: The blocks there are, and what was purged.
            segments: Those that have rows: what newer ones of them hold is not looked up.
            known: The rule and the present: what lies within the range and is known to its end
                comes without its frames.
            level_samples: As for `SegmentIndex.find`; where levels are wanted, all frames come.

        Raises:
            Unavailable: the bucket can't be reached.
        """
        by_point = _by_point(segments)
        hashes = {point: name_hash(point) for point in points}
        gate, reads = asyncio.Semaphore(BLOCKS_MAX), asyncio.Semaphore(READS_MAX)

        lean = None if level_samples else known

        def of_point(
            block: BlockRow, foot: Foot, point: str, entry: Entry | None
        ) -> list[BlockSegment]:
            held = segments_of(
                *(block, foot, point, entry),
                marks=found.marks,
                time_range=time_range,
                level_samples=level_samples,
            )
            return [_lean(each, time_range, lean) for each in held]

        async def read(block: BlockRow) -> list[BlockSegment]:
            shared = block.range.clip(time_range)
            asked = {
                point: hashed
                for point, hashed in hashes.items()
                if shared is not None and not _is_held(by_point.get(point, ()), block, shared)
            }
            if not asked:
                return []
            async with gate:
                known_of = await self._known_of(block, asked, reads, of_point)
            return [segment for point in asked for segment in known_of.get(point, ())]

        of_blocks = await asyncio.gather(*map(read, found.blocks))
        return [each for of_block in of_blocks for each in of_block]

    async def _known_of(
        self,
        block: BlockRow,
        hashes: Mapping[str, int],
        reads: asyncio.Semaphore,
        of_point: OfPoint,
    ) -> dict[str, list[BlockSegment]]:
        """Return what a block knows of some points; of one that is lost nothing."""
        found: dict[str, list[BlockSegment]] = {}
        try:
            # Of a leaf at a time: the entries of thousands of points take megabytes.
            async for foot, entries in self._entries(block, hashes, reads):
                for point, entry in entries.items():
                    found[point] = of_point(block, foot, point, entry)
        except LostBlock:
            self._memory.forget(block.key)
            await self._lost([Place(block.key)])
            return {}
        return found

    async def _entries(
        self, block: BlockRow, hashes: Mapping[str, int], reads: asyncio.Semaphore
    ) -> AsyncIterator[tuple[Foot, Mapping[str, Entry | None]]]:
        """
        Yield the foot of a block with its entries of some points, given with their hashes.

        Those without an entry come last, with None.

        Raises:
            LostBlock: it is gone or spoilt.
        """
        left = dict.fromkeys(hashes)
        try:
            foot, held = await self._foot(block, reads)
            leaves = leaves_with(foot, hashes)
            held |= await self._leaves(block, foot, [n for n in leaves if n not in held], reads)
            for n, (number, of_leaf) in enumerate(leaves.items(), 1):
                entries = entries_of(foot.leaves[number], held[number], frozenset(of_leaf))
                found = {each.point: each for each in entries}
                for point in found:
                    left.pop(point, None)
                yield foot, found
                if n % LEAVES_AT_ONCE == 0:
                    await asyncio.sleep(0)
        except ValueError as error:
            raise LostBlock(block.key) from error
        yield foot, left

    async def _foot(
        self, block: BlockRow, reads: asyncio.Semaphore
    ) -> tuple[Foot, dict[int, bytes]]:
        """Return the foot of a block, and the leaves that were read with it, by number."""
        data = self._memory.find(block.key, FOOT)
        if data is not None:
            return foot_of(data, block.foot_crc), {}
        stop = block.foot_offset + block.foot_bytes
        is_whole = stop - block.directory_offset <= self._whole_bytes
        start = block.directory_offset if is_whole else block.foot_offset
        read = await self._read(block, start, stop, reads)
        data = read[block.foot_offset - start :]
        foot = foot_of(data, block.foot_crc)
        self._memory.keep(block.key, FOOT, data)
        if not is_whole:
            return foot, {}
        return foot, self._kept(block, foot, range(len(foot.leaves)), read, start=start)

    async def _leaves(
        self, block: BlockRow, foot: Foot, numbers: Sequence[int], reads: asyncio.Semaphore
    ) -> dict[int, bytes]:
        """Return some leaves by number, from the memory or the bucket."""
        held = {
            number: data
            for number in numbers
            if (data := self._memory.find(block.key, number)) is not None
        }

        async def read(start: int, stop: int, of_read: Sequence[int]) -> dict[int, bytes]:
            data = await self._read(block, start, stop, reads)
            return self._kept(block, foot, of_read, data, start=start)

        missing = leaf_reads(foot.leaves, (each for each in numbers if each not in held))
        for found in await asyncio.gather(*(read(*each) for each in missing)):
            held |= found
        return held

    def _kept(
        self, block: BlockRow, foot: Foot, numbers: Iterable[int], data: bytes, *, start: int
    ) -> dict[int, bytes]:
        """Remember leaves that were read from *start* on, and return them."""
        found: dict[int, bytes] = {}
        for number in numbers:
            leaf = foot.leaves[number]
            found[number] = data[leaf.offset - start : leaf.offset - start + leaf.stored_bytes]
            self._memory.keep(block.key, number, found[number])
        return found

    async def _read(
        self, block: BlockRow, start: int, stop: int, reads: asyncio.Semaphore
    ) -> bytes:
        async with reads:
            data = await self._objects.get(
                block.key, offset=start, length=stop - start, object_etag=block.object_etag
            )
        if data is None:
            raise LostBlock(block.key)
        return data


def _by_point(segments: Iterable[Segment]) -> dict[str, list[Segment]]:
    found: dict[str, list[Segment]] = {}
    for each in segments:
        found.setdefault(each.point, []).append(each)
    return found


def _is_held(segments: Iterable[Segment], block: BlockRow, shared: Range) -> bool:
    """Return whether segments that are no older hold all that a block could say in a range."""
    held = (
        each.range
        for each in segments
        if each.fetched_ms >= block.fetched_ms and not each.is_by_point
    )
    return not gaps(merge(held), shared)


def _lean(
    segment: BlockSegment, time_range: Range, known: tuple[Freshness, int] | None
) -> BlockSegment:
    """Return a segment without its frames where it will be taken whole."""
    if known is None or segment.is_cut or segment.range.clip(time_range) != segment.range:
        return segment
    freshness, now_ms = known
    if freshness.known_until_ms(segment, now_ms) < segment.end_ms:
        return segment
    return msgspec.structs.replace(segment, frames=None)
