"""
The Worker under wrangler, as always, but in a copy of the project that may differ from it.

For what dev.py has no option for: other bindings, and workerd called with other arguments.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from devtools.children import Children
from devtools.layout import (
    PAGE_BUILD,
    PAGE_FILES,
    PYTHON_MODULES,
    ROOT,
    SCHEMA_SQL,
    WRANGLER_TOML,
)
from devtools.local_database import prepare_database
from devtools.memory_snapshot import MemorySnapshot
from devtools.scratch import scratch_of
from devtools.servers import HOST, HealthCheck, free_port, is_listening, start_server
from devtools.signals import StopSignals
from devtools.toolchain import Toolchain
from devtools.wrangler import Wrangler
from fakes.upstream import FakeUpstream
from integration.harness.client import Client

START_S = 180.0


@dataclasses.dataclass(frozen=True, slots=True)
class CopyRun:
    """
    A Worker that runs.

    Attributes:
        client: Sends requests to it.
        state: Folder of its bindings.
        log: Returns what it and wrangler have printed.
    """

    client: Client
    state: Path
    log: Callable[[], str]


def with_page(text: str) -> str:
    """Return a copy's wrangler.toml with the page's files of the project itself."""
    for path in (PAGE_BUILD, PAGE_FILES):
        text = text.replace(path.relative_to(ROOT).as_posix(), str(path))
    return text


class ProjectCopy:
    """
    A copy of the project.

    Args:
        folder: New; takes the copy, logs and states.
        tools: The set-up.
        upstream: Where the Worker fetches.
        planted: Python that is put at the end of the entry module.
        databases: More D1 databases: names by binding.
        variables: Values of the Worker's options.
    """

    def __init__(
        self,
        folder: Path,
        tools: Toolchain,
        upstream: FakeUpstream,
        *,
        planted: str = "",
        databases: dict[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._variables = {
            "ACE_API_URL": upstream.url,
            "ACE_API_TOKEN": upstream.token,
            "AUTH_MODE": "open",
            **(variables or {}),
        }
        self._folder = folder
        self._tools = tools
        self._has_code_of_its_own = bool(planted)
        self._databases = databases or {}
        self._runs = 0
        self._project = folder / "project"
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", self._project / "src", ignore=skip)
        shutil.copytree(PYTHON_MODULES, self._project / "python_modules", ignore=skip)
        with (self._project / "src" / "entry.py").open("a", encoding="utf-8") as entry:
            entry.write(planted)
        more = "".join(
            f'\n[[d1_databases]]\nbinding = "{binding}"\ndatabase_name = "{name}"\n'
            for binding, name in self._databases.items()
        )
        text = with_page(WRANGLER_TOML.read_text(encoding="utf-8"))
        (self._project / "wrangler.toml").write_text(f"{text}{more}", encoding="utf-8")

    @contextmanager
    def running(self, *arguments: str) -> Iterator[CopyRun]:
        """Run it with bindings that nobody has used before; *arguments* are for workerd."""
        self._runs += 1
        home = self._folder / f"run-{self._runs}"
        home.mkdir()
        port, log = free_port(), home / "wrangler.log"
        wrangler = Wrangler(self._tools_with(arguments, home), home)
        variables = home / "run.env"
        variables.write_text(
            "".join(f"{name}={value}\n" for name, value in self._variables.items())
        )
        state, configuration = home / "state", ["--config", self._project / "wrangler.toml"]
        with scratch_of(home), Children(StopSignals()) as children:
            environment = wrangler.environment()
            if not (self._has_code_of_its_own or arguments):
                # Of the same code, the memory is that of other runs.
                environment |= MemorySnapshot(home, "wrangler, packed").environment()
            # By a workerd that is called as always; those of every run come from a kept copy.
            maker = Wrangler(self._tools, home)
            prepare_database(maker, state, children)
            for name in self._databases.values():
                command = [*maker.execute(state, name, SCHEMA_SQL), *configuration]
                children.run(f"database-{home.parent.name}", command, env=maker.environment())
            start_server(
                children,
                [*wrangler.dev(port=port, state=state, env_files=[variables]), *configuration],
                name="wrangler",
                is_ready=HealthCheck(port),
                seconds=START_S,
                env=environment,
                log=log,
            )
            yield CopyRun(
                Client(f"http://{HOST}:{port}"), state, lambda: log.read_text(errors="replace")
            )
        assert not is_listening(port)

    def _tools_with(self, arguments: tuple[str, ...], home: Path) -> Toolchain:
        """Return the tools with a workerd that is called with more arguments."""
        program = home / "workerd"
        more = "".join(f' "{argument}"' for argument in arguments)
        program.write_text(f'#!/bin/sh\nexec "{self._tools.workerd}" "$@"{more}\n')
        program.chmod(0o755)
        return dataclasses.replace(self._tools, workerd=program)
