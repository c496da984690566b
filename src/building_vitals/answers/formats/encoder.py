"""
What a format is, and what the formats share that look into the samples.

Every format starts from the same thing, a run of one point's samples as frames hold them
(`[1735689600000,72.5],[1735689900000,"on"]`), and is made run by run, never as a whole. That text
is of our own making: valid, compact (no white space between tokens), ascending. The work is left to
C wherever that is possible (split, join, map, msgspec), because the interpreter's own loops are
what WebAssembly slows most; `scripts/bench/bench_formats.py` measures it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import msgspec

from building_vitals.cache.segments import Piece, cut_piece_text, verify
from building_vitals.series.downsample import downsample
from building_vitals.series.sample_text import decode_samples, encode_samples
from building_vitals.series.splicing import inflate

# Deflated while the client waits: speed before the last bytes.
STREAM_COMPRESSION_LEVEL = 4
_GZIP = 31


class Encoder(Protocol):
    """
    Builds the body of one answer.

    Attributes:
        samples: Samples put in so far.
        pending: Bytes that wait to be taken, where they may be many more than were put in.
        is_counted: Whether a point can only be begun with the count of its samples.
    """

    samples: int
    pending: int
    is_counted: bool

    def begin_point(self, point: str, count: int | None = None, /) -> None:
        """Begin the samples of a point: so many, which need not be said unless `is_counted`."""
        ...

    def add(self, piece: Piece, data: bytes | memoryview) -> int:
        """Append a piece's samples to the point begun last, and return how many they are."""
        ...

    def end_point(self, error: str | None = None) -> None:
        """End the point begun last; *error* says why it has no samples."""
        ...

    def take(self) -> bytes:
        """Return what has come together since the last call."""
        ...

    def finish(self, meta: object) -> bytes:
        """Return the rest of the body."""
        ...


class BodyOptions(msgspec.Struct, frozen=True):
    """
    How the body of an answer is wanted.

    Attributes:
        points_count: Points that will be put in.
        gzip: Compress the body.
        max_points: Choose at most so many samples of each point; None for all.
    """

    points_count: int
    gzip: bool
    max_points: int | None = None


class AnswerFormat(msgspec.Struct, frozen=True, kw_only=True):
    """
    A format that answers come in.

    Attributes:
        content_type: The `Content-Type` header.
        media_types: What `Accept` may call it.
        encoder: Makes the encoder of one answer.
    """

    content_type: str
    media_types: tuple[str, ...]
    encoder: Callable[[BodyOptions], Encoder]


def piece_text(piece: Piece, data: bytes | memoryview) -> tuple[int, bytes]:
    """
    Return the count and the JSON text of a piece's samples.

    Raises:
        ValueError: the bytes are not that piece.
    """
    if piece.frame is not None:
        return cut_piece_text(piece, data)
    verify(piece, data)
    return piece.count, inflate(data, piece.text_bytes)


class TextEncoder:
    """
    What the formats share that are made of the samples' text, gzipped or not.

    Rows go out piece by piece, so that a point may have any number of samples; only where some of
    them are to be chosen, all of a point's are held.
    """

    is_counted = False

    def __init__(self, options: BodyOptions) -> None:
        self.samples = 0
        self.pending = 0
        self._deflate = zlib.compressobj(STREAM_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
        self._gzip = options.gzip
        self._max_points = options.max_points
        self._parts: list[bytes] = []
        self._point = ""
        self._announced = self._count = 0
        self._texts: list[bytes] = []

    def begin_point(self, point: str, count: int | None = None) -> None:
        """Begin the samples of a point."""
        self._point, self._announced, self._count, self._texts = point, count or 0, 0, []
        if self._max_points is None:
            self._emit(self._opening())

    def add(self, piece: Piece, data: bytes | memoryview) -> int:
        """Append a piece's samples to the point begun last, and return how many they are."""
        count, text = piece_text(piece, data)
        if count and self._max_points is None:
            self._emit(self._rows(text))
        elif count:
            self._texts.append(text)
        self._count += count
        return count

    def end_point(self, error: str | None = None) -> None:
        """End the point begun last; *error* says why it has no samples."""
        if self._max_points is not None:
            text, self._texts = b",".join(self._texts), []
            if self._count > self._max_points:
                kept = downsample(decode_samples(text), self._max_points)
                self._count, text = len(kept), encode_samples(kept)
            self._announced, self._count = self._count, 0
            self._emit(self._opening())
            if self._announced:
                self._emit(self._rows(text))
            self._count = self._announced
        self._emit(self._closing(error))
        self.samples += self._count

    def _emit(self, data: bytes) -> None:
        if data:
            part = self._deflate.compress(data) if self._gzip else data
            self._parts.append(part)
            self.pending += len(part)

    def take(self) -> bytes:
        """Return what has come together since the last call."""
        parts, self._parts, self.pending = self._parts, [], 0
        return b"".join(parts)

    def finish(self, meta: object) -> bytes:
        """Return the rest of the body."""
        self._emit(self._end(meta))
        if self._gzip:
            self._parts.append(self._deflate.flush())
        return self.take()

    def _opening(self) -> bytes:
        """Return what comes before the rows of `_point`, of which `_announced` will come."""
        return b""

    def _rows(self, text: bytes) -> bytes:
        """Return rows of `_point`, of which `_count` have gone out before."""
        raise LookupError(f"a format says how its rows look: {text[:20]!r}")

    def _closing(self, _error: str | None) -> bytes:
        """Return what comes after the rows of `_point`, which were `_count`."""
        return b""

    def _end(self, _meta: object) -> bytes:
        return b""
