"""
Cloudflare's REST API on this machine, so that the real wrangler can be run against an account.

wrangler goes wherever CLOUDFLARE_API_BASE_URL points.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

from fakes.cloudflare_account import ACCOUNT, Call, CloudflareAccount, Refused
from fakes.cloudflare_routes import ROUTES

BASE = f"/client/v4/accounts/{ACCOUNT}"


class CloudflareApi:
    """
    A server for one account; leaving the block ends it.

    Attributes:
        account: What it works on.
        url: Base URL for wrangler.
    """

    def __init__(self, account: CloudflareAccount) -> None:
        self.account = account
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        account.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{account.origin}/client/v4"

    def __enter__(self) -> CloudflareApi:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.account.sql.close()

    def answer(self, call: Call, sent: str | None) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and further headers for a call that carries *sent* as its right."""
        with self._lock:
            self.account.calls.append(call)
            if call.path.startswith("/upload/"):
                self.account.uploads[call.path] = call.body
                etag = hashlib.md5(call.body, usedforsecurity=False).hexdigest()
                return 200, b"", {"ETag": etag}
            try:
                if sent != f"Bearer {self.account.token}":
                    raise Refused(401, 10000, "Authentication error")
                refused = self.account.refuse(call)
                if refused is not None:
                    raise refused
                result = self._route(call)
            except Refused as error:
                errors = [{"code": error.code, "message": error.message}]
                failed = {"success": False, "errors": errors, "messages": [], "result": None}
                return error.status, json.dumps(failed).encode(), {}
        done = {"success": True, "errors": [], "messages": [], "result": result}
        return 200, json.dumps(done).encode(), {}

    def _route(self, call: Call) -> object:
        for method, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, call.path)
            if match and method == call.method:
                return handler(self.account, replace(call, parts=match.groups()))
        raise Refused(404, 7003, f"no such route here: {call.method} {call.path}")


def _handler(api: CloudflareApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            parts = urlsplit(self.path)
            call = Call(
                self.command,
                unquote(parts.path).removeprefix(BASE),
                parse_qs(parts.query),
                self.headers.get("Content-Type", ""),
                self._body(),
            )
            status, body, headers = api.answer(call, self.headers.get("Authorization"))
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = reply

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep quiet."""

    return Handler
