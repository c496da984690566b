"""
Requests and replies of the demo upstream as plain values.

Separate from the HTTP server, so that a reply can be made, changed and checked without a socket.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP request.

    Attributes:
        target: Path and query as received, still percent-encoded.
        path: The part of *target* before `?`.
        params: Decoded query parameters; of repeated ones, joined with commas.
        headers: Names in lower case.
    """

    method: str
    target: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One HTTP answer.

    Attributes:
        headers: Without Content-Length, which the server adds.
        samples: How many samples the body holds.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    samples: int = 0


class ProtocolError(Exception):
    """A request that is answered with an error status; carries the reply."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reply = json_reply({"message": message}, status=status, headers=headers)

    @classmethod
    def of(cls, reply: Reply) -> Self:
        """Return an error that is answered with *reply*."""
        error = cls(reply.status, "")
        error.reply = reply
        return error


def json_reply(
    document: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return *document* as a JSON reply."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json", **(headers or {})})
