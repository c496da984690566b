"""
Runs the benchmarks and prints what they measure.

Usage: python3 scripts/bench.py [site|cached|sliding|live|jobs|leaving|memory|startup|trust|zoom|
                                days|client|page|follow|clock|blocks]... [--rounds N]
                                [--only TEXT]
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("bench.py: needs Python 3.11 or newer")

import argparse
import importlib
import os
from pathlib import Path

from devtools.children import Children
from devtools.console import StepFailed
from devtools.layout import VENV
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import set_up

NAMES = (
    "site",
    "cached",
    "sliding",
    "live",
    "jobs",
    "leaving",
    "memory",
    "startup",
    "trust",
    "zoom",
    "days",
    "client",
    "page",
    "follow",
    "clock",
    "blocks",
)
# Whose rounds are minutes: only where it is named.
LENGTHY = {"clock"}

# What the benchmarks import, beside the scripts.
PACKAGES = ("clients/python/src", "tests", "src")


def main(arguments: list[str]) -> None:
    """Measure what is asked for, everything if nothing is."""
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description="Measures the Worker on this machine, beside other programs that do the same "
        "work, and prints medians. BENCH_VERBOSE=1 in the environment shows the Workers' logs.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*NAMES, []],
        metavar="|".join(NAMES),
        help="site: charts and jobs of a real site; cached: hits, misses, sliding ranges, storage; "
        "sliding: a year that slides by a minute, and hits that join what was refetched; "
        "live: what live charts cost, counted; "
        "jobs: jobs and downloads; leaving: users who zoom and leave, for a minute; "
        "memory: the heap after large requests; startup: what an isolate compiles at its start; "
        "trust: a simulated month of a chart on a wall; zoom: few samples of long ranges; "
        "days: rows of days, hours and months of a year; "
        "client: the Python client on 1.1 million samples; "
        "page: drawing and following the mouse in a browser; "
        "follow: the pages of a followed site, and charts of its archive; "
        "clock: charts of a followed site at a fast clock, for --rounds minutes; "
        "blocks: what a sample takes in blocks of each size, and what merging takes; "
        "default all but clock",
    )
    parser.add_argument(
        "--rounds", type=_rounds, default=5, metavar="N", help="repetitions per figure; default 5"
    )
    parser.add_argument(
        "--only",
        default=os.environ.get("BENCH_ONLY", ""),
        metavar="TEXT",
        help="of memory and zoom: what has this in its label",
    )
    asked = parser.parse_args(arguments)
    if Path(sys.prefix) != VENV:
        _go_on_with_the_tools()
    sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in PACKAGES]
    os.environ["BENCH_ONLY"] = asked.only
    # Only now are the packages of the tools there.
    for name in asked.names or [each for each in NAMES if each not in LENGTHY]:
        importlib.import_module(f"bench.bench_{name}").main(asked.rounds)


def _rounds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1: got {text!r}")
    return int(text)


def _go_on_with_the_tools() -> None:
    """Start over in the interpreter that has the tools, once they are there."""
    try:
        with StopSignals() as signals, Children(signals) as children:
            tools = set_up(children)
    except (StepFailed, Stopped) as error:
        sys.exit(f"bench.py: {error or 'stopped'}")
    os.execve(tools.python, [tools.python, *sys.argv], tools.environment())  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
