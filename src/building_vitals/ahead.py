"""Work that is begun ahead of who waits for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def begin_ahead(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """
    Begin work that is awaited later, or cancelled.

    Pyodide's event loop takes the failure of a task that nobody waits for at that moment for one
    that nobody ever hears of, and prints its stack into the log.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(_heard)
    return task


async def call_off(work: asyncio.Future[Any]) -> None:
    """
    Cancel work, and return when it has ended.

    At once where the caller itself is thrown away, as a task is whose request the runtime has
    ended: it is closed wherever it waits, and may not wait again.
    """
    work.cancel()
    if not is_thrown_away():
        await asyncio.gather(work, return_exceptions=True)


def is_thrown_away() -> bool:
    """Return, in a `finally`, whether the coroutine is being closed, and may not wait again."""
    return isinstance(sys.exception(), GeneratorExit)


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of a failure; who waits later hears of it all the same."""
    if not task.cancelled():
        task.exception()
