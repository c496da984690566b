"""
Answers: which pieces of which objects, in what order, and the body made of them.

Separate because direct, cached and queued requests are all answered from segments.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from building_vitals.core.encoders import Encoder
from building_vitals.core.plan import Cover
from building_vitals.core.ranges import Range
from building_vitals.core.segments import Piece, pieces
from building_vitals.services.segment_store import LostObjects, SegmentStore

# Stored bytes that are read and encoded at a time; larger answers are streamed.
BATCH_BYTES_MAX = 2_097_152


class PointPieces(NamedTuple):
    """
    A requested point with what its samples are made of, in order of time.
    """

    point: str
    pieces: list[Piece]


class CacheReport(msgspec.Struct, rename="camel"):
    """
    What `_meta.cache` says.

    Attributes:
        status: `hit`, `partial`, `miss`, `bypass` or `stale`.
        samples_from_cache: Samples of the answer that were stored before.
        samples_fetched: Samples that came from the upstream for this request.
        upstream_requests: Requests it took.
        fetched: Ranges that went upstream, merged.
    """

    status: str
    samples_from_cache: int = 0
    samples_fetched: int = 0
    upstream_requests: int = 0
    fetched: list[Range] = []

    @property
    def is_hit(self) -> bool:
        """
        Whether nothing of the answer came from upstream.
        """
        return self.status in ("hit", "stale")


def resolve(covers: Sequence[Cover]) -> list[PointPieces]:
    """
    Return the pieces each cover is made of.

    Raises:
        DirectoryMissing: a segment must be cut whose directory was not loaded.
    """
    return [
        PointPieces(
            cover.point, [piece for segment, part in cover.known for piece in pieces(segment, part)]
        )
        for cover in covers
    ]


def identity(parts: Sequence[PointPieces], *about: object) -> str:
    """
    Return an entity tag: the same for the same samples in the same form.

    Weak, because `_meta` differs from answer to answer. Objects are immutable and their keys never
    used twice, so pieces identify samples.
    """
    digest = hashlib.sha256(repr(about).encode())
    for point, of_point in parts:
        digest.update(f"\n{point}\n".encode())
        digest.update(
            "".join(
                f"{each.key},{each.offset},{each.length},{each.wanted};" for each in of_point
            ).encode()
        )
    return f'W/"{digest.hexdigest()[:32]}"'


def stored_bytes(parts: Sequence[PointPieces]) -> int:
    """
    Return the bytes of all pieces.
    """
    return sum(piece.length for part in parts for piece in part.pieces)


# Parts with the first and the last piece (exclusive) that belong to the batch.
Batch = list[tuple[PointPieces, int, int]]


def batches(parts: Sequence[PointPieces]) -> Iterator[Batch]:
    """
    Yield the pieces in order, some at a time.
    """
    batch: Batch = []
    size = 0
    for part in parts:
        first = 0
        for n, piece in enumerate(part.pieces):
            if size and size + piece.length > BATCH_BYTES_MAX:
                if n > first:
                    batch.append((part, first, n))
                yield batch
                batch, size, first = [], 0, n
            size += piece.length
        batch.append((part, first, len(part.pieces)))
    yield batch


class Source(NamedTuple):
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


async def encode_batch(batch: Batch, source: Source, encoder: Encoder, report: CacheReport) -> None:
    """
    Read the pieces of one batch and give them to the encoder.

    Raises:
        LostObjects: an object is gone or not what the index says.
    """
    fresh = source.fresh
    wanted = [piece for part, first, stop in batch for piece in part.pieces[first:stop]]
    blobs = await source.store.read(wanted, fresh)
    for part, first, stop in batch:
        if first == 0:
            encoder.begin_point(part.point)
        for piece in part.pieces[first:stop]:
            try:
                count = encoder.add(piece, blobs.piece(piece))
            except ValueError as error:
                raise LostObjects([piece.key]) from error
            if piece.key not in fresh:
                report.samples_from_cache += count
        if stop == len(part.pieces):
            encoder.end_point()


async def body(
    source: Source,
    encoder: Encoder,
    report: CacheReport,
    meta: Callable[[int], dict[str, Any]],
) -> AsyncIterator[bytes]:
    """
    Yield the body of an answer.

    Args:
        report: Its `samples_from_cache` is counted on the way.
        meta: Gives `_meta`, told how many samples there are.

    Raises:
        LostObjects: an object is gone or not what the index says; when that is before the first
            bytes, the answer can be planned anew.
    """
    for batch in batches(source.parts):
        await encode_batch(batch, source, encoder, report)
        data = encoder.take()
        if data:
            yield data
    yield encoder.finish(meta(encoder.samples))
