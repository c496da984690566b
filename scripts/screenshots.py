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
import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools.children import Children
from devtools.console import StepFailed, complain, progress
from devtools.layout import ROOT, SCRIPTS
from devtools.local_database import prepare_database
from devtools.servers import HOST, free_port, start_announced
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import set_up
from devtools.wrangler import Wrangler

SITE = "maple-office"
START_SECONDS = 180.0
HOUR_MS = 3_600_000
# Of an hour at noon: requests, the share that hits, usual and slow milliseconds.
ROUTES = (
    ("cached", 420, 0.93, 21, 900),
    ("direct", 60, 0.0, 95, 1400),
    ("queued", 32, 0.3, 140, 700),
)
# The pictures' zone.
CHICAGO_HOURS = -6
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
            _take(children, Path(state))
    except Stopped:
        return 1
    except (StepFailed, OSError) as exc:
        complain(f"{getattr(exc, 'tail', '')}\nscreenshots.py: {exc}".lstrip())
        return 1
    return 0


def _take(children: Children, folder: Path) -> None:
    tools = set_up(children)
    state, home = folder / "state", folder / "home"
    home.mkdir()
    prepare_database(Wrangler(tools, home), state, children)
    _fill_hours(state, time.time())
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


def _fill_hours(state: Path, now_s: float) -> None:
    """Write a day of requests into the sums, before any Worker runs: a new one has none."""
    this_ms = round(now_s) // 3600 * HOUR_MS
    sums, durations = [], []
    for age in range(24):
        hour_ms = this_ms - age * HOUR_MS
        # People look at their building by day, and more than once at the same.
        local = (hour_ms // HOUR_MS + CHICAGO_HOURS) % 24
        day = max(0.0, math.sin((local - 5) / 16 * math.pi)) ** 2
        gone = 1 if age else now_s % 3600 / 3600
        for route, most, hits, usual_ms, slowest_ms in ROUTES:
            requests = round(most * (0.06 + day) * (1 + 0.18 * math.sin(age * 2.3)) * gone)
            slow = math.ceil(requests / 12)
            slow_ms = round(slowest_ms * (0.7 + 0.3 * math.sin(age * 1.7)))
            total_ms = (requests - slow) * usual_ms + slow * slow_ms
            share = hits * (0.85 + 0.15 * day)
            sums.append((hour_ms, route, requests, requests, round(requests * share), total_ms))
            durations += [
                (hour_ms, route, usual_ms, requests - slow),
                (hour_ms, route, slow_ms, slow),
            ]
    for path in state.glob("v3/d1/*/*.sqlite"):
        with closing(sqlite3.connect(path)) as database, database:
            found = database.execute(
                "SELECT 1 FROM sqlite_schema WHERE name = 'request_stats_hourly'"
            )
            if found.fetchone() is None:
                continue
            database.executemany(
                "INSERT INTO request_stats_hourly VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)",
                [each for each in sums if each[2]],
            )
            database.executemany(
                "INSERT INTO request_durations_hourly VALUES (?, ?, ?, ?)",
                [each for each in durations if each[3]],
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
