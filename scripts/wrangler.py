"""
Runs the pinned wrangler, with the Node that the scripts have installed.

Usage: python3 scripts/wrangler.py ARGUMENTS
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("wrangler.py: needs Python 3.11 or newer")

import argparse
import subprocess

from cloudflare_setup.programs import find_wrangler
from devtools.console import StepFailed, complain
from devtools.layout import ROOT


def main(arguments: list[str]) -> int:
    """Run wrangler on this terminal; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="wrangler.py",
        description="Runs the pinned wrangler, with the Node that the scripts have installed; "
        "installs both first where they are missing.",
    )
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="ARGUMENT",
        help="passed to wrangler, options too; `wrangler.py -- --help` shows wrangler's own help, "
        "`wrangler.py COMMAND --help` that of a command",
    )
    if arguments[:1] in (["-h"], ["--help"]):
        parser.parse_args(["--help"])
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    try:
        return subprocess.run([*find_wrangler(), *arguments], cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130
    except (StepFailed, OSError) as error:
        complain(f"wrangler.py: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
