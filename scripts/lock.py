"""
Writes requirements/*.txt from requirements/*.in, and package-lock.json from package.json.

Usage: python3 scripts/lock.py

Run it after a release in requirements/*.in, pyproject.toml or package.json has been changed. The
locks hold a hash for every file of a release, and no address of a registry: any mirror will do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from devtools.children import Children
from devtools.console import StepFailed, complain, progress
from devtools.layout import MADE, PACKAGE_LOCK
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import Toolchain, set_up, write_whole

UV = "uv==0.13.9"
QUIET = ("--no-config", "--no-annotate", "--no-header", "--no-emit-index-url", "--generate-hashes")
REQUIREMENTS = (
    ("dev", ("--universal", "--python-version", "3.11")),
    ("worker", ("--python-version", "3.14", "--python-platform", "wasm32-pyodide2024")),
)


def main() -> int:
    """Write all lock files; returns the exit status."""
    try:
        with StopSignals() as signals, Children(signals) as children:
            tools = set_up(children)
            lock_python(tools, children)
            lock_node(tools, children)
    except Stopped:
        return 1
    except StepFailed as exc:
        complain(f"{exc.tail}\nlock.py: {exc}".lstrip())
        return 1
    return 0


def lock_python(tools: Toolchain, children: Children) -> None:
    """Resolve requirements/*.in with uv, which lives in a folder of its own."""
    home = MADE / "uv"
    env = tools.environment()
    with progress("Python: resolving requirements"):
        pip = [sys.executable, "-m", "pip", "install", "--upgrade", "--target", home, UV]
        children.run("uv-install", pip, env=env)
        for name, flags in REQUIREMENTS:
            source = Path("requirements", f"{name}.in")
            target = source.with_suffix(".txt")
            command = [home / "bin" / "uv", "pip", "compile", source, "-o", target]
            children.run(f"uv-{name}", [*command, *flags, *QUIET], env=env)


def lock_node(tools: Toolchain, children: Children) -> None:
    """
    Resolve package.json with npm, take addresses out, and see that `npm ci` accepts the lock.

    A registry that lacks workerd for another operating system leaves it out of the lock, and npm ci
    refuses such a lock: put the entry back by hand, without `integrity`.
    """
    npm = tools.npm()
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund"]
    with progress("Node: resolving package.json"):
        children.run(
            "npm-lock", [*npm, "install", "--package-lock-only", *quiet], env=tools.environment()
        )
        lock = json.loads(PACKAGE_LOCK.read_text(encoding="utf-8"))
        for package in lock["packages"].values():
            package.pop("resolved", None)
            package.pop("funding", None)
        write_whole(PACKAGE_LOCK, f"{json.dumps(lock, indent=2, ensure_ascii=False)}\n".encode())
        children.run("npm-check", [*npm, "ci", "--dry-run", *quiet], env=tools.environment())


if __name__ == "__main__":
    sys.exit(main())
