"""The Worker, JavaScript Workers to compare it with, and an upstream: started for a benchmark."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools.children import Children
from devtools.layout import NODE_MODULES, ROOT
from devtools.signals import StopSignals
from devtools.toolchain import set_up
from devtools.wrangler import Wrangler
from fakes.upstream import FakeUpstream

COMPATIBILITY_DATE = "2026-11-01"
START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Stack:
    """
    What runs.

    Attributes:
        ports: Of each Worker: `app`, `bare`, `inflating`.
        upstream: Where the app fetches.
    """

    ports: Mapping[str, int]
    upstream: FakeUpstream


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(variables: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run everything for as long as the block lasts."""
    with Children(StopSignals()) as children:
        tools = set_up(children)
    upstream = FakeUpstream()
    upstream.start()
    ports = {name: _free_port() for name in ("front", "app", "bare", "inflating")}
    script = Path(__file__).with_name("stack.mjs")
    with TemporaryDirectory() as home:
        ready = Path(home) / "ready"
        options = {
            "root": str(ROOT),
            "ready": str(ready),
            "ports": ports,
            "compatibilityDate": COMPATIBILITY_DATE,
            "vars": {
                "ACE_API_URL": upstream.url,
                "ACE_API_TOKEN": upstream.token,
                "AUTH_MODE": "open",
                **(variables or {}),
            },
        }
        environment = Wrangler(tools, Path(home)).environment()
        environment["NODE_PATH"] = str(NODE_MODULES)
        is_verbose = bool(os.environ.get("BENCH_VERBOSE"))
        # The Workers' log goes to a file: reading it would take time from whoever measures.
        with (Path(home) / "workers.log").open("wb") as log:
            process = subprocess.Popen(
                [str(tools.node), "--no-warnings", str(script), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=sys.stderr if is_verbose else log,
                stderr=None if is_verbose else subprocess.DEVNULL,
                env=environment,
            )
        try:
            _await_ready(ready, ports["app"], process)
            yield Stack(ports, upstream)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            upstream.stop()


def _await_ready(ready: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the database has its tables and the Worker answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists() and _is_healthy(port):
            return
        time.sleep(0.2)
    sys.exit("bench: the Worker does not answer; BENCH_VERBOSE=1 shows why")


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    with closing(connection):
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
