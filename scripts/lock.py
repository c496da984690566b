"""
Writes the lock files: requirements/*.txt from pyproject.toml, package-lock.json from package.json.

Usage: python3 scripts/lock.py

Run it after a release in pyproject.toml or package.json has been changed. The locks hold a hash for
every file of a release, and no address of a registry: any mirror will do. What is locked already
stays as it is where it may.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("lock.py: needs Python 3.11 or newer")

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from devtools.children import Children
from devtools.console import StepFailed, complain, progress
from devtools.layout import PACKAGE_LOCK, PYPROJECT, REQUIREMENTS
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import Toolchain, set_up_python, set_up_uv, write_whole
from devtools.uv import Uv

QUIET = (
    *("--no-config", "--no-header", "--no-annotate", "--no-emit-index-url"),
    *("--generate-hashes", "--universal"),
)
# Python's version is the lowest that a lock is for. The tests import the Worker's packages too, but
# for the SDK, which needs the runtime.
WITHOUT_SDK = ("--no-emit-package", "workers-runtime-sdk")
LOCKS = (
    ("worker", (PYPROJECT.name, "--python-version", "3.14")),
    ("dev", (PYPROJECT.name, "--group", "dev", *WITHOUT_SDK, "--python-version", "3.11")),
    ("uv", ("--group", f"{PYPROJECT.name}:uv", "--python-version", "3.11")),
)


def main(arguments: list[str]) -> int:
    """Write all lock files; returns the exit status."""
    argparse.ArgumentParser(
        prog="lock.py",
        description="Writes requirements/*.txt from pyproject.toml and package-lock.json from "
        "package.json, with the newest releases that they allow where nothing is locked yet.",
        allow_abbrev=False,
    ).parse_args(arguments)
    try:
        with StopSignals() as signals, Children(signals) as children:
            lock_python(set_up_uv(children), children)
            lock_node(set_up_python(children), children)
    except Stopped:
        return 1
    except (StepFailed, OSError) as exc:
        complain(f"{getattr(exc, 'tail', '')}\nlock.py: {exc}".lstrip())
        return 1
    return 0


def lock_python(uv: Uv, children: Children) -> None:
    """Resolve what pyproject.toml names, for each of its lock files."""
    with progress("Python: resolving pyproject.toml"):
        for name, sources in LOCKS:
            command = [uv.program, "pip", "compile", *sources, *QUIET]
            command += ["--output-file", REQUIREMENTS / f"{name}.txt"]
            children.run(f"uv-{name}", command, env=uv.locking_environment())


def lock_node(tools: Toolchain, children: Children) -> None:
    """
    Resolve package.json with npm, take addresses out, and see that `npm ci` accepts the lock.

    Raises:
        StepFailed: npm failed, or a package has no hash, since its registry told none.
    """
    npm, env = tools.npm(), tools.environment()
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund"]
    with progress("Node: resolving package.json"):
        lock = _read_node_lock()
        # npm asks the registry about those alone that the lock lacks.
        _write_node_lock({**lock, "packages": dict(_hashed(lock))})
        children.run("npm-lock", [*npm, "install", "--package-lock-only", *quiet], env=env)
        lock = _read_node_lock()
        for package in lock["packages"].values():
            package.pop("resolved", None)
            package.pop("funding", None)
        _write_node_lock(lock)
        children.run("npm-check", [*npm, "ci", "--dry-run", *quiet], env=env)
    if bare := lock["packages"].keys() - dict(_hashed(lock)).keys():
        raise StepFailed(f"the registry told no hash of {', '.join(sorted(bare))}")


def _read_node_lock() -> dict[str, Any]:
    lock: dict[str, Any] = json.loads(PACKAGE_LOCK.read_text(encoding="utf-8"))
    return lock


def _write_node_lock(lock: Mapping[str, Any]) -> None:
    text = json.dumps(lock, indent=2, ensure_ascii=False)
    write_whole(PACKAGE_LOCK, f"{text}\n".encode())


def _hashed(lock: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the packages that have a hash, and the project itself, whose name is empty."""
    for name, package in lock["packages"].items():
        if not name or "integrity" in package:
            yield name, package


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
