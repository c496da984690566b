"""Requests and replies as the handlers see them, free of the runtime's classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from building_vitals.access.caller import Caller
from building_vitals.answers.answer import StoredBody, TimeseriesAnswer
from building_vitals.answers.formats.spliced_json import SealedBody
from building_vitals.api.parameters import Parameter
from building_vitals.api.requests import parse_values
from building_vitals.app import App
from building_vitals.statistics.events import RequestFacts

NO_STORE = ("Cache-Control", "no-store")


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
        host: As the client names it, with its port; of the request's address.
        is_https: Whether it came encrypted.
        key_id: Of the caller's key; None until the caller is known.
        endpoint: Method and path, for the statistics; empty until a keyed endpoint is found.
        facts: For the log line and the statistics.
        read_body: Reads the body; raises TooLarge when it has more bytes than allowed.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    request_id: str
    started_ms: int
    host: str = "localhost"
    is_https: bool = False
    key_id: str | None = None
    endpoint: str = ""
    facts: RequestFacts = msgspec.field(default_factory=RequestFacts)
    read_body: Callable[[int], Awaitable[bytes]]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request on its way to the handler of its endpoint.

    Attributes:
        caller: Who asks; nobody where the endpoint is open to anybody.
        parameters: The endpoint's parameters of the query, or of the body where it has one.
        captured: The parts of the path that the endpoint leaves open, undecoded.
    """

    request: HttpRequest
    app: App
    caller: Caller
    parameters: tuple[Parameter, ...]
    captured: tuple[str, ...]

    @property
    def facts(self) -> RequestFacts:
        """The request's facts, to be filled in."""
        return self.request.facts

    def values(self) -> dict[str, Any]:
        """Return the values in the query by name, as `parse_values` does."""
        return parse_values(self.request.query, self.parameters)


class Reply(msgspec.Struct, kw_only=True):
    """
    What answers a request.

    Attributes:
        headers: Name and value; names may repeat.
        body: The whole body, or its beginning when *rest* is set.
        rest: What follows.
        stored: The body, where it lies in the bucket; there is no other then.
        is_encoded: Whether the body is compressed already, as `Content-Encoding` says.
        answer: The samples it sends, for the statistics.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes | SealedBody = b""
    rest: AsyncIterator[bytes] | None = None
    stored: StoredBody | None = None
    is_encoded: bool = False
    answer: TimeseriesAnswer | None = None


def json_reply(document: msgspec.Struct, status: int = 200, *headers: tuple[str, str]) -> Reply:
    """Return a reply with a JSON document."""
    return Reply(
        status=status,
        headers=[("Content-Type", "application/json"), *headers],
        body=msgspec.json.encode(document),
    )
