"""
What the Worker needs of the outside, as Protocols that plain Python can stand in for.

Separate so that upstream, storage and services are testable in CPython; the real ones live in
`platform/`, and each is held to the same contract tests as its stand-in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec


class HttpAnswer(msgspec.Struct, frozen=True):
    """
    One whole answer of an HTTP server.

    Attributes:
        status: HTTP status; redirects are not followed.
        headers: Names in lower case.
        body: Whole and already decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpFailure(Exception):
    """No whole answer came: connection refused or lost, a body cut short."""


class HttpTimeout(HttpFailure):
    """No whole answer came within the time allowed."""


class HttpClient(Protocol):
    """Sends one request and reads the whole answer."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
    ) -> HttpAnswer:
        """
        Return the answer, whatever its status.

        Raises:
            HttpTimeout: *timeout_ms* ran out before the body was whole.
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

        Without it, what was started before a long computation only leaves after it.
        """
        ...

    def jitter(self) -> float:
        """Return a random number, 0 <= x < 1."""
        ...


class Invocation(msgspec.Struct, frozen=True):
    """
    What every service of one request, batch or cron run is given.

    Attributes:
        clock: Time and waiting.
        run_later: Keeps work running after the answer, for as long as the runtime lets it.
        on_fault: Hears of failures that no answer tells of: where, and what.
        new_id: Returns a random identity.
    """

    clock: Clock
    run_later: Callable[[Coroutine[Any, Any, None]], None]
    on_fault: Callable[[str, Exception], None]
    new_id: Callable[[], str]


class RateLimiter(Protocol):
    """A limit of requests in a minute."""

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
    What one statement of a batch did.

    Attributes:
        rows: What it selected or returned.
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
        object_etag: Entity tag; another one after any overwrite.
        uploaded_ms: When it was stored.
        content_type, content_encoding: What `put` was given.
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
    """Some objects of a listing, and where it goes on (None: nowhere)."""

    objects: list[ObjectInfo]
    cursor: str | None


class OpenObject(Protocol):
    """
    An object whose bytes go from the bucket to a client without a stop in Python.

    Attributes:
        size: Bytes.
        body: What the platform streams.
    """

    size: int
    body: Any

    async def close(self) -> None:
        """Let go of the bytes, where nobody wants them."""
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

        Args:
            chunks: Its bytes; what they raise is raised.
            size: How many there are.
        """
        ...

    async def open(self, key: str, *, object_etag: str) -> OpenObject | None:
        """Return an object to be streamed; None when there is none of this entity tag."""
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

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None when there is none."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        ...

    async def list(
        self, *, prefix: str = "", cursor: str | None = None, limit: int = 1000
    ) -> ObjectPage:
        """Return the objects whose key begins with *prefix*, by key, a page at a time."""
        ...
