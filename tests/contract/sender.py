"""Requests by an HttpClient, with what became of them."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from building_vitals.ports import HttpFailure
from contract.remote import Sent
from fakes.socket_http import SocketHttp


class Sender(Protocol):
    """Sends requests by an HttpClient, here or in the Worker."""

    async def outcome(self, url: str, **asked: Any) -> Sent:
        """
        Send a request.

        Args:
            url: The address.
            asked: `ending`, the address that tells what has become of the connection, and the
                arguments of `HttpClient.request`.
        """
        ...

    async def given_up(self, url: str, *, after_ms: int, ending: str) -> Sent:
        """Send a request and cancel it."""
        ...


class LocalHttp:
    """Requests by the stand-in."""

    async def outcome(self, url: str, **asked: Any) -> Sent:
        """Send a request."""
        ending = asked.pop("ending", None)
        return await _sent(asyncio.create_task(_request(url, **asked)), ending)

    async def given_up(self, url: str, *, after_ms: int, ending: str) -> Sent:
        """Send a request and cancel it."""
        sending = asyncio.create_task(_request(url))
        await asyncio.sleep(after_ms / 1000)
        sending.cancel()
        return await _sent(sending, ending)


async def _request(url: str, **asked: Any) -> Any:
    asked = {"headers": {}, "timeout_ms": 20_000, "body_max": 64 * 1024 * 1024, **asked}
    return await SocketHttp().request(asked.pop("method", "GET"), url, **asked)


async def _sent(sending: asyncio.Task[Any], ending: str | None) -> Sent:
    sent = Sent(None)
    try:
        sent = sent._replace(answer=await sending)
    except (HttpFailure, asyncio.CancelledError) as error:
        sent = sent._replace(failure=type(error).__name__, text=str(error))
    if ending is not None:
        sent = sent._replace(ending=(await _request(ending)).body.decode())
    return sent
