"""
Finds wrangler and runs it, on Linux, macOS and Windows.

Separate because it is all that touches processes: the steps are given a Runner, a test gives them
another one.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from devtools.console import StepFailed, progress, say
from devtools.layout import NODE_MODULES, PYTHON_MODULES, ROOT, WORKER_REQUIREMENTS

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
WRANGLER_JS = NODE_MODULES / "wrangler" / "bin" / "wrangler.js"
# What pip needs to vendor the Worker's packages; devtools.toolchain has the same for POSIX.
VENDOR_FLAGS = (
    *("--platform", "pyemscripten_2026_0_wasm32", "--python-version", "3.14"),
    *("--implementation", "cp", "--abi", "cp314", "--abi", "abi3", "--abi", "none"),
    *("--require-hashes", "--no-deps", "--only-binary=:all:"),
)
NPM_FLAGS = ("--ignore-scripts", "--no-audit", "--no-fund")
QUIET = {
    "NO_COLOR": "1",
    "FORCE_COLOR": "0",
    "WRANGLER_HIDE_BANNER": "true",
    "WRANGLER_SEND_METRICS": "false",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What wrangler has done.

    Attributes:
        status: Its exit status.
        output, errors: What it printed, without colours.
    """

    status: int
    output: str = ""
    errors: str = ""

    @property
    def text(self) -> str:
        """Everything it printed."""
        return f"{self.output}\n{self.errors}".strip()


class Runner(Protocol):
    """Runs wrangler once, or shows how it would be run."""

    def __call__(self, arguments: Sequence[str], *, stdin: str = "") -> Outcome:
        """
        Return what it did, whatever its status.

        Args:
            arguments: After `wrangler`.
            stdin: Given to it; never shown.
        """
        ...


def line_of(arguments: Sequence[str]) -> str:
    """Return a call of wrangler as a shell takes it."""
    return shlex.join(["wrangler", *arguments])


def show(arguments: Sequence[str], *, stdin: str = "") -> Outcome:  # noqa: ARG001 - as a Runner
    """Print a call of wrangler as a line of the plan, and run nothing."""
    say(f"    {line_of(arguments)}")
    return Outcome(0)


class Wrangler:
    """
    A Runner of the real wrangler.

    Args:
        wrangler: Program and first arguments that stand for wrangler.
        root: Folder of wrangler.toml.
        environ: Its environment.
    """

    def __init__(
        self, wrangler: Sequence[str], *, environ: Mapping[str, str], root: Path = ROOT
    ) -> None:
        self._wrangler = list(wrangler)
        self._root = root
        self._environ = environ

    def __call__(self, arguments: Sequence[str], *, stdin: str = "") -> Outcome:
        """Run it with the user's own log-in and settings."""
        done = subprocess.run(
            [*self._wrangler, *arguments],
            cwd=self._root,
            env={**self._environ, **QUIET},
            # Never a terminal: wrangler would ask, where this script already knows the answer.
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
        return Outcome(done.returncode, _plain(done.stdout), _plain(done.stderr))


def _plain(printed: bytes) -> str:
    return ANSI.sub("", printed.decode(errors="replace")).replace("\r\n", "\n")


def find_wrangler() -> list[str]:
    """
    Return the command line of the pinned wrangler, set up if need be.

    Raises:
        StepFailed: It cannot be set up; the message says what is missing.
    """
    return _with_toolchain() if os.name == "posix" else with_installed_node(ROOT)


def _with_toolchain() -> list[str]:
    """Return wrangler as the development command has it, Node included."""
    # Not at the top: these use what only POSIX has.
    from devtools.children import Children  # noqa: PLC0415
    from devtools.signals import Stopped, StopSignals  # noqa: PLC0415
    from devtools.toolchain import set_up  # noqa: PLC0415

    try:
        with StopSignals() as signals, Children(signals) as children:
            tools = set_up(children, packs_runtime=False)
    except Stopped:
        raise KeyboardInterrupt from None
    return [str(tools.node), "--no-warnings", str(tools.wrangler)]


def with_installed_node(root: Path, path: str | None = None) -> list[str]:
    """
    Return wrangler for the Node that is installed; vendor the Worker's packages with pip.

    Args:
        root: Where npm and pip are run.
        path: Where to look for Node, as PATH has it; None for PATH itself.
    """
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        raise StepFailed("Node.js 22.12 or newer is missing: install it and start again")
    if not WRANGLER_JS.is_file():
        with progress("Node packages into node_modules: wrangler"):
            _must([npm, "ci", *NPM_FLAGS], root)
    if not (PYTHON_MODULES / "workers").is_dir():
        with progress("Worker packages into python_modules"):
            pip = [sys.executable, "-m", "pip", "install", "--no-compile"]
            target = ["--target", str(PYTHON_MODULES)]
            _must([*pip, *target, *VENDOR_FLAGS, "-r", str(WORKER_REQUIREMENTS)], root)
            (PYTHON_MODULES / "pyvenv.cfg").touch()
    return [node, "--no-warnings", str(WRANGLER_JS)]


def _must(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise StepFailed(
            f"{Path(command[0]).name} ended with status {done.returncode}",
            _plain(done.stdout + done.stderr),
        )
