"""What a Worker answers that is not set up correctly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.handlers.flawed_settings import answer_flawed
from building_vitals.settings import SettingsError, read_settings
from fakes.api_calls import headers_of

VARS = {
    "ACE_API_URL": "http://user:PASSWORD@host:bad/api",
    "DEFAULT_TTL": "abc",
    "AUTH_MODE": "opne",
}


async def no_body(_: int) -> bytes:
    """Return no body."""
    return b""


def replied(path: str, lines: list[dict[str, Any]]) -> Reply:
    """Return the reply of a Worker with these vars; its log goes into *lines*."""
    with pytest.raises(SettingsError) as caught:
        read_settings(SimpleNamespace(**VARS))
    request = HttpRequest(
        method="GET",
        path=path,
        query="",
        headers={},
        request_id="id-1",
        started_ms=5,
        read_body=no_body,
    )

    def log(event: str, **fields: Any) -> None:
        lines.append({"event": event, **fields})

    return answer_flawed(request, caught.value, log, 8)


@pytest.mark.parametrize("path", ["/api/timeseries", "/openapi.json", "/nope"])
def test_every_request_gets_the_same_problem(path: str) -> None:
    """A document like any other, which names all that is refused and shows no value."""
    lines: list[dict[str, Any]] = []
    reply = replied(path, lines)
    document = msgspec.json.decode(bytes(reply.body))
    assert (503, "application/problem+json") == (reply.status, headers_of(reply)["Content-Type"])
    assert {"type", "title", "status", "detail", "requestId", "error"} == document.keys()
    assert ("urn:building-vitals:problem:misconfigured", "id-1", 503) == (
        *(document["type"], document["requestId"], document["status"]),
    )
    assert headers_of(reply)["X-Request-Id"] == "id-1"
    assert (
        "the Worker is not set up correctly: AUTH_MODE must be one of ('keys', 'open'), did you "
        "mean 'open'?; ACE_API_URL must hold no user, no password and no @: the token is the "
        "secret ACE_API_TOKEN; DEFAULT_TTL must be from 1 to 31536000; its log shows the values"
        == document["detail"]
    )
    (line,) = lines
    assert ("request", path, 503, 3) == tuple(
        line[name] for name in ("event", "path", "status", "durationMs")
    )
    assert "PASSWORD" not in str((document, line))


def test_health_says_that_it_is_degraded() -> None:
    """Monitors read the document that they know."""
    reply = replied("/api/health", [])
    document = msgspec.json.decode(bytes(reply.body))
    assert (503, "degraded") == (reply.status, document["status"])
    assert (
        "refused: AUTH_MODE, ACE_API_URL, DEFAULT_TTL; the log says why"
        == document["checks"]["settings"]
    )
