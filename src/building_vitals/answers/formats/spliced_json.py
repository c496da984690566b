"""Gzipped JSON out of stored frames, without a look at their samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from building_vitals.answers.formats.runs import PieceCheck
from building_vitals.cache.segments import Piece, cut_fragment, cut_piece_text, verify
from building_vitals.series.splicing import Splicer

# For the end of an answer: `_meta` of a hit takes 500 bytes, or 700 with the longest site.
SEALED_ROOM_BYTES = 2048

# Texts of samples that are deflated together.
TEXTS_BYTES_MAX = 65_536


def json_closing(count: int, error: str | None, level: str | None) -> bytes:
    """Return the JSON text behind a point's samples."""
    said = b"" if level is None else b',"level":"%b"' % level.encode()
    return b'],"count":%d,"error":%b%b}' % (count, msgspec.json.encode(error), said)


class SealedJson(msgspec.Struct):
    """
    All of a spliced answer but its `_meta`: the same for everybody who asks the same.

    Attributes:
        data: Its bytes, compressed, and room behind them for the end.
        stored_bytes: Its bytes without that room.
        text_bytes: Bytes of its text.
        crc: CRC-32 of its text.
        glue: Text that follows, not yet among the bytes.
        samples: Samples in it.
        kept: What the platform has made of the bytes, to be used again.
    """

    data: bytearray
    stored_bytes: int
    text_bytes: int
    crc: int
    glue: bytes
    samples: int
    kept: Any = None


class SealedBody:
    """
    A sealed answer with an end of its own.

    Many of them may share the bytes of one sealed answer, which are not copied: the end is put
    behind them when the body is handed over.
    """

    __slots__ = ("end", "sealed")

    def __init__(self, sealed: SealedJson, end: bytes) -> None:
        self.sealed = sealed
        self.end = end

    def __len__(self) -> int:
        return self.sealed.stored_bytes + len(self.end)

    def __bytes__(self) -> bytes:
        return bytes(self.view())

    @property
    def has_room(self) -> bool:
        """Whether the end fits behind the bytes."""
        return len(self) <= len(self.sealed.data)

    def view(self) -> memoryview:
        """Return the whole body; good until another one of the same sealed answer is looked at."""
        sealed, size = self.sealed, len(self)
        if not self.has_room:
            return memoryview(bytes(sealed.data[: sealed.stored_bytes]) + self.end)
        sealed.data[sealed.stored_bytes : size] = self.end
        return memoryview(sealed.data)[:size]


class SplicedJson:
    """Gzipped JSON out of stored frames, without a look at their samples."""

    pending = 0
    is_counted = False

    def __init__(self) -> None:
        self.samples = 0
        self._splicer = Splicer()
        self._check: PieceCheck | None = None
        # Pending glue: what lies between two pieces becomes one stored block. Texts of samples wait
        # with what lies between them: together they are deflated sooner, and into fewer bytes.
        self._glue = b'{"data":{'
        self._texts: list[bytes] = []
        self._texts_bytes = 0
        self._point_samples = 0
        self._points = 0

    @classmethod
    def resumed(cls, sealed: SealedJson) -> SplicedJson:
        """Return an encoder that has all points behind it, and none of their bytes."""
        encoder = cls()
        encoder._splicer = Splicer(sealed.text_bytes, sealed.crc, is_begun=True)
        encoder._glue = sealed.glue
        encoder.samples = sealed.samples
        return encoder

    def seal(self, data: bytes) -> SealedJson:
        """
        Return what `resumed` goes on from.

        Args:
            data: All that has been taken from this encoder, which now has all points behind it.
        """
        return SealedJson(
            data=bytearray(data).ljust(len(data) + SEALED_ROOM_BYTES),
            stored_bytes=len(data),
            text_bytes=self._splicer.text_bytes,
            crc=self._splicer.crc,
            glue=self._glue,
            samples=self.samples,
        )

    def begin_point(self, point: str, _count: int | None = None, /) -> None:
        """Begin the samples of a point."""
        name = msgspec.json.encode(point)
        self._glue += (b"," if self._points else b"") + name + b':{"samples":['
        self._points += 1
        self._point_samples = 0

    def add(self, piece: Piece, data: bytes | memoryview, *, is_last: bool = True) -> Iterator[int]:
        """Append the next bytes of a piece to the point begun last."""
        if piece.frame is not None:
            yield self._add_cut(piece, data)
            return
        if is_last and self.add_at_once(piece, data):
            yield piece.count
            return
        is_first = self._check is None
        check = self._check = self._check or PieceCheck(piece)
        check.add(memoryview(data))
        if is_first:
            self._add_run(piece, data)
        else:
            self._splicer.add_rest(data)
        if is_last:
            self._check = None
            check.end()
            yield piece.count

    def add_at_once(self, piece: Piece, data: bytes | memoryview) -> bool:
        """Append a piece that is not cut, and of which nothing has come yet, as most pieces are."""
        if piece.frame is not None or self._check is not None:
            return False
        if len(data) != piece.stored_bytes:
            raise ValueError("more or fewer bytes than were stored")
        verify(piece, data)
        self._add_run(piece, data)
        return True

    def _add_cut(self, piece: Piece, data: bytes | memoryview) -> int:
        count, text = cut_piece_text(piece, data)
        if count:
            self.add_text(count, text)
        return count

    def add_text(self, count: int, text: bytes) -> None:
        """Append samples to the point begun last."""
        if self._point_samples:
            self._glue += b","
        self._texts += (self._glue, text)
        self._texts_bytes += len(self._glue) + len(text)
        self._glue = b""
        self._point_samples += count
        if self._texts_bytes >= TEXTS_BYTES_MAX:
            self._flush()

    def pass_over(self, piece: Piece) -> None:
        """Count in a piece that is not cut, without its bytes: `take` gives what lies around it."""
        self._add_run(piece, b"")

    def _add_run(self, piece: Piece, data: bytes | memoryview) -> None:
        if self._point_samples:
            self._glue += b","
        self._flush()
        self._splicer.add_run(data, piece.text_bytes, piece.crc, piece.crc_growth, piece.before)
        self._point_samples += piece.count

    def choose(self) -> Iterator[int]:
        """Return nothing: all samples are wanted."""
        return iter(())

    def end_point(self, error: str | None = None, level: str | None = None) -> None:
        """End the point begun last; *error* and *level* as `Encoder` has them."""
        self._glue += json_closing(self._point_samples, error, level)
        self.samples += self._point_samples

    def _flush(self) -> None:
        """Give the splicer what is pending."""
        self._flush_texts()
        self._splicer.add_text(self._glue)
        self._glue = b""

    def _flush_texts(self) -> None:
        if self._texts:
            text = b"".join(self._texts)
            self._splicer.add_fragment(cut_fragment(text), text)
            self._texts, self._texts_bytes = [], 0

    def take(self) -> bytes:
        """Return what has come together since the last call."""
        self._flush_texts()
        return self._splicer.take()

    def finish(self, meta: object) -> bytes:
        """Return the rest of the body."""
        self._glue += b'},"_meta":' + msgspec.json.encode(meta) + b"}"
        self._flush()
        return self._splicer.finish()
