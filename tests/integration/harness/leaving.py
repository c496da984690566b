"""A client that leaves in the middle of an answer, with a TCP reset: as a browser's tab closes."""

from __future__ import annotations

import socket
import struct

HOST = "127.0.0.1"
TIMEOUT_S = 60.0
_NO_LINGERING = struct.pack("ii", 1, 0)


def leave(
    port: int,
    target: str,
    *,
    after_s: float | None = None,
    after_bytes: int = 1,
    accept: str = "application/json",
) -> bytes:
    """
    Send a GET and reset the connection; return what had come by then.

    Args:
        port: Where the Worker listens, with nothing in between.
        target: Path and query.
        after_s: When to leave, whatever has come.
        after_bytes: How much to wait for where *after_s* is not given, headers included.
        accept: What is asked for.
    """
    connection = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
    came = b""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: {HOST}:{port}\r\nAccept: {accept}\r\n"
            "Accept-Encoding: identity\r\n\r\n".encode()
        )
        if after_s is not None:
            connection.settimeout(after_s)
        try:
            while after_s is not None or len(came) < after_bytes:
                part = connection.recv(4096)
                if not part:
                    break
                came += part
        except TimeoutError:
            pass
    finally:
        connection.close()
    return came
