"""
The time of one invocation, which never goes back although the machine's clock may.

Free of JavaScript, so that it runs in CPython.
"""

from __future__ import annotations

from collections.abc import Callable


class SteadyTime:
    """Begins with what a clock says, and counts on by what passes there; a step back is none."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        """
        Args:
            clock_ms: Returns the machine's time, epoch milliseconds.
        """
        self._clock_ms = clock_ms
        self._last_ms = self._now_ms = clock_ms()

    def now_ms(self) -> int:
        """Return the present instant, epoch milliseconds."""
        clock_ms = self._clock_ms()
        self._now_ms += max(0, clock_ms - self._last_ms)
        self._last_ms = clock_ms
        return self._now_ms
