"""
Event loops whose time passes only when nothing else is left to do, at once.

A fetch of half a minute, a lease that runs out, a night: all take no time, in the right order.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

EPOCH_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
# Timers this close together are due at once, as in asyncio itself.
RESOLUTION_S = 1e-6


class _Selector(selectors.SelectSelector):
    """Lets time leap instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready, after *timeout* has passed."""
        if timeout is None:
            raise RuntimeError("every task waits for another one")
        self.passed_s += max(timeout, 0.0)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = RESOLUTION_S

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._virtual.passed_s


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a coroutine: it runs on a loop of its own, on virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class LoopClock:
    """A Clock that goes with the running loop."""

    def __init__(self, start_ms: int = EPOCH_MS) -> None:
        self._start_ms = start_ms

    def now_ms(self) -> int:
        """Return the present instant."""
        return self._start_ms + round(asyncio.get_running_loop().time() * 1000)

    def step(self, by_ms: int) -> None:
        """Set the clock forward, or back, as machines do."""
        self._start_ms += by_ms

    async def sleep(self, delay_ms: int) -> None:
        """Return after *delay_ms*."""
        await asyncio.sleep(delay_ms / 1000)

    async def turn(self) -> None:
        """Let other tasks run."""
        await asyncio.sleep(0)

    def jitter(self) -> float:
        """Return a number in the middle."""
        return 0.5
