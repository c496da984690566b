"""Datasets: documents kept and given back whole, and how their bytes are compressed."""

from __future__ import annotations

import zlib
from typing import Any, Protocol

import msgspec

from building_vitals.answers.formats.registry import Format
from building_vitals.cache.object_keys import dataset_object_key
from building_vitals.ranges import Range

GZIP_LEVEL = 6
_GZIP = 31


class Compressor(Protocol):
    """
    A way to compress that is not built in.

    Attributes:
        encoding: What `Content-Encoding` calls it.
    """

    encoding: str

    def compress(self, data: bytes) -> bytes:
        """Return the data compressed."""
        ...

    def decompress(self, data: bytes, size: int) -> bytes:
        """Return what was compressed, *size* bytes, or raise a ValueError."""
        ...


class DatasetKey(msgspec.Struct, frozen=True):
    """
    What a dataset answers.

    Attributes:
        points: In any order.
        format: Format: `json`, `csv`, `ndjson` or `msgpack`.
    """

    site: str
    points: tuple[str, ...]
    time_range: Range
    format: Format = "json"

    @property
    def object_key(self) -> str:
        """The key of its object."""
        return dataset_object_key(self.site, self.points, self.time_range, self.format)


class Dataset(msgspec.Struct, frozen=True):
    """
    A dataset as it was put.

    Attributes:
        content: Its bytes, not compressed.
        content_type: What they are.
        samples: How many samples it was said to hold.
        generated_ms: When it was put.
        expires_ms: When it stops being given.
        stored_bytes: Size of its object.
        content_encoding: How its object is compressed; None where that saves nothing.
    """

    content: bytes
    content_type: str
    samples: int
    generated_ms: int
    expires_ms: int
    stored_bytes: int
    content_encoding: str | None

    def json(self) -> Any:
        """Return the content read as JSON."""
        return msgspec.json.decode(self.content)


class CacheStats(msgspec.Struct, frozen=True, rename="camel"):
    """
    What there is.

    Attributes:
        total_objects, total_size: Objects, and their bytes as stored.
        oldest_entry, newest_entry: When the first and the last were stored, ISO 8601; None without
            any.
        compression_ratio: Bytes before compression for each one stored; None without any.
    """

    total_objects: int
    total_size: int
    oldest_entry: str | None
    newest_entry: str | None
    compression_ratio: float | None


def compress(data: bytes, encoding: str, compressor: Compressor | None) -> tuple[bytes, str | None]:
    """Return the shortest of the data as is, in gzip and as asked for, and its encoding."""
    found: tuple[bytes, str | None] = data, None
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    packed = packer.compress(data) + packer.flush()
    if len(packed) < len(data):
        found = packed, "gzip"
    if compressor is not None and encoding == compressor.encoding:
        packed = compressor.compress(data)
        if len(packed) < len(found[0]):
            found = packed, encoding
    return found


def decompress(
    stored: bytes, encoding: str | None, size: int, compressor: Compressor | None
) -> bytes:
    """
    Return what was compressed, of which little more than *size* bytes are ever made.

    Raises:
        ValueError: the bytes are not what the encoding says, or it is an unknown one.
    """
    if encoding is None:
        return stored
    if encoding == "gzip":
        try:
            return zlib.decompressobj(_GZIP).decompress(stored, size + 1)
        except zlib.error as error:
            raise ValueError(f"not gzip: {error}") from error
    if compressor is not None and encoding == compressor.encoding:
        return compressor.decompress(stored, size)
    raise ValueError(f"unknown encoding: {encoding}; gzip is allowed")
