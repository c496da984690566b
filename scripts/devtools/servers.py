"""Servers on 127.0.0.1: ports for them, and the one way to start one and wait until it answers."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from devtools.children import Child, Children, LineFilter
from devtools.console import StepFailed

HOST = "127.0.0.1"
READY = "Ready on "
POLL_SECONDS = 0.1
PORT_SECONDS = 3.0
PROBE_SECONDS = 2.0
FIRST_REQUEST_SECONDS = 120.0
WRONG_ANSWER_SECONDS = 15.0
STATUSES = {"healthy", "degraded"}


def start_server(
    children: Children,
    command: Sequence[object],
    *,
    name: str,
    is_ready: Callable[[], bool],
    seconds: float,
    env: Mapping[str, str],
    on_line: LineFilter | None = None,
    log: Path | None = None,
    remove: Sequence[Path] = (),
    hold: Sequence[int] = (),
) -> Child:
    """
    Start a server and return it once it answers; *children* ends it with all that it started.

    Args:
        children: Takes it.
        command: Program and arguments.
        name: How messages call it.
        is_ready: See await_ready.
        seconds: See await_ready.
        env: Its whole environment.
        on_line: See Child.
        log: See Child.
        remove: See Children.start.
        hold: See Children.start.

    Raises:
        StepFailed: See await_ready.
    """
    child = children.start(command, env=env, on_line=on_line, log=log, remove=remove, hold=hold)
    await_ready(is_ready, ended=child.ended, tail=child.last_lines, name=name, seconds=seconds)
    return child


def start_announced(
    children: Children,
    command: Sequence[object],
    *,
    name: str,
    seconds: float,
    env: Mapping[str, str],
    label: bytes = b"",
) -> tuple[Child, str]:
    """
    Start a server that prints `Ready on URL` as soon as it answers; return it and the URL.

    Args:
        children: Takes it.
        command: Program and arguments.
        name: How messages call it.
        seconds: See await_ready.
        env: Its whole environment.
        label: Put before each line that it prints after that.

    Raises:
        StepFailed: See await_ready.
    """
    urls: list[str] = []

    def watch(line: bytes) -> bytes | None:
        if urls or not line.startswith(READY.encode()):
            return label + line
        urls.append(line.decode().removeprefix(READY).strip())
        return None

    child = start_server(
        children,
        command,
        name=name,
        is_ready=lambda: bool(urls),
        seconds=seconds,
        env=env,
        on_line=watch,
    )
    return child, urls[0]


def await_ready(
    is_ready: Callable[[], bool],
    *,
    ended: Callable[[], int | None],
    tail: Callable[[], str],
    name: str,
    seconds: float,
) -> None:
    """
    Return once a server answers.

    Args:
        is_ready: Asked until it says so; raises StepFailed when it will never be.
        ended: Returns the server's exit status, None while it runs.
        tail: Returns the last lines of its output.
        name: How messages call it.
        seconds: How long it may take.

    Raises:
        StepFailed: The server ended, answers wrongly, or is not ready in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        if (status := ended()) is not None:
            raise StepFailed(f"{name} ended with status {status} at its start", tail())
        try:
            if is_ready():
                return
        except StepFailed as error:
            raise StepFailed(str(error), tail()) from None
        if time.monotonic() >= deadline:
            raise StepFailed(f"{name} is not ready after {seconds:.0f} s", tail())
        time.sleep(POLL_SECONDS)


class HealthCheck:
    """
    Asks the Worker on a port how it is; the first request waits for Pyodide to start.

    Raises:
        StepFailed: For some seconds something answered that is not the Worker.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._wrong_since: float | None = None

    def __call__(self) -> bool:
        """Return whether the Worker itself has answered."""
        is_ours = self._ask()
        if is_ours is not False:
            self._wrong_since = None
            return is_ours is True
        now = time.monotonic()
        self._wrong_since = self._wrong_since or now
        if now - self._wrong_since >= WRONG_ANSWER_SECONDS:
            raise StepFailed("the Worker does not answer /api/health as it should")
        return False

    def _ask(self) -> bool | None:
        """Return whether /api/health answers as ours, None when nobody does."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=FIRST_REQUEST_SECONDS)
        try:
            connection.request("GET", "/api/health", headers={"Accept": "application/json"})
            body = connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        with suppress(ValueError):
            document = json.loads(body)
            return isinstance(document, dict) and document.get("status") in STATUSES
        return False


def claim_port(port: int) -> int:
    """
    Return *port* once nobody listens there, or a free one for 0.

    Raises:
        StepFailed: Somebody still does after some seconds, or this user may not.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
            except PermissionError as exc:
                raise StepFailed(
                    f"port {port} is not for this user; choose another with --port"
                ) from exc
            except OSError as exc:
                if time.monotonic() >= deadline:
                    raise StepFailed(f"port {port} is taken; choose another with --port") from exc
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    return claim_port(0)


def is_listening(port: int) -> bool:
    """Return whether somebody accepts connections on 127.0.0.1:*port*."""
    with socket.socket() as probe:
        probe.settimeout(PROBE_SECONDS)
        return probe.connect_ex((HOST, port)) == 0
