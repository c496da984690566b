"""An HttpClient on this machine's sockets, one connection a request."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from building_vitals.ports import HttpAnswer, HttpCut, HttpFailure, HttpTimeout, HttpTooLarge

READ_BYTES = 64 * 1024
GZIP_WINDOW = 31


class SocketHttp:
    """What the runtime's client is to do, in plain Python."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        body_max: int,
    ) -> HttpAnswer:
        """Send the request; whatever happens, the connection is closed."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await _exchange(method, url, headers, body, body_max)
        except TimeoutError as error:
            raise HttpTimeout(f"no whole answer within {timeout_ms} ms") from error
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise HttpFailure(str(error) or type(error).__name__) from error


async def _exchange(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, body_max: int
) -> HttpAnswer:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    lines = [f"{method} {target} HTTP/1.1", f"host: {parts.netloc}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        await writer.drain()
        status, answer_headers = await _head(reader)
        try:
            data = await _body(reader, status, answer_headers, body_max)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise HttpCut(str(error) or type(error).__name__) from error
        return HttpAnswer(status, answer_headers, data)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Return the status and the headers."""
    first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs = (line.partition(":") for line in rest if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _body(
    reader: asyncio.StreamReader, status: int, headers: Mapping[str, str], body_max: int
) -> bytes:
    """Return the body, unpacked; at most a part more than allowed is in memory."""
    if status in (204, 304):
        return b""
    inflate = zlib.decompressobj(GZIP_WINDOW) if headers.get("content-encoding") == "gzip" else None
    found = bytearray()
    async for part in _Parts(reader, headers):
        found += part if inflate is None else inflate.decompress(part, body_max + 1)
        if len(found) > body_max:
            raise HttpTooLarge(f"the body has more than {body_max} bytes")
    if inflate is not None and not inflate.eof:
        raise EOFError("the compressed body was cut short")
    return bytes(found)


class _Parts:
    """The parts of a body as they come, whether it is chunked, has a length, or just ends."""

    def __init__(self, reader: asyncio.StreamReader, headers: Mapping[str, str]) -> None:
        self._reader = reader
        self._is_chunked = headers.get("transfer-encoding") == "chunked"
        length = headers.get("content-length")
        self._left = int(length) if length is not None else None

    def __aiter__(self) -> _Parts:
        return self

    async def __anext__(self) -> bytes:
        part = await (self._chunk() if self._is_chunked else self._some())
        if not part:
            raise StopAsyncIteration
        return part

    async def _chunk(self) -> bytes:
        size = int((await self._reader.readuntil(b"\r\n")).strip(), 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    async def _some(self) -> bytes:
        if self._left == 0:
            return b""
        part = await self._reader.read(READ_BYTES)
        if self._left is not None:
            if not part:
                raise EOFError(f"the body was cut short {self._left} bytes before its end")
            self._left -= len(part)
        return part
