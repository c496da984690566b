"""
Uses a Worker of its own in every way while everything fails around it, and checks each answer.

Usage: python3 scripts/chaos.py [--operations 2000] [--seed N] [--without-rule R]...
                                [--without-fault F]... [--keep DIR]

Several clients send requests of every kind to the Worker on workerd, while its upstream misbehaves
and its data change, objects are lost or spoilt, the database goes down and workerd is killed. Every
answer is compared with what the upstream had at the moments that the answer may be of. At the end
the faults stop, and everything must be well again within a bounded time.

Prints operations, faults by kind, differences with the request and the seed, unexplained 5xx and
requests per second. The status is 0 only without differences. The operations and the faults derive
from the seed alone, and fewer operations are the beginning of more; which of them meet at the same
moment, and so what a fault strikes, differs from run to run.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("chaos.py: needs Python 3.11 or newer")

import argparse
import os
import time
from pathlib import Path

from devtools.children import Children
from devtools.console import StepFailed, complain, say
from devtools.layout import VENV
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import set_up

OPERATIONS_MAX = 1_000_000


def main(arguments: list[str]) -> int:
    """Run chaos; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="chaos.py",
        description="Uses a Worker of its own in every way while everything fails around it, and "
        "checks each answer against the upstream's data.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--operations", type=int, default=2000, metavar="N", help="how many; default 2000"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=time.time_ns() % 1_000_000,
        metavar="N",
        help="the same seed makes the same operations and faults; default another one per run, "
        "which is printed",
    )
    parser.add_argument(
        "--without-rule",
        action="append",
        default=[],
        metavar="RULE",
        help="count the differences of a rule, as in going_back, and leave them out of the status; "
        "may be repeated",
    )
    parser.add_argument(
        "--without-fault",
        action="append",
        default=[],
        metavar="KIND",
        help="leave out a kind of fault, as in deep_value; may be repeated",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="a folder that is made, in which the Worker's state and logs stay after the run, and "
        "answers that were wrong",
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.operations <= OPERATIONS_MAX:
        parser.error(f"--operations must be from 1 to {OPERATIONS_MAX}")
    if Path(sys.prefix) != VENV:
        _go_on_with_the_tools()
    try:
        return _run(options)
    except Stopped:
        complain("chaos.py: stopped")
    except StepFailed as error:
        complain(f"{error.tail}\nchaos.py: {error}")
    return 1


def _run(found: argparse.Namespace) -> int:
    sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("tests", "src")]
    from chaos.run import Options, run_chaos  # noqa: PLC0415 - needs the packages of the tools

    options = Options(
        found.operations,
        found.seed,
        frozenset(found.without_rule),
        frozenset(found.without_fault),
        None if found.keep is None else found.keep.resolve(),
    )
    began = time.monotonic()
    with StopSignals() as signals, Children(signals) as children:
        tools = set_up(children)
        record = run_chaos(options, tools, children, say)
    for line in record.lines(time.monotonic() - record.began_s):
        say(line)
    say(f"seed {found.seed}, {time.monotonic() - began:.0f} s in all")
    return 0 if record.is_clean else 1


def _go_on_with_the_tools() -> None:
    """Start over in the interpreter that has the tools, once they are there."""
    try:
        with StopSignals() as signals, Children(signals) as children:
            tools = set_up(children)
    except (StepFailed, Stopped) as error:
        sys.exit(f"chaos.py: {error or 'stopped'}")
    os.execve(tools.python, [tools.python, *sys.argv], tools.environment())  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
