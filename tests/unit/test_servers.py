"""Starting a server: it is awaited, and what keeps it from answering is said."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from devtools import servers
from devtools.children import Children
from devtools.console import StepFailed
from devtools.servers import (
    HealthCheck,
    claim_port,
    free_port,
    is_listening,
    start_announced,
    start_server,
)
from devtools.signals import StopSignals

SECONDS = 20.0
ANNOUNCED = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print("about to listen", flush=True)
print(f"Ready on http://127.0.0.1:{server.getsockname()[1]}", flush=True)
time.sleep(600)
"""


@pytest.fixture
def children() -> Iterator[Children]:
    """Ends what a test has started."""
    with Children(StopSignals()) as running:
        yield running


def test_announced_server_is_returned_with_its_url() -> None:
    """The line says where it answers; when its block has ended, nobody listens there."""
    command = [sys.executable, "-c", ANNOUNCED]
    with Children(StopSignals()) as own:
        _, url = start_announced(own, command, name="it", seconds=SECONDS, env=os.environ)
        port = int(url.rpartition(":")[2])
        assert url == f"http://127.0.0.1:{port}"
        assert is_listening(port)
    assert not is_listening(port)


def test_server_that_ends_at_its_start_is_named(children: Children, tmp_path: Path) -> None:
    """The message has name and status, and the last lines of its log go with it."""
    command = [sys.executable, "-c", "print('no memory'); raise SystemExit(3)"]
    with pytest.raises(StepFailed, match="the thing ended with status 3 at its start") as caught:
        start_server(
            children,
            command,
            name="the thing",
            is_ready=lambda: False,
            seconds=SECONDS,
            env=os.environ,
            log=tmp_path / "log",
        )
    assert caught.value.tail == "no memory"


def test_server_that_never_answers_is_given_up(children: Children) -> None:
    """It is not waited for longer than it may take."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(StepFailed, match="the thing is not ready after 0 s"):
        start_announced(children, command, name="the thing", seconds=0, env=os.environ)


class _DocumentServer(ThreadingHTTPServer):
    """A web server on any free port that answers every GET with its `document`."""

    document = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Document)


class _Document(BaseHTTPRequestHandler):
    """Answers every GET with the bytes of its server."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        assert isinstance(self.server, _DocumentServer)
        self.wfile.write(self.server.document)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_DocumentServer]:
    """A web server that answers with its `document`."""
    with _DocumentServer() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_health_is_the_workers_own_answer(
    server: _DocumentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another answer is not taken for it, and after some seconds it is an error."""
    health = HealthCheck(server.server_address[1])
    server.document = b'{"status": "fine"}'
    assert not health()
    server.document = b'{"status": "degraded"}'
    assert health()
    server.document = b"[]"
    monkeypatch.setattr(servers, "WRONG_ANSWER_SECONDS", 0.0)
    with pytest.raises(StepFailed, match="does not answer /api/health as it should"):
        health()


def test_nobody_on_the_port_is_no_answer() -> None:
    """Before the Worker listens the check goes on, however long it takes."""
    assert not HealthCheck(free_port())()


def test_taken_port_is_refused(server: _DocumentServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that stays taken is named; 0 finds another."""
    monkeypatch.setattr(servers, "PORT_SECONDS", 0.0)
    port = server.server_address[1]
    with pytest.raises(StepFailed, match=f"port {port} is taken"):
        claim_port(port)
    assert claim_port(0) not in {0, port}
