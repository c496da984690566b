"""
The Worker's ports: Protocols for clock, HTTP, database, objects and rate limits.

Separate so that every room runs in CPython with stand-ins. The adapters are in `platform/`; each
passes the same contract tests as its stand-in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec


class HttpAnswer(msgspec.Struct, frozen=True):
    """
    One complete answer of an HTTP server.

    Attributes:
        status: HTTP status; redirects are not followed.
        headers: Names in lower case.
        body: Complete and decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpFailure(Exception):
    """No complete answer came: connection refused or lost, a body cut short."""


class HttpCut(HttpFailure):
    """The answer began, and its body did not come whole."""


class HttpTimeout(HttpFailure):
    """No complete answer came within the time allowed."""


class HttpTooLarge(HttpFailure):
    """The body, decompressed, has more bytes than allowed; the rest was not read."""


class HttpClient(Protocol):
    """
    Sends one request and reads the complete answer.

    Of an answer that is not read to its end, for whatever reason, the connection is closed.
    """

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
        """
        Return the answer, whatever its status.

        Args:
            method: GET or POST.
            url: The whole address.
            headers: Of the request.
            body: Of the request.
            timeout_ms: Longest time from here to the end of the answer's body.
            body_max: Most bytes of the answer's body, decompressed.

        Raises:
            HttpTimeout: *timeout_ms* ran out before the body was complete.
            HttpTooLarge: the body has more than *body_max* bytes.
            HttpFailure: the connection failed, or the body was cut short.
        """
        ...


class Clock(Protocol):
    """Time and waiting."""

    def now_ms(self) -> int:
        """Return the present instant, epoch milliseconds."""
        ...

    async def sleep(self, delay_ms: int) -> None:
        """Return after *delay_ms*."""
        ...

    async def turn(self) -> None:
        """
        Return when tasks have run as far as they can and their requests are on the network.

        Without it, a request that was started before a long computation leaves only after it.
        """
        ...

    def jitter(self) -> float:
        """Return a random number, 0 <= x < 1."""
        ...


class Invocation(msgspec.Struct, frozen=True):
    """
    The arguments that all services of one request, batch or cron run share.

    Attributes:
        clock: Time and waiting.
        run_later: Runs work after the answer, for as long as the runtime allows.
        on_fault: Logs a failure that no answer reports; takes its place and the failure.
        new_id: Returns a random identity.
    """

    clock: Clock
    run_later: Callable[[Coroutine[Any, Any, None]], None]
    on_fault: Callable[[str, Exception], None]
    new_id: Callable[[], str]


class RateLimiter(Protocol):
    """A limit of requests per minute."""

    async def take(self, key: str) -> bool:
        """Count one request of a key; return whether it is within the limit."""
        ...


class Statement(NamedTuple):
    """One SQL statement with the values of `?1`, `?2`, …"""

    sql: str
    values: tuple[str | int | float | None, ...] = ()


def json_parameter(value: object) -> str:
    """Return a value as the JSON text of a statement's parameter."""
    return msgspec.json.encode(value).decode()


class Outcome(NamedTuple):
    """
    The outcome of one statement of a batch.

    Attributes:
        rows: The rows that it selected or returned.
        changes: Rows inserted, updated or deleted.
    """

    rows: list[dict[str, Any]]
    changes: int


class Database(Protocol):
    """
    A SQLite database at the other end of a network round trip (D1).

    Every method raises `errors.Unavailable` when the database cannot be reached or refuses.
    """

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Return the rows of one statement."""
        ...

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements in one transaction: all of them or none."""
        ...


class ObjectInfo(msgspec.Struct, frozen=True):
    """
    A stored object without its bytes.

    Attributes:
        key: Its name.
        size: Bytes.
        object_etag: Entity tag; every overwrite changes it.
        uploaded_ms: When it was stored.
        content_type, content_encoding: As given to `put`.
        metadata: Custom metadata, text only.
    """

    key: str
    size: int
    object_etag: str
    uploaded_ms: int
    content_type: str | None = None
    content_encoding: str | None = None
    metadata: dict[str, str] = {}


class ObjectPage(NamedTuple):
    """Some objects of a listing, and the cursor of the next page; None on the last."""

    objects: list[ObjectInfo]
    cursor: str | None


class OpenObject(Protocol):
    """
    An object whose bytes the platform pipes from the bucket to a client, past Python.

    Attributes:
        size: Bytes.
        body: The platform's stream.
    """

    size: int
    body: Any

    async def close(self) -> None:
        """Release the stream when its bytes will not be read."""
        ...


class ObjectStore(Protocol):
    """
    A bucket of immutable objects (R2).

    Every method raises `errors.Unavailable` when the bucket cannot be reached or refuses.
    """

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object, replacing any other of that key."""
        ...

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        size: int,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """
        Store an object that is never whole in memory; nothing is stored unless all of it comes.

        The *chunks* have *size* bytes together; what they raise is raised.
        """
        ...

    async def put_parts(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """
        Do the same for an object whose size is not known before its last chunk has come.

        Some megabytes are held at a time.
        """
        ...

    async def open(self, key: str, *, object_etag: str) -> OpenObject | None:
        """Return an object to be streamed; None when no object has this key and entity tag."""
        ...

    async def get(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        object_etag: str | None = None,
    ) -> bytes | None:
        """
        Return the bytes of an object or of a part of it.

        Returns:
            None when there is no such object, when its entity tag is not *object_etag*, or when the
            part does not lie within it.
        """
        ...

    async def read(self, key: str) -> tuple[ObjectInfo, bytes] | None:
        """Return an object with all of its bytes, or None when there is none."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return an object without its bytes, or None when there is none."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; keys without an object do no harm."""
        ...

    async def list(
        self, *, prefix: str = "", cursor: str | None = None, limit: int = 1000
    ) -> ObjectPage:
        """Return a page of the objects whose key begins with *prefix*, by key."""
        ...
