"""The ports as they are in the real runtime, reached over HTTP."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from building_vitals.errors import Unavailable
from building_vitals.ports import HttpAnswer, ObjectInfo, ObjectPage, Outcome, Statement
from fakes.object_store import FakeOpenObject

TIMEOUT_S = 60.0


class Sent(NamedTuple):
    """
    The outcome of a request.

    Attributes:
        answer: None where the request failed.
        failure: The name of the exception's class.
        text: The exception's text.
        ending: What the server then said of the connection, where it was asked.
    """

    answer: HttpAnswer | None
    failure: str | None = None
    text: str = ""
    ending: str | None = None


def arguments_of(url: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of a request: those *asked*, and what the others are without a word."""
    found = {
        "method": "GET",
        "url": url,
        "headers": {},
        "body": None,
        "timeout_ms": 20_000,
        "body_max": 64 * 1024 * 1024,
        "ending": None,
        "give_up_ms": 0,
        **asked,
    }
    if found["body"] is not None:
        found["body"] = base64.b64encode(found["body"]).decode()
    return found


class Remote:
    """Sends operations to the contract Worker on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def call(self, operation: str, **arguments: Any) -> Any:
        """
        Return the result of an operation.

        Raises:
            Unavailable: the adapter raised it.
        """
        return await asyncio.to_thread(self.call_now, operation, arguments)

    def call_now(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Do the same, and wait for it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        try:
            body = json.dumps({"operation": operation, "arguments": arguments})
            connection.request("POST", "/", body=body)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        assert response.status == 200, text
        answer = json.loads(text)
        if "error" in answer:
            assert answer["error"]["code"] == Unavailable.code, answer
            raise Unavailable(answer["error"]["detail"])
        return answer["result"]


class RemoteObjects:
    """The ObjectStore of the real runtime."""

    def __init__(self, remote: Remote, binding: str = "BUCKET") -> None:
        self._remote = remote
        self._binding = binding

    async def _call(self, name: str, **arguments: Any) -> Any:
        return await self._remote.call(f"objects.{name}", binding=self._binding, **arguments)

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object."""
        info = await self._call(
            "put",
            key=key,
            data=base64.b64encode(data).decode(),
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=None if metadata is None else dict(metadata),
        )
        return ObjectInfo(**info)

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
        """Store an object chunk by chunk; a failure of the chunks is one over there too."""
        texts: list[str | None] = []
        failure: Exception | None = None
        try:
            async for chunk in chunks:
                texts += [base64.b64encode(chunk).decode()]
        except ValueError as error:
            texts.append(None)
            failure = error
        info = await self._call(
            "put_stream",
            key=key,
            chunks=texts,
            size=size,
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=None if metadata is None else dict(metadata),
        )
        if failure is not None:
            assert info == "ValueError"
            raise failure
        return ObjectInfo(**info)

    async def put_parts(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object part by part; a failure of the chunks is one over there too."""
        texts: list[str | None] = []
        failure: Exception | None = None
        try:
            async for chunk in chunks:
                texts += [base64.b64encode(chunk).decode()]
        except ValueError as error:
            texts.append(None)
            failure = error
        info = await self._call(
            "put_parts",
            key=key,
            chunks=texts,
            content_type=content_type,
            metadata=None if metadata is None else dict(metadata),
        )
        if failure is not None:
            assert info == "ValueError"
            raise failure
        return ObjectInfo(**info)

    async def open(self, key: str, *, object_etag: str) -> FakeOpenObject | None:
        """Return an object to be streamed, with all that its stream gave."""
        text = await self._call("open", key=key, object_etag=object_etag)
        if text is None:
            return None
        found = FakeOpenObject(base64.b64decode(text["data"]))
        assert text["size"] == found.size
        return found

    async def get(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        object_etag: str | None = None,
    ) -> bytes | None:
        """Return the bytes of an object or of a part of it."""
        text = await self._call(
            "get", key=key, offset=offset, length=length, object_etag=object_etag
        )
        return None if text is None else base64.b64decode(text)

    async def read(self, key: str) -> tuple[ObjectInfo, bytes] | None:
        """Return an object with its bytes."""
        found = await self._call("read", key=key)
        if found is None:
            return None
        return ObjectInfo(**found["info"]), base64.b64decode(found["data"])

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object."""
        info = await self._call("head", key=key)
        return None if info is None else ObjectInfo(**info)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        await self._call("delete", keys=list(keys))

    async def list(
        self, *, prefix: str = "", cursor: str | None = None, limit: int = 1000
    ) -> ObjectPage:
        """Return a page of a listing."""
        page = await self._call("list", prefix=prefix, cursor=cursor, limit=limit)
        return ObjectPage([ObjectInfo(**info) for info in page["objects"]], page["cursor"])


class RemoteDatabase:
    """The Database of the real runtime."""

    def __init__(self, remote: Remote, binding: str = "DB") -> None:
        self._remote = remote
        self._binding = binding

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Return the rows of one statement."""
        found: list[dict[str, Any]] = await self._remote.call(
            "database.rows", binding=self._binding, sql=sql, values=values
        )
        return found

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements in one transaction."""
        answers = await self._remote.call(
            "database.batch", binding=self._binding, statements=list(statements)
        )
        return [Outcome(rows, changes) for rows, changes in answers]


class RemoteHttp:
    """The HttpClient of the real runtime."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def outcome(self, url: str, **asked: Any) -> Sent:
        """Send a request from the Worker."""
        return _sent(await self._remote.call("http.send", **arguments_of(url, asked)))

    async def given_up(self, url: str, *, after_ms: int, ending: str) -> Sent:
        """Send a request from the Worker, which then cancels it."""
        given = arguments_of(url, {"give_up_ms": after_ms, "ending": ending})
        return _sent(await self._remote.call("http.give_up", **given))


def _sent(found: Mapping[str, Any]) -> Sent:
    answer = None
    if "status" in found:
        body = base64.b64decode(found["body"])
        answer = HttpAnswer(found["status"], found["headers"], body)
    return Sent(answer, found.get("failure"), found.get("text", ""), found.get("ending"))
