"""
The Worker as production starts it: from a snapshot of its memory after the top level has run.

workerd makes and restores such snapshots itself; wrangler runs it without. So the Worker runs under
wrangler as always, in a copy of the project, and workerd is called with some arguments more.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.children import Children
from devtools.console import StepFailed
from devtools.layout import PYTHON_MODULES, ROOT, WRANGLER_TOML
from devtools.local_database import prepare_database
from devtools.servers import HOST, HealthCheck, free_port, is_listening, start_server
from devtools.signals import StopSignals
from devtools.toolchain import Toolchain
from devtools.wrangler import Wrangler
from fakes.upstream import FakeUpstream
from integration.harness.client import Client, until

SNAPSHOT = "snapshot.bin"
START_S = 180.0
SAVE_S = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class Restored:
    """A Worker that runs from a snapshot."""

    client: Client
    log: Callable[[], str]


class SnapshotProject:
    """
    A copy of the project, and the snapshot that is made of it.

    Args:
        folder: New; takes the copy, the snapshot, logs and states.
        tools: The set-up.
        upstream: Where the Worker fetches.
        planted: Python that is put at the end of the entry module.
    """

    def __init__(
        self, folder: Path, tools: Toolchain, upstream: FakeUpstream, *, planted: str = ""
    ) -> None:
        self._folder = folder
        self._tools = tools
        self._upstream = upstream
        self._runs = 0
        self._project = folder / "project"
        self.snapshots = folder / "snapshots"
        self.snapshots.mkdir(parents=True)
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", self._project / "src", ignore=skip)
        shutil.copytree(PYTHON_MODULES, self._project / "python_modules", ignore=skip)
        shutil.copy(WRANGLER_TOML, self._project)
        with (self._project / "src" / "entry.py").open("a", encoding="utf-8") as entry:
            entry.write(planted)

    def save(self) -> str:
        """Have a snapshot made, as a deployment does; return what the runtime printed."""
        with self._running("--python-save-snapshot") as (_, log):
            until((self.snapshots / SNAPSHOT).is_file, SAVE_S, what="snapshot")
        return log()

    def refused(self) -> str:
        """Return what the runtime says to a project of which no snapshot can be made."""
        try:
            with self._running("--python-save-snapshot") as (_, log):
                return log()
        except StepFailed as failure:
            return failure.tail

    @contextmanager
    def restored(self) -> Iterator[Restored]:
        """Run the Worker from the snapshot, with bindings that nobody has used before."""
        with self._running(f"--python-load-snapshot={SNAPSHOT}") as (port, log):
            yield Restored(Client(f"http://{HOST}:{port}"), log)

    @contextmanager
    def _running(self, argument: str) -> Iterator[tuple[int, Callable[[], str]]]:
        self._runs += 1
        home = self._folder / f"run-{self._runs}"
        home.mkdir()
        port, log = free_port(), home / "wrangler.log"
        wrangler = Wrangler(self._tools_with(argument, home), home)
        variables = home / "run.env"
        variables.write_text(
            f"ACE_API_URL={self._upstream.url}\nACE_API_TOKEN={self._upstream.token}\n"
            "AUTH_MODE=open\n"
        )
        with Children(StopSignals()) as children:
            prepare_database(Wrangler(self._tools, home), home / "state", children)
            command = wrangler.dev(port=port, state=home / "state", env_files=[variables])
            start_server(
                children,
                [*command, "--config", self._project / "wrangler.toml"],
                name="wrangler",
                is_ready=HealthCheck(port),
                seconds=START_S,
                env=wrangler.environment(),
                log=log,
            )
            yield port, lambda: log.read_text(errors="replace")
        assert not is_listening(port)

    def _tools_with(self, argument: str, home: Path) -> Toolchain:
        """Return the tools with a workerd that is called with an argument more."""
        program = home / "workerd"
        program.write_text(
            f'#!/bin/sh\nexec "{self._tools.workerd}" "$@" "{argument}" '
            f'"--python-snapshot-dir={self.snapshots}"\n'
        )
        program.chmod(0o755)
        return dataclasses.replace(self._tools, workerd=program)
