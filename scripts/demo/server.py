"""
The HTTP side of the demo upstream: sockets in, plain requests and replies out.

Separate so that tests can serve other replies, broken ones included, with the same server.
"""

import math
import socket
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qsl

from demo.messages import Reply, Request, json_reply

BODY_BYTES_MAX = 4 * 1024 * 1024
PARAMS_MAX = 10_000


class RateLimit:
    """
    A number of requests per minute, as a bucket that holds a minute's worth.

    Args:
        per_minute: 1 or more.
        now_s: A clock that never goes back.
    """

    def __init__(self, per_minute: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_minute / 60
        self._most = float(per_minute)
        self._left = self._most
        self._now_s = now_s
        self._seen_s = now_s()
        self._lock = Lock()

    def wait_s(self) -> int:
        """Count a request; return 0 if it may pass, else the seconds until one may."""
        with self._lock:
            now_s = self._now_s()
            self._left = min(self._most, self._left + (now_s - self._seen_s) * self._per_s)
            self._seen_s = now_s
            if self._left >= 1:
                self._left -= 1
                return 0
            return math.ceil((1 - self._left) / self._per_s)


def throttled(answer: Callable[[Request], Reply], limit: RateLimit) -> Callable[[Request], Reply]:
    """Return *answer* with 429 for requests over the limit."""

    def reply(request: Request) -> Reply:
        wait_s = limit.wait_s()
        if wait_s:
            return json_reply(
                {"message": "too many requests"}, status=429, headers={"Retry-After": str(wait_s)}
            )
        return answer(request)

    return reply


class ExchangeHandler(BaseHTTPRequestHandler):
    """Reads requests, sends replies; subclasses say what is replied."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def exchange(self, request: Request) -> Reply:
        """Return the reply to a request."""
        raise NotImplementedError

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self.send_reply(json_reply({"message": "body is too large"}, status=413))
            return
        path, _, query = self.path.partition("?")
        params: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMS_MAX):
            params[name] = f"{params[name]},{value}" if name in params else value
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(length))
        try:
            self.respond(Request(self.command, self.path, path, params, headers, body))
        except (BrokenPipeError, ConnectionResetError):
            # The client has gone; nobody is left to answer.
            self.close_connection = True

    def respond(self, request: Request) -> None:
        """Reply to a request."""
        self.send_reply(self.exchange(request))

    def send_reply(self, reply: Reply) -> None:
        """Send status, headers and body."""
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Write no line per request: benchmarks make thousands."""

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _serve


class Server(ThreadingHTTPServer):
    """A server of one thread a connection, on 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Say nothing of clients that vanish; report the rest as usual."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])


def make_server(port: int, answer: Callable[[Request], Reply]) -> Server:
    """
    Return a server, bound but not yet serving, that replies with *answer*.

    Args:
        port: 0 for a free one.
        answer: Called in a thread of the connection.

    Raises:
        OSError: The port is taken.
    """

    class Handler(ExchangeHandler):
        def exchange(self, request: Request) -> Reply:
            return answer(request)

    return Server(("127.0.0.1", port), Handler)
