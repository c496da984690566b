"""
Encoders that look into the samples: every format but the gzipped JSON that is spliced.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from building_vitals.answers.formats import csv_rows as formats
from building_vitals.cache.segments import Piece, cut_piece_text, verify
from building_vitals.series.downsample import downsample
from building_vitals.series.splicing import inflate

# Deflated while the client waits: speed before the last bytes.
STREAM_COMPRESSION_LEVEL = 4
_GZIP = 31


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


class _TextEncoder:
    """
    What the formats share that are made of the samples' text, gzipped or not.

    Rows go out piece by piece, so that a point may have any number of samples; only where some of
    them are to be chosen, all of a point's are held.
    """

    is_counted = False

    def __init__(self, *, gzip: bool, max_points: int | None) -> None:
        self.samples = 0
        self.pending = 0
        self._deflate = zlib.compressobj(STREAM_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
        self._gzip = gzip
        self._max_points = max_points
        self._parts: list[bytes] = []
        self._point = ""
        self._count = 0
        self._texts: list[bytes] = []

    def begin_point(self, point: str, count: int | None = None) -> None:
        """
        Begin the samples of a point.
        """
        self._point, self._count, self._texts = point, 0, []
        if self._max_points is None:
            self._emit(self._opening(point, count or 0))

    def add(self, piece: Piece, data: bytes | memoryview) -> int:
        """
        Append a piece's samples to the point begun last, and return how many they are.
        """
        count, text = piece_text(piece, data)
        if count and self._max_points is None:
            self._emit(self._rows(self._point, text, is_first=not self._count))
        elif count:
            self._texts.append(text)
        self._count += count
        return count

    def end_point(self) -> None:
        """
        End the point begun last.
        """
        if self._max_points is not None:
            text, self._texts = b",".join(self._texts), []
            if self._count > self._max_points:
                kept = downsample(formats.decode_samples(text), self._max_points)
                self._count, text = len(kept), formats.encode_samples(kept)
            self._emit(self._opening(self._point, self._count))
            if self._count:
                self._emit(self._rows(self._point, text, is_first=True))
        self._emit(self._closing(self._count))
        self.samples += self._count

    def _emit(self, data: bytes) -> None:
        if data:
            part = self._deflate.compress(data) if self._gzip else data
            self._parts.append(part)
            self.pending += len(part)

    def take(self) -> bytes:
        """
        Return what has come together since the last call.
        """
        parts, self._parts, self.pending = self._parts, [], 0
        return b"".join(parts)

    def finish(self, meta: dict[str, Any]) -> bytes:
        """
        Return the rest of the body.
        """
        self._emit(self._end(meta))
        if self._gzip:
            self._parts.append(self._deflate.flush())
        return self.take()

    def _opening(self, point: str, count: int) -> bytes:
        return b""

    def _rows(self, point: str, text: bytes, *, is_first: bool) -> bytes:
        raise LookupError("a format says how its rows look")

    def _closing(self, count: int) -> bytes:
        return b""

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

    def _opening(self, point: str, count: int) -> bytes:
        separator, self._separator = self._separator, b","
        return separator + msgspec.json.encode(point) + b':{"samples":['

    def _rows(self, point: str, text: bytes, *, is_first: bool) -> bytes:
        return text if is_first else b"," + text

    def _closing(self, count: int) -> bytes:
        return b'],"count":%d,"error":null}' % count

    def _end(self, meta: dict[str, Any]) -> bytes:
        return b'},"_meta":' + msgspec.json.encode(meta) + b"}"


class Csv(_TextEncoder):
    """
    CSV with one row a sample.
    """

    def __init__(self, *, gzip: bool, max_points: int | None) -> None:
        super().__init__(gzip=gzip, max_points=max_points)
        self._emit(formats.CSV_HEADER)

    def _rows(self, point: str, text: bytes, *, is_first: bool) -> bytes:
        return formats.csv_rows(point, text)


class Ndjson(_TextEncoder):
    """
    One JSON object a line and sample.
    """

    def _rows(self, point: str, text: bytes, *, is_first: bool) -> bytes:
        return formats.ndjson_rows(point, text)


class MessagePack(_TextEncoder):
    """
    The JSON answer's structure as MessagePack.
    """

    is_counted = True

    def __init__(self, points_count: int, *, gzip: bool, max_points: int | None) -> None:
        super().__init__(gzip=gzip, max_points=max_points)
        self._emit(formats.msgpack_head(points_count))

    def _opening(self, point: str, count: int) -> bytes:
        return formats.msgpack_point_head(point, count)

    def _rows(self, point: str, text: bytes, *, is_first: bool) -> bytes:
        return formats.msgpack_rows(text)

    def _closing(self, count: int) -> bytes:
        return formats.msgpack_point_tail()

    def _end(self, meta: dict[str, Any]) -> bytes:
        return formats.msgpack_tail(meta)
