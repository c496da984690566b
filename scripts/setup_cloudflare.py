"""
Makes everything that the Worker needs in a Cloudflare account, deploys it, and asks it how it is.

Usage: python3 scripts/setup_cloudflare.py [--dry-run] [--tear-down] [--location HINT] [--url URL]
                                           [--new-token]

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
import os
from collections.abc import Mapping

from cloudflare_setup.account import Account
from cloudflare_setup.commands import Command
from cloudflare_setup.inputs import TOKEN, Inputs, from_terminal
from cloudflare_setup.programs import Outcome, Runner, Wrangler, find_wrangler
from cloudflare_setup.resources import Resources, read_resources
from cloudflare_setup.set_up import SetUp
from cloudflare_setup.smoke import await_health
from cloudflare_setup.step import Paths, Step, plan_lines, run_steps
from cloudflare_setup.tear_down import TearDown
from devtools.console import StepFailed, complain, progress, say
from devtools.layout import MADE, ROOT, WRANGLER_TOML

# https://developers.cloudflare.com/r2/reference/data-location/ and d1/configuration/data-location
LOCATIONS = ("weur", "eeur", "apac", "oc", "wnam", "enam")
PATHS = Paths(
    wrangler_toml=WRANGLER_TOML, migrations=ROOT / "migrations", key_file=MADE / "first-admin-key"
)


def main(arguments: list[str]) -> int:
    """Set up, tear down, or show what that would do; returns the exit status."""
    options = _parse(arguments)
    try:
        resources = read_resources(WRANGLER_TOML.read_text(encoding="utf-8"))
        if options.dry_run:
            _show(_steps(options, resources, _refuse), resources, options)
            return 0
        inputs = from_terminal()
        if options.tear_down and not _is_confirmed(resources, inputs):
            say("nothing was deleted")
            return 1
        run = Wrangler(find_wrangler(), environ=os.environ, hidden=[TOKEN])
        run_steps(_steps(options, resources, _with_progress(run)))
    except KeyboardInterrupt:
        complain("\nsetup_cloudflare.py: stopped; run it again to go on")
        return 1
    except (StepFailed, OSError) as error:
        if isinstance(error, StepFailed) and error.tail:
            complain(error.tail)
        complain(f"setup_cloudflare.py: {error}")
        complain("what is done is done: run it again to go on")
        return 1
    say("torn down" if options.tear_down else "set up; docs/operations.md says how to watch it")
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="setup_cloudflare.py",
        description="Makes what the Worker needs in a Cloudflare account, and deploys it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show every command; needs no account"
    )
    parser.add_argument(
        "--tear-down", action="store_true", help="delete everything; asks for the Worker's name"
    )
    parser.add_argument(
        "--location", choices=LOCATIONS, help="hint for where buckets and database are made"
    )
    parser.add_argument("--url", help="address of the Worker, if its deployment has no own one")
    parser.add_argument(
        "--new-token", action="store_true", help=f"ask for {TOKEN} though one is set"
    )
    return parser.parse_args(arguments)


def _steps(options: argparse.Namespace, resources: Resources, run: Runner) -> list[Step]:
    account = Account(run)
    if options.tear_down:
        return TearDown(resources, PATHS, account=account, environ=os.environ).steps()
    return SetUp(
        resources,
        PATHS,
        account=account,
        inputs=from_terminal(),
        await_health=await_health,
        environ=os.environ,
        location=options.location,
        address=options.url,
        new_token=options.new_token,
    ).steps()


def _show(steps: list[Step], resources: Resources, options: argparse.Namespace) -> None:
    what = "Tear-down" if options.tear_down else "Set-up"
    say(f"{what} of the Worker {resources.worker}: what would be run, nothing is")
    for line in plan_lines(steps):
        say(line)


def _is_confirmed(resources: Resources, inputs: Inputs) -> bool:
    say(f"This deletes the Worker {resources.worker}, its queues with what is in them,")
    say(f"the database {resources.database} with all API keys and jobs, and the buckets")
    say(f"{', '.join(resources.buckets)} with what is cached. It cannot be undone.")
    return inputs.name("Type the Worker's name to go on: ") == resources.worker


def _with_progress(run: Wrangler) -> Runner:
    """Return a Runner that says that a long command still runs."""

    def call(command: Command, *, stdin: str = "", env: Mapping[str, str] | None = None) -> Outcome:
        if command.arguments[0] != "deploy":
            return run(command, stdin=stdin, env=env)
        with progress(command.line):
            return run(command, stdin=stdin, env=env)

    return call


def _refuse(command: Command, *, stdin: str = "", env: Mapping[str, str] | None = None) -> Outcome:
    raise StepFailed(f"a dry run runs nothing: {command.line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
