"""
Checks what the Worker needs, for `/api/health`.

Anybody may ask, as often as they like. So an isolate remembers what it found for some seconds, and
while one request asks, the others wait for what it finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from building_vitals.errors import AppError, public_detail
from building_vitals.instants import MINUTE_MS, format_instant
from building_vitals.maintenance.health_documents import (
    NOT_CHECKED,
    OK,
    Checks,
    Health,
    HealthMemory,
)
from building_vitals.maintenance.state_table import MaintenanceState, WorkerState
from building_vitals.ports import Database, Invocation, ObjectStore
from building_vitals.statistics.requests_table import RequestAnalytics

CHECK_TIMEOUT_MS = 2000
# How long an answer is given again: a monitor hears of a failure at once, of its end soon.
REMEMBERED_MS = 5000
POLL_MS = 50
# Reading may work where writing does not: a disk is full, a limit reached.
WRITES_TRIED_MS = MINUTE_MS
WRITES_TRIED_AGAIN_MS = 10_000
# Three runs of the cron trigger.
OVERDUE_MS = 15 * MINUTE_MS
NO_KEY = "no API key exists: every path that needs one answers 401"
NO_TOKEN = "the secret ACE_API_TOKEN is not set"  # noqa: S105 - a message
# An object that lives for a moment: a request for it tells whether the bucket answers.
PROBE_KEY = "health/probe"


class HealthService:
    """Asks each binding a cheap question or two, all at once and within a time limit."""

    def __init__(
        self,
        *,
        state: MaintenanceState,
        objects: ObjectStore,
        missing_queues: Callable[[], Sequence[str]],
        auth_mode: str,
        has_token: bool,
        memory: HealthMemory,
        invocation: Invocation,
        statistics: Database | None = None,
    ) -> None:
        """
        Args:
            state: The Worker's, in D1.
            objects: The bucket.
            missing_queues: Returns the names of queues that the Worker has no binding of.
            auth_mode: Whether keys are required.
            has_token: Whether the Worker has what the upstream asks of it.
            memory: The isolate's; outlives the request.
            invocation: Clock, faults.
            statistics: The statistics' own database; None where they have none.
        """
        self._state = state
        self._statistics = statistics
        self._objects = objects
        self._missing_queues = missing_queues
        self._auth_mode = auth_mode
        self._has_token = has_token
        self._memory = memory
        self._clock = invocation.clock
        self._on_fault = invocation.on_fault

    async def check(self) -> Health:
        """
        Return the health, as it was at most REMEMBERED_MS ago.

        Missing keys are told, but a Worker without keys is healthy: so it is before its first key
        is made. So is one whose maintenance is overdue, since it still answers.
        """
        memory = self._memory
        while True:
            now_ms = self._clock.now_ms()
            if memory.health is not None and now_ms < memory.until_ms:
                return memory.health
            if now_ms >= memory.asking_until_ms:
                break
            await self._clock.sleep(POLL_MS)
        memory.asking_until_ms = now_ms + 2 * CHECK_TIMEOUT_MS
        try:
            health = await self._look()
            memory.health, memory.until_ms = health, self._clock.now_ms() + REMEMBERED_MS
        finally:
            memory.asking_until_ms = 0
        return health

    async def _look(self) -> Health:
        found: list[WorkerState] = []

        async def read_state() -> None:
            found.append(await self._state.read(self._clock.now_ms()))

        database, objects, writes, statistics = await asyncio.gather(
            self._probe(read_state()),
            self._probe(self._objects.head(PROBE_KEY)),
            self._writes(),
            self._told_of_statistics(),
        )
        state = found[0] if found else None
        now_ms = self._clock.now_ms()
        missing = ", ".join(self._missing_queues())
        checks = Checks(
            d1=_first_failure(database, writes[0]),
            r2=_first_failure(objects, writes[1]),
            queues=f"binding missing: {missing}" if missing else OK,
            upstream=OK if self._has_token else NO_TOKEN,
            maintenance=_told_of_maintenance(state, now_ms),
            keys=self._told_of_keys(state, database),
            stats=statistics,
        )
        needed = (checks.d1, checks.r2, checks.queues, checks.upstream)
        return Health(
            status="healthy" if all(each == OK for each in needed) else "degraded",
            timestamp=format_instant(now_ms),
            auth_mode=self._auth_mode,
            checks=checks,
            maintenance_age_seconds=_age_s(state, now_ms),
        )

    async def _told_of_statistics(self) -> str | msgspec.UnsetType:
        """Return whether the statistics' own database answers; nothing where they have none."""
        if self._statistics is None:
            return msgspec.UNSET
        return await self._probe(RequestAnalytics(self._statistics).probe())

    def _told_of_keys(self, state: WorkerState | None, database: str) -> str | msgspec.UnsetType:
        """Return whether a usable key exists; nothing in the mode `open`."""
        if self._auth_mode == "open":
            return msgspec.UNSET
        if state is None:
            return database
        return OK if state.has_key else NO_KEY

    async def _writes(self) -> tuple[str, str]:
        """Return whether D1 and R2 take writes, tried once a minute."""
        memory, now_ms = self._memory, self._clock.now_ms()
        if now_ms >= memory.writes_until_ms:
            told = await asyncio.gather(
                self._probe(self._state.try_write(now_ms)), self._probe(self._put_and_delete())
            )
            memory.writes = (_write_failure(told[0]), _write_failure(told[1]))
            works = memory.writes == (OK, OK)
            memory.writes_until_ms = now_ms + (WRITES_TRIED_MS if works else WRITES_TRIED_AGAIN_MS)
        return memory.writes

    async def _put_and_delete(self) -> None:
        await self._objects.put(PROBE_KEY, b"probe", content_type="text/plain")
        await self._objects.delete([PROBE_KEY])

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
        return OK


def _first_failure(*told: str) -> str:
    return next((each for each in told if each != OK), OK)


def _write_failure(told: str) -> str:
    return OK if told == OK else f"takes no writes: {told}"


def _age_s(state: WorkerState | None, now_ms: int) -> int | None:
    if state is None or state.maintained_ms is None:
        return None
    return max(0, now_ms - state.maintained_ms) // 1000


def _told_of_maintenance(state: WorkerState | None, now_ms: int) -> str:
    if state is None:
        return NOT_CHECKED
    if state.maintained_ms is None:
        return "has never run"
    if now_ms - state.maintained_ms > OVERDUE_MS:
        return f"overdue: a run is expected every {OVERDUE_MS // 3 // MINUTE_MS} minutes"
    return OK
