"""
What goes over the wire, without the wire: requests, answers, and what a flow asks its driver for.

A flow (`flows.py`) is a generator that yields effects and is sent their outcomes. `driver.py`
carries them out, once for blocking and once for asynchronous callers, so that everything that
decides is written once and runs in tests without a network.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

T = TypeVar("T")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """
    One request.

    Attributes:
        method: HTTP method.
        path: Below the Worker's address, percent-encoded.
        query: Parameters, not encoded.
        content: JSON to send; None for none.
        accept: Media type.
        silence_s: How long the answer may say nothing; None for the client's own time-out.
    """

    method: str
    path: str
    query: Pairs = ()
    content: bytes | None = None
    accept: str = "application/json"
    silence_s: float | None = None


@dataclass(frozen=True)
class Reply:
    """
    The beginning of an answer.

    Attributes:
        status: HTTP status.
        headers: By names in lower case.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


class Sink(Protocol):
    """Takes an answer as it comes."""

    def begin(self, reply: Reply) -> None:
        """Take the status and the headers."""

    def feed(self, chunk: bytes) -> bool:
        """Take bytes as they were on the wire; returns whether they were enough."""

    def close(self) -> None:
        """Take the end; raises BrokenDownload where it came too early."""


@dataclass(frozen=True)
class Exchange:
    """Send a request, and give its answer to a sink; the outcome is the Reply."""

    request: Request
    sink: Sink


@dataclass(frozen=True)
class Pause:
    """Wait; the outcome is None."""

    seconds: float


Effect = Exchange | Pause
Flow = Generator[Effect, Reply | None, T]
OnBytes = Callable[[int], None]
