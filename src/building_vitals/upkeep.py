"""The steps of the maintenance run: their protocol, ranks, and the bounds of one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from building_vitals.instants import HOUR_MS

OBJECTS_AT_ONCE = 1000

ROUNDS_MAX = 10

# The longest that a client may take to read an answer.
STREAM_MS_MAX = 3 * HOUR_MS
# After its last segment an object stays this long: longer than any answer is read from it.
OBJECT_GRACE_MS = STREAM_MS_MAX + HOUR_MS


async def repeat_rounds(change: Callable[[], Awaitable[int]]) -> int:
    """Repeat a change until it changes nothing, ROUNDS_MAX times at most; return the sum."""
    total = 0
    for _ in range(ROUNDS_MAX):
        changed = await change()
        total += changed
        if not changed:
            break
    return total


URGENT, ROUTINE, LENGTHY = range(3)


class Step(Protocol):
    """One part of the maintenance run: bounded, repeatable, independent of the others."""

    @property
    def name(self) -> str:
        """The step's name in the answer of `POST /api/maintenance/run`."""
        ...

    @property
    def rank(self) -> int:
        """URGENT, ROUTINE or LENGTHY: steps run in this order."""
        ...

    async def run(self, now_ms: int, /) -> int:
        """Do some of it, and return how much has changed."""
        ...
