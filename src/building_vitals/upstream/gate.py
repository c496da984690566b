"""
The gate of the Worker's own quota: decides when the next request may go upstream.

The database grants requests a few at a time to each isolate, so that most requests cost no round
trip. A grant is valid for one minute.
"""

from __future__ import annotations

import asyncio

import msgspec

from building_vitals.errors import AppError, Unavailable, UpstreamLimited
from building_vitals.instants import MINUTE_MS
from building_vitals.ports import Invocation
from building_vitals.upstream.quota import CLOSED_MS_MAX, FALL_MS, QuotaState, grant_size, minute_of
from building_vitals.upstream.quota_table import UpstreamQuotas

# Requests that wait for the next minute are spread over this time.
SPREAD_MS = 1000


class Grant(msgspec.Struct):
    """
    Requests that an isolate may send and has not sent yet.

    Attributes:
        minute_ms: Start of the minute in which they may be sent.
        left: Their number.
    """

    minute_ms: int = 0
    left: int = 0


class UpstreamQuota:
    """The gate of the upstream client, for requests of one kind."""

    def __init__(
        self,
        *,
        quotas: UpstreamQuotas,
        grant: Grant,
        limit: int,
        is_queued: bool,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            quotas: The quota that all isolates share.
            grant: This isolate's grant for this kind of request; outlives the invocation.
            limit: Requests per minute.
            is_queued: Whether jobs send the requests.
            invocation: Clock, work after the answer, faults.
        """
        self._quotas = quotas
        self._grant = grant
        self._clock = invocation.clock
        self._limit = limit
        self._is_queued = is_queued
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault
        self._turn = asyncio.Lock()

    async def admit(self, deadline_ms: int | None) -> None:
        """
        Return when a request may be sent.

        When the database fails, every request is admitted: the upstream has a limit of its own.

        Raises:
            UpstreamLimited: no request may be sent before *deadline_ms*.
        """
        async with self._turn:
            while not self._is_left():
                try:
                    state = await self._take()
                except Unavailable as error:
                    self._on_fault("upstream quota", error)
                    return
                if state is not None:
                    await self._wait(state, deadline_ms)

    def _is_left(self) -> bool:
        """Use up one request of the grant; return whether there was one."""
        if self._grant.left <= 0 or self._grant.minute_ms != minute_of(self._clock.now_ms()):
            return False
        self._grant.left -= 1
        return True

    async def _take(self) -> QuotaState | None:
        """Ask for a grant; return None when there is one, else the state that allows none."""
        now_ms = self._clock.now_ms()
        minute_ms = minute_of(now_ms)
        taken = await self._quotas.take(
            grant_size(self._limit),
            limit=self._limit,
            is_queued=self._is_queued,
            minute_ms=minute_ms,
            now_ms=now_ms,
        )
        if not taken.granted:
            return taken.state
        left = self._grant.left if self._grant.minute_ms == minute_ms else 0
        self._grant.minute_ms, self._grant.left = minute_ms, left + taken.granted
        return None

    async def _wait(self, state: QuotaState, deadline_ms: int | None) -> None:
        """Wait until the quota may have room again."""
        now_ms = self._clock.now_ms()
        free_ms = minute_of(now_ms) + MINUTE_MS
        if now_ms < state.closed_until_ms <= now_ms + CLOSED_MS_MAX:
            free_ms = state.closed_until_ms
        if deadline_ms is not None and free_ms >= deadline_ms:
            wait_s = -(-(free_ms - now_ms) // 1000)
            raise UpstreamLimited(
                f"no request may be sent upstream for another {wait_s} s: the limit is "
                f"{self._limit} requests per minute (UPSTREAM_REQUESTS_PER_MINUTE)",
                retryable=True,
                retry_after_s=wait_s,
            )
        await self._clock.sleep(free_ms - now_ms + int(SPREAD_MS * self._clock.jitter()))

    def limited(self, retry_after_ms: int | None) -> None:
        """Halve the quota, and close the gate for *retry_after_ms*: the upstream answered 429."""
        self._grant.left = 0
        self._run_later(self._fall(min(retry_after_ms or 0, CLOSED_MS_MAX)))

    async def _fall(self, closed_ms: int) -> None:
        now_ms = self._clock.now_ms()
        try:
            await self._quotas.fall(
                limit=self._limit,
                now_ms=now_ms,
                fall_ms=FALL_MS,
                closed_until_ms=now_ms + closed_ms,
            )
        except AppError as error:
            self._on_fault("upstream quota", error)
