"""What the periodic work of every room shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from building_vitals.instants import MINUTE_MS

OBJECTS_AT_ONCE = 1000

ROUNDS_MAX = 10

# After its last segment an object stays this long, for whoever is about to read it.
OBJECT_GRACE_MS = 10 * MINUTE_MS


async def repeat_rounds(change: Callable[[], Awaitable[int]]) -> int:
    """Repeat a change until nothing is left of it, or the run has had its share; return the sum."""
    total = 0
    for _ in range(ROUNDS_MAX):
        changed = await change()
        total += changed
        if not changed:
            break
    return total


URGENT, ROUTINE, LENGTHY = range(3)


class Step(Protocol):
    """One thing the maintenance run does."""

    @property
    def name(self) -> str:
        """As the report calls it."""
        ...

    @property
    def rank(self) -> int:
        """When it runs: what is urgent first, what may take long last."""
        ...

    async def run(self, now_ms: int) -> int:
        """Do some of it, and return how much has changed."""
        ...
