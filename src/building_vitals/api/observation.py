"""
Records requests: an answered request at once, a streamed answer when its stream has ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.api.problem import INTERNAL_STATUS
from building_vitals.app import App
from building_vitals.instants import elapsed_ms
from building_vitals.statistics.events import CLIENT_GONE, NO_ROUTE, NO_STATUS, RequestEvent

NOT_FOUND_ENDPOINT = ""


def observe(request: HttpRequest, reply: Reply, app: App, duration_ms: int) -> None:
    """
    Record a request, unless it found no endpoint that needs a key.

    Args:
        request: Holds the facts.
        reply: Its stream is watched, where it has one.
        app: Has the recorder.
        duration_ms: Duration so far: the whole one, unless the answer is streamed.
    """
    if request.endpoint == NOT_FOUND_ENDPOINT:
        return
    if reply.rest is not None and request.method != "HEAD":
        reply.rest = _RecordedBody(reply.rest, request, reply, app)
        return
    if reply.stored is not None and request.method != "HEAD":
        stored_size = reply.stored.size
        reply.stored.on_end = lambda error: _record_end(
            request, reply, app, body_bytes=0 if error else stored_size, error=error
        )
        return
    size = 0 if request.method == "HEAD" else len(reply.body)
    error = request.facts.code or ("internal" if reply.status >= INTERNAL_STATUS else None)
    app.analytics.record_request(
        lambda: event_of(request, reply, body_bytes=size, error=error, duration_ms=duration_ms)
    )


def event_of(
    request: HttpRequest, reply: Reply, *, body_bytes: int, error: str | None, duration_ms: int
) -> RequestEvent:
    """
    Return the event of a request.

    Args:
        request: Holds the facts.
        reply: Its answer knows the samples that were sent in the end.
        body_bytes: Bytes that were sent.
        error: Class of the failure; None for a complete answer.
        duration_ms: Until the last byte.
    """
    facts, answer = request.facts, reply.answer
    is_from_cache = facts.cache_status not in ("miss", "bypass")
    return RequestEvent(
        request_id=request.request_id,
        time_ms=request.started_ms,
        endpoint=request.endpoint,
        site=facts.site or "",
        points=facts.points or 0,
        route=facts.route or NO_ROUTE,
        cache_status=facts.cache_status or NO_STATUS,
        format=facts.format or "",
        estimated=facts.estimated or 0,
        missing=facts.missing or 0,
        samples=answer.samples if answer else 0,
        body_bytes=body_bytes,
        upstream_requests=facts.upstream_requests or 0,
        duration_ms=duration_ms,
        status=reply.status,
        error=error,
        object_keys=answer.object_keys if answer and is_from_cache else (),
    )


def _record_end(
    request: HttpRequest, reply: Reply, app: App, *, body_bytes: int, error: str | None
) -> None:
    """Record a request whose body was sent after the handler had returned."""
    duration_ms = elapsed_ms(request.started_ms, app.clock.now_ms())
    app.analytics.record_request(
        lambda: event_of(
            request, reply, body_bytes=body_bytes, error=error, duration_ms=duration_ms
        )
    )


class _RecordedBody:
    """The rest of an answer, whose request is recorded when it ends, breaks or is given up."""

    def __init__(
        self, rest: AsyncIterator[bytes], request: HttpRequest, reply: Reply, app: App
    ) -> None:
        self._rest = rest
        self._request = request
        self._reply = reply
        self._app = app
        self._size = len(reply.body)
        self._is_recorded = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._rest)
        except StopAsyncIteration:
            self._end(None)
            raise
        except Exception as error:
            self._end(getattr(error, "code", "internal"))
            raise
        self._size += len(chunk)
        return chunk

    async def aclose(self) -> None:
        """End the stream, wherever it is."""
        self._end(CLIENT_GONE)
        close: Any = getattr(self._rest, "aclose", None)
        if close is not None:
            await close()

    def _end(self, error: str | None) -> None:
        if not self._is_recorded:
            self._is_recorded = True
            _record_end(self._request, self._reply, self._app, body_bytes=self._size, error=error)
