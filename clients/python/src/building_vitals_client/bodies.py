"""The body of an answer: inflated as it comes, and whole or refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from building_vitals_client.errors import BrokenDownload
from building_vitals_client.wire import OnBytes, Reply

# zlib's word for "with a gzip header and trailer".
_GZIP = 31
_OK = 200


class Body:
    """
    The body of one answer.

    What belongs to a 200 goes to `write` where there is one; everything else is kept in memory.
    gzip is inflated here and not by the HTTP library, which takes a stream that was cut for whole.

    Args:
        write: Takes inflated bytes of a 200; returns whether they were enough.
        on_bytes: Told the bytes of a 200 that have come so far, as they were on the wire.

    Attributes:
        is_stale: Whether the Worker says that the upstream failed, and this is what was kept.
    """

    def __init__(
        self,
        write: Callable[[bytes], bool | None] | None = None,
        on_bytes: OnBytes | None = None,
    ) -> None:
        self._write = write
        self._on_bytes = on_bytes
        self._parts: list[bytes] = []
        self._inflater: zlib._Decompress | None = None
        self.is_stale = False
        self._is_success = False
        self._is_enough = False
        self._received = 0

    def begin(self, reply: Reply) -> None:
        """
        Take the status and the headers.

        Raises:
            BrokenDownload: the encoding is none that was asked for.
        """
        self._is_success = reply.status == _OK
        self.is_stale = reply.headers.get("x-cache-status") == "stale"
        encoding = reply.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "gzip":
            self._inflater = zlib.decompressobj(_GZIP)
        elif encoding not in ("identity", ""):
            raise BrokenDownload(f"the answer has an encoding that was not asked for: {encoding}")

    def feed(self, chunk: bytes) -> bool:
        """
        Take bytes as they were on the wire; returns whether they were enough.

        Raises:
            BrokenDownload: they cannot be inflated.
        """
        self._received += len(chunk)
        if self._is_success and self._on_bytes is not None:
            self._on_bytes(self._received)
        if self._inflater is not None:
            try:
                chunk = self._inflater.decompress(chunk)
            except zlib.error as error:
                raise BrokenDownload(f"the answer cannot be inflated: {error}") from None
        if not chunk:
            return self._is_enough
        if self._write is None or not self._is_success:
            self._parts.append(chunk)
        else:
            self._is_enough = bool(self._write(chunk))
        return self._is_enough

    def close(self) -> None:
        """
        Take the end.

        Raises:
            BrokenDownload: gzip's trailer is missing, so something before it may be too.
        """
        inflater = self._inflater
        if inflater is not None and self._received and not (inflater.eof or self._is_enough):
            raise BrokenDownload("the answer ended too early")

    @property
    def content(self) -> bytes:
        """What is kept in memory."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""
