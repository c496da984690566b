"""
Answers: which pieces of which objects, in what order, and the body made of them.

Separate because direct, cached and queued requests are all answered from segments.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from building_vitals.ahead import begin_ahead
from building_vitals.answers.answer import CacheReport
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.formats.registry import encoder_for
from building_vitals.answers.formats.spliced_json import SplicedJson
from building_vitals.answers.pieces import PointPieces, total_stored_bytes, total_text_bytes
from building_vitals.answers.question import Question
from building_vitals.answers.stream_limit import WIDE_BYTES, StreamPlace
from building_vitals.cache.blobs import Blobs
from building_vitals.cache.need import Filling
from building_vitals.cache.segments import Piece, cut_piece_text
from building_vitals.cache.store import SegmentStore
from building_vitals.errors import AppError
from building_vitals.instants import HOUR_MS
from building_vitals.ports import Clock
from building_vitals.upkeep import STREAM_MS_MAX

# Answers up to this size are made as a whole; larger ones are streamed.
WHOLE_BYTES_MAX = 2_097_152
# Bytes of an answer in text that are put together before they go out, per stored byte that is read
# at a time.
PENDING_SHARE = 0.5


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


def batches(
    parts: Sequence[PointPieces], window_bytes: Callable[[], int] = lambda: WIDE_BYTES
) -> Iterator[list[Slice]]:
    """
    Yield all of the parts in order, some at a time, at least one batch.

    A batch holds at most what *window_bytes* says when it is begun, or a single frame that must be
    cut. Unless it says little, what is no more than a whole answer is one batch: each batch is a
    read of the bucket.
    """
    bytes_max = window_bytes
    if window_bytes() >= WIDE_BYTES and total_stored_bytes(parts) <= WHOLE_BYTES_MAX:
        bytes_max = _whole_bytes
    batch: list[Slice] = []
    size = 0
    for each in _slices(parts, bytes_max):
        if each.window is not None:
            if size and size + each.window.stored_bytes > bytes_max():
                yield batch
                batch, size = [], 0
            size += each.window.stored_bytes
        batch.append(each)
    yield batch


def _whole_bytes() -> int:
    return WHOLE_BYTES_MAX


def _slices(parts: Sequence[PointPieces], bytes_max: Callable[[], int]) -> Iterator[Slice]:
    for part in parts:
        if not part.pieces:
            yield Slice(part)
        for n, piece in enumerate(part.pieces):
            end = piece.offset + piece.stored_bytes
            for window in _windows(piece, bytes_max):
                is_last = window.offset + window.stored_bytes == end
                yield Slice(
                    part,
                    piece,
                    window,
                    begins=n == 0 and window.offset == piece.offset,
                    ends=is_last and n == len(part.pieces) - 1,
                    is_last=is_last,
                )


def _windows(piece: Piece, bytes_max: Callable[[], int]) -> Iterator[Piece]:
    """Yield the parts that a piece is read in."""
    if piece.frame is not None or piece.stored_bytes <= bytes_max():
        yield piece
        return
    start, end = piece.offset, piece.offset + piece.stored_bytes
    while start < end:
        size = min(bytes_max(), end - start)
        yield msgspec.structs.replace(piece, offset=start, stored_bytes=size)
        start += size


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
        place: Of a stream among others; None for what is made at once.
        made: Keys of the objects that were made for the answer: what they hold was not known.
    """

    parts: Sequence[PointPieces]
    fresh: dict[str, bytes]
    store: SegmentStore
    place: StreamPlace | None = None
    made: frozenset[str] = frozenset()

    def window_bytes(self) -> int:
        """Return the stored bytes to be read at a time now."""
        return WIDE_BYTES if self.place is None else self.place.window_bytes

    @property
    def reads_ahead(self) -> bool:
        """Whether the next batch is to be read now while one is encoded."""
        return self.place is None or self.place.reads_ahead


def encoding(
    question: Question, filling: Filling, parts: list[PointPieces], report: CacheReport
) -> tuple[int, Encoder, Callable[[ByteSource], AsyncGenerator[bytes]]]:
    """
    Return about how many bytes an answer takes to be made, its encoder, and what comes out of that.

    Raises:
        TooLarge: no memory or time would be enough for it in its layout.
    """
    max_points = question.request.max_points
    if question.request.aggregation is not None:
        # As app.py says: few answers have aggregates.
        from building_vitals.answers.buckets import BucketRows

        rows = BucketRows(question, question.request.aggregation, parts, report)
        return rows.size, rows.encoder, rows.chunks
    if question.is_wide:
        # As app.py says: few answers are wide.
        from building_vitals.answers.wide import WideRows

        table = WideRows(filling.covers, parts, report, gzip=question.gzip, max_points=max_points)
        return table.size, table.encoder, table.chunks
    encoder = encoder_for(
        question.format, len(parts), gzip=question.gzip, is_leveled=max_points is not None
    )
    is_spliced = isinstance(encoder, SplicedJson)
    if max_points is not None:
        # The same: most answers have all samples.
        from building_vitals.answers import zoom

        size = zoom.body_bytes(parts, max_points, is_spliced=is_spliced)
        return size, encoder, lambda source: zoom.zoomed(source, encoder, report, max_points)
    size = total_stored_bytes(parts) if is_spliced else total_text_bytes(parts)
    return size, encoder, lambda source: encoded(source, encoder, report)


async def encoded(
    source: ByteSource, encoder: Encoder, report: CacheReport
) -> AsyncGenerator[bytes]:
    """
    Yield the body of an answer but for its end, no part of it held while it is looked at.

    The next batch is read while one is encoded, unless many answers are under way.

    Raises:
        LostObjects: an object is gone or not what the index says, and the index has forgotten it;
            when that is before the first bytes, the answer can be planned again.
    """
    waiting = batches(source.parts, source.window_bytes)
    batch: list[Slice] | None = next(waiting)
    ahead: asyncio.Task[Blobs] | None = None
    try:
        while batch is not None:
            blobs = await (ahead or _read(batch, source))
            ahead, following = None, next(waiting, None)
            if following is not None and source.reads_ahead:
                ahead = begin_ahead(_read(following, source))
            for each in batch:
                if each.begins:
                    is_at_hand = each.part is not batch[-1].part or batch[-1].ends
                    await _begin(each.part, source, encoder, blobs if is_at_hand else None)
                if not await _is_put(each, blobs, source, encoder, report):
                    steps = _steps(each, blobs, source, encoder, report)
                    while await _advance(each, steps, source):
                        if encoder.pending >= PENDING_SHARE * source.window_bytes():
                            yield encoder.take()
                if each.ends:
                    encoder.end_point(each.part.error)
            del blobs
            yield encoder.take()
            batch = following
    finally:
        if ahead is not None:
            ahead.cancel()


async def _begin(
    part: PointPieces, source: ByteSource, encoder: Encoder, blobs: Blobs | None
) -> None:
    """Begin a point; *blobs* as `_count` has them."""
    count = await _count(part, source, blobs) if encoder.is_counted else None
    encoder.begin_point(part.point, count)


async def _is_put(
    each: Slice, blobs: Blobs, source: ByteSource, encoder: Encoder, report: CacheReport
) -> bool:
    """Put in a piece that comes whole, if it is copied and so one step; return whether it was."""
    piece = each.piece
    if piece is None or piece is not each.window or not isinstance(encoder, SplicedJson):
        return False
    try:
        if not encoder.add_at_once(piece, blobs.piece(piece)):
            return False
    except ValueError as error:
        raise await source.store.lost([piece.place]) from error
    if piece.key in source.made or piece.key in source.fresh:
        report.samples_fetched += piece.count
    else:
        report.samples_from_cache += piece.count
    return True


async def _advance(each: Slice, steps: Iterator[None], source: ByteSource) -> bool:
    """Take the next step; return whether there was one."""
    try:
        next(steps)
    except StopIteration:
        return False
    except ValueError as error:
        places = [] if each.piece is None else [each.piece.place]
        raise await source.store.lost(places) from error
    return True


def _steps(
    each: Slice, blobs: Blobs, source: ByteSource, encoder: Encoder, report: CacheReport
) -> Iterator[None]:
    """Put in a slice, and what is chosen of a point at its end; yield between two steps."""
    piece, window = each.piece, each.window
    if piece is not None and window is not None:
        was_known = piece.key not in source.made and piece.key not in source.fresh
        for count in encoder.add(piece, blobs.piece(window), is_last=each.is_last):
            if was_known:
                report.samples_from_cache += count
            else:
                report.samples_fetched += count
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
    chunks: AsyncGenerator[bytes],
    meta: Callable[[int], object],
    clock: Clock,
) -> AsyncGenerator[bytes]:
    """
    Yield the body of an answer: the *chunks* that come out of the encoder, then its end.

    At the end *meta* is told how many samples there are and gives `_meta`.

    Raises:
        LostObjects: as `encoded` does.
        AnswerCut: the client has taken STREAM_MS_MAX: objects are only kept for so long.
    """
    until_ms = clock.now_ms() + STREAM_MS_MAX
    try:
        # In no name of its own: what is being sent would be held for as long as that takes.
        while (found := [await anext(chunks, None)]) != [None]:
            if found[0]:
                yield found.pop() or b""
            now_ms = clock.now_ms()
            if source.place is not None:
                source.place.touch(now_ms)
            if now_ms >= until_ms:
                raise AnswerCut(f"the answer was not read within {STREAM_MS_MAX // HOUR_MS} hours")
        yield encoder.finish(meta(encoder.samples))
    finally:
        await chunks.aclose()
        if source.place is not None:
            source.place.leave()
