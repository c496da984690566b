"""
A Worker for tests alone: runs one operation of a port, sent as JSON, through the real adapter.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import js
from workers import Response, WorkerEntrypoint

from building_vitals.datasets.cache import R2CacheService
from building_vitals.datasets.dataset import DatasetKey
from building_vitals.errors import AppError
from building_vitals.platform.compression import Brotli
from building_vitals.platform.d1 import D1Database
from building_vitals.platform.http import RuntimeClock, RuntimeHttp
from building_vitals.platform.r2 import R2Objects
from building_vitals.platform.rate_limits import BoundRateLimiter
from building_vitals.ports import HttpAnswer, HttpFailure, Statement
from building_vitals.ranges import Range

COMPUTING_S = 0.5


class Default(WorkerEntrypoint):
    """Answers `{"operation", "arguments"}` with `{"result"}` or `{"error"}`."""

    async def fetch(self, request: Any) -> Any:
        """Run one operation."""
        asked = json.loads(await request.text())
        try:
            result = await self._run(asked["operation"], asked["arguments"])
        except AppError as error:
            return Response.json({"error": {"code": error.code, "detail": error.detail}})
        return Response.json({"result": result})

    async def _run(self, operation: str, given: dict[str, Any]) -> Any:
        port, _, name = operation.partition(".")
        if port == "objects":
            return await self._objects(name, given)
        if port == "database":
            return await self._database(name, given)
        if port == "datasets":
            return await self._dataset(given)
        if port == "limit":
            return await BoundRateLimiter(self.env, given["binding"], set()).take(given["key"])
        if port == "clock":
            return await _computing(given["url"])
        if port == "http":
            return await _sending(name, given)
        return "ready"

    async def _objects(self, name: str, given: dict[str, Any]) -> Any:
        objects = R2Objects(self.env, given.pop("binding"))
        if name == "put":
            given["data"] = base64.b64decode(given["data"])
            return _fields(await objects.put(**given))
        if name in ("put_stream", "put_parts", "open"):
            return await self._streams(name, objects, given)
        if name in ("get", "read"):
            return await self._bytes(name, objects, given)
        if name == "head":
            info = await objects.head(**given)
            return None if info is None else _fields(info)
        if name == "delete":
            return await objects.delete(**given)
        page = await objects.list(**given)
        return {"objects": [_fields(info) for info in page.objects], "cursor": page.cursor}

    async def _bytes(self, name: str, objects: R2Objects, given: dict[str, Any]) -> Any:
        if name == "get":
            data = await objects.get(**given)
            assert data is None or type(data) is bytes
            return None if data is None else base64.b64encode(data).decode()
        found = await objects.read(**given)
        if found is None:
            return None
        assert type(found[1]) is bytes
        return {"info": _fields(found[0]), "data": base64.b64encode(found[1]).decode()}

    async def _streams(self, name: str, objects: R2Objects, given: dict[str, Any]) -> Any:
        if name in ("put_stream", "put_parts"):
            chunks = _chunks(given.pop("chunks"))
            try:
                return _fields(await getattr(objects, name)(chunks=chunks, **given))
            except ValueError as error:
                return type(error).__name__
        opened = await objects.open(**given)
        if opened is None:
            return None
        data = (await js.Response.new(opened.body).arrayBuffer()).to_bytes()
        return {"size": opened.size, "data": base64.b64encode(data).decode()}

    async def _dataset(self, given: dict[str, Any]) -> Any:
        """Put a dataset, and return what is then got, and what is in the bucket."""
        objects = R2Objects(self.env, "BUCKET")
        service = R2CacheService(objects, RuntimeClock(), compressor=Brotli())
        key = DatasetKey(given["site"], ("a", "b"), Range(0, 1000))
        await service.put(key, given["content"], samples=7, encoding=given["encoding"])
        found = await service.get(key)
        stored = await objects.get(key.object_key)
        assert found is not None
        assert stored is not None
        return {
            "content": found.json(),
            "encoding": found.content_encoding,
            "stored": base64.b64encode(stored).decode(),
            "info": _fields(await objects.head(key.object_key)),
        }

    async def _database(self, name: str, given: dict[str, Any]) -> Any:
        database = D1Database(self.env, given["binding"])
        if name == "rows":
            return await database.rows(given["sql"], *given["values"])
        statements = [Statement(sql, tuple(values)) for sql, values in given["statements"]]
        return [[each.rows, each.changes] for each in await database.batch(statements)]


async def _computing(url: str) -> int:
    """Start a request, give it a turn, compute for a while; return when that ended, epoch ms."""
    clock = RuntimeClock()
    sending = asyncio.create_task(_get(url))
    await clock.turn()
    ends = time.monotonic() + COMPUTING_S
    while time.monotonic() < ends:
        pass
    ended_ms = clock.now_ms()
    await sending
    return ended_ms


async def _get(url: str) -> HttpAnswer:
    """Return the answer to a plain request."""
    return await RuntimeHttp().request(
        "GET", url, headers={}, timeout_ms=20_000, body_max=1_000_000
    )


async def _sending(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """
    Send a request, give it up after a while where asked to, and return its outcome.

    The connections of an invocation end with it: so this one asks, while it goes on, what the
    server has seen of the first request's connection.
    """
    ending, give_up_ms = given.pop("ending"), given.pop("give_up_ms")
    data = given.pop("body")
    given["body"] = None if data is None else base64.b64decode(data)
    sending = asyncio.create_task(RuntimeHttp().request(**given))
    if name == "give_up":
        await asyncio.sleep(give_up_ms / 1000)
        sending.cancel()
    outcome: dict[str, Any] = {}
    try:
        answer = await sending
        assert type(answer.body) is bytes
        outcome = {"status": answer.status, "headers": dict(answer.headers)}
        outcome["body"] = base64.b64encode(answer.body).decode()
    except (HttpFailure, asyncio.CancelledError) as error:
        outcome = {"failure": type(error).__name__, "text": str(error)}
    if ending is not None:
        outcome["ending"] = (await _get(ending)).body.decode()
    return outcome


async def _chunks(texts: list[str | None]) -> AsyncIterator[bytes]:
    """Yield chunks; None stands for a failure."""
    for text in texts:
        if text is None:
            raise ValueError("no more chunks")
        yield base64.b64decode(text)


def _fields(info: Any) -> dict[str, Any]:
    """Return what an ObjectInfo holds; that its fields are plain is part of the contract."""
    return {name: getattr(info, name) for name in info.__struct_fields__}
