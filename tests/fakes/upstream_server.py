"""
The HTTP server of the fake upstream: sends broken replies too, and can go down and come back.

Separate from the fake so that sockets and threads are in one place.
"""

import socket
import struct
from collections.abc import Callable
from threading import Event, Lock, Thread

from demo.messages import Reply, Request
from demo.server import ExchangeHandler, Server
from fakes.upstream_warts import WireReply

PARTS = 10
LINGER_NONE = struct.pack("ii", 1, 0)

Send = Callable[[Reply], None]


class WireServer:
    """
    A server on 127.0.0.1 that can be stopped and started again on the same port.

    Args:
        serve: Given each request, and what sends its reply.

    Attributes:
        stopping: Set while it is down; what waits should wait on this.
        port: 0 before the first start.
    """

    def __init__(self, serve: Callable[[Request, Send], None]) -> None:
        self.port = 0
        self.stopping = Event()
        self._serve = serve
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._running: tuple[Server, Thread] | None = None

    def start(self) -> None:
        """Start serving, if it is down."""
        if self._running is not None:
            return
        self.stopping.clear()
        server = _ResettingServer(("127.0.0.1", self.port), self._handler())
        self.port = server.port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self._running = (server, thread)

    def stop(self) -> None:
        """Stop serving and close all connections, if it is up."""
        if self._running is None:
            return
        (server, thread), self._running = self._running, None
        self.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
        with self._lock:
            for connection in self._connections:
                _shut(connection)

    def _handler(self) -> type[ExchangeHandler]:
        outer = self

        class Handler(ExchangeHandler):
            def setup(self) -> None:
                super().setup()
                with outer._lock:
                    outer._connections.add(self.connection)
                    if outer.stopping.is_set():
                        _shut(self.connection)

            def finish(self) -> None:
                with outer._lock:
                    outer._connections.discard(self.connection)
                super().finish()

            def respond(self, request: Request) -> None:
                outer._serve(request, lambda reply: outer._send(self, reply))

        return Handler

    def _send(self, handler: ExchangeHandler, reply: Reply) -> None:
        if not isinstance(reply, WireReply):
            handler.send_reply(reply)
            return
        handler.close_connection = True
        if reply.is_reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            return
        handler.send_response(reply.status)
        # Without a length the end of the connection is the end of the body.
        length = {} if reply.chunks else {"Content-Length": str(len(reply.body))}
        for name, value in {**reply.headers, **length}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if reply.chunks:
            for chunk in reply.chunks():
                if self.stopping.is_set():
                    return
                handler.wfile.write(chunk)
            return
        end = len(reply.body) if reply.cut_bytes is None else reply.cut_bytes
        step = -(-end // PARTS) if reply.pause_ms else end
        for at in range(0, end, max(step, 1)):
            handler.wfile.write(reply.body[at : min(at + step, end)])
            self.stopping.wait(reply.pause_ms / 1000)


class _ResettingServer(Server):
    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection; one that is to be reset without the FIN that usually goes first."""
        if isinstance(request, socket.socket):
            linger = request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(LINGER_NONE))
            if linger == LINGER_NONE:
                request.close()
                return
        super().shutdown_request(request)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The client was faster.
        return
