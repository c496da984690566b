"""
Reads and writes segments: objects in R2, their index in D1, and there the slivers, too.

Object first, rows after, in one batch: a crash in between leaves an object nobody knows of, never a
promise without data.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from building_vitals.cache.blobs import Blobs, ObjectRead, ranged_reads
from building_vitals.cache.coverage import Cover
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.object_keys import segment_object_key
from building_vitals.cache.segment_object import SegmentObject, segment_object
from building_vitals.cache.segments import Piece, Place, Segment, verify
from building_vitals.cache.slivers_table import (
    SLIVERS_AT_ONCE_BYTES,
    read_slivers,
    sliver_statements,
)
from building_vitals.errors import AppError, CorruptSegment
from building_vitals.instants import format_instant
from building_vitals.ports import Database, Invocation, ObjectStore, Statement
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries

CONTENT_TYPE = "application/vnd.building-vitals.segments"
# Reads under way at once: of the platform's six connections one is left for what else goes on.
READS_MAX = 5


class LostObjects(CorruptSegment):
    """
    Objects the index promises are gone or are not what it says: who asks again fetches.

    `SegmentStore.lost` makes it, and has the index forget them.
    """

    retryable = True

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"{len(keys)} objects are gone or changed")
        self.keys = list(keys)


class SegmentStore:
    """Stores fetched segments, and reads the pieces that answers need."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        database: Database,
        index: SegmentIndex,
        freshness: Freshness,
        sliver_bytes: int,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            objects: The bucket.
            database: Has the index.
            index: The index.
            freshness: Says how long a segment is kept.
            sliver_bytes: Most stored bytes of a segment that lies in its row; 0: none does.
            invocation: Of this moment.
        """
        self.sliver_bytes = sliver_bytes
        self._new_id = invocation.new_id
        self._objects = objects
        self._database = database
        self._index = index
        self._freshness = freshness
        self._clock = invocation.clock
        self._on_fault = invocation.on_fault
        self._run_later = invocation.run_later

    async def read(
        self,
        pieces: Iterable[Piece],
        fresh: Mapping[str, bytes],
        *,
        is_verified: bool = False,
    ) -> Blobs:
        """
        Read pieces, neighbours together.

        Args:
            pieces: What is wanted.
            fresh: Objects that have just been made and are at hand.
            is_verified: Compare the bytes of whole pieces, too, with what was stored; left out,
                only those of frames that are to be cut, and encoders look at the others.

        Raises:
            LostObjects: some object is gone, or another lies under its key, or its bytes are not
                what was stored; the index has forgotten them.
            Unavailable: the bucket cannot be reached.
        """
        pieces = list(pieces)
        blobs = Blobs()
        for key, data in fresh.items():
            blobs.add(key, 0, data)
        reads = ranged_reads(
            piece for piece in pieces if piece.key not in fresh and piece.sliver is None
        )
        if len(reads) == 1:
            lost = [await self._read(reads[0], blobs)]
        else:
            # A task for each would go through the runtime's timers a few times more per read.
            left = iter(reads)

            async def read_some() -> list[str | None]:
                return [await self._read(each, blobs) for each in left]

            together = [read_some() for _ in range(min(READS_MAX, len(reads)))]
            lost = [key for some in await asyncio.gather(*together) for key in some]
        places = {Place(key) for key in lost if key is not None}
        if not places:
            places = {
                each.place
                for each in pieces
                if (is_verified or each.frame is not None) and _is_spoilt(each, blobs)
            }
        if places:
            raise await self.lost(places)
        return blobs

    async def _read(self, read: ObjectRead, blobs: Blobs) -> str | None:
        """Read one part of an object; return the key when it is not there."""
        length = read.stop - read.start
        data = await self._objects.get(
            read.key, offset=read.start, length=length, object_etag=read.object_etag
        )
        if data is None:
            return read.key
        blobs.keep(read, data)
        return None

    async def lost(self, places: Collection[Place]) -> LostObjects:
        """
        Report objects and slivers that are gone or spoilt, and have their segments forgotten.

        They are gaps from now on, to be fetched again. That happens even when the caller is ended
        meanwhile, as a stream is whose client has left.

        Returns:
            What to raise.
        """
        error = LostObjects(sorted({each.key for each in places}))
        self._on_fault("lost objects", error)
        is_done = asyncio.Event()
        self._run_later(self._forget(places, is_done))
        await is_done.wait()
        return error

    async def _forget(self, places: Collection[Place], is_done: asyncio.Event) -> None:
        try:
            await self._index.forget(places, now_ms=self._clock.now_ms())
        except AppError as error:
            # The next reader that meets them tries again.
            self._on_fault("lost objects", error)
        finally:
            is_done.set()

    def made(
        self,
        site: str,
        point_series: Sequence[PointSeries],
        *,
        fetched_ms: int | Sequence[int],
        is_in_object: bool = False,
    ) -> SegmentObject:
        """
        Return what is to be stored of some series, fetched at one instant or each at its own.

        Small ones lie in rows, unless they are to be in an object.
        """
        return segment_object(
            site,
            point_series,
            fetched_ms=fetched_ms,
            nonce=self._new_id(),
            sliver_bytes=0 if is_in_object else self.sliver_bytes,
        )

    async def at_hand(self, site: str, covered: Sequence[Cover]) -> list[Cover]:
        """
        Return the covers with no sliver whose bytes are not at hand: those go into objects first.

        A sliver goes with its row, at any moment, but an answer may take hours to be sent, and the
        isolate cannot hold any number of them for so long.

        Raises:
            LostObjects: some are no longer there as they were found, or are spoilt: who asks again
                finds what has taken their place.
            Unavailable: the database or the bucket can't be reached.
        """
        left = [each for cover in covered for each, _ in cover.known if each.is_left_out]
        if not left:
            return list(covered)
        moved: dict[Segment, Segment] = {}
        some: list[Segment] = []
        for each in dict.fromkeys(left):
            if some and sum(one.stored_bytes for one in [*some, each]) > SLIVERS_AT_ONCE_BYTES:
                moved.update(await self._move_slivers(site, some))
                some = []
            some.append(each)
        moved.update(await self._move_slivers(site, some))
        return [
            msgspec.structs.replace(
                cover, known=[(moved.get(each, each), part) for each, part in cover.known]
            )
            for cover in covered
        ]

    async def _move_slivers(self, site: str, slivers: Sequence[Segment]) -> dict[Segment, Segment]:
        """Put slivers into one object, as they are; return what they have become."""
        found = await read_slivers(self._database, site, slivers)
        if None in found:
            raise LostObjects([])
        spoilt = {
            each.place
            for each, data in zip(slivers, found, strict=True)
            if zlib.crc32(data or b"") != each.data_crc
        }
        if spoilt:
            raise await self.lost(spoilt)
        known = Range(min(each.start_ms for each in slivers), max(each.end_ms for each in slivers))
        fetched_ms = max(each.fetched_ms for each in slivers)
        names = dict.fromkeys(each.point for each in slivers)
        key = segment_object_key(site, names, known, fetched_ms=fetched_ms, nonce=self._new_id())
        moved, offset = list[Segment](), 0
        for each in slivers:
            moved.append(msgspec.structs.replace(each, key=key, offset=offset))
            offset += each.stored_bytes
        data = b"".join(each or b"" for each in found)
        # The answer waits for it: no levels now.
        stored = await self.put(SegmentObject(site, key, data, moved))
        expires_ms = max(map(self._freshness.gone_ms, moved))
        # Should some have changed meanwhile, the object is there for this answer all the same.
        await self._database.batch(
            [
                *sliver_statements(site, zip(slivers, stored.segments, strict=True)),
                *SegmentIndex.object_statements(
                    site, [stored.row()], now_ms=self._clock.now_ms(), expires_ms=expires_ms
                ),
            ]
        )
        return dict(zip(slivers, stored.segments, strict=True))

    async def put(self, stored: SegmentObject, *, is_leveled: bool = False) -> SegmentObject:
        """
        Store the object, if there is to be one, and return it with the entity tag it got.

        Where it *is_leveled*, it gets levels of what it holds.
        """
        if not stored.is_object:
            return stored
        if is_leveled:
            # As app.py says: nothing is stored by what is answered.
            from building_vitals.cache.leveling import with_levels

            data, segments = await with_levels(stored.data, stored.segments, stored.levels)
            stored = msgspec.structs.replace(stored, data=data, segments=segments)
        row = stored.row()
        info = await self._objects.put(
            stored.key,
            stored.data,
            content_type=CONTENT_TYPE,
            metadata={
                "site": stored.site,
                "points": str(row.points),
                "samples": str(row.samples),
                "start": format_instant(row.range.start_ms),
                "end": format_instant(row.range.end_ms),
                "originalSize": str(row.text_bytes),
                "compressedSize": str(row.stored_bytes),
                "fetchedMs": str(stored.segments[0].fetched_ms),
            },
        )
        return msgspec.structs.replace(
            stored,
            segments=[
                msgspec.structs.replace(each, object_etag=info.object_etag) if each.count else each
                for each in stored.segments
            ],
        )

    async def commit(
        self,
        stored: Sequence[SegmentObject],
        *,
        now_ms: int,
        after: Sequence[Statement] = (),
    ) -> None:
        """
        Make stored objects known, in one transaction with the statements after.

        What was purged since they were fetched is left out.
        """
        statements: list[Statement] = []
        for each in stored:
            statements += SegmentIndex.insert_statements(
                each.site,
                each.segments,
                list(map(self._freshness.gone_ms, each.segments)),
                [each.row()] if each.is_object else [],
                now_ms=now_ms,
            )
        await self._database.batch([*statements, *after])


def _is_spoilt(piece: Piece, blobs: Blobs) -> bool:
    """Return whether the bytes of a piece are not those that were stored."""
    try:
        verify(piece, blobs.piece(piece))
    except ValueError:
        return True
    return False
