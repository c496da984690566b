"""
Between the runtime's requests and responses and the handlers' own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import js
import msgspec
from pyodide.ffi import JsException, to_js

from building_vitals.core.errors import InvalidRequest, Problem, TooLarge
from building_vitals.handlers.http import HttpRequest, Reply


def read_request(raw: Any, now_ms: int) -> HttpRequest:
    """
    Return the handlers' view of a request of the runtime.

    Args:
        raw: The JavaScript request: the SDK's wrapper refuses methods it doesn't know.
    """
    path, query = _path_and_query(str(raw.url))

    async def read_body(bytes_max: int) -> bytes:
        return await _read_body(raw, bytes_max)

    return HttpRequest(
        method=str(raw.method).upper(),
        path=path,
        query=query,
        headers=_headers(raw),
        request_id=str(uuid.uuid4()),
        started_ms=now_ms,
        read_body=read_body,
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


def _headers(raw: Any) -> dict[str, str]:
    """
    Return the headers, their names in lower case; one text crosses over, not each on its own.
    """
    text = js.JSON.stringify(js.Object.fromEntries(raw.headers))
    headers: dict[str, str] = msgspec.json.decode(text)
    return headers


async def _read_body(raw: Any, bytes_max: int) -> bytes:
    """
    Return the body, having read no more than is allowed.
    """
    if not raw.body:
        return b""
    declared = raw.headers.get("content-length")
    if isinstance(declared, str) and declared.isdigit() and int(declared) > bytes_max:
        raise TooLarge(f"body has {declared} bytes; at most {bytes_max} are allowed")
    reader = raw.body.getReader()
    parts: list[bytes] = []
    size = 0
    try:
        while True:
            step = await reader.read()
            if step.done:
                break
            part = step.value.to_bytes()
            size += len(part)
            if size > bytes_max:
                await reader.cancel("too large")
                raise TooLarge(f"body has more than {bytes_max} bytes, which is what is allowed")
            parts.append(part)
    except JsException as error:
        raise InvalidRequest([Problem("body", "cut short")]) from error
    return b"".join(parts)


def write_response(reply: Reply, method: str, wait_until: Callable[[Any], None]) -> Any:
    """
    Return the runtime's response to a reply.

    Args:
        wait_until: Keeps a coroutine running behind the response.
    """
    headers: dict[str, str] = {}
    for name, value in reply.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    is_bodiless = method == "HEAD" or reply.status in (204, 304)
    body: Any = None
    if is_bodiless:
        if reply.rest is not None:
            wait_until(_close(reply.rest))
    elif reply.rest is None:
        body = to_js(reply.body)
    else:
        stream = js.IdentityTransformStream.new()
        wait_until(_pump(reply, stream.writable.getWriter()))
        body = stream.readable
    encode = "manual" if reply.is_encoded else "automatic"
    # One text crosses into JavaScript, not each header on its own.
    options = {"status": reply.status, "headers": headers, "encodeBody": encode}
    return js.Response.new(body, js.JSON.parse(msgspec.json.encode(options).decode()))


async def _pump(reply: Reply, writer: Any) -> None:
    """
    Write the body; when it can't be completed, cut the connection rather than end it early.
    """
    rest = reply.rest
    if rest is None:
        return
    try:
        await writer.write(to_js(reply.body))
        async for chunk in rest:
            await writer.write(to_js(chunk))
        await writer.close()
    except Exception as error:
        # Also when the client has gone: then there is nobody to tell.
        reply.log["streamError"] = f"{type(error).__name__}: {error}"[:300]
        await _abort(writer)
    finally:
        await _close(rest)


async def _abort(writer: Any) -> None:
    try:
        await writer.abort("the answer could not be completed")
    except JsException:
        # The stream is broken already.
        return


async def _close(rest: Any) -> None:
    await rest.aclose()
