"""
A server that answers as it is told, over real HTTP: for clients of the API, and what they do about
answers that the Worker gives seldom, or not yet.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Scripted:
    """
    One answer.

    Attributes:
        body: Sent in chunks, so that its end is marked.
        is_cut: Whether the connection ends in place of the mark.
        held: Waited for before the end; None for no wait.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False
    held: threading.Event | None = None


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: Any


class ScriptedApi:
    """
    Answers with what it was told for a method and path, in turn; the last answer stays.

    Attributes:
        received: All requests, in the order they came.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._answers: defaultdict[str, deque[Scripted]] = defaultdict(deque)
        self._server = _server_of(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def tell(self, route: str, *answers: Scripted) -> None:
        """Answer a route, such as `GET /api/me`, so from now on."""
        self._answers[route] = deque(answers)

    def asked(self, route: str) -> list[Received]:
        """Return the requests of a route."""
        return [each for each in self.received if f"{each.method} {each.path}" == route]

    def answer(self, received: Received) -> Scripted:
        """Return what is told for a request."""
        self.received.append(received)
        answers = self._answers[f"{received.method} {received.path}"]
        if not answers:
            return problem(404, "Not found", detail=f"no answer for {received.path}")
        return answers.popleft() if len(answers) > 1 else answers[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def document(content: object, status: int = 200, **headers: str) -> Scripted:
    """Return an answer of JSON; headers have `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status, {**JSON_TYPE, **named}, json.dumps(content).encode())


def problem(status: int, title: str, *, retry_after: str | None = None, **more: Any) -> Scripted:
    """Return a problem document (RFC 9457)."""
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    content = {"type": "about:blank", "title": title, "status": status, "requestId": "r-1", **more}
    return Scripted(status, headers, json.dumps(content).encode())


def samples(points: Mapping[str, list[Any]], **meta: Any) -> Scripted:
    """Return an answer with samples."""
    data = {
        name: {"samples": rows, "count": len(rows), "error": None} for name, rows in points.items()
    }
    return document({"data": data, "_meta": {"site": "s", "cache": {"status": "hit"}, **meta}})


def job(status: str, progress: int = 0, **more: Any) -> dict[str, Any]:
    """Return a job's document."""
    return {"jobId": "job_1", "status": status, "progress": progress, "site": "s", **more}


def events(*documents: dict[str, Any], is_cut: bool = False) -> Scripted:
    """Return a stream of a job's events; of a job that has ended, its last one follows."""
    lines = ["retry: 1000\n\n"]
    for each in documents:
        lines.append(f"event: progress\ndata: {json.dumps(each)}\n\n")
        if each["status"] in ("completed", "failed", "cancelled"):
            lines.append(f"event: {each['status']}\ndata: {json.dumps(each)}\n\n")
    headers = {"Content-Type": "text/event-stream"}
    return Scripted(200, headers, "".join(lines).encode(), is_cut=is_cut)


QUEUED = document(
    {
        "status": "queued",
        "jobId": "job_1",
        "message": "runs in the background",
        "statusUrl": "/api/jobs/job_1",
        "pollInterval": 10,
        "estimatedSamples": 1,
    },
    202,
)


def _server_of(api: ScriptedApi) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def do_DELETE(self) -> None:
            self._respond()

        def _respond(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            answer = api.answer(
                Received(
                    self.command,
                    parts.path,
                    parse_qs(parts.query),
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(sent) if sent else None,
                )
            )
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if answer.body:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(answer.body), answer.body))
            if answer.held is not None:
                self.wfile.flush()
                answer.held.wait(30)
            if answer.is_cut:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *arguments: Any) -> None:
            return

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
