"""Failures on demand for stand-ins of the Worker's bindings."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum

from building_vitals.errors import Unavailable


class Fault(Enum):
    """How a call fails."""

    REFUSED = "nothing happens"
    ANSWER_LOST = "it happens, but the caller hears of a failure"


class Failures:
    """
    Decides which calls of a stand-in fail, and counts them all.

    Attributes:
        calls: How often each operation was called, failed calls included.
        before: Awaited before each call, told the operation; may raise.
    """

    def __init__(self, name: str) -> None:
        """
        Args:
            name: Of the binding, for the messages.
        """
        self._name = name
        self._queued: dict[str, list[Fault]] = {}
        self._standing: dict[str, Fault] = {}
        self._chance: Callable[[str], Fault | None] = lambda _: None
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str], Awaitable[None]] | None = None

    def next(self, operation: str, *, count: int = 1, fault: Fault = Fault.REFUSED) -> None:
        """Let the next calls of an operation fail."""
        self._queued.setdefault(operation, []).extend([fault] * count)

    def always(self, *operations: str, fault: Fault = Fault.REFUSED) -> None:
        """Let operations fail until `clear`; `*` stands for all."""
        for operation in operations:
            self._standing[operation] = fault

    def by_chance(self, chance: Callable[[str], Fault | None]) -> None:
        """Let *chance* decide for each call that is not failed otherwise."""
        self._chance = chance

    def clear(self) -> None:
        """Let everything succeed."""
        self._queued.clear()
        self._standing.clear()
        self._chance = lambda _: None

    @asynccontextmanager
    async def call(self, operation: str) -> AsyncIterator[None]:
        """
        Surround what an operation does; others get their turn before it and after it.

        Raises:
            Unavailable: the call is to fail.
        """
        self.calls[operation] += 1
        fault = self._fault(operation)
        await asyncio.sleep(0)
        if self.before is not None:
            await self.before(operation)
        if fault is Fault.REFUSED:
            raise Unavailable(f"{self._name} refused: {operation} is made to fail")
        yield
        await asyncio.sleep(0)
        if fault is Fault.ANSWER_LOST:
            raise Unavailable(f"{self._name} refused: the answer to {operation} was lost")

    def _fault(self, operation: str) -> Fault | None:
        queued = self._queued.get(operation)
        if queued:
            return queued.pop(0)
        return self._standing.get(operation) or self._standing.get("*") or self._chance(operation)
