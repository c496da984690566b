"""
Runs the Worker on this machine, on the real Python Workers runtime; sets up what is missing.

Usage: python3 scripts/dev.py [--port 8787] [--upstream URL [--upstream-token T]]
                              [--state DIR] [--reset-state]
                              [--var NAME=VALUE]... [--demo OPTION]...
                              [--runtime packed|official]

The token for an upstream is better given as the environment variable ACE_API_TOKEN.
Prints `Ready on http://127.0.0.1:PORT` once the Worker answers. SIGINT, SIGTERM or SIGHUP end it
and all that it started, with status 0; its own death, whatever the cause, ends them too.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would show a traceback
    sys.exit("dev.py: needs Python 3.11 or newer")

from devtools.children import Children
from devtools.console import StepFailed, complain
from devtools.local_run import run_folder, serve
from devtools.options import parse_options
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import set_up


def main(arguments: list[str]) -> int:
    """Run until a signal or a failure; returns the exit status."""
    options = parse_options(arguments)
    try:
        with StopSignals() as signals, run_folder() as home, Children(signals) as children:
            tools = set_up(children, packs_runtime=options.runtime == "packed")
            serve(options, tools, home, children)
    except Stopped:
        return 0
    except StepFailed as exc:
        if exc.tail:
            complain(exc.tail)
        complain(f"dev.py: {exc}")
    except OSError as exc:
        complain(f"dev.py: {exc}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
