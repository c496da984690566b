"""
Datasets in R2: whole answers or anything like them, kept for a while under their question.

Separate from segments, which hold what is known of points: a dataset is opaque, and found only by
asking for exactly the same again.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from building_vitals.answers.formats.registry import CONTENT_TYPES
from building_vitals.cache.object_keys import DATASETS_PREFIX
from building_vitals.datasets.dataset import (
    CacheStats,
    Compressor,
    Dataset,
    DatasetKey,
    compress,
    decompress,
)
from building_vitals.errors import Unavailable
from building_vitals.instants import format_instant, parse_iso
from building_vitals.ports import Clock, ObjectInfo, ObjectStore

# Objects that one call deletes at most, and that a page of a listing has at most.
# https://developers.cloudflare.com/r2/api/workers/workers-api-reference/
KEYS_MAX = 1000
# Ten million objects: a listing that goes on is not one.
LIST_PAGES_MAX = 10_000


class R2CacheService:
    """
    The cache of whole documents in R2: puts, gets, lists and clears out datasets.

    Every method raises `errors.Unavailable` when the bucket cannot be reached.
    """

    def __init__(
        self,
        objects: ObjectStore,
        clock: Clock,
        *,
        default_ttl: int = 3600,
        max_cache_age: int = 86_400,
        compression: bool = True,
        compressor: Compressor | None = None,
    ) -> None:
        """
        Args:
            objects: The bucket.
            clock: Tells the age of datasets.
            default_ttl: Seconds that a dataset is given.
            max_cache_age: Seconds that one is kept, and the longest it may be given.
            compression: Whether objects are compressed.
            compressor: Used where `put` is asked for its encoding.
        """
        self._objects = objects
        self._clock = clock
        self._default_ttl = default_ttl
        self._max_cache_age = max_cache_age
        self._compression = compression
        self._compressor = compressor

    async def put(
        self,
        key: DatasetKey,
        content: Any,
        *,
        samples: int = 0,
        content_type: str | None = None,
        encoding: str = "gzip",
        ttl: int | None = None,
    ) -> ObjectInfo:
        """
        Store a dataset in place of an earlier one.

        Args:
            key: What it answers.
            content: Bytes, taken as they are, or what JSON can express.
            samples: How many it holds.
            content_type: Left out: that of the key's format.
            encoding: `gzip`, or the compressor's, which is kept only if it saves more.
            ttl: Seconds that it is given; left out: the default.
        """
        data = content if isinstance(content, bytes) else msgspec.json.encode(content)
        stored, used = data, None
        if self._compression:
            stored, used = compress(data, encoding, self._compressor)
        now_ms = self._clock.now_ms()
        lives_ms = self._lives_ms(ttl)
        metadata = {
            "points": str(len({*key.points})),
            "samples": str(samples),
            "originalSize": str(len(data)),
            "compressedSize": str(len(stored)),
            "compressionRatio": f"{len(data) / len(stored):.3f}" if stored else "1.000",
            "generatedAt": format_instant(now_ms),
            "expiresAt": format_instant(now_ms + lives_ms),
            "crc32": str(zlib.crc32(data)),
        }
        if ttl is not None:
            metadata["ttl"] = str(ttl)
        return await self._objects.put(
            key.object_key,
            stored,
            content_type=content_type or CONTENT_TYPES[key.format],
            content_encoding=used,
            metadata=metadata,
        )

    async def get(self, key: DatasetKey) -> Dataset | None:
        """Return a dataset; None when there is none, it has expired, or it is not what was put."""
        found = await self._objects.read(key.object_key)
        if found is None:
            return None
        info, stored = found
        about = self._about(info)
        return None if about is None else self._dataset(info, about, stored)

    async def exists(self, key: DatasetKey) -> bool:
        """Return whether there is a dataset that has not expired."""
        info = await self._objects.head(key.object_key)
        return info is not None and self._about(info) is not None

    async def delete(self, key: DatasetKey) -> None:
        """Remove a dataset, if it is there."""
        await self._objects.delete([key.object_key])

    async def cleanup(self, max_age: int | None = None) -> int:
        """
        Remove the datasets stored longer ago than *max_age* seconds; return how many.

        Args:
            max_age: Left out: `max_cache_age`.
        """
        age_ms = (self._max_cache_age if max_age is None else max_age) * 1000
        oldest_ms = self._clock.now_ms() - age_ms
        outdated: list[str] = []
        deleted = 0
        async for info in self._all():
            if info.uploaded_ms < oldest_ms:
                outdated.append(info.key)
            if len(outdated) == KEYS_MAX:
                await self._objects.delete(outdated)
                deleted += len(outdated)
                outdated = []
        if outdated:
            await self._objects.delete(outdated)
        return deleted + len(outdated)

    async def get_stats(self) -> CacheStats:
        """Return what there is, expired datasets included; takes a listing of them all."""
        count = size = original = 0
        oldest_ms: int | None = None
        newest_ms: int | None = None
        async for info in self._all():
            count += 1
            size += info.size
            raw = info.metadata.get("originalSize", "")
            original += int(raw) if raw.isdecimal() else info.size
            oldest_ms = info.uploaded_ms if oldest_ms is None else min(oldest_ms, info.uploaded_ms)
            newest_ms = info.uploaded_ms if newest_ms is None else max(newest_ms, info.uploaded_ms)
        return CacheStats(
            count,
            size,
            None if oldest_ms is None else format_instant(oldest_ms),
            None if newest_ms is None else format_instant(newest_ms),
            round(original / size, 3) if size else None,
        )

    async def _all(self) -> AsyncIterator[ObjectInfo]:
        """Yield every dataset's object; only the cursor says whether there are more."""
        cursor: str | None = None
        for _ in range(LIST_PAGES_MAX):
            page = await self._objects.list(prefix=DATASETS_PREFIX, cursor=cursor, limit=KEYS_MAX)
            for info in page.objects:
                yield info
            if page.cursor is None:
                return
            if page.cursor == cursor:
                break
            cursor = page.cursor
        raise Unavailable(f"R2 lists without end: more than {LIST_PAGES_MAX} pages, or one again")

    def _lives_ms(self, ttl: int | None) -> int:
        return min(self._default_ttl if ttl is None else ttl, self._max_cache_age) * 1000

    def _about(self, info: ObjectInfo) -> _Metadata | None:
        """
        Return what an object's metadata say; None when it has expired or they can't be read.

        Expiry is judged by today's configuration, so that a changed one takes effect at once.
        """
        try:
            about = msgspec.convert(info.metadata, _Metadata, strict=False)
            about.generated_ms = parse_iso(about.generated_at)
        except ValueError:
            return None
        about.expires_ms = about.generated_ms + self._lives_ms(about.ttl)
        return about if self._clock.now_ms() < about.expires_ms else None

    def _dataset(self, info: ObjectInfo, about: _Metadata, stored: bytes) -> Dataset | None:
        """Return the dataset in an object's bytes; None when they are not what was put."""
        try:
            content = decompress(
                stored, info.content_encoding, about.original_size, self._compressor
            )
        except ValueError:
            return None
        if zlib.crc32(content) != about.crc32:
            return None
        return Dataset(
            content,
            info.content_type or CONTENT_TYPES["json"],
            about.samples,
            about.generated_ms,
            about.expires_ms,
            info.size,
            info.content_encoding,
        )


class _Metadata(msgspec.Struct, rename="camel"):
    """What an object's metadata say of its dataset."""

    original_size: int
    generated_at: str
    crc32: int
    samples: int = 0
    ttl: int | None = None
    generated_ms: int = 0
    expires_ms: int = 0
