"""
Answers: which pieces of which objects, in what order, and the body made of them.

Separate because direct, cached and queued requests are all answered from segments.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

from building_vitals.answers.answer import CacheReport
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.pieces import PointPieces
from building_vitals.cache.segments import Piece, cut_piece_text
from building_vitals.cache.store import Blobs, SegmentStore
from building_vitals.errors import AppError
from building_vitals.instants import HOUR_MS
from building_vitals.ports import Clock
from building_vitals.upkeep import STREAM_MS_MAX

# Stored bytes that are read and encoded at a time; larger answers are streamed.
BATCH_BYTES_MAX = 2_097_152
# Bytes of an answer in text that are put together before they go out.
PENDING_BYTES_MAX = 1_048_576


# Parts with the first and the last piece (exclusive) that belong to the batch.
Batch = list[tuple[PointPieces, int, int]]


def batches(parts: Sequence[PointPieces]) -> Iterator[Batch]:
    """Yield the pieces in order, some at a time."""
    batch: Batch = []
    size = 0
    for part in parts:
        first = 0
        for n, piece in enumerate(part.pieces):
            if size and size + piece.stored_bytes > BATCH_BYTES_MAX:
                if n > first:
                    batch.append((part, first, n))
                yield batch
                batch, size, first = [], 0, n
            size += piece.stored_bytes
        batch.append((part, first, len(part.pieces)))
    yield batch


class AnswerCut(AppError):
    """A client reads its answer more slowly than what it is made of can be kept."""

    code = "answer_cut"
    status = 408


class ByteSource(NamedTuple):
    """
    Where the bytes of an answer come from.

    Attributes:
        parts: What it is made of, in order.
        fresh: Objects at hand, by key.
        store: Reads the others.
    """

    parts: Sequence[PointPieces]
    fresh: dict[str, bytes]
    store: SegmentStore


async def encoded(
    source: ByteSource, encoder: Encoder, report: CacheReport
) -> AsyncIterator[bytes]:
    """
    Yield the body of an answer but for its end; the next batch is read while one is encoded.

    Raises:
        LostObjects: an object is gone or not what the index says, and the index has forgotten it;
            when that is before the first bytes, the answer can be planned again.
    """
    waiting = list(batches(source.parts))
    ahead = asyncio.ensure_future(_read(waiting[0], source))
    try:
        for n, batch in enumerate(waiting):
            blobs = await ahead
            if n + 1 < len(waiting):
                ahead = asyncio.ensure_future(_read(waiting[n + 1], source))
            for part, first, stop in batch:
                if first == 0:
                    count = None
                    if encoder.is_counted:
                        is_at_hand = stop == len(part.pieces)
                        count = await _count(part, source, blobs if is_at_hand else None)
                    encoder.begin_point(part.point, count)
                for piece in part.pieces[first:stop]:
                    await _encode(piece, blobs, source, encoder, report)
                    if encoder.pending >= PENDING_BYTES_MAX:
                        yield encoder.take()
                if stop == len(part.pieces):
                    encoder.end_point(part.error)
            data = encoder.take()
            if data:
                yield data
    finally:
        ahead.cancel()


async def _encode(
    piece: Piece, blobs: Blobs, source: ByteSource, encoder: Encoder, report: CacheReport
) -> None:
    try:
        count = encoder.add(piece, blobs.piece(piece))
    except ValueError as error:
        raise await source.store.lost([piece.key]) from error
    if piece.key not in source.fresh:
        report.samples_from_cache += count


async def _read(batch: Batch, source: ByteSource) -> Blobs:
    selected = [piece for part, first, stop in batch for piece in part.pieces[first:stop]]
    return await source.store.read(selected, source.fresh)


async def _count(part: PointPieces, source: ByteSource, blobs: Blobs | None) -> int:
    """
    Return the samples of a point: cut frames have to be looked into.

    *blobs* holds all of its pieces; None where they have not been read.
    """
    count = sum(piece.count for piece in part.pieces if piece.frame is None)
    cut = [piece for piece in part.pieces if piece.frame is not None]
    if not cut:
        return count
    found = blobs or await source.store.read(cut, source.fresh)
    return count + sum(cut_piece_text(piece, found.piece(piece))[0] for piece in cut)


async def body(
    source: ByteSource,
    encoder: Encoder,
    report: CacheReport,
    meta: Callable[[int], object],
    clock: Clock,
) -> AsyncIterator[bytes]:
    """
    Yield the body of an answer, `samples_from_cache` of the report counted on the way.

    At its end *meta* is told how many samples there are and gives `_meta`.

    Raises:
        LostObjects: as `encoded` does.
        AnswerCut: the client has taken STREAM_MS_MAX: objects are only kept for so long.
    """
    until_ms = clock.now_ms() + STREAM_MS_MAX
    async for data in encoded(source, encoder, report):
        yield data
        if clock.now_ms() >= until_ms:
            raise AnswerCut(f"the answer was not read within {STREAM_MS_MAX // HOUR_MS} hours")
    yield encoder.finish(meta(encoder.samples))
