"""
Calls of the demo upstream over real HTTP, for tests.

Separate because two test files ask it: of its data, and of its traits.
"""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from urllib.parse import urlencode

from demo.messages import Reply, Request
from demo.server import make_server

BEARER = "demo-token"


@contextmanager
def served(answer: Callable[[Request], Reply]) -> Iterator[http.client.HTTPConnection]:
    """Serve *answer* and yield a connection to it."""
    server = make_server(0, answer)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()
        server.shutdown()
        server.server_close()
        thread.join()


def fetch(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    body: str | None = None,
    bearer: str | None = BEARER,
    **params: object,
) -> tuple[int, Any, dict[str, str]]:
    """Return status, document (text of what is no JSON) and headers of one call."""
    target = f"{path}?{urlencode(params)}" if params else path
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    connection.request(method, target, body, headers)
    response = connection.getresponse()
    content = response.read().decode()
    if response.headers["Content-Type"] == "application/json":
        return response.status, json.loads(content), dict(response.headers)
    return response.status, content, dict(response.headers)


def fetch_all(
    connection: http.client.HTTPConnection, path: str, **params: Any
) -> list[list[dict[str, Any]]]:
    """Return the samples of every page."""
    pages = []
    cursor: dict[str, str] = {}
    while True:
        status, document, _ = fetch(connection, path, **params, **cursor)
        assert status == 200
        pages.append(document["point_samples"])
        if not document["has_more"]:
            assert document["next_cursor"] is None
            return pages
        cursor = {"cursor": document["next_cursor"]}
