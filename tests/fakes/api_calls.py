"""Requests of the API as `fetch.answer` takes them, and replies read back."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.errors import Unauthorized
from building_vitals.handlers.fetch import answer
from fakes.job_world import JobWorld


class OneCaller:
    """An Access for which everybody is the same caller, or nobody is let in."""

    def __init__(self, caller: Caller | None) -> None:
        self._caller = caller
        self.asked = 0

    async def identify(self, headers: Any) -> Caller:
        """Return the caller."""
        self.asked += 1
        if self._caller is None:
            raise Unauthorized("no key")
        return self._caller

    async def identify_again(self, headers: Any) -> Caller:
        """Return the caller."""
        return await self.identify(headers)


async def called(
    world: JobWorld,
    route: str,
    query: str = "",
    *,
    caller: Caller | None = ANYBODY,
    body: bytes = b"",
    host: str = "localhost",
    is_https: bool = False,
    request_id: str = "request",
    **headers: str,
) -> Reply:
    """Return the reply of a world's services to a method and a path."""
    method, path = route.split(" ")

    async def read_body(_: int) -> bytes:
        return body

    vars(world.app)["access"] = OneCaller(caller)
    request = HttpRequest(
        method=method,
        path=path,
        query=query,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        request_id=request_id,
        started_ms=world.clock.now_ms(),
        host=host,
        is_https=is_https,
        read_body=read_body,
    )
    return await answer(request, world.app)


async def document_of(reply: Reply) -> Any:
    """Return the JSON document of a reply, wherever its body is."""
    body = bytes(reply.body)
    if reply.rest is not None:
        body += b"".join([chunk async for chunk in reply.rest])
    return msgspec.json.decode(gzip.decompress(body) if reply.is_encoded else body)


def headers_of(reply: Reply) -> dict[str, str]:
    """Return the headers of a reply."""
    return dict(reply.headers)
