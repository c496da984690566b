"""Work that is begun ahead of who waits for it."""

from __future__ import annotations

import asyncio
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


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of a failure; who waits later hears of it all the same."""
    if not task.cancelled():
        task.exception()
