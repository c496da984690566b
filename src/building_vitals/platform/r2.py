"""The `ObjectStore` port on an R2 binding."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import js
from pyodide.ffi import JsException, jsnull, to_js

from building_vitals.ahead import begin_ahead, call_off, is_thrown_away
from building_vitals.errors import Unavailable
from building_vitals.platform.lookup import bare, require_binding
from building_vitals.ports import ObjectInfo, ObjectPage

# https://developers.cloudflare.com/r2/api/workers/workers-api-reference/
DELETE_KEYS_MAX = 1000
LIST_OBJECTS_MAX = 1000
# All parts of an upload but the last have one size, and no less than this.
PART_BYTES = 5_242_880
# Error codes in R2's texts: no such object; a range outside of it.
_ABSENT = ("(10007)", "(10039)")


class R2Objects:
    """Stores and reads objects in an R2 bucket."""

    def __init__(self, env: Any, name: str) -> None:
        """
        Args:
            env: The Worker's bindings.
            name: Of the binding; where the Worker has none, every use is refused as unavailable.
        """
        self._env = env
        self._name = name

    @cached_property
    def _binding(self) -> Any:
        """The binding in the SDK's wrapper, looked up when first used."""
        return require_binding(self._env, self._name)

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
        return await self._put(key, data, _put_options(content_type, content_encoding, metadata))

    async def get(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        object_etag: str | None = None,
    ) -> bytes | None:
        """Return the bytes of an object or of a part of it; None if it is gone or another."""
        options: dict[str, Any] = {}
        if length is not None:
            options["range"] = {"offset": offset, "length": length}
        elif offset:
            options["range"] = {"offset": offset}
        if object_etag is not None:
            options["onlyIf"] = {"etagMatches": object_etag}
        try:
            found = await bare(self._binding).get(key, _object(options))
            if not _has_body(found):
                return None
            data: bytes = (await found.arrayBuffer()).to_bytes()
        except JsException as error:
            if any(code in str(error) for code in _ABSENT):
                return None
            if "range" in options and not await self._reaches(key, offset + (length or 1)):
                return None
            raise _unavailable(error) from error
        return data if length is None or len(data) == length else None

    async def read(self, key: str) -> tuple[ObjectInfo, bytes] | None:
        """Return an object with all of its bytes, or None when there is none."""
        try:
            found = await bare(self._binding).get(key)
            if not _has_body(found):
                return None
            info = _raw_info(found)
            return info, (await found.arrayBuffer()).to_bytes()
        except JsException as error:
            if any(code in str(error) for code in _ABSENT):
                return None
            raise _unavailable(error) from error

    async def _reaches(self, key: str, size: int) -> bool:
        """
        Return whether an object has at least *size* bytes.

        A range outside of an object does not always fail with its own code (miniflare
        5.20261117: `Unspecified error (0)`), and no other failure may pass for a missing object.
        """
        info = await self.head(key)
        return info is not None and info.size >= size

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
        """Store an object that is never whole in memory: all that comes, or nothing."""
        options = _put_options(content_type, content_encoding, metadata)
        # R2 wants to know the length of a stream beforehand, and refuses one that ends early.
        stream = js.FixedLengthStream.new(size)
        writer = stream.writable.getWriter()
        put = begin_ahead(self._put(key, stream.readable, options))
        try:
            async for chunk in chunks:
                await writer.write(to_js(chunk))
            await writer.close()
        except BaseException as error:
            put.cancel()
            if is_thrown_away():
                raise
            await _abort(writer)
            # Its own failure, if it has one, is what broke the writer.
            await call_off(put)
            if isinstance(error, JsException):
                raise _unavailable(error) from error
            raise
        return await put

    async def put_parts(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object of any size, a part at a time: all that comes, or nothing."""
        options = _put_options(content_type, None, metadata)
        upload, parts, held = None, list[Any](), bytearray()
        try:
            async for chunk in chunks:
                held += chunk
                while len(held) > PART_BYTES:
                    if upload is None:
                        upload = await bare(self._binding).createMultipartUpload(
                            key, _object(options)
                        )
                    part = to_js(bytes(held[:PART_BYTES]))
                    del held[:PART_BYTES]
                    parts.append(await upload.uploadPart(len(parts) + 1, part))
            if upload is None:
                return await self._put(key, bytes(held), options)
            parts.append(await upload.uploadPart(len(parts) + 1, to_js(bytes(held))))
            return _raw_info(await upload.complete(to_js(parts)))
        except BaseException as error:
            if upload is not None and not is_thrown_away():
                # R2 forgets it by itself after a week.
                await _quietly(upload.abort())
            if isinstance(error, JsException):
                raise _unavailable(error) from error
            raise

    async def _put(self, key: str, body: Any, options: dict[str, Any]) -> ObjectInfo:
        try:
            return _info(await self._binding.put(key, body, options))
        except JsException as error:
            raise _unavailable(error) from error

    async def open(self, key: str, *, object_etag: str) -> R2OpenObject | None:
        """Return an object to be streamed; None when there is none of this entity tag."""
        options = _object({"onlyIf": {"etagMatches": object_etag}})
        try:
            found = await bare(self._binding).get(key, options)
        except JsException as error:
            if any(code in str(error) for code in _ABSENT):
                return None
            raise _unavailable(error) from error
        return R2OpenObject(found) if _has_body(found) else None

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None when there is none."""
        try:
            found = await self._binding.head(key)
        except JsException as error:
            raise _unavailable(error) from error
        return None if found is None else _info(found)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        try:
            for start in range(0, len(keys), DELETE_KEYS_MAX):
                await self._binding.delete(list(keys[start : start + DELETE_KEYS_MAX]))
        except JsException as error:
            raise _unavailable(error) from error

    async def list(
        self, *, prefix: str = "", cursor: str | None = None, limit: int = LIST_OBJECTS_MAX
    ) -> ObjectPage:
        """Return a page of the objects whose key begins with *prefix*, by key."""
        options: dict[str, Any] = {
            "limit": min(limit, LIST_OBJECTS_MAX),
            "include": ["httpMetadata", "customMetadata"],
        }
        if prefix:
            options["prefix"] = prefix
        if cursor is not None:
            options["cursor"] = cursor
        try:
            page = await self._binding.list(options)
        except JsException as error:
            raise _unavailable(error) from error
        objects = [_raw_info(each) for each in page["objects"]]
        return ObjectPage(objects, page["cursor"] if page["truncated"] else None)


class R2OpenObject:
    """The `OpenObject` port on what R2's `get` returns."""

    def __init__(self, found: Any) -> None:
        self.size = int(found.size)
        self.body = found.body

    async def close(self) -> None:
        """Let go of the bytes, where nobody wants them."""
        await _quietly(self.body.cancel())


def _put_options(
    content_type: str, content_encoding: str | None, metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    http = {"contentType": content_type}
    if content_encoding is not None:
        http["contentEncoding"] = content_encoding
    return {"httpMetadata": http, "customMetadata": dict(metadata or {})}


async def _abort(writer: Any) -> None:
    await _quietly(writer.abort("the object could not be completed"))


async def _quietly(promise: Any) -> None:
    """Wait for what ends a stream: that it is broken already is no news."""
    with suppress(JsException):
        await promise


def _has_body(found: Any) -> bool:
    """
    Return whether R2's `get` gave an object; one that fails a condition comes without a body.

    Truth would not tell: an object of size 0 is false to Pyodide.
    """
    return not (found is None or found is jsnull) and hasattr(found, "body")


def _info(found: Any) -> ObjectInfo:
    """Return what a wrapped R2 object says of itself."""
    return _raw_info(bare(found))


def _raw_info(found: Any) -> ObjectInfo:
    """Return what an R2 object of JavaScript says of itself."""
    http = found.httpMetadata
    custom = found.customMetadata
    return ObjectInfo(
        key=found.key,
        size=int(found.size),
        object_etag=found.etag,
        uploaded_ms=int(found.uploaded.getTime()),
        content_type=_text(http, "contentType"),
        content_encoding=_text(http, "contentEncoding"),
        metadata=dict(custom.to_py()) if custom else {},
    )


def _object(options: dict[str, Any]) -> Any:
    """Return the options as a plain object of JavaScript."""
    return to_js(options, dict_converter=js.Object.fromEntries)


def _text(http: Any, name: str) -> str | None:
    value = getattr(http, name, None) if http else None
    return value if isinstance(value, str) else None


def _unavailable(error: JsException) -> Unavailable:
    return Unavailable(f"R2 refused: {str(error)[:300]}")
