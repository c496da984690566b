"""
Has requests recorded when they have been answered, streamed answers when their stream has ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.api.problem import INTERNAL_STATUS
from building_vitals.app import App
from building_vitals.statistics.events import CLIENT_GONE, NO_ROUTE, NO_STATUS, RequestEvent

NOT_FOUND_ENDPOINT = ""


def observe(request: HttpRequest, reply: Reply, app: App, duration_ms: int) -> None:
    """
    Have a request recorded, unless it asked for nothing there is.

    Args:
        duration_ms: What it took so far: all it takes, unless the answer is streamed.
    """
    if request.endpoint == NOT_FOUND_ENDPOINT:
        return
    if reply.rest is not None and request.method != "HEAD":
        reply.rest = _Observed(reply.rest, request, reply, app)
        return
    if reply.stored is not None and request.method != "HEAD":
        reply.stored.on_end = _Stored(request, reply, app).end
        return
    size = 0 if request.method == "HEAD" else len(reply.body)
    fault = "internal" if reply.status >= INTERNAL_STATUS else None
    error = reply.log.get("code", fault)
    app.analytics.record_request(
        lambda: event_of(request, reply, body_bytes=size, error=error, duration_ms=duration_ms)
    )


def event_of(
    request: HttpRequest, reply: Reply, *, body_bytes: int, error: str | None, duration_ms: int
) -> RequestEvent:
    """
    Return what there is to record of a request.

    Args:
        body_bytes: Sent.
        error: Class of what kept the answer from being whole.
    """
    about: dict[str, Any] = {**request.notes, **reply.log}
    status = about.get("cache", NO_STATUS)
    answer = reply.answer
    return RequestEvent(
        request_id=request.request_id,
        time_ms=request.started_ms,
        endpoint=request.endpoint,
        site=about.get("site", ""),
        points=about.get("points", 0),
        route=about.get("route", NO_ROUTE),
        cache_status=status,
        format=about.get("format", ""),
        estimated=about.get("estimated", 0),
        samples=answer.samples if answer else 0,
        body_bytes=body_bytes,
        upstream_requests=about.get("upstreamRequests", 0),
        duration_ms=duration_ms,
        status=reply.status,
        error=error,
        object_keys=answer.object_keys if answer and status not in ("miss", "bypass") else (),
    )


class _Stored:
    """A body out of the bucket, whose request is recorded when it has been sent or is given up."""

    def __init__(self, request: HttpRequest, reply: Reply, app: App) -> None:
        self._request = request
        self._reply = reply
        self._context = app

    def end(self, error: str | None) -> None:
        """Record the request."""
        stored = self._reply.stored
        duration_ms = max(0, self._context.clock.now_ms() - self._request.started_ms)
        self._context.analytics.record_request(
            lambda: event_of(
                self._request,
                self._reply,
                body_bytes=stored.size if stored is not None and error is None else 0,
                error=error,
                duration_ms=duration_ms,
            )
        )


class _Observed:
    """The rest of an answer, whose request is recorded when it ends, breaks or is given up."""

    def __init__(
        self, rest: AsyncIterator[bytes], request: HttpRequest, reply: Reply, app: App
    ) -> None:
        self._rest = rest
        self._request = request
        self._reply = reply
        self._context = app
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
        if self._is_recorded:
            return
        self._is_recorded = True
        duration_ms = max(0, self._context.clock.now_ms() - self._request.started_ms)
        self._context.analytics.record_request(
            lambda: event_of(
                self._request,
                self._reply,
                body_bytes=self._size,
                error=error,
                duration_ms=duration_ms,
            )
        )
