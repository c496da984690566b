"""The `HttpClient` and `Clock` ports on the runtime's own `fetch` and event loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import js
from pyodide.ffi import JsException, to_js

from building_vitals.platform.steady import SteadyTime
from building_vitals.ports import HttpAnswer, HttpCut, HttpFailure, HttpTimeout, HttpTooLarge

# Requests of one invocation under way at once: four streams and a list of points. The platform
# allows six connections, those of R2 and D1 included.
REQUESTS_MAX = 5
# Room for a body whose size is not known before; doubled as often as it is full.
FIRST_BYTES = 1024 * 1024
# A request on a new connection leaves in the third.
SOCKET_TURNS = 4


class RuntimeHttp:
    """Sends requests with `fetch`, a few at a time: the upstream has others to serve, too."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(REQUESTS_MAX)

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
        """Return the answer, whatever its status; redirects are not followed."""
        async with self._slots:
            with _deadline(timeout_ms) as late:
                try:
                    return await _exchange(method, url, headers, body, late=late, body_max=body_max)
                except _Timeout:
                    raise HttpTimeout(f"no whole answer within {timeout_ms} ms") from None
                except JsException as error:
                    raise HttpFailure(str(error)[:300]) from error


class _Timeout(Exception):
    """The time allowed has run out."""


# Python never waits for what is aborted: it waits for the race of that and of the deadline, which
# the deadline has won by then. An abort that is delivered to Python while another task runs may
# wedge its event loop (github.com/cloudflare/workerd/issues/6624), and so may a task that is
# abandoned in the middle of its wait.


@contextmanager
def _deadline(timeout_ms: int) -> Iterator[Any]:
    """Yield a promise of `undefined` in *timeout_ms*, with its `resolve` for an earlier end."""
    late = js.Promise.withResolvers()
    timer = js.setTimeout(late.resolve, timeout_ms)
    try:
        yield late
    finally:
        js.clearTimeout(timer)
        late.resolve()


async def _unless(late: Any, promise: Any) -> Any:
    """Return the object that *promise* gives, unless the deadline comes first."""
    found = await js.Promise.race(to_js([promise, late.promise]))
    if found is None:
        raise _Timeout
    return found


async def _exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    late: Any,
    body_max: int,
) -> HttpAnswer:
    """Send a request and read its answer; close the connection unless both end as they should."""
    options: dict[str, Any] = {"method": method, "headers": dict(headers), "redirect": "manual"}
    if body is not None:
        options["body"] = body
    controller = js.AbortController.new()
    init = to_js(options, dict_converter=js.Object.fromEntries)
    init.signal = controller.signal
    try:
        raw = await _unless(late, js.fetch(url, init))
    except BaseException:
        late.resolve()
        controller.abort()
        raise
    names = js.Object.fromEntries(raw.headers).to_py()
    answer_headers = {name.lower(): value for name, value in names.items()}
    try:
        data = await _read(raw.body, answer_headers, late, body_max) if raw.body else b""
    except JsException as error:
        raise HttpCut(str(error)[:300]) from error
    return HttpAnswer(status=int(raw.status), headers=answer_headers, body=data)


async def _read(stream: Any, headers: Mapping[str, str], late: Any, body_max: int) -> bytes:
    """Return a whole body; cancel it where that fails, which closes the connection."""
    reader = stream.getReader(mode="byob")
    try:
        size = _declared_size(headers)
        if size is not None and size > body_max:
            raise HttpTooLarge(f"the body has {size} bytes, limit {body_max}")
        return await _filled(reader, size, late, body_max)
    except BaseException:
        late.resolve()
        # What cancelling gives is nobody's business; a rejection that nobody takes would be logged.
        js.Promise.allSettled(to_js([reader.cancel()]))
        raise


async def _filled(reader: Any, size: int | None, late: Any, body_max: int) -> bytes:
    """
    Return what *reader* gives, with few crossings between the languages, and copied once.

    Args:
        reader: Of the body's bytes, decompressed.
        size: Their number, where the answer tells it.
        late: The deadline.
        body_max: Most bytes.
    """
    # Where the size is not known, one byte of room more than allowed tells too many from enough.
    room = min(FIRST_BYTES, body_max + 1) if size is None else size
    buffer, filled = js.ArrayBuffer.new(room), 0
    while filled < room:
        view = js.Uint8Array.new(buffer, filled)
        part = await _unless(late, reader.readAtLeast(room - filled, view))
        # The buffer has moved into the part, at whose end there is an empty view.
        buffer = part.value.buffer
        filled += int(part.value.byteLength)
        if filled > body_max:
            raise HttpTooLarge(f"the body has more than {body_max} bytes")
        if filled < room:
            break
        if size is None:
            room = min(2 * room, body_max + 1)
            buffer = buffer.transfer(room)
    if size is not None and filled != size:
        raise HttpCut(f"the body was cut short after {filled} of {size} bytes")
    data: bytes = js.Uint8Array.new(buffer, 0, filled).to_bytes()
    return data


def _declared_size(headers: Mapping[str, str]) -> int | None:
    """Return the bytes of the body, where `Content-Length` counts those."""
    length = headers.get("content-length", "")
    is_plain = headers.get("content-encoding", "identity") == "identity"
    return int(length) if is_plain and length.isdecimal() and length.isascii() else None


class RuntimeClock:
    """
    The runtime's time, for one invocation; in production it stands still while Python computes.

    JavaScript's clock, as Python's own counts a millisecond for each look at it: it runs ahead, and
    falls back.
    """

    def __init__(self) -> None:
        clock_ms = js.Date.now
        self._time = SteadyTime(lambda: int(clock_ms()))

    def now_ms(self) -> int:
        """Return the present instant, epoch milliseconds; it never goes back."""
        return self._time.now_ms()

    async def sleep(self, delay_ms: int) -> None:
        """Return after *delay_ms*."""
        await asyncio.sleep(delay_ms / 1000)

    async def turn(self) -> None:
        """
        Return after the tasks and then the runtime's sockets had their turns.

        `asyncio.sleep` of less than 4 ms is none to the runtime: Pyodide's loop makes it a task of
        the same turn, in which nothing leaves.
        """
        await asyncio.sleep(0)
        for _ in range(SOCKET_TURNS):
            await js.scheduler.wait(0)

    def jitter(self) -> float:
        """Return a random number, 0 <= x < 1."""
        return random.random()  # noqa: S311 - spreads retries, guards nothing
