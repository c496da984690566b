"""Checks the bindings for `/api/health`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from building_vitals.access.keys_table import ApiKeys
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.errors import AppError, public_detail
from building_vitals.instants import format_instant
from building_vitals.ports import Invocation, ObjectStore

VERSION = "1.0.0"
CHECK_TIMEOUT_MS = 2000
NO_KEY = "no API key exists: every path that needs one answers 401"
# Never stored: a request for it tells whether the bucket answers.
PROBE_KEY = "health/probe"


class HealthService:
    """Asks each binding one cheap question, all at once and within a time limit."""

    def __init__(
        self,
        *,
        index: SegmentIndex,
        objects: ObjectStore,
        auth_mode: str,
        keys: ApiKeys,
        invocation: Invocation,
    ) -> None:
        self._index = index
        self._objects = objects
        self._clock = invocation.clock
        self._auth_mode = auth_mode
        self._keys = keys
        self._on_fault = invocation.on_fault

    async def check(self) -> dict[str, Any]:
        """Return the document of `/api/health`; `status` is `healthy` or `degraded`."""
        database, objects, keys = await asyncio.gather(
            self._probe(self._index.probe()),
            self._probe(self._objects.head(PROBE_KEY)),
            self._check_keys(),
        )
        checks = {"d1": database, "r2": objects}
        is_healthy = all(result == "ok" for result in checks.values())
        if keys is not None:
            # Told, but no fault of any part: a deployment is sound before its first key is made.
            checks["keys"] = keys
        return {
            "status": "healthy" if is_healthy else "degraded",
            "service": "building-vitals",
            "timestamp": format_instant(self._clock.now_ms()),
            "version": VERSION,
            "authMode": self._auth_mode,
            "checks": checks,
        }

    async def _check_keys(self) -> str | None:
        """Return whether a usable key exists; None in the mode `open`."""
        if self._auth_mode == "open":
            return None
        found: list[bool] = []

        async def ask() -> None:
            found.append(await self._keys.is_any_usable(self._clock.now_ms()))

        told = await self._probe(ask())
        return NO_KEY if found == [False] else told

    async def _probe(self, question: Awaitable[object]) -> str:
        """Return `ok`, or the reason of the failure in a form that strangers may see."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_MS / 1000):
                await question
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT_MS} ms"
        except AppError as error:
            self._on_fault("health", error)
            return public_detail(error)
        return "ok"
