"""An HTTP server whose answers are endless, slow, cut or swollen, and that sees who listens."""

from __future__ import annotations

import gzip
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

PART = b"0123456789abcdef" * 4_096
PAUSE_S = 0.05
WAIT_S = 10.0
# Of an endless body, whatever a client reads ahead.
SENT_BYTES_MAX = 400_000_000


def pattern(size: int) -> bytes:
    """Return *size* bytes in which no part looks like its neighbour."""
    text = b"".join(b"%09d\n" % each for each in range(size // 10 + 1))
    return text[:size]


class Ending:
    """
    The end of one connection.

    Attributes:
        is_over: Set when the client has closed it, or all has been sent.
        was_closed: Whether the client closed it.
        sent_bytes: What the server had given it by then.
    """

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.was_closed = False
        self.sent_bytes = 0


class OddServer:
    """
    Serves `/<what>/<id>`; `/ending/<id>` answers when that request's connection has ended.

    Attributes:
        url: Its address.
        endings: By the id of the request.
    """

    def __init__(self) -> None:
        self.endings: dict[str, Ending] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ending_of(self, path: str) -> str:
        """Return the address that tells how the connection of a path's request has ended."""
        return f"{self.url}/ending/{path.rpartition('/')[2].partition('?')[0]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(_Handler):
            endings = server.endings

        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endings: dict[str, Ending]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer as the path says."""
        self.close_connection = True
        parts = urlsplit(self.path)
        what, _, name = parts.path.lstrip("/").partition("/")
        self._query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if what == "ending":
            self._tell(name)
            return
        self._ending = self.endings.setdefault(name, Ending())
        try:
            getattr(self, f"_{what}")()
        except OSError:
            self._ending.was_closed = True
        finally:
            self._ending.is_over.set()

    do_POST = do_GET

    def _tell(self, name: str) -> None:
        ending = self.endings[name]
        ending.is_over.wait(WAIT_S)
        text = "closed" if ending.was_closed else "open" if not ending.is_over.is_set() else "sent"
        self._whole(text.encode())

    def _head(self, status: int = 200, /, **headers: str) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.flush()

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self._ending.sent_bytes += len(data)

    def _whole(self, data: bytes, **headers: str) -> None:
        self._head(content_length=str(len(data)), **headers)
        self.wfile.write(data)

    def _echo(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        found = {name.lower(): value for name, value in self.headers.items()}
        found |= {"method": self.command, "path": self.path, "body": body.decode()}
        self._whole(json.dumps(found).encode(), x_odd="yes")

    def _body(self) -> None:
        """Send so many bytes, in the way that is asked for."""
        data = pattern(int(self._query["size"]))
        way = self._query["way"]
        if way == "length":
            self._whole(data)
        elif way == "gzip":
            self._whole(gzip.compress(data, 1), content_encoding="gzip")
        elif way == "end":
            self._head()
            self._send(data)
        else:
            self._head(transfer_encoding="chunked")
            for start in range(0, len(data), 50_000):
                part = data[start : start + 50_000]
                self._send(b"%x\r\n%s\r\n" % (len(part), part))
            self._send(b"0\r\n\r\n")

    def _status(self) -> None:
        self._head(int(self._query["status"]), location="/echo/elsewhere", content_length="0")

    def _nothing(self) -> None:
        self._head(204)

    def _cut(self) -> None:
        self._head(content_length="1000")
        self._send(b"x" * 900)

    def _cut_chunks(self) -> None:
        self._head(transfer_encoding="chunked")
        self._send(b"5\r\nhello\r\n5\r\nhe")

    def _endless(self) -> None:
        self._head()
        while self._ending.sent_bytes < SENT_BYTES_MAX:
            self._send(PART)

    def _bomb(self) -> None:
        """Send 0.3 MB that are 300 MB."""
        data = gzip.compress(bytes(300_000_000), 9)
        self._head(content_length=str(len(data)), content_encoding="gzip")
        self._send(data[: len(data) // 2])
        self._trickled(iter([data[len(data) // 2 :][n : n + 1] for n in range(1000)]))

    def _trickle(self) -> None:
        """Send a byte now and then."""
        if "length" in self._query:
            self._head(content_length="1000")
        else:
            self._head()
        self._trickled(iter([b"x"] * 1_000))

    def _trickled(self, parts: Iterator[bytes]) -> None:
        for part in parts:
            self._send(part)
            self._pause()

    def _silent(self) -> None:
        """Send nothing at all, not even a status."""
        for _ in range(int(WAIT_S / PAUSE_S)):
            self._pause()

    def _stalled(self) -> None:
        """Send the beginning of a body, and no more."""
        self._head(content_length="100000")
        self._send(b"x" * 1000)
        self._silent()

    def _pause(self) -> None:
        """Wait; raise where the client has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], PAUSE_S)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError
        if readable:
            time.sleep(PAUSE_S)
