"""The `Invocation` that a test gives to a single service."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from building_vitals.ports import Clock, Invocation

RunLater = Callable[[Coroutine[Any, Any, None]], None]
OnFault = Callable[[str, Any], None]


def invocation(
    clock: Clock,
    *,
    run_later: RunLater | None = None,
    on_fault: OnFault | None = None,
    new_id: Callable[[], str] | None = None,
) -> Invocation:
    """Return an invocation; what is left out must not be used, but for counted identities."""
    ids = itertools.count()
    return Invocation(
        clock=clock,
        run_later=run_later or _unexpected_work,
        on_fault=on_fault or _unexpected_fault,
        new_id=new_id or (lambda: f"id-{next(ids)}"),
    )


def _unexpected_work(work: Coroutine[Any, Any, None]) -> None:
    work.close()
    assert isinstance(work, CoroutineType)
    raise AssertionError(f"work after the answer: {work.__qualname__}")


def _unexpected_fault(where: str, error: Exception) -> None:
    raise AssertionError(f"a fault in {where}") from error
