"""
Limits what is fetched for each key, by estimated samples and not by requests.

A request for 5,000 points costs the upstream a thousand times what one for a point does, so that
counts of requests protect little. What is known costs nothing, and takes no round trip.
"""

from __future__ import annotations

from building_vitals.access.allowances_table import Allowances, AllowanceUse
from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.access.options import AllowanceOptions
from building_vitals.errors import AppError, RateLimited
from building_vitals.instants import MINUTE_MS
from building_vitals.ports import Invocation

# What costs less is not waited for: it is taken from the allowance beside the fetch, and the next
# request of the key hears of it.
AWAITED_MIN = 10_000
# Keys whose use an isolate remembers.
REMEMBERED_MAX = 1000


class AllowanceMemory:
    """What of each key's allowance was in use when the isolate last asked: it may be more now."""

    def __init__(self) -> None:
        self._by_key: dict[str, AllowanceUse] = {}

    def recall(self, key_id: str) -> AllowanceUse | None:
        """Return what was in use, or None where nothing is remembered."""
        return self._by_key.get(key_id)

    def remember(self, key_id: str, use: AllowanceUse) -> None:
        """Remember what is in use; of too many keys, the first is forgotten."""
        self._by_key.pop(key_id, None)
        if len(self._by_key) >= REMEMBERED_MAX:
            del self._by_key[next(iter(self._by_key))]
        self._by_key[key_id] = use


class FetchAllowance:
    """
    The allowance of the caller of one request.

    Attributes:
        caller: Whose allowance it is; None and the mode `open` have no limit.
    """

    def __init__(
        self,
        *,
        allowances: Allowances,
        memory: AllowanceMemory,
        options: AllowanceOptions,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            allowances: Those of all keys, in D1.
            memory: The isolate's; outlives the request.
            options: The limits.
            invocation: Clock, work after the answer, faults.
        """
        self.caller: Caller | None = None
        self._allowances = allowances
        self._memory = memory
        self._options = options
        self._clock = invocation.clock
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault

    async def charge(self, cost: int) -> None:
        """
        Take the cost of a fetch from the caller's allowance, before anything is fetched.

        Where the database fails, nothing is refused: the limit protects a budget, and decides
        nothing about access.

        Args:
            cost: In samples, as `cache.estimates.fetch_cost` estimates them.

        Raises:
            RateLimited: the allowance has not enough left.
        """
        caller = self.caller
        if caller is None or caller.key_id == ANYBODY.key_id or not self._options.at_once:
            return
        known = self._memory.recall(caller.key_id)
        if known is not None:
            self._require_room(known, cost)
        if cost < AWAITED_MIN:
            self._run_later(self._take_later(caller.key_id, cost))
            return
        try:
            is_taken, use = await self._take(caller.key_id, cost)
        except AppError as error:
            self._on_fault("allowance", error)
            return
        if not is_taken:
            raise self._refusal(use, cost)

    async def _take(self, key_id: str, cost: int) -> tuple[bool, AllowanceUse]:
        is_taken, use = await self._allowances.take(
            key_id,
            cost,
            at_once=self._options.at_once,
            per_minute=self._options.per_minute,
            now_ms=self._clock.now_ms(),
        )
        self._memory.remember(key_id, use)
        return is_taken, use

    async def _take_later(self, key_id: str, cost: int) -> None:
        try:
            await self._take(key_id, cost)
        except AppError as error:
            self._on_fault("allowance", error)

    def _require_room(self, use: AllowanceUse, cost: int) -> None:
        used = use.used_at(self._clock.now_ms(), self._options.per_minute)
        if used > 0 and used + cost > self._options.at_once:
            raise self._refusal(use, cost)

    def _refusal(self, use: AllowanceUse, cost: int) -> RateLimited:
        options = self._options
        used = use.used_at(self._clock.now_ms(), options.per_minute)
        # What is larger than all of it has to wait until nothing is in use.
        over = used - max(0, options.at_once - cost)
        wait_ms = over * MINUTE_MS / options.per_minute
        wait_s = max(1, int(-(-wait_ms // 1000)))
        return RateLimited(
            f"too much to fetch with this API key: this takes about {cost:,} samples, and "
            f"{max(0, int(options.at_once - used)):,} are left of {options.at_once:,}, to which "
            f"each minute adds {options.per_minute:,}: try again in {wait_s} s",
            retry_after_s=wait_s,
        )
