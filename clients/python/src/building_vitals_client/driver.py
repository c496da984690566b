"""
Carries out flows over HTTP, blocking or asynchronous.

The two differ in how they wait, and in nothing else: what they do is decided in `flows.py`.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

import anyio
import httpx

from building_vitals_client.errors import BrokenDownload, ConnectionLost
from building_vitals_client.flows import FAREWELL_S
from building_vitals_client.wire import Effect, Exchange, Flow, Pause, Reply, Request

T = TypeVar("T")


def headers_of(request: Request) -> dict[str, str]:
    """Return the headers of a request, beside those of every request."""
    headers = {"Accept": request.accept, "Accept-Encoding": "gzip"}
    if request.content is not None:
        headers["Content-Type"] = "application/json"
    return headers


def options_of(request: Request, timeout: httpx.Timeout) -> dict[str, Any]:
    """Return the arguments for httpx's `stream`."""
    if request.silence_s is not None:
        timeout = httpx.Timeout(
            connect=timeout.connect, read=request.silence_s, write=timeout.write, pool=timeout.pool
        )
    return {
        "method": request.method,
        "url": request.path,
        "params": request.query or None,
        "content": request.content,
        "headers": headers_of(request),
        "timeout": timeout,
    }


def reply_of(response: httpx.Response) -> Reply:
    """Return the beginning of an answer."""
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()})


def failure_of(error: httpx.HTTPError, has_begun: bool) -> BrokenDownload | ConnectionLost:
    """Return what a failure of the connection is for a flow."""
    text = str(error) or type(error).__name__
    if has_begun:
        return BrokenDownload(f"the answer broke off: {text}")
    return ConnectionLost(f"the Worker cannot be reached: {text}")


class Driver:
    """
    Carries out flows and blocks.

    Args:
        http: With the Worker's address and the headers of every request.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def run(self, flow: Flow[T]) -> T:
        """Return a flow's result, or raise what it raises."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._perform(effect)
                except BaseException as error:  # noqa: PERF203 - the flow decides, of an interrupt too
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _perform(self, effect: Effect) -> Reply | None:
        if isinstance(effect, Pause):
            time.sleep(effect.seconds)
            return None
        return self._exchange(effect)

    def _exchange(self, exchange: Exchange) -> Reply:
        has_begun = False
        try:
            with self._http.stream(**options_of(exchange.request, self._http.timeout)) as response:
                has_begun = True
                reply = reply_of(response)
                exchange.sink.begin(reply)
                for chunk in response.iter_raw():
                    if exchange.sink.feed(chunk):
                        break
                exchange.sink.close()
                return reply
        except httpx.HTTPError as error:
            raise failure_of(error, has_begun) from error


class AsyncDriver:
    """
    Carries out flows and awaits, under asyncio.

    Args:
        http: With the Worker's address and the headers of every request.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def run(self, flow: Flow[T]) -> T:
        """Return a flow's result, or raise what it raises."""
        is_leaving = False
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = await self._perform(effect, is_leaving)
                except BaseException as error:  # noqa: PERF203 - the flow decides, of leaving too
                    is_leaving = is_leaving or not isinstance(error, Exception)
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _perform(self, effect: Effect, is_leaving: bool) -> Reply | None:
        if is_leaving:
            # A cancelled task may still say good-bye, for a moment.
            with anyio.move_on_after(FAREWELL_S, shield=True):
                return await self._carry_out(effect)
            raise ConnectionLost("the Worker did not answer in time")
        return await self._carry_out(effect)

    async def _carry_out(self, effect: Effect) -> Reply | None:
        if isinstance(effect, Pause):
            await anyio.sleep(effect.seconds)
            return None
        return await self._exchange(effect)

    async def _exchange(self, exchange: Exchange) -> Reply:
        has_begun = False
        try:
            options = options_of(exchange.request, self._http.timeout)
            async with self._http.stream(**options) as response:
                has_begun = True
                reply = reply_of(response)
                exchange.sink.begin(reply)
                async for chunk in response.aiter_raw():
                    if exchange.sink.feed(chunk):
                        break
                exchange.sink.close()
                return reply
        except httpx.HTTPError as error:
            raise failure_of(error, has_begun) from error
