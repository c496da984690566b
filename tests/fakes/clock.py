"""A clock that stands still until somebody waits."""

from __future__ import annotations

import asyncio


class VirtualClock:
    """
    A Clock whose time passes only by sleeping, at once.

    Attributes:
        sleeps: Delays asked for, in milliseconds.
    """

    def __init__(self, now_ms: int = 1_735_689_600_000, jitter: float = 0.5) -> None:
        self._now_ms = now_ms
        self._jitter = jitter
        self.sleeps: list[int] = []

    def now_ms(self) -> int:
        """Return the present instant."""
        return self._now_ms

    async def sleep(self, delay_ms: int) -> None:
        """Let *delay_ms* pass."""
        self.sleeps.append(delay_ms)
        self._now_ms += delay_ms
        await asyncio.sleep(0)

    async def turn(self) -> None:
        """Let other tasks run."""
        await asyncio.sleep(0)

    def jitter(self) -> float:
        """Return the number given when made."""
        return self._jitter

    def advance(self, delay_ms: int) -> None:
        """Let *delay_ms* pass without anybody waiting."""
        self._now_ms += delay_ms
