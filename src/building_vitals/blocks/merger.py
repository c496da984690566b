"""
Makes one block of several, without holding more than some megabytes of them.

All are in the order of their points' hashes, so each is read once from the beginning to the end,
and what comes is written as it comes. Whole frames of a good size are copied as they are; small
ones, of rounds of a few samples, are put together. What was purged is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

from building_vitals.blocks.block import (
    BlockBuilder,
    DirectoryPlace,
    Entry,
    Known,
    LevelBytes,
    LostBlock,
    place_in_order,
)
from building_vitals.blocks.block_stream import BlockStream
from building_vitals.blocks.blocks_table import Blocks, Rival
from building_vitals.blocks.directory import segments_of
from building_vitals.blocks.leveling import (
    LEVELED_SAMPLES_MAX,
    LevelBudget,
    leveled_from,
    levels_of_parts,
)
from building_vitals.blocks.merging import BlockPlace, due, merged_level, span_of
from building_vitals.blocks.stint_levels import carried
from building_vitals.blocks.store import CONTENT_TYPE, block_metadata, stored_block
from building_vitals.cache.block_rows import BlockRow, Mark
from building_vitals.cache.block_trust import may_count_as
from building_vitals.cache.coverage import Cover, cover
from building_vitals.cache.joining import join
from building_vitals.cache.object_keys import block_object_key
from building_vitals.cache.segments import BlockSegment, Piece, Place, Segment
from building_vitals.errors import AppError
from building_vitals.ports import Database, Invocation, ObjectStore
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.frames import Frame, Series

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
        leveled_samples: int = LEVELED_SAMPLES_MAX,
    ) -> None:
        """
        Args:
            objects: The bucket.
            database: The tables.
            lost: Has objects forgotten that are gone or spoilt.
            invocation: Of this moment.
            leveled_samples: Samples that levels are made of at the most.
        """
        self._objects = objects
        self._blocks = Blocks(database)
        self._lost = lost
        self._clock = invocation.clock
        self._new_id = invocation.new_id
        self._on_fault = invocation.on_fault
        self._budget = LevelBudget(leveled_samples)

    async def merge_due(self, site: str, most: int, *, before_ms: int | None = None) -> int:
        """
        Merge blocks of a site as long as some are due; return how many times.

        It ends sooner where many levels have been made, by this merger in all.

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
            if self._budget.is_spent:
                return done
            parts = due(await self._blocks.of_site(site, before_ms=before_ms))
            if not parts or not await self._merge(site, parts):
                return done
        return most

    async def _merge(self, site: str, parts: Sequence[BlockPlace]) -> bool:
        """Make one block of several; return whether it has taken their place."""
        span = span_of(parts)
        since_ms = min(each.row.fetched_ms for each in parts)
        marks = await self._blocks.marks(site, span, since_ms=since_ms)
        leveling = self._budget, leveled_from(sum(each.stored_bytes for each in parts))
        merge_run = _MergeRun(self._objects, [each.row for each in parts], marks, leveling)
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
            is_once=any(each.row.is_once for each in parts),
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
        leveling: tuple[LevelBudget, int],
    ) -> None:
        """
        Args:
            objects: The bucket.
            blocks: What is merged.
            marks: What was purged.
            leveling: How many samples may be gone through for levels, and from how many on a series
                gets some.
        """
        self._leveling = leveling
        self.rivals: Mapping[str, Sequence[Rival]] = {}
        self._parts = [BlockStream(objects, each) for each in blocks]
        self._marks = list(marks)
        self._latest_ms = max(each.fetched_ms for each in blocks)
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
        used = cover("", self._known_of("", {}), self._span)
        empty = _stretches(used, (), self._latest_ms)
        self.builder = BlockBuilder([each[0] for each in empty], [each[2] for each in empty])
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
        # Of these it has to be said that something is not known, or was fetched before a segment
        # above it, also where they have no samples.
        named = {each.point for each in self._marks if each.point} | set(self.rivals)
        told = sorted(named, key=place_in_order)
        while True:
            names = {each.point for each in heads if each is not None} | set(told[:1])
            if not names:
                return
            point = min(names, key=place_in_order)
            found: dict[int, Entry] = {}
            for n, head in enumerate(heads):
                if head is not None and head.point == point:
                    found[n] = head
                    heads[n] = await anext(streams[n], None)
            if told[:1] == [point]:
                del told[0]
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
                level_samples=1,
            )
        ]

    async def _joined(self, point: str, segments: Sequence[BlockSegment]) -> list[Known]:
        """
        Return what is known of a point as a series for each range: of each instant what was fetched
        last, and as fetched when the last of them was, but for where rivals lie: there it must
        stay older than what was fetched in between. So does what may not be trusted for longer.
        """
        by_key = {each.block.key: each for each in self._parts}
        used = cover(point, segments, self._span)
        read = _Read()
        for segment, _ in used.known:
            if segment.count and not read.has(segment):
                read.keep(segment, await by_key[segment.key].series(segment))
        found: list[Known] = []
        for time_range, parts, fetched_ms in _stretches(
            used, self.rivals.get(point, ()), self._latest_ms
        ):
            match [each for each in parts if each[0].count]:
                case []:
                    series, levels = Series((), b""), None
                case [(segment, part)] if part == segment.range and not segment.is_cut:
                    series, levels = read.whole(segment)
                case _:
                    try:
                        series = join(point, time_range, parts, read.frame).series
                        levels = None
                    except ValueError as error:
                        # What was stored is at hand; so it was spoilt before that.
                        raise LostBlock(next(each.key for each, _ in parts if each.key)) from error
            if levels is None:
                levels = await levels_of_parts(parts, series, read.piece, *self._leveling)
            found.append(Known(time_range, series, fetched_ms, levels))
        return found


class _Read:
    """What has been read of a point: series with their levels behind them."""

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[int, bytes]]] = {}

    def has(self, segment: Segment) -> bool:
        """Return whether a segment's series has been read."""
        return any(segment.offset == offset for offset, _ in self._held.get(segment.key, ()))

    def keep(self, segment: Segment, data: bytes) -> None:
        """Keep the bytes of a segment's series and levels."""
        self._held.setdefault(segment.key, []).append((segment.offset, data))

    def _slice(self, key: str, offset: int, length: int) -> memoryview:
        start, data = next(
            each for each in self._held[key] if 0 <= offset - each[0] <= len(each[1]) - length
        )
        return memoryview(data)[offset - start : offset - start + length]

    def frame(self, segment: Segment, frame: Frame) -> memoryview:
        """Return the bytes of a frame."""
        return self._slice(segment.key, segment.offset + frame.offset, frame.stored_bytes)

    def piece(self, piece: Piece) -> memoryview:
        """Return the bytes of a piece."""
        return self._slice(piece.key, piece.offset, piece.stored_bytes)

    def whole(self, segment: Segment) -> tuple[Series, LevelBytes | None]:
        """Return a series as it is, with its levels, where it has some."""
        data = bytes(self._slice(segment.key, segment.offset, segment.stored_bytes))
        kept = sum(each.stored_bytes for each in segment.levels or ())
        behind = self._slice(segment.key, segment.offset + segment.stored_bytes, kept)
        return Series(segment.frames or (), data), carried(segment.levels, bytes(behind))


def _stretches(
    used: Cover, rivals: Sequence[Rival], latest_ms: int
) -> list[tuple[Range, list[tuple[Segment, Range]], int]]:
    """Return what becomes one: its range, its parts, and when it was fetched if it stays apart."""
    found: list[tuple[Range, list[tuple[Segment, Range]], int]] = []
    for segment, whole in used.known:
        newer = (time_range for time_range, at_ms in rivals if at_ms >= segment.fetched_ms)
        beside = gaps(merge(newer), whole)
        if isinstance(segment, BlockSegment) and not may_count_as(segment, latest_ms):
            beside = []
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
