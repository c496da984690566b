"""A bucket in memory that keeps R2's rules."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from building_vitals.errors import Unavailable
from building_vitals.ports import ObjectInfo, ObjectPage
from fakes.failures import Failures

# https://developers.cloudflare.com/r2/platform/limits/
KEY_BYTES_MAX = 1024
METADATA_BYTES_MAX = 8192
LIST_OBJECTS_MAX = 1000


class FakeObjectStore:
    """
    An ObjectStore.

    Attributes:
        failures: Makes calls fail.
        infos, contents: What is stored, by key.
        page_objects_max: Objects on a page of a listing, whatever its limit: R2 may give fewer than
            asked for, and only the cursor tells whether there are more.
        bytes_read: Bytes that `get` has returned.
    """

    def __init__(self, now_ms: Callable[[], int] | None = None) -> None:
        """
        Args:
            now_ms: The time of `put`; without, each takes a millisecond.
        """
        ticks = itertools.count(1_735_689_600_000)
        self._now_ms = now_ms or (lambda: next(ticks))
        self.failures = Failures("R2")
        self.infos: dict[str, ObjectInfo] = {}
        self.contents: dict[str, bytes] = {}
        self.page_objects_max = LIST_OBJECTS_MAX
        self.bytes_read = 0

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object, replacing any other of that key."""
        async with self.failures.call("put"):
            _check_key(key)
            held = dict(metadata or {})
            size = sum(len(name.encode()) + len(text.encode()) for name, text in held.items())
            if size > METADATA_BYTES_MAX:
                raise Unavailable(f"R2 refused: {size} bytes of metadata (10012)")
            self.contents[key] = bytes(data)
            self.infos[key] = ObjectInfo(
                key=key,
                size=len(data),
                object_etag=_etag(data),
                uploaded_ms=self._now_ms(),
                content_type=content_type,
                content_encoding=content_encoding,
                metadata=held,
            )
            return self.infos[key]

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        size: int,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object; nothing is stored unless all of it comes."""
        async with self.failures.call("put_stream"):
            data = b"".join([chunk async for chunk in chunks])
            if len(data) != size:
                raise Unavailable(f"R2 refused: {size} bytes were announced, {len(data)} came")
            return await self.put(
                key,
                data,
                content_type=content_type,
                content_encoding=content_encoding,
                metadata=metadata,
            )

    async def put_parts(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object; nothing is stored unless all of it comes."""
        async with self.failures.call("put_parts"):
            data = b"".join([chunk async for chunk in chunks])
            return await self.put(key, data, content_type=content_type, metadata=metadata)

    async def open(self, key: str, *, object_etag: str) -> FakeOpenObject | None:
        """Return an object to be streamed; None when there is none of this entity tag."""
        data = await self.get(key, object_etag=object_etag)
        return None if data is None else FakeOpenObject(data)

    async def get(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        object_etag: str | None = None,
    ) -> bytes | None:
        """Return the bytes of an object or of a part; None when it is not there or another."""
        async with self.failures.call("get"):
            info = self.infos.get(key)
            if info is None or (object_etag is not None and object_etag != info.object_etag):
                return None
            data = self.contents[key]
            stop = len(data) if length is None else offset + length
            if stop > len(data) or (offset and offset >= len(data)):
                return None
            self.bytes_read += stop - offset
            return data[offset:stop]

    async def read(self, key: str) -> tuple[ObjectInfo, bytes] | None:
        """Return an object with all of its bytes, or None when there is none."""
        async with self.failures.call("get"):
            info = self.infos.get(key)
            if info is None:
                return None
            self.bytes_read += info.size
            return info, self.contents[key]

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None when there is none."""
        async with self.failures.call("head"):
            return self.infos.get(key)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        for start in range(0, len(keys), LIST_OBJECTS_MAX):
            async with self.failures.call("delete"):
                for key in keys[start : start + LIST_OBJECTS_MAX]:
                    self.lose(key)

    async def list(
        self, *, prefix: str = "", cursor: str | None = None, limit: int = LIST_OBJECTS_MAX
    ) -> ObjectPage:
        """Return the objects whose key begins with *prefix*, by key, a page at a time."""
        async with self.failures.call("list"):
            after = b"" if cursor is None else _decode_cursor(cursor)
            found = sorted(
                (key for key in self.infos if key.startswith(prefix) and key.encode() > after),
                key=str.encode,
            )
            page = found[: min(limit, self.page_objects_max, LIST_OBJECTS_MAX)]
            more = base64.b64encode(page[-1].encode()).decode() if len(page) < len(found) else None
            return ObjectPage([self.infos[key] for key in page], more)

    def lose(self, key: str) -> None:
        """Let an object vanish."""
        self.infos.pop(key, None)
        self.contents.pop(key, None)

    def overwrite(self, key: str, data: bytes) -> None:
        """Put other bytes under a key, as somebody else would."""
        self.contents[key] = data
        self.infos[key] = msgspec.structs.replace(
            self.infos[key], size=len(data), object_etag=_etag(data), uploaded_ms=self._now_ms()
        )

    def spoil(self, key: str, position: int) -> None:
        """Change one byte of an object without any sign of it."""
        data = bytearray(self.contents[key])
        data[position % len(data)] ^= 0x55
        self.contents[key] = bytes(data)


class FakeOpenObject:
    """An object whose bytes go to a client."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.body: Any = data

    async def close(self) -> None:
        """Let go of the bytes."""
        self.body = None


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _check_key(key: str) -> None:
    if not 0 < len(key.encode()) <= KEY_BYTES_MAX:
        raise Unavailable("R2 refused: the specified object name is not valid (10020)")


def _decode_cursor(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor, validate=True)
    except binascii.Error as error:
        raise Unavailable("R2 refused: the cursor is not one of a listing") from error
