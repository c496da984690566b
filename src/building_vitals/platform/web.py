"""Between the runtime's requests and responses and the handlers' own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import js
import msgspec
from pyodide.ffi import JsException, create_proxy, to_js

from building_vitals.answers.answer import StoredBody
from building_vitals.answers.formats.spliced_json import SealedBody
from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.errors import InvalidRequest, Problem, RequestTimeout, TooLarge
from building_vitals.statistics.events import CLIENT_GONE

# Of a body that nobody wants, so much is taken in before the answer.
DROP_BYTES_MAX = 8 * 1024 * 1024
DROP_MS_MAX = 5000
# The whole body of a request must be in by then, however fast its parts come.
BODY_MS_MAX = 15_000
RELEASE_MS_MAX = 1000


def read_request(raw: Any, body: RequestBody, now_ms: int) -> HttpRequest:
    """
    Return the handlers' view of a request of the runtime.

    *raw* is the JavaScript request: the SDK's wrapper refuses methods it doesn't know.
    """
    url = str(raw.url)
    path, query = _path_and_query(url)
    return HttpRequest(
        method=str(raw.method).upper(),
        path=path,
        query=query,
        headers=RequestHeaders(raw),
        request_id=str(uuid.uuid4()),
        started_ms=now_ms,
        host=_authority(url),
        is_https=url.startswith("https:"),
        read_body=body.read,
    )


def _path_and_query(url: str) -> tuple[str, str]:
    """
    Return the path, from its slash on, and the query, both undecoded.

    Not by urlsplit, which judges hosts by other rules than the runtime and raises: a `Host` header
    is the client's to choose.
    """
    _, _, rest = url.partition("://")
    _, slash, target = rest.partition("/")
    path, _, query = (slash + target).partition("#")[0].partition("?")
    return path, query


def _authority(url: str) -> str:
    """Return host and port of an address; as with the path, without a judgement of them."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]


class RequestHeaders(Mapping[str, str]):
    """
    The headers of a request, each looked up when it is asked for: an answer depends on four, and a
    browser behind Cloudflare sends thirty.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._headers = raw.headers

    def __getitem__(self, name: str) -> str:
        if name == "accept-encoding":
            # The platform puts its own in place of the client's, which is kept here.
            # https://developers.cloudflare.com/fundamentals/reference/http-headers/
            accepted = getattr(getattr(self._raw, "cf", None), "clientAcceptEncoding", None)
            if isinstance(accepted, str):
                return accepted
        value = self._headers.get(name)
        if isinstance(value, str):
            return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter([str(name) for name in self._headers.keys()])  # noqa: SIM118 - JavaScript's

    def __len__(self) -> int:
        return len(list(iter(self)))


class RequestBody:
    """The body of a request, read once at most."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._reader: Any = None
        self._is_over = False

    async def read(self, bytes_max: int) -> bytes:
        """
        Return the body, having kept no more than is allowed.

        Raises:
            TooLarge: it has more than *bytes_max* bytes, or says so.
            RequestTimeout: it has not come whole within BODY_MS_MAX.
            InvalidRequest: it was cut short.
        """
        if not self._raw.body:
            return b""
        declared = self._raw.headers.get("content-length")
        if isinstance(declared, str) and declared.isdigit() and int(declared) > bytes_max:
            raise TooLarge(f"body has {declared} bytes; at most {bytes_max} are allowed")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_MS_MAX / 1000):
                while (part := await self._part()) is not None:
                    size += part.length
                    if size > bytes_max:
                        raise TooLarge(
                            f"body has more than {bytes_max} bytes, which is what is allowed"
                        )
                    parts.append(part.to_bytes())
        except TimeoutError as error:
            await self._release()
            raise RequestTimeout(
                f"body not complete within {BODY_MS_MAX // 1000} s: {size} bytes came"
            ) from error
        return b"".join(parts)

    async def _release(self) -> None:
        """Let go of a body that does not end: what still comes of it is not waited for."""
        self._is_over = True
        try:
            async with asyncio.timeout(RELEASE_MS_MAX / 1000):
                await self._reader.cancel("the body took too long")
        except (JsException, TimeoutError):
            # The stream is broken already; nobody reads it any longer either way.
            return

    async def drop(self) -> None:
        """
        Take in what nobody has read, within bounds, and forget it.

        An answer that goes out before its request is in breaks the connection for clients and
        proxies that are still sending; they then report a failure instead of the answer.
        """
        if self._is_over or not self._raw.body:
            return
        size = 0
        try:
            async with asyncio.timeout(DROP_MS_MAX / 1000):
                while size <= DROP_BYTES_MAX and (part := await self._part()) is not None:
                    size += part.length
        except InvalidRequest:
            # The client is gone: it gets its answer as it is.
            return
        except TimeoutError:
            await self._release()

    async def _part(self) -> Any:
        """Return the next bytes, a JavaScript array; None behind the last."""
        try:
            if self._reader is None:
                self._reader = self._raw.body.getReader()
            step = await self._reader.read()
        except JsException as error:
            self._is_over = True
            raise InvalidRequest([Problem("body", "cut short")]) from error
        self._is_over = bool(step.done)
        return None if self._is_over else step.value


def write_response(reply: Reply, method: str, wait_until: Callable[[Any], None]) -> Any:
    """Return the runtime's response; *wait_until* keeps a coroutine running behind it."""
    headers: dict[str, str] = {}
    for name, value in reply.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    encode = "manual" if reply.is_encoded else "automatic"
    # One text crosses into JavaScript, not each header on its own.
    options = js.JSON.parse(
        msgspec.json.encode(
            {"status": reply.status, "headers": headers, "encodeBody": encode}
        ).decode()
    )
    if method == "HEAD" or reply.status in (204, 304):
        if reply.rest is not None:
            wait_until(_close(reply.rest))
        if reply.stored is not None:
            wait_until(reply.stored.found.close())
        return js.Response.new(None, options)
    if reply.stored is not None:
        stream = js.FixedLengthStream.new(reply.stored.size)
        wait_until(_pass_on(reply.stored, stream.writable))
        return js.Response.new(stream.readable, options)
    if reply.rest is not None:
        stream = js.IdentityTransformStream.new()
        wait_until(_pump(reply, stream.writable.getWriter()))
        return js.Response.new(stream.readable, options)
    if isinstance(reply.body, SealedBody) and reply.body.has_room:
        return js.Response.new(_sealed_array(reply.body), options)
    proxy = create_proxy(_view(reply.body))
    buffer = proxy.getBuffer()
    try:
        # The constructor copies what it is given before it returns (workerd since 2026-08-05,
        # github.com/cloudflare/workerd/issues/6498), so Python's own memory will do.
        return js.Response.new(buffer.data, options)
    finally:
        buffer.release()
        proxy.destroy()


def _sealed_array(body: SealedBody) -> Any:
    """
    Return the whole body as a JavaScript array; good until the next of the same sealed answer.

    The array outlives the invocation, with the answer that it is a copy of: memory alone, of no use
    to the runtime's bookkeeping, and never there when a deployment takes its snapshot. Without it,
    each hit would carry all of the answer out of WebAssembly again.
    """
    sealed = body.sealed
    if sealed.kept is None:
        sealed.kept = to_js(memoryview(sealed.data))
    sealed.kept.set(to_js(body.end), sealed.stored_bytes)
    return sealed.kept.subarray(0, len(body))


def _view(body: bytes | SealedBody) -> bytes | memoryview:
    return body.view() if isinstance(body, SealedBody) else body


async def _pump(reply: Reply, writer: Any) -> None:
    """Write the body; when it can't be completed, cut the connection rather than end it early."""
    rest = reply.rest
    if rest is None:
        return
    first, reply.body = to_js(_view(reply.body)), b""
    try:
        sent = writer.write(first)
        del first
        await sent
        async for chunk in rest:
            sent = writer.write(to_js(chunk))
            # Not held twice while a slow client takes it.
            del chunk
            await sent
        await writer.close()
    except Exception:
        # Also when the client has gone: then there is nobody to tell.
        await _abort(writer)
    finally:
        # The rest knows the reply it belongs to: without this, both wait for the garbage collector.
        reply.rest = None
        await _close(rest)


async def _pass_on(stored: StoredBody, writable: Any) -> None:
    """Let the runtime pipe the stored bytes, then write the end; cut the connection if it fails."""
    try:
        await stored.found.body.pipeTo(writable, preventClose=True)
        writer = writable.getWriter()
        await writer.write(to_js(stored.end))
        await writer.close()
    except Exception:
        # A pipe that fails aborts what it writes to. Also when the client has gone.
        stored.on_end(CLIENT_GONE)
    else:
        stored.on_end(None)


async def _abort(writer: Any) -> None:
    try:
        await writer.abort("the answer could not be completed")
    except JsException:
        # The stream is broken already.
        return


async def _close(rest: Any) -> None:
    await rest.aclose()
