"""
Answers: which pieces of which objects, in what order, and the body made of them.

Separate because direct, cached and queued requests are all answered from segments.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from building_vitals.answers.answer import CacheReport
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.pieces import PointPieces, total_stored_bytes
from building_vitals.cache.segments import Piece, cut_piece_text
from building_vitals.cache.store import READ_GAP_BYTES_MAX, Blobs, SegmentStore
from building_vitals.errors import AppError
from building_vitals.instants import HOUR_MS
from building_vitals.ports import Clock
from building_vitals.upkeep import STREAM_MS_MAX

# Stored bytes that are read and encoded at a time.
BATCH_BYTES_MAX = 1_048_576
# Answers up to this size are made as a whole, larger ones streamed. One call of the bucket reads as
# much: that is a batch and the one that is read ahead of it.
WHOLE_BYTES_MAX = 2 * BATCH_BYTES_MAX
# Bytes of an answer in text that are put together before they go out.
PENDING_BYTES_MAX = 524_288


class Slice(NamedTuple):
    """
    What a batch takes of one piece.

    Attributes:
        part: The point.
        piece: None for a point without any.
        window: The bytes to be read, as a piece: all of it, or a part of a large one.
        begins, ends: Whether the point begins or ends with it.
        is_last: Whether the piece ends with it.
    """

    part: PointPieces
    piece: Piece | None = None
    window: Piece | None = None
    begins: bool = True
    ends: bool = True
    is_last: bool = True


def batches(parts: Sequence[PointPieces]) -> Iterator[list[Slice]]:
    """
    Yield all of the parts in order, some at a time, at least one batch.

    A batch reads at most `BATCH_BYTES_MAX`, what lies between its pieces and is read along
    included, or a single frame that must be cut. All is one batch up to `WHOLE_BYTES_MAX`.
    """
    whole = [piece for part in parts for piece in part.pieces]
    read_along = sum(map(_read_along, [None, *whole], whole))
    is_whole = total_stored_bytes(parts) + read_along <= WHOLE_BYTES_MAX
    most = WHOLE_BYTES_MAX if is_whole else BATCH_BYTES_MAX
    batch: list[Slice] = []
    size = 0
    before: Piece | None = None
    for each in _slices(parts, most):
        if each.window is not None:
            cost = each.window.stored_bytes + _read_along(before, each.window)
            if size and size + cost > most:
                yield batch
                batch, size, cost = [], 0, each.window.stored_bytes
            size += cost
            before = each.window
        batch.append(each)
    yield batch


def _read_along(before: Piece | None, piece: Piece) -> int:
    """Return the bytes between two pieces that are read rather than left out."""
    if before is None or before.key != piece.key:
        return 0
    between = piece.offset - before.offset - before.stored_bytes
    return between if 0 < between <= READ_GAP_BYTES_MAX else 0


def _slices(parts: Sequence[PointPieces], most: int) -> Iterator[Slice]:
    for part in parts:
        if not part.pieces:
            yield Slice(part)
        for n, piece in enumerate(part.pieces):
            windows = _windows(piece, most)
            for w, window in enumerate(windows):
                is_last = w == len(windows) - 1
                yield Slice(
                    part,
                    piece,
                    window,
                    begins=n == 0 and w == 0,
                    ends=is_last and n == len(part.pieces) - 1,
                    is_last=is_last,
                )


def _windows(piece: Piece, most: int) -> list[Piece]:
    """Return the parts that a piece is read in, each of *most* bytes but for the last."""
    if piece.frame is not None or piece.stored_bytes <= most:
        return [piece]
    end = piece.offset + piece.stored_bytes
    return [
        msgspec.structs.replace(piece, offset=start, stored_bytes=min(most, end - start))
        for start in range(piece.offset, end, most)
    ]


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
    waiting = batches(source.parts)
    batch: list[Slice] | None = next(waiting)
    ahead = asyncio.ensure_future(_read(batch or [], source))
    try:
        while batch is not None:
            blobs, following = await ahead, next(waiting, None)
            if following is not None:
                ahead = asyncio.ensure_future(_read(following, source))
            for each in batch:
                if each.begins:
                    count = None
                    if encoder.is_counted:
                        is_at_hand = each.part is not batch[-1].part or batch[-1].ends
                        count = await _count(each.part, source, blobs if is_at_hand else None)
                    encoder.begin_point(each.part.point, count)
                steps = _steps(each, blobs, source, encoder, report)
                while await _advance(each, steps, source):
                    if encoder.pending >= PENDING_BYTES_MAX:
                        yield encoder.take()
                if each.ends:
                    encoder.end_point(each.part.error)
            del blobs
            data = encoder.take()
            if data:
                yield data
            batch = following
    finally:
        ahead.cancel()


async def _advance(each: Slice, steps: Iterator[None], source: ByteSource) -> bool:
    """Take the next step; return whether there was one."""
    try:
        next(steps)
    except StopIteration:
        return False
    except ValueError as error:
        keys = [] if each.piece is None else [each.piece.key]
        raise await source.store.lost(keys) from error
    return True


def _steps(
    each: Slice, blobs: Blobs, source: ByteSource, encoder: Encoder, report: CacheReport
) -> Iterator[None]:
    """Put in a slice, and what is chosen of a point at its end; yield between two steps."""
    piece, window = each.piece, each.window
    if piece is not None and window is not None:
        is_stored = piece.key not in source.fresh
        for count in encoder.add(piece, blobs.piece(window), is_last=each.is_last):
            if is_stored:
                report.samples_from_cache += count
            yield
    if each.ends:
        for _ in encoder.choose():
            yield


async def _read(batch: Sequence[Slice], source: ByteSource) -> Blobs:
    windows = [each.window for each in batch if each.window is not None]
    return await source.store.read(windows, source.fresh)


async def _count(part: PointPieces, source: ByteSource, blobs: Blobs | None) -> int:
    """
    Return the samples of a point: cut frames have to be looked into, some at a time.

    *blobs* holds all of its pieces; None where they have not been read.
    """
    count = sum(piece.count for piece in part.pieces if piece.frame is None)
    cut = [piece for piece in part.pieces if piece.frame is not None]
    for batch in batches([PointPieces(part.point, cut)]) if cut else ():
        found = blobs or await _read(batch, source)
        for piece in (each.piece for each in batch if each.piece is not None):
            count += cut_piece_text(piece, found.piece(piece))[0]
    return count


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
