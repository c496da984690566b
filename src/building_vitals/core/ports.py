"""
What the Worker needs of the outside, as Protocols that plain Python can stand in for.

Separate so that upstream, storage and services are testable in CPython; the real ones live in
`platform/`, and each is held to the same contract tests as its stand-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class HttpAnswer(msgspec.Struct, frozen=True):
    """
    One whole answer of an HTTP server.

    Attributes:
        status: HTTP status; redirects are not followed.
        headers: Names in lower case.
        body: Whole and already decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpFailure(Exception):
    """
    No whole answer came: connection refused or lost, a body cut short.
    """


class HttpTimeout(HttpFailure):
    """
    No whole answer came within the time allowed.
    """


class HttpClient(Protocol):
    """
    Sends one request and reads the whole answer.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
    ) -> HttpAnswer:
        """
        Return the answer, whatever its status.

        Raises:
            HttpTimeout: *timeout_ms* ran out before the body was whole.
            HttpFailure: the connection failed, or the body was cut short.
        """
        ...


class Clock(Protocol):
    """
    Time and waiting.
    """

    def now_ms(self) -> int:
        """
        Return the present instant, epoch milliseconds.
        """
        ...

    async def sleep(self, delay_ms: int) -> None:
        """
        Return after *delay_ms*.
        """
        ...

    def jitter(self) -> float:
        """
        Return a random number, 0 <= x < 1.
        """
        ...
