"""SIGINT, SIGTERM and SIGHUP as one exception, never between starting a child and noting it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Stopped(BaseException):
    """The user or the system asked the script to end."""


class StopSignals:
    """
    Raises Stopped once, at the first signal; later ones are ignored: the end is under way.

    Attributes:
        requested: Whether a signal has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._raised = False
        self._holds = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        """Install the handlers; a SIGHUP that is ignored (nohup) stays ignored."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the earlier handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Put a signal off until the block has ended without an error."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
        self._raise_if_due()

    def hold(self) -> None:
        """Put signals off for good: what follows is the end anyway."""
        self._holds += 1

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._raise_if_due()

    def _raise_if_due(self) -> None:
        if self.requested and not self._raised and self._holds == 0:
            self._raised = True
            raise Stopped
