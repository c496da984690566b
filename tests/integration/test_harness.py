"""What the other integration tests stand on: the shared Worker, the client, waiting for effects."""

from __future__ import annotations

import pytest

from integration.harness.client import Client, until
from integration.harness.worker_server import WorkerServer


def test_shared_worker_answers_in_json(worker: WorkerServer) -> None:
    """The Worker of the session answers its health check, and its log is at hand."""
    answer = worker.client.get("/api/health")
    assert answer.status == 200, answer.text
    assert answer.json()["status"] == "healthy"
    assert worker.ready_line in worker.log


def test_client_decides_about_gzip(client: Client) -> None:
    """Without gzip the wire holds the body itself; with it the client decompresses."""
    plain = client.get("/api/health", accepts_gzip=False)
    assert "Content-Encoding" not in plain.headers
    assert plain.wire == plain.body
    assert client.get("/api/health").json().keys() == plain.json().keys()


def test_waiting_has_an_end() -> None:
    """An effect that never comes fails with its name and its last value."""
    with pytest.raises(AssertionError, match="no miracle after 0 s: last value 0"):
        until(lambda: 0, 0, what="miracle")
    assert until(lambda: 7, 0) == 7
