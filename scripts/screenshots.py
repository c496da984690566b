"""
Makes the guides' pictures of the page: docs/page-*.png.

Usage: python3 scripts/screenshots.py

Runs a Worker of its own in front of the demo upstream, which makes the same data each time, and a
Chromium; the page's clock stands at a fixed date. Look at the pictures before you commit them.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("screenshots.py: needs Python 3.11 or newer")

import argparse
import json
from tempfile import TemporaryDirectory

from devtools.children import Children
from devtools.console import StepFailed, complain, progress
from devtools.layout import ROOT, SCRIPTS
from devtools.servers import HOST, free_port, start_announced
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import set_up

SITE = "maple-office"
START_SECONDS = 180.0
# As slow as a small building's system, and few samples at a time: a job shows its progress.
OPTIONS = ("--demo=--latency-ms=60", "--var", "LARGE_THRESHOLD=20000")


def main(arguments: list[str]) -> int:
    """Take all pictures; returns the exit status."""
    argparse.ArgumentParser(
        prog="screenshots.py",
        description="Makes docs/page-*.png: the page in both themes, on a phone, with a job, and "
        "the operator's view.",
        allow_abbrev=False,
    ).parse_args(arguments)
    try:
        with StopSignals() as signals, Children(signals) as children, TemporaryDirectory() as state:
            _take(children, state)
    except Stopped:
        return 1
    except (StepFailed, OSError) as exc:
        complain(f"{getattr(exc, 'tail', '')}\nscreenshots.py: {exc}".lstrip())
        return 1
    return 0


def _take(children: Children, state: str) -> None:
    tools = set_up(children)
    port = str(free_port())
    dev = [tools.python, "-u", SCRIPTS / "dev.py", "--port", port, "--state", state, *OPTIONS]
    with progress("Worker: starting"):
        start_announced(
            children, dev, name="dev.py", seconds=START_SECONDS, env=tools.environment()
        )
    given = {"url": f"http://{HOST}:{port}", "folder": str(ROOT / "docs"), "site": SITE}
    with progress("Pictures: docs/page-*.png"):
        command = [tools.node, SCRIPTS / "page" / "pictures.mjs", json.dumps(given)]
        children.run("pictures", command, env=tools.environment())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
