"""Checks the bindings for `/api/health`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal

import msgspec

from building_vitals.access.keys_table import ApiKeys
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.errors import AppError, public_detail
from building_vitals.fields import IsoTime
from building_vitals.instants import format_instant
from building_vitals.ports import Database, Invocation, ObjectStore
from building_vitals.statistics.requests_table import RequestAnalytics

VERSION = "1.0.0"
CHECK_TIMEOUT_MS = 2000
NO_KEY = "no API key exists: every path that needs one answers 401"
# Never stored: a request for it tells whether the bucket answers.
PROBE_KEY = "health/probe"


class Checks(msgspec.Struct, frozen=True):
    """
    Results of the checks: `ok`, or the failure.

    `keys` only where keys are required, `stats` only where statistics have a database of their own.
    """

    d1: str
    r2: str
    keys: str | msgspec.UnsetType = msgspec.UNSET
    stats: str | msgspec.UnsetType = msgspec.UNSET


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Health of the Worker and its bindings."""

    status: Literal["healthy", "degraded"]
    service: str
    timestamp: IsoTime
    version: str
    auth_mode: str
    checks: Checks


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
        statistics: Database | None = None,
    ) -> None:
        self._statistics = statistics
        self._index = index
        self._objects = objects
        self._clock = invocation.clock
        self._auth_mode = auth_mode
        self._keys = keys
        self._on_fault = invocation.on_fault

    async def check(self) -> Health:
        """Return the health; missing keys are told, but a Worker without keys is healthy."""
        database, objects, keys, stats = await asyncio.gather(
            self._probe(self._index.probe()),
            self._probe(self._objects.head(PROBE_KEY)),
            self._check_keys(),
            self._check_statistics(),
        )
        return Health(
            status="healthy" if database == objects == "ok" else "degraded",
            service="building-vitals",
            timestamp=format_instant(self._clock.now_ms()),
            version=VERSION,
            auth_mode=self._auth_mode,
            checks=Checks(
                database,
                objects,
                msgspec.UNSET if keys is None else keys,
                msgspec.UNSET if stats is None else stats,
            ),
        )

    async def _check_statistics(self) -> str | None:
        """Return whether the database of the statistics answers; None where they have none."""
        if self._statistics is None:
            return None
        return await self._probe(RequestAnalytics(self._statistics).probe())

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
