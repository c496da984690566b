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
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from building_vitals.answers.formats.runs import PieceRuns
from building_vitals.cache.segments import Piece

# Deflated while the client waits: speed before the last bytes.
STREAM_COMPRESSION_LEVEL = 4
_GZIP = 31


class Encoder(Protocol):
    """
    Builds the body of one answer.

    Attributes:
        is_counted: Whether a point can only be begun with the count of its samples.
    """

    is_counted: bool

    @property
    def samples(self) -> int:
        """Samples put in so far."""
        ...

    @property
    def pending(self) -> int:
        """Bytes that wait to be taken, where they may be many more than were put in."""
        ...

    def begin_point(self, point: str, count: int | None = None, /) -> None:
        """Begin the samples of a point: so many, which need not be said unless `is_counted`."""
        ...

    def add(self, piece: Piece, data: bytes | memoryview, *, is_last: bool = True) -> Iterator[int]:
        """
        Append the next bytes of a piece to the point begun last, some samples at a time.

        Bytes of a piece follow each other, and *is_last* says that they are its last ones. Between
        two steps, what is pending may be taken.

        Yields:
            How many samples of the piece are known to have been put in since the step before.

        Raises:
            ValueError: the bytes are not that piece.
        """
        ...

    def add_text(self, count: int, text: bytes) -> None:
        """Append so many samples to the point begun last, at least one: a run as frames hold it."""
        ...

    def choose(self) -> Iterator[int]:
        """
        Put in what is to be chosen of the point's samples, as `add` does; all have been seen now.

        Nothing where all of them are wanted.
        """
        ...

    def end_point(self, error: str | None = None, level: str | None = None) -> None:
        """
        End the point begun last.

        *error* says why it has no samples, *level* which it has where not all are wanted.
        """
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
        is_leveled: Whether each point will end with its level.
        columns: Names of the values of a row, where a row is no sample and its value.
    """

    points_count: int
    gzip: bool
    is_leveled: bool = False
    columns: tuple[str, ...] = ()


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


class TextEncoder:
    """
    What the formats share that are made of the samples' text, gzipped or not.

    Rows go out run by run, so that a point may have any number of samples.
    """

    is_counted = False

    def __init__(self, options: BodyOptions) -> None:
        self.samples = 0
        self.pending = 0
        self._deflate = zlib.compressobj(STREAM_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
        self._gzip = options.gzip
        self._columns = options.columns
        self._parts: list[bytes] = []
        self._point = ""
        self._announced = self._count = 0
        self._has_rows = False
        self._runs = PieceRuns()

    def begin_point(self, point: str, count: int | None = None) -> None:
        """Begin the samples of a point."""
        self._point, self._announced, self._count = point, count or 0, 0
        self._has_rows = False
        self._emit(self._opening())

    def add(self, piece: Piece, data: bytes | memoryview, *, is_last: bool = True) -> Iterator[int]:
        """Append the next bytes of a piece to the point begun last, run by run."""
        for count, text in self._runs.read(piece, data, is_last=is_last):
            self._add_run(text)
            self._count += count
            yield count

    def add_text(self, count: int, text: bytes) -> None:
        """Append samples to the point begun last."""
        self._add_run(text)
        self._count += count

    def choose(self) -> Iterator[int]:
        """Return nothing: all samples are wanted."""
        return iter(())

    def _add_run(self, text: bytes) -> None:
        if text:
            self._emit(self._rows(text))
            self._has_rows = True

    def end_point(self, error: str | None = None, level: str | None = None) -> None:
        """End the point begun last; *error* and *level* as `Encoder` has them."""
        self._emit(self._closing(error, level))
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
        """Return rows of `_point`; `_has_rows` says whether some have gone out before."""
        raise LookupError(f"a format says how its rows look: {text[:20]!r}")

    def _closing(self, _error: str | None, _level: str | None) -> bytes:
        """Return what comes after the rows of `_point`, which were `_count`."""
        return b""

    def _end(self, _meta: object) -> bytes:
        return b""
