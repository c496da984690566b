"""Limits and hostile requests on the real runtime: hosts, origins, bodies, streams, settings."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from building_vitals_client import Client as Python
from building_vitals_client import Unavailable
from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, until
from integration.harness.keyed_worker import DAY_MS, SITE, START_MS, KeyedWorker
from integration.harness.worker_server import WorkerServer

EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def said(port: int, *parts: bytes, pause_s: float = 0.0, timeout_s: float = 40.0) -> bytes:
    """Return what the Worker says to bytes that come with pauses, the connection left open."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        heard = bytearray()

        def listen() -> None:
            while chunk := connection.recv(65536):
                heard.extend(chunk)
                if b"\r\n\r\n" in heard:
                    return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
            listener.join(pause_s)
            if not listener.is_alive():
                break
        listener.join(timeout_s)
        return bytes(heard)


def test_other_hosts_are_refused_in_the_open_mode(worker: WorkerServer) -> None:
    """A page whose name points at this machine gets nothing, whatever it asks for."""
    for path in ("/api/health", "/api/jobs", "/openapi.json"):
        answer = worker.client.get(path, headers={"Host": f"evil.example:{worker.port}"})
        assert (403, "host not served") == (answer.status, answer.json()["detail"][:15]), path
    assert 200 == worker.client.get("/api/jobs", headers={"Host": "localhost:1"}).status
    assert 200 == worker.client.get("/api/jobs", headers={"Host": "[::1]:8787"}).status


def test_pages_of_other_origins_change_nothing(worker: WorkerServer) -> None:
    """A form that a page sends runs no maintenance; the Worker's own pages and programs do."""
    form = {**EVIL, "Content-Type": "text/plain"}
    assert 403 == worker.client.request("POST", "/api/maintenance/run", headers=form).status
    purge = worker.client.delete("/api/cache", {"site": "x"}, headers={"Origin": "null"})
    assert 403 == purge.status
    own = {"Origin": worker.url, "Sec-Fetch-Site": "same-origin"}
    assert 200 == worker.client.request("POST", "/api/maintenance/run", headers=own).status
    read = worker.client.get("/api/jobs", headers=EVIL)
    assert (200, None) == (read.status, read.headers["Access-Control-Allow-Origin"])
    health = worker.client.get("/api/health").json()
    assert "maintenanceAgeSeconds" in health


HEAD = b"POST /api/timeseries HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


ENDLESS = (
    # Silent after its beginning, a byte a second, a chunk a second.
    (b"Content-Length: 1000\r\n\r\n", [b'{"site":'], 0.0),
    (b"Content-Length: 1000\r\n\r\n", [b" "] * 40, 1.0),
    (b"Transfer-Encoding: chunked\r\n\r\n", [b"1\r\n \r\n"] * 40, 1.0),
)


def test_bodies_that_do_not_end(worker: WorkerServer) -> None:
    """They are given up as a whole, however they come, and others are answered meanwhile."""
    with ThreadPoolExecutor(len(ENDLESS)) as pool:
        answers = [
            pool.submit(said, worker.port, HEAD + framing, *parts, pause_s=pause_s)
            for framing, parts, pause_s in ENDLESS
        ]
        assert 200 == worker.client.get("/api/jobs").status
        for answer in answers:
            assert answer.result().startswith(b"HTTP/1.1 408 "), answer.result()[:200]
    assert 200 == worker.client.get("/api/jobs").status


def test_large_routes_cost_the_upstream_nothing(
    worker: WorkerServer, upstream: FakeUpstream
) -> None:
    """40 requests of 5,000 points and 20 years by each route are 413, and say what would fit."""
    body = {
        "site": "nobody-is-harmed",
        "points": [f"p{n}" for n in range(5000)],
        "start_time": "2005-01-01T00:00:00Z",
        "end_time": "2025-01-01T00:00:00Z",
    }
    for route in ("direct", "cached", "queued"):
        answer = worker.client.post("/api/timeseries", {**body, "route": route})
        assert 413 == answer.status, answer.text
        assert "100,000" in answer.text or "50000000" in answer.text
    # Whether site and points exist is looked up, before a job is made of them.
    asked = upstream.requests.get("nobody-is-harmed", [])
    assert {each.kind for each in asked} <= {"configured_points", "site"}


def test_keys_are_masked_wherever_they_are_put(keyed: KeyedWorker) -> None:
    """Neither answers nor the log show a key that a client put into path, query or header."""
    key = keyed.keys["reader"]
    client = keyed.client("admin")
    answers = [
        client.get(f"/nope/{key}"),
        client.get(f"/nope/{key.replace('_', '%5F')}"),
        client.get(f"/api/jobs/{key}"),
        client.get("/api/jobs", {"limit": key, "api_key": key}),
        client.get("/api/timeseries", {"site": f"{key}!", "points": "a", "route": key}),
        keyed.client(None).get("/api/jobs", headers={"X-API-Key": f"{key}x"}),
    ]
    for answer in answers:
        assert 400 <= answer.status < 500
        assert key[3:] not in answer.text
    text = until(lambda: "bv_***" in keyed.server.log and keyed.server.log, what="a masked line")
    assert key[3:] not in str(text)
    assert keyed.upstream.token not in str(text)


def job_of(keyed: KeyedWorker, name: str) -> str:
    """Return the id of a job that goes on for long enough."""
    question = keyed.question(SITE, route="queued", priority="low")
    question |= {"start_time": START_MS - 300 * DAY_MS, "end_time": START_MS + 5 * DAY_MS}
    answer = keyed.client(name).get("/api/timeseries", question)
    assert 202 == answer.status, answer.text
    return str(answer.json()["jobId"])


def test_invented_names_cost_nothing_again_and_again(keyed: KeyedWorker) -> None:
    """5,000 names that the site does not have: asked again, nobody stores or asks for them."""
    body = {
        "site": SITE,
        "points": [f"invented-{n}" for n in range(5000)],
        "start_time": START_MS,
        "end_time": START_MS + 1000,
    }
    client = keyed.client("reader")
    first = client.post("/api/timeseries", {**body, "route": "cached"})
    assert 200 == first.status, first.text[:300]
    before = len(keyed.upstream.requests)
    for route in ("cached", "direct", "cached"):
        answer = client.post("/api/timeseries", {**body, "route": route})
        assert 200 == answer.status, answer.text[:300]
        assert 0 == answer.json()["_meta"]["samplesCount"]
    assert before == len(keyed.upstream.requests)


def test_files_are_private_and_tokens_unseen(keyed: KeyedWorker) -> None:
    """Nobody else reads the state, and no list of processes shows a token."""
    state: Path = keyed.server.state
    modes = {f"{path.stat().st_mode & 0o077:o}" for path in [state, *state.rglob("*")]}
    assert {"0"} == modes


def sent_by_wrong_vars(tmp_path: Path, variables: dict[str, str]) -> tuple[Any, Answer, str]:
    """Return health, an answer and the log of a Worker with these vars."""
    server = WorkerServer(tmp_path, variables=variables)
    server.start()
    try:
        health, answer = server.client.get("/api/health"), server.client.get("/api/jobs")
        assert 503 == health.status
        server.client.get("/openapi.json")
        with Python(server.url, patience_s=0.5) as client:
            assert "degraded" == client.health()["status"]
            with pytest.raises(Unavailable, match="ACE_API_URL"):
                client.jobs()
        return health.json(), answer, server.log
    finally:
        server.stop()


def test_all_that_is_set_up_wrongly_is_told(tmp_path: Path) -> None:
    """A problem document names every var; one line of the log has the values, and no secret."""
    health, answer, log = sent_by_wrong_vars(
        tmp_path,
        {
            "ACE_API_URL": "http://user:PASSWORD@host:bad/api",
            "DEFAULT_TTL": "abc",
            "SMALL_THRESHOLD": "-5",
            "AUTH_MODE": "opne",
        },
    )
    assert "degraded" == health["status"]
    assert (503, "application/problem+json") == (answer.status, answer.headers["Content-Type"])
    document = answer.json()
    assert {"type", "title", "status", "detail", "requestId", "error"} == document.keys()
    for name in ("ACE_API_URL", "DEFAULT_TTL", "SMALL_THRESHOLD", "AUTH_MODE"):
        assert name in document["detail"]
        assert name in health["checks"]["settings"]
    faults = [line for line in log.splitlines() if line.startswith('{"event":"fault"')]
    assert [1, 1] == [len(faults), sum('"where":"settings"' in line for line in faults)]
    assert "PASSWORD" not in log + answer.text
