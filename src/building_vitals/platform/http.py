"""The `HttpClient` and `Clock` ports on the runtime's own `fetch` and event loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

import js
from pyodide.ffi import JsException
from workers import fetch

from building_vitals.ports import HttpAnswer, HttpFailure, HttpTimeout

# Requests of one invocation under way at once.
REQUESTS_MAX = 4
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
    ) -> HttpAnswer:
        """Return the answer, whatever its status; redirects are not followed."""
        async with self._slots:
            return await self._send(method, url, headers, body, timeout_ms)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_ms: int
    ) -> HttpAnswer:
        options: dict[str, object] = {"method": method, "headers": dict(headers)}
        if body is not None:
            options["body"] = body
        try:
            # A deadline of the event loop, not an abort signal: an abort that is delivered while
            # another task runs may wedge the loop (github.com/cloudflare/workerd/issues/6624).
            async with asyncio.timeout(timeout_ms / 1000):
                answer = await fetch(url, redirect="manual", **options)
                raw = answer.js_object
                data = (await raw.arrayBuffer()).to_bytes()
        except TimeoutError as error:
            raise HttpTimeout(f"no whole answer within {timeout_ms} ms") from error
        except (OSError, JsException) as error:
            raise HttpFailure(str(error)[:300]) from error
        return HttpAnswer(
            status=int(raw.status),
            headers={str(name).lower(): str(value) for name, value in answer.headers.items()},
            body=data,
        )


class RuntimeClock:
    """The runtime's time; in production it stands still while Python computes."""

    def now_ms(self) -> int:
        """Return the present instant, epoch milliseconds."""
        return int(time.time() * 1000)

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
