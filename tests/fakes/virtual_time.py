"""
Event loops whose time passes only when nothing else is left to do, at once.

A fetch of half a minute, a lease that runs out, a night: all take no time, in the right order.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
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


class _Task(asyncio.Task[Any]):
    """Knows, as Pyodide's tasks do, whether anybody else wants to hear of its end."""

    callbacks = 0

    def add_done_callback(self, callback: Any, /, *, context: Context | None = None) -> None:
        """Have a function called at the end, and count it."""
        self.callbacks += 1
        super().add_done_callback(callback, context=context)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """
    An event loop on virtual time.

    Attributes:
        unheard: Failures of the Worker's tasks that nobody waited for at that moment. Pyodide's
            event loop prints the stack of each as an unhandled exception, even if somebody asks
            for it later.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = RESOLUTION_S
        self.unheard: list[BaseException] = []
        self.set_task_factory(self._begin)

    def _begin(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task = _Task(work, loop=loop, **options)
        if inspect.iscoroutine(work) and "building_vitals" in work.cr_code.co_filename:
            task.add_done_callback(self._ended)
        return task

    def _ended(self, task: _Task) -> None:
        if task.callbacks == 1 and not task.cancelled() and (error := task.exception()):
            self.unheard.append(error)

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._virtual.passed_s

    def stall(self, ms: int) -> None:
        """Let time pass in which nothing else runs: somebody computes."""
        self._virtual.passed_s += ms / 1000


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a coroutine: it runs on a loop of its own, on virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, VirtualTimeLoop)
            runner.run(test(*args, **kwargs))
            assert [] == loop.unheard

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


async def hog(*, busy_ms: int, free_ms: int = 10) -> None:
    """Compute for *busy_ms* again and again, with short pauses in between, until cancelled."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    while True:
        loop.stall(busy_ms)
        await asyncio.sleep(free_ms / 1000)
