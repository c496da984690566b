"""
Runs the pinned wrangler, with the Node that the scripts have installed.

Usage: python3 scripts/wrangler.py ARGUMENTS
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("wrangler.py: needs Python 3.11 or newer")

import subprocess

from cloudflare_setup.programs import find_wrangler
from devtools.console import StepFailed, complain
from devtools.layout import ROOT


def main(arguments: list[str]) -> int:
    """Run wrangler on this terminal; returns its exit status."""
    try:
        return subprocess.run([*find_wrangler(), *arguments], cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130
    except (StepFailed, OSError) as error:
        complain(f"wrangler.py: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
