"""
The time of one invocation, which never goes back.

The machine's clock is set back now and then, and Python's own on this runtime is, all the time: it
counts a millisecond for each look at it, and so runs ahead until the next real one comes. Free of
JavaScript, so that it runs in CPython.
"""

from __future__ import annotations

from collections.abc import Callable


class SteadyTime:
    """Counts on from a first instant; a step back of what it counts by is left out."""

    def __init__(self, start_ms: int, ticks_s: Callable[[], float]) -> None:
        """
        Args:
            start_ms: The present instant, epoch milliseconds.
            ticks_s: Returns seconds since whenever.
        """
        self._start_ms = start_ms
        self._ticks_s = ticks_s
        self._last_s = ticks_s()
        self._passed_s = 0.0

    def now_ms(self) -> int:
        """Return the present instant, epoch milliseconds."""
        tick_s = self._ticks_s()
        self._passed_s += max(0.0, tick_s - self._last_s)
        self._last_s = tick_s
        return self._start_ms + int(self._passed_s * 1000)
