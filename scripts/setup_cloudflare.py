"""
Takes a Cloudflare account to a Worker that answers, or back to nothing.

Names and options are read from wrangler.toml. What exists is left as it is, so that a run that was
stopped is simply started again. The upstream's token comes from ACE_API_TOKEN, from the terminal
(not shown) or from standard input, and goes to wrangler through its standard input alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("setup_cloudflare.py: needs Python 3.11 or newer")

# What a key looks like is said in one place, and that is the Worker's.
sys.path.append(str(Path(__file__).resolve().parents[1] / "src"))

import argparse
import getpass
import os

from cloudflare_setup.names import Names, read_names
from cloudflare_setup.programs import Wrangler, find_wrangler, show
from cloudflare_setup.smoke import await_health
from cloudflare_setup.steps import TOKEN, Inputs, Steps
from devtools.console import StepFailed, complain, say
from devtools.layout import MADE, WRANGLER_TOML


def main(arguments: list[str]) -> int:
    """Set up, tear down, or show what that would do; returns the exit status."""
    options = _parse(arguments)
    inputs = Inputs(
        is_plan=options.dry_run,
        given_token=os.environ.get(TOKEN, "").strip() or None,
        ask_token=_ask_token,
        new_token=options.new_token,
        key_file=MADE / "first-admin-key",
        address=options.url,
        await_health=await_health,
    )
    try:
        names = read_names(WRANGLER_TOML.read_text(encoding="utf-8"))
        if options.dry_run:
            what = "Tear-down" if options.tear_down else "Set-up"
            say(f"{what} of the Worker {names.worker}: what would be done; nothing is")
            steps = Steps(names, show, inputs)
        else:
            if options.tear_down and not _is_confirmed(names):
                say("nothing was deleted")
                return 1
            steps = Steps(names, Wrangler(find_wrangler(), environ=_environ()), inputs)
        (steps.tear_down if options.tear_down else steps.set_up)()
    except KeyboardInterrupt:
        complain("\nsetup_cloudflare.py: stopped; run it again to go on")
        return 1
    except (StepFailed, OSError) as error:
        complain(f"{getattr(error, 'tail', '')}\nsetup_cloudflare.py: {error}".lstrip())
        complain("what is done is done: run it again to go on")
        return 1
    if not options.dry_run:
        say("torn down" if options.tear_down else "set up; docs/operations.md says how to watch it")
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="setup_cloudflare.py",
        description="Makes what the Worker needs in a Cloudflare account, and deploys it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done; needs no account"
    )
    parser.add_argument(
        "--tear-down", action="store_true", help="delete everything; asks for the Worker's name"
    )
    parser.add_argument("--url", help="address of the Worker, where it has no workers.dev address")
    parser.add_argument(
        "--new-token", action="store_true", help=f"ask for {TOKEN} though one is stored"
    )
    return parser.parse_args(arguments)


def _environ() -> dict[str, str]:
    """Return the environment for wrangler: without the token, which it gets on standard input."""
    return {name: text for name, text in os.environ.items() if name != TOKEN}


def _ask_token() -> str:
    """Return the token from the terminal, or from standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"  {TOKEN} (not shown; empty to leave it out): ").strip()
    return sys.stdin.readline().strip()


def _is_confirmed(names: Names) -> bool:
    say(f"This deletes the Worker {names.worker}, its queues with what is in them,")
    say(f"the database {' and '.join(names.databases)} with all API keys and jobs, and")
    say(f"{', '.join(names.buckets)} with what is cached. It cannot be undone.")
    try:
        return input("Type the Worker's name to go on: ").strip() == names.worker
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
