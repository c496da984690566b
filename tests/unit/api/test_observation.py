"""What the statistics hear of requests, whichever way they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.answers.answer import (
    CacheReport,
    CacheStatus,
    StoredBody,
    TimeseriesAnswer,
)
from building_vitals.answers.question import Question
from building_vitals.answers.recent import RecentAnswers
from building_vitals.answers.routing import RoutingOptions
from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.cache.look_ups import LookUps
from building_vitals.errors import Unauthorized, UpstreamError
from building_vitals.handlers.fetch import answer
from building_vitals.statistics.events import RequestEvent
from fakes.clock import VirtualClock
from fakes.object_store import FakeOpenObject

QUERY = "site=hq&points=a,b&start_time=2025-01-01T00:00:00Z&end_time=2025-01-02T00:00:00Z"


class Recorder:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[RequestEvent] = []

    def record_request(self, tell: Callable[[], RequestEvent]) -> None:
        """Keep what is told."""
        self.events.append(tell())


class Limits:
    """Lets everybody ask."""

    async def admit_read(self, caller: Caller) -> None:
        """Let somebody ask."""


class Context:
    """The services behind the handlers: a service that answers, or raises."""

    def __init__(self, outcome: TimeseriesAnswer | Exception) -> None:
        self.analytics = Recorder()
        self.clock = VirtualClock()
        self.limits = Limits()
        self.settings = SimpleNamespace(
            routing=RoutingOptions(small_threshold=200), cors_origins="", auth_mode="keys"
        )
        self.allowance = SimpleNamespace(caller=None)
        self.recent = RecentAnswers(LookUps())
        self.lines: list[dict[str, Any]] = []
        self._outcome = outcome

    @property
    def access(self) -> Context:
        """Who may ask."""
        return self

    @property
    def timeseries(self) -> Context:
        """Answers."""
        return self

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Let in all but the one without a key."""
        if headers.get("authorization") == "none":
            raise Unauthorized("no key")
        return ANYBODY

    async def fetch_timeseries(self, asked: Question) -> TimeseriesAnswer:
        """Take 40 ms."""
        self.clock.advance(40)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def log(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append({"event": event, **fields})


def found(
    status: CacheStatus = "hit", rest: AsyncIterator[bytes] | None = None, keys: str = "km"
) -> TimeseriesAnswer:
    """Return an answer."""
    return TimeseriesAnswer(
        report=CacheReport(status, upstream_requests=3),
        object_keys=tuple(keys),
        answer_etag='W/"tag"',
        samples=288,
        first=b"x" * 10,
        rest=rest,
    )


def request(
    path: str = "/api/timeseries", query: str = QUERY, method: str = "GET", **headers: str
) -> HttpRequest:
    """Return a request."""

    async def read_body(size: int) -> bytes:
        return b""

    return HttpRequest(
        method=method,
        path=path,
        query=query,
        headers=headers,
        request_id="id",
        started_ms=VirtualClock().now_ms(),
        read_body=read_body,
    )


async def seen(
    outcome: TimeseriesAnswer | Exception, asked: HttpRequest
) -> tuple[Reply, list[RequestEvent], Context]:
    """Return the reply, what was recorded by then, and the services."""
    context = Context(outcome)
    reply = await answer(asked, context)  # type: ignore[arg-type]
    return reply, context.analytics.events, context


async def test_an_answer_is_recorded_with_all_that_is_known() -> None:
    """Each field comes from where it is known best; the duration is that of the log line."""
    _, events, context = await seen(found(), request())
    expected = RequestEvent(
        request_id="id",
        time_ms=request().started_ms,
        endpoint="GET /api/timeseries",
        site="hq",
        points=2,
        route="cached",
        cache_status="hit",
        format="json",
        estimated=200,
        samples=288,
        body_bytes=10,
        upstream_requests=3,
        duration_ms=40,
        status=200,
        object_keys=("k", "m"),
    )
    assert [expected] == events
    assert 40 == context.lines[0]["durationMs"]


@pytest.mark.parametrize(
    ("status", "object_keys"), [("miss", ()), ("bypass", ()), ("partial", ("k",))]
)
async def test_only_what_was_there_is_touched(
    status: CacheStatus, object_keys: tuple[str, ...]
) -> None:
    """An answer that came from upstream alone touches no object."""
    _, events, _ = await seen(found(status, keys="k"), request())
    assert [object_keys] == [each.object_keys for each in events]


async def test_a_failure_keeps_its_route() -> None:
    """What was known before the upstream failed is recorded and logged with the failure."""
    _, events, context = await seen(UpstreamError("down"), request())
    [event] = events
    assert ("cached", "hq", 2, "none", 502, "upstream_failed", False, 40) == (
        *(event.route, event.site, event.points, event.cache_status, event.status, event.error),
        *(event.is_success, event.duration_ms),
    )
    assert ("cached", "hq") == (context.lines[0]["route"], context.lines[0]["site"])


async def test_a_fault_of_ours_is_recorded() -> None:
    """An exception nobody foresaw counts as an internal error."""
    _, events, _ = await seen(RuntimeError("bug"), request())
    assert [(500, "internal")] == [(each.status, each.error) for each in events]


async def test_not_modified_is_a_hit() -> None:
    """A 304 sends nothing, and is a success that touches the objects it stands for."""
    _, events, _ = await seen(found(), request(**{"if-none-match": 'W/"tag"'}))
    [event] = events
    assert (304, 0, True, True, ("k", "m")) == (
        *(event.status, event.body_bytes, event.is_hit, event.is_success, event.object_keys),
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(request(query="site="), (400, "none", "invalid_request"), id="bad request"),
        pytest.param(request(authorization="none"), (401, "none", "unauthorized"), id="no key"),
        pytest.param(request(method="DELETE"), None, id="wrong method"),
        pytest.param(request(path="/api/nothing"), None, id="no such path"),
        pytest.param(request(method="OPTIONS"), None, id="preflight"),
    ],
)
async def test_what_gets_no_route(
    asked: HttpRequest, expected: tuple[int, str, str] | None
) -> None:
    """A refused request is recorded without a route; one for nothing there is not at all."""
    _, events, _ = await seen(found(), asked)
    assert ([] if expected is None else [expected]) == [
        (each.status, each.route, each.error) for each in events
    ]


async def test_head_sends_no_bytes() -> None:
    """A HEAD is recorded as what it is, also when the answer would have been streamed."""
    for rest in (None, chunks()):
        _, events, _ = await seen(found(rest=rest), request(method="HEAD"))
        assert [0] == [each.body_bytes for each in events]


async def chunks(error: Exception | None = None) -> AsyncIterator[bytes]:
    """Yield two chunks, or one and fail."""
    yield b"y" * 5
    if error is not None:
        raise error
    yield b"z" * 7


async def test_a_stream_is_recorded_when_it_has_ended() -> None:
    """Samples, bytes and duration are those of the whole answer."""
    outcome = found(rest=chunks())
    reply, events, context = await seen(outcome, request())
    assert [] == events
    outcome.samples = 5000
    assert reply.rest is not None
    async for _ in reply.rest:
        context.clock.advance(100)
    await reply.rest.aclose()  # type: ignore[attr-defined]
    assert [(5000, 22, 240, True)] == [
        (each.samples, each.body_bytes, each.duration_ms, each.is_success) for each in events
    ]


async def test_a_broken_stream_is_a_failure() -> None:
    """What breaks the stream is its error, recorded once, and raised."""
    reply, events, _ = await seen(found(rest=chunks(UpstreamError("gone"))), request())
    assert reply.rest is not None
    with pytest.raises(UpstreamError):
        async for _ in reply.rest:
            await asyncio.sleep(0)
    await reply.rest.aclose()  # type: ignore[attr-defined]
    assert [("upstream_failed", 15, False)] == [
        (each.error, each.body_bytes, each.is_success) for each in events
    ]


async def test_a_client_that_leaves_is_noticed() -> None:
    """A stream that is given up is no success, and is closed."""
    closed = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"w"
        finally:
            closed.append(True)

    reply, events, _ = await seen(found(rest=endless()), request())
    assert reply.rest is not None
    await anext(reply.rest)
    await reply.rest.aclose()  # type: ignore[attr-defined]
    assert [("client_gone", 11)] == [(each.error, each.body_bytes) for each in events]
    assert [True] == closed


@pytest.mark.parametrize(("error", "size"), [(None, 1003), ("client_gone", 0)])
async def test_a_stored_body_is_recorded_when_it_has_been_sent(
    error: str | None, size: int
) -> None:
    """Its size is known beforehand, its end is not."""
    answered = found()
    answered.first = b""
    answered.stored = StoredBody(FakeOpenObject(b"x" * 1000), b"end")
    reply, events, context = await seen(answered, request())
    assert [] == events
    assert (1003, True) == (context.lines[0]["bytes"], context.lines[0]["streamed"])
    assert reply.stored is not None
    context.clock.advance(60)
    reply.stored.on_end(error)
    [event] = events
    assert (size, 100, error, 288) == (
        *(event.body_bytes, event.duration_ms, event.error, event.samples),
    )


async def test_a_stored_body_nobody_wants_is_recorded_at_once() -> None:
    """A HEAD sends nothing of it."""
    answered = found()
    answered.stored = StoredBody(FakeOpenObject(b"x" * 1000), b"end")
    _, events, _ = await seen(answered, request(method="HEAD"))
    assert [(0, None)] == [(each.body_bytes, each.error) for each in events]
