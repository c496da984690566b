"""
Checks everything: style, types, and all tests, those on the real runtime included.

Usage: python3 scripts/test.py [arguments for pytest]

Sets up what is missing first. Every check runs, whatever the ones before it found; the status is 0
when all passed. No test may be skipped.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("test.py: needs Python 3.11 or newer")

import argparse

from devtools.children import Children
from devtools.console import StepFailed, complain, say
from devtools.layout import BYTECODE, LOGS
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import set_up

CHECKS = (
    ("style", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
)
TYPES = ("mypy",)
TYPES_LOG = LOGS / "types.log"
# pytest compiles tests in a way of its own, in half a minute: once, instead of in each process.
COMPILE = ("pytest", "--collect-only", "-q")
COMPILE_LOG = LOGS / "collected.log"
# Three processes with a runtime each, on two cores: many tests wait. What shares a file shares one,
# and files that share a Worker go together; tests/conftest.py has their order, which no number of
# tests may change. Given arguments, one process: they are for looking closely.
TESTS = ("pytest", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")


def main(arguments: list[str]) -> int:
    """Run all checks; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="test.py",
        description="Checks style, format and types, and runs the tests; sets up what is missing.",
    )
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="ARGUMENT",
        help="passed to pytest, options too, such as tests/unit -k frames; without any, all tests "
        "run, in three processes",
    )
    # All but a call for help is pytest's.
    if {"-h", "--help"} & set(arguments):
        parser.parse_args(["--help"])
    try:
        with StopSignals() as signals, Children(signals) as children:
            return _check(children, arguments)
    except Stopped:
        complain("test.py: stopped")
    except (StepFailed, OSError) as exc:
        complain(f"{getattr(exc, 'tail', '')}\ntest.py: {exc}".lstrip())
    return 1


def _check(children: Children, arguments: list[str]) -> int:
    tools = set_up(children)
    # A hundred programs start in the tests: each finds compiled what the first has compiled.
    env = {**tools.environment(), "REQUIRE_ALL": "1", "PYTHONPYCACHEPREFIX": str(BYTECODE)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    failed = []
    tests = ("pytest", *arguments) if arguments else TESTS
    # Beside the rest, because it takes a process most of a minute.
    types = children.start([tools.python, "-m", *TYPES], env=env, log=TYPES_LOG)
    if not arguments:
        say("- tests are compiled")
        # What fails here fails in the tests, and is said there.
        children.start([tools.python, "-m", *COMPILE], env=env, log=COMPILE_LOG).wait()
    for name, command in (*CHECKS, ("tests", tests)):
        say(f"- {name}: {' '.join(command)}")
        if children.start([tools.python, "-m", *command], env=env).wait() != 0:
            failed.append(name)
    say(f"- types: {' '.join(TYPES)}")
    if types.wait() != 0:
        failed.append("types")
    say(TYPES_LOG.read_text(errors="replace").rstrip())
    say(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
