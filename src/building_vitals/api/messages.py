"""Requests and replies as the handlers see them, free of the runtime's classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from building_vitals.answers.answer import StoredBody, TimeseriesAnswer
from building_vitals.answers.formats.spliced_json import SealedBody


class HttpRequest(msgspec.Struct, kw_only=True):
    """
    One request.

    Attributes:
        method: In upper case, whatever it is.
        path: Undecoded, from the first slash, without the query.
        query: Undecoded, without the question mark.
        headers: Names in lower case.
        request_id: Made for this request.
        started_ms: When it came in.
        key_id: Of the caller's key; None until the caller is known.
        endpoint: Method and route, for the statistics; empty until a route is found.
        notes: Fields for the log line and the statistics, known before there is a reply.
        captured: The parts of the path that its route leaves open, undecoded.
        read_body: Reads the body; raises TooLarge when it has more bytes than allowed.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    request_id: str
    started_ms: int
    key_id: str | None = None
    endpoint: str = ""
    notes: dict[str, Any] = {}
    captured: tuple[str, ...] = ()
    read_body: Callable[[int], Awaitable[bytes]]


class Reply(msgspec.Struct, kw_only=True):
    """
    What answers a request.

    Attributes:
        headers: Name and value; names may repeat.
        body: The whole body, or its beginning when *rest* is set.
        rest: What follows.
        stored: The body, where it lies in the bucket; there is no other then.
        is_encoded: Whether the body is compressed already, as `Content-Encoding` says.
        log: Fields for the log line and the statistics.
        answer: The samples it sends, for the statistics.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes | SealedBody = b""
    rest: AsyncIterator[bytes] | None = None
    stored: StoredBody | None = None
    is_encoded: bool = False
    log: dict[str, Any] = {}
    answer: TimeseriesAnswer | None = None


def json_reply(
    document: Any, status: int = 200, headers: list[tuple[str, str]] | None = None, **log: Any
) -> Reply:
    """Return a reply with a JSON document."""
    return Reply(
        status=status,
        headers=[("Content-Type", "application/json"), *(headers or [])],
        body=msgspec.json.encode(document),
        log=log,
    )
