"""
Turn pieces of objects into the body of an answer, format by format.

An encoder takes points one after the other, each piece by piece, and gives bytes whenever asked,
so that no answer need ever be whole in memory.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

import msgspec

from building_vitals.core import formats
from building_vitals.core.downsample import downsample
from building_vitals.core.gzip_splice import Splicer, inflate
from building_vitals.core.segments import Piece, cut_fragment, cut_piece_text, verify

# The ordinary path deflates while the client waits: speed before the last bytes.
STREAM_COMPRESSION_LEVEL = 4
_GZIP = 31


class Encoder(Protocol):
    """
    Builds the body of one answer.

    Attributes:
        samples: Samples put in so far.
    """

    samples: int

    def begin_point(self, point: str) -> None:
        """
        Begin the samples of a point.
        """
        ...

    def add(self, piece: Piece, data: bytes | memoryview) -> int:
        """
        Append a piece's samples to the point begun last, and return how many they are.
        """
        ...

    def end_point(self) -> None:
        """
        End the point begun last.
        """
        ...

    def take(self) -> bytes:
        """
        Return what has come together since the last call.
        """
        ...

    def finish(self, meta: dict[str, Any]) -> bytes:
        """
        Return the rest of the body.
        """
        ...


def piece_text(piece: Piece, data: bytes | memoryview) -> tuple[int, bytes]:
    """
    Return the count and the JSON text of a piece's samples.

    Raises:
        ValueError: the bytes are not that piece.
    """
    if piece.frame is not None:
        return cut_piece_text(piece, data)
    verify(piece, data)
    return piece.count, inflate(data, piece.raw_length)


class SealedJson(msgspec.Struct, frozen=True):
    """
    All of a spliced answer but its `_meta`: the same for everybody who asks the same.

    Attributes:
        data: Its bytes, compressed.
        length: Bytes of its text.
        crc: CRC-32 of its text.
        glue: Text that follows, not yet among the bytes.
        samples: Samples in it.
    """

    data: bytes
    length: int
    crc: int
    glue: bytes
    samples: int


class SplicedJson:
    """
    Gzipped JSON out of stored frames, without a look at their samples.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._splicer = Splicer()
        # Pending glue: what lies between two pieces becomes one stored block.
        self._glue = b'{"data":{'
        self._point_samples = 0
        self._points = 0

    @classmethod
    def resumed(cls, sealed: SealedJson) -> SplicedJson:
        """
        Return an encoder that has all points behind it, and none of their bytes.
        """
        encoder = cls()
        encoder._splicer = Splicer(sealed.length, sealed.crc, is_begun=True)
        encoder._glue = sealed.glue
        encoder.samples = sealed.samples
        return encoder

    def seal(self, data: bytes) -> SealedJson:
        """
        Return what `resumed` goes on from.

        Args:
            data: All that has been taken from this encoder, which now has all points behind it.
        """
        return SealedJson(data, self._splicer.length, self._splicer.crc, self._glue, self.samples)

    def begin_point(self, point: str) -> None:
        """
        Begin the samples of a point.
        """
        name = msgspec.json.encode(point)
        self._glue += (b"," if self._points else b"") + name + b':{"samples":['
        self._points += 1
        self._point_samples = 0

    def add(self, piece: Piece, data: bytes | memoryview) -> int:
        """
        Append a piece's samples to the point begun last, and return how many they are.
        """
        if piece.frame is not None:
            count, text = cut_piece_text(piece, data)
            if not count:
                return 0
            if self._point_samples:
                self._glue += b","
            self._flush()
            self._splicer.add_fragment(cut_fragment(text), text)
        else:
            verify(piece, data)
            count = piece.count
            if self._point_samples:
                self._glue += b","
            self._flush()
            self._splicer.add_run(data, piece.raw_length, piece.crc, piece.grow, piece.before)
        self._point_samples += count
        return count

    def end_point(self) -> None:
        """
        End the point begun last.
        """
        self._glue += b'],"count":%d,"error":null}' % self._point_samples
        self.samples += self._point_samples

    def _flush(self) -> None:
        self._splicer.add_text(self._glue)
        self._glue = b""

    def take(self) -> bytes:
        """
        Return what has come together since the last call.
        """
        return self._splicer.take()

    def finish(self, meta: dict[str, Any]) -> bytes:
        """
        Return the rest of the body.
        """
        self._glue += b'},"_meta":' + msgspec.json.encode(meta) + b"}"
        self._flush()
        return self._splicer.finish()


class _TextEncoder:
    """
    What the formats share that are made of the samples' text, gzipped or not.
    """

    def __init__(self, *, gzip: bool, max_points: int | None) -> None:
        self.samples = 0
        self._deflate = zlib.compressobj(STREAM_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
        self._gzip = gzip
        self._max_points = max_points
        self._parts: list[bytes] = []
        self._point = ""
        self._count = 0
        self._texts: list[bytes] = []

    def begin_point(self, point: str) -> None:
        """
        Begin the samples of a point.
        """
        self._point, self._count, self._texts = point, 0, []

    def add(self, piece: Piece, data: bytes | memoryview) -> int:
        """
        Append a piece's samples to the point begun last, and return how many they are.
        """
        count, text = piece_text(piece, data)
        if count:
            self._count += count
            self._texts.append(text)
        return count

    def end_point(self) -> None:
        """
        End the point begun last.
        """
        text = b",".join(self._texts)
        self._texts = []
        if self._max_points is not None and self._count > self._max_points:
            kept = downsample(formats.decode_samples(text), self._max_points)
            self._count, text = len(kept), formats.encode_samples(kept)
        self.samples += self._count
        self._emit(self._rows(self._point, self._count, text))

    def _emit(self, data: bytes) -> None:
        if data:
            self._parts.append(self._deflate.compress(data) if self._gzip else data)

    def take(self) -> bytes:
        """
        Return what has come together since the last call.
        """
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def finish(self, meta: dict[str, Any]) -> bytes:
        """
        Return the rest of the body.
        """
        self._emit(self._end(meta))
        if self._gzip:
            self._parts.append(self._deflate.flush())
        return self.take()

    def _rows(self, point: str, count: int, text: bytes) -> bytes:
        raise LookupError("a format says how its rows look")

    def _end(self, meta: dict[str, Any]) -> bytes:
        return b""


class TextJson(_TextEncoder):
    """
    JSON as text: for clients that do not take gzip, and for chosen samples.
    """

    def __init__(self, *, gzip: bool, max_points: int | None) -> None:
        super().__init__(gzip=gzip, max_points=max_points)
        self._emit(b'{"data":{')
        self._separator = b""

    def _rows(self, point: str, count: int, text: bytes) -> bytes:
        row = b'%b%b:{"samples":[%b],"count":%d,"error":null}' % (
            self._separator,
            msgspec.json.encode(point),
            text,
            count,
        )
        self._separator = b","
        return row

    def _end(self, meta: dict[str, Any]) -> bytes:
        return b'},"_meta":' + msgspec.json.encode(meta) + b"}"


class Csv(_TextEncoder):
    """
    CSV with one row a sample.
    """

    def __init__(self, *, gzip: bool, max_points: int | None) -> None:
        super().__init__(gzip=gzip, max_points=max_points)
        self._emit(formats.CSV_HEADER)

    def _rows(self, point: str, count: int, text: bytes) -> bytes:
        return formats.csv_rows(point, text) if count else b""


class Ndjson(_TextEncoder):
    """
    One JSON object a line and sample.
    """

    def _rows(self, point: str, count: int, text: bytes) -> bytes:
        return formats.ndjson_rows(point, text) if count else b""


class MessagePack(_TextEncoder):
    """
    The JSON answer's structure as MessagePack.
    """

    def __init__(self, points_count: int, *, gzip: bool, max_points: int | None) -> None:
        super().__init__(gzip=gzip, max_points=max_points)
        self._emit(formats.msgpack_head(points_count))

    def _rows(self, point: str, count: int, text: bytes) -> bytes:
        return b"".join(
            (
                formats.msgpack_point_head(point, count),
                formats.msgpack_rows(text),
                formats.msgpack_point_tail(),
            )
        )

    def _end(self, meta: dict[str, Any]) -> bytes:
        return formats.msgpack_tail(meta)


def encoder_for(
    output: str, points_count: int, *, gzip: bool, max_points: int | None = None
) -> Encoder:
    """
    Return the encoder of a format.

    Args:
        output: `json`, `csv`, `ndjson` or `msgpack`.
        points_count: Points that will be put in.
        gzip: Compress the body.
        max_points: Choose at most so many samples of each point.
    """
    if output == "csv":
        return Csv(gzip=gzip, max_points=max_points)
    if output == "ndjson":
        return Ndjson(gzip=gzip, max_points=max_points)
    if output == "msgpack":
        return MessagePack(points_count, gzip=gzip, max_points=max_points)
    if gzip and max_points is None:
        return SplicedJson()
    return TextJson(gzip=gzip, max_points=max_points)
