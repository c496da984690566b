"""
The memory that the requests of an isolate may take together.

An isolate has 128 MB for JavaScript and WebAssembly, for all its requests; WebAssembly's part never
shrinks. So a fetch asks first. Plain numbers: a request that waits looks again by a timer of its
own, because what one request resolves for another would run in the wrong one's context. What an
invocation held that was killed is free again when its time is over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec

from building_vitals.errors import Overloaded
from building_vitals.ports import Clock

# All shares together. Python alone has 31 MB, and 90 MB is what WebAssembly may grow to.
BUDGET_BYTES = 44_000_000
# What jobs may hold of it: a chunk by large pages. Somebody waits for the rest, which is as much as
# a fetch by small answers takes at most.
JOBS_BYTES = 26_000_000
# How often the first waiter looks again; each one behind it by so much more seldom, up to a most:
# the looks of many would take the time of those who work. Who did not for longer counts as dead.
POLL_MS = 40
POLL_MS_MAX = 400
SILENT_MS = 2_000
# A waiter for whom this is too long is told to come back after as many seconds.
RETRY_AFTER_S = 5


class _Share(msgspec.Struct):
    """
    What somebody holds, or waits for.

    Attributes:
        size: Bytes.
        is_awaited: Whether somebody waits for the work.
        until_ms: When it is over at the latest; of a waiter, when it counts as dead.
    """

    size: int
    is_awaited: bool
    until_ms: int


class MemoryBudget:
    """Shares of memory by owner, and those who wait for one in the order of their coming."""

    def __init__(self, bytes_max: int = BUDGET_BYTES, jobs_bytes_max: int = JOBS_BYTES) -> None:
        self._bytes_max = bytes_max
        self._jobs_bytes_max = jobs_bytes_max
        self._held: dict[int, _Share] = {}
        self._waiting: dict[int, _Share] = {}
        self._number = 0

    def bytes_max(self, *, is_awaited: bool) -> int:
        """Return the most that anybody may hold."""
        return self._bytes_max if is_awaited else self._jobs_bytes_max

    def free_bytes(self, now_ms: int, *, is_awaited: bool = True) -> int:
        """Return what a newcomer could take at once; 0 where others wait."""
        self._drop_dead(now_ms)
        if any(each.is_awaited or not is_awaited for each in self._waiting.values()):
            return 0
        return self._free(is_awaited=is_awaited)

    def _free(self, *, is_awaited: bool) -> int:
        held = sum(each.size for each in self._held.values())
        free = self._bytes_max - held
        if not is_awaited:
            by_jobs = sum(each.size for each in self._held.values() if not each.is_awaited)
            free = min(free, self._jobs_bytes_max - by_jobs)
        return max(free, 0)

    def _drop_dead(self, now_ms: int) -> None:
        """Forget the shares of those who are dead."""
        for shares in (self._held, self._waiting):
            for owner in [owner for owner, each in shares.items() if each.until_ms <= now_ms]:
                del shares[owner]

    @asynccontextmanager
    async def share(
        self,
        size: int,
        *,
        clock: Clock,
        wait_until_ms: int | None,
        until_ms: int,
        is_awaited: bool = True,
    ) -> AsyncIterator[None]:
        """
        Hold *size* bytes for as long as the block lasts, once they are free.

        Those for whom somebody waits come first, then who came first. More than there is counts as
        all there is.

        Args:
            size: Bytes.
            clock: Of the request.
            wait_until_ms: When to give up; None: never.
            until_ms: When the work is over at the latest, should it die.
            is_awaited: Whether somebody waits for it.

        Raises:
            Overloaded: they were not free in time.
        """
        size = min(size, self.bytes_max(is_awaited=is_awaited))
        self._number += 1
        owner = self._number
        with self._given_back(owner):
            while not self._take(owner, _Share(size, is_awaited, until_ms), clock.now_ms()):
                now_ms, pause_ms = clock.now_ms(), self._pause_ms(owner)
                if wait_until_ms is not None and now_ms + POLL_MS >= wait_until_ms:
                    raise Overloaded(
                        "too many large requests are under way: no memory was free in time",
                        retry_after_s=RETRY_AFTER_S,
                    )
                if wait_until_ms is not None:
                    pause_ms = min(pause_ms, wait_until_ms - now_ms - POLL_MS)
                await clock.sleep(pause_ms)
            yield

    def _pause_ms(self, owner: int) -> int:
        """Return when a waiter is to look again, by its place in the line."""
        ahead = sum(self._rank(each) < self._rank(owner) for each in self._waiting)
        return min(POLL_MS * (1 + ahead), POLL_MS_MAX)

    def _rank(self, waiter: int) -> tuple[bool, int]:
        """Return what the line is ordered by."""
        return not self._waiting[waiter].is_awaited, waiter

    @contextmanager
    def _given_back(self, owner: int) -> Iterator[None]:
        try:
            yield
        finally:
            self._held.pop(owner, None)
            self._waiting.pop(owner, None)

    def _take(self, owner: int, share: _Share, now_ms: int) -> bool:
        """Take a share if it is free and nobody comes first; else wait."""
        self._drop_dead(now_ms)
        self._waiting[owner] = _Share(share.size, share.is_awaited, now_ms + SILENT_MS)
        first = min(self._waiting, key=self._rank)
        if first != owner or share.size > self._free(is_awaited=share.is_awaited):
            return False
        del self._waiting[owner]
        self._held[owner] = share
        return True
