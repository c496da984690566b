"""A plain HTTP client that shows what is on the wire; the tests decide about gzip."""

from __future__ import annotations

import gzip
import http.client
import json as json_module
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

DEADLINE_S = 30.0
# Each look may be a request, and a core has better to do while a test waits.
POLL_S_MIN, POLL_S_MAX, POLL_GROWTH = 0.05, 0.25, 1.25
TIMEOUT_S = 60.0

Found = TypeVar("Found")

Parameters = Mapping[str, object] | Sequence[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer.

    Attributes:
        status: HTTP status.
        headers: Looked up in any case; get_all() for repeated ones.
        wire: The body as it came.
    """

    status: int
    headers: http.client.HTTPMessage
    wire: bytes

    @property
    def body(self) -> bytes:
        """The body, decompressed when Content-Encoding says gzip."""
        if self.headers.get("Content-Encoding", "").lower() == "gzip" and self.wire:
            return gzip.decompress(self.wire)
        return self.wire

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json_module.loads(self.body)


class Client:
    """
    Sends requests to one server, each on a connection of its own.

    Args:
        url: http://HOST:PORT.
        headers: Sent with every request unless it has its own.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._address = (parts.hostname, parts.port)
        self._headers = dict(headers or {})

    def get(self, path: str, params: Parameters | None = None, **options: Any) -> Answer:
        """Send a GET; see request."""
        return self.request("GET", path, params, **options)

    def post(self, path: str, json: object = None, **options: Any) -> Answer:
        """Send *json* as a POST; see request."""
        return self.request("POST", path, json=json, **options)

    def delete(self, path: str, params: Parameters | None = None, **options: Any) -> Answer:
        """Send a DELETE; see request."""
        return self.request("DELETE", path, params, **options)

    def request(
        self,
        method: str,
        path: str,
        params: Parameters | None = None,
        *,
        json: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accepts_gzip: bool = True,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """
        Send one request and read the whole answer.

        Args:
            method: Any token, known or not.
            path: As it goes on the wire, before *params*.
            params: Query parameters; a sequence of pairs may repeat a name.
            json: Sent as a JSON body.
            body: Sent as it is.
            headers: Replace the client's own of the same name.
            accepts_gzip: Whether Accept-Encoding says gzip or identity.
            timeout_s: For connecting and for each read.
        """
        sent = {"Accept-Encoding": "gzip" if accepts_gzip else "identity", **self._headers}
        if json is not None:
            body = json_module.dumps(json).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        target = f"{path}?{urlencode(params)}" if params else path
        connection = http.client.HTTPConnection(*self._address, timeout=timeout_s)
        try:
            connection.request(method, target, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def until(
    predicate: Callable[[], Found | Literal[False] | None],
    deadline_s: float = DEADLINE_S,
    *,
    what: str = "the effect",
) -> Found:
    """
    Return the first true value of *predicate*.

    Raises:
        AssertionError: It was still false after *deadline_s* seconds; names its last value.
    """
    deadline = time.monotonic() + deadline_s
    pause_s = POLL_S_MIN
    while not (found := predicate()):
        assert time.monotonic() < deadline, f"no {what} after {deadline_s} s: last value {found!r}"
        time.sleep(pause_s)
        pause_s = min(pause_s * POLL_GROWTH, POLL_S_MAX)
    return found
