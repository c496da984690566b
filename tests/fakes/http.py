"""HTTP without a network: a client that answers by a script."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from building_vitals.ports import HttpAnswer


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as the client sent it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_ms: int
    body_max: int

    @property
    def path(self) -> str:
        """The escaped path."""
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, str]:
        """The decoded query; of repeated parameters, the first."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}


Step = HttpAnswer | Exception | Callable[[SentRequest], "HttpAnswer | Awaitable[HttpAnswer]"]


class ScriptedHttp:
    """
    An HttpClient that answers by a script, and holds what it was asked.

    Attributes:
        requests: In the order they were sent.
        in_flight_max: The most requests that were under way at once.
        aborted: Requests whose caller gave up on them.
    """

    def __init__(self, *steps: Step, otherwise: Step | None = None) -> None:
        """
        Args:
            steps: One for each request; an exception is raised, a function is called.
            otherwise: The step for every request after those; without, there must be none.
        """
        self._steps = list(steps)
        self._otherwise = otherwise
        self._in_flight = 0
        self.requests: list[SentRequest] = []
        self.in_flight_max = 0
        self.aborted = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        body_max: int,
    ) -> HttpAnswer:
        """Answer by the next step of the script."""
        sent = SentRequest(method, url, dict(headers), body, timeout_ms, body_max)
        self.requests.append(sent)
        step = self._steps.pop(0) if self._steps else self._otherwise
        assert step is not None, f"request {len(self.requests)} is not in the script: {url}"
        self._in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self._in_flight)
        try:
            await asyncio.sleep(0)
            return await self._answer(step, sent)
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self._in_flight -= 1

    async def _answer(self, step: Step, sent: SentRequest) -> HttpAnswer:
        if isinstance(step, Exception):
            raise step
        if isinstance(step, HttpAnswer):
            return step
        answer = step(sent)
        return await answer if inspect.isawaitable(answer) else answer


def answer(
    status: int = 200, content: Any = None, /, headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """Return an answer with *content* as it is (bytes) or as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return HttpAnswer(status, headers or {}, body)


def page(
    *samples: tuple[str, Any, str], cursor: Any = None, more: bool | None = None
) -> HttpAnswer:
    """Return a page of (name, value, time), with has_more as its cursor demands unless told."""
    return answer(
        200,
        {
            "point_samples": [
                {"name": name, "value": value, "time": time} for name, value, time in samples
            ],
            "next_cursor": cursor,
            "has_more": cursor is not None if more is None else more,
        },
    )
