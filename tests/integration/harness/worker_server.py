"""The Worker on the real runtime, started as its users start it: through scripts/dev.py."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from devtools.console import StepFailed
from devtools.servers import HOST, READY, await_ready, free_port, is_listening
from integration.harness.client import Client

ROOT = Path(__file__).resolve().parents[3]
DEV = ROOT / "scripts" / "dev.py"
START_S = 300.0
STOP_S = 45.0
TAIL_LINES = 40
# Lines that must never be in the log: a lost exception, a lost coroutine, a proxy used too late.
FORBIDDEN = ("Uncaught", "never awaited", "borrowed proxy")


class WorkerServer:
    """
    One run of scripts/dev.py, under no keeper: how it ends by itself is what is tested.

    Args:
        folder: For its state and its log; the state of an earlier run there is found again.
        upstream: Base URL of the upstream, None for the demo's.
        token: Bearer token for the upstream.
        variables: Values of the Worker's options.
        port: Where it answers, None for any.
        options: More of dev.py's.

    Attributes:
        port: Where it answers.
        url: The same, as http://127.0.0.1:PORT.
        client: Sends requests to it.
        state: Folder of R2 and D1.
        log_path: All that it and the Worker have printed; a later run in this folder adds to it.
        process: dev.py, leader of a process group of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        upstream: str | None = None,
        token: str | None = None,
        variables: Mapping[str, str] | None = None,
        port: int | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.client = Client(self.url)
        self.state = folder / "state"
        self.log_path = folder / "dev.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [sys.executable, str(DEV), "--port", str(self.port)]
        self._command += ["--state", str(self.state)]
        if upstream is not None:
            self._command += ["--upstream", upstream]
        if token is not None:
            self._command += ["--upstream-token", token]
        for name, value in (variables or {}).items():
            self._command += ["--var", f"{name}={value}"]
        self._command += options

    def launch(self) -> subprocess.Popen[bytes]:
        """Start dev.py without waiting for the Worker."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own script
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.kill)
        return self.process

    def start(self) -> WorkerServer:
        """Start dev.py and wait until it says that the Worker answers."""
        earlier = self.log.count(self.ready_line)
        process = self.launch()

        try:
            await_ready(
                lambda: self.log.count(self.ready_line) > earlier,
                ended=process.poll,
                tail=self.tail,
                name="dev.py",
                seconds=START_S,
            )
        except BaseException as error:
            self.stop()
            if isinstance(error, StepFailed):
                raise AssertionError(f"{error}:\n{error.tail}") from None
            raise
        return self

    @property
    def ready_line(self) -> str:
        """The line that dev.py prints when the Worker answers."""
        return f"{READY}{self.url}\n"

    @property
    def log(self) -> str:
        """The log so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self) -> str:
        """Return the log's last lines."""
        return "\n".join(self.log.splitlines()[-TAIL_LINES:])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End dev.py by a signal to its group, see that the port is closed; returns its status."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        try:
            status = self.process.wait(STOP_S)
        finally:
            self.kill()
        assert not is_listening(self.port), f"somebody still listens on {self.url}"
        return status

    def kill(self) -> None:
        """End dev.py by SIGKILL if it still runs; what it started then ends by itself."""
        atexit.unregister(self.kill)
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def assert_clean_log(self) -> None:
        """See that the log holds nothing that a healthy Worker never prints."""
        bad = [line for line in self.log.splitlines() if any(text in line for text in FORBIDDEN)]
        assert [] == bad, f"in {self.log_path}"

    @contextmanager
    def healthy(self) -> Iterator[WorkerServer]:
        """Run; at the end it must stop cleanly and leave a clean log."""
        self.start()
        try:
            yield self
        finally:
            status = self.stop()
        assert 0 == status, self.tail()
        self.assert_clean_log()

    def __enter__(self) -> WorkerServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
