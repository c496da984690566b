"""
Makes, lists and revokes the API keys of the Worker.

Usage: python3 scripts/api_key.py create --name N (--sites A,B|'*' | --role admin) [--expires WHEN]
       python3 scripts/api_key.py list
       python3 scripts/api_key.py revoke ID | --name N
       each with [--local [--state DIR] | --remote]

`create` prints the key, once; only its SHA-256 is stored. A revocation holds within 30 s.
--local is the database of scripts/dev.py, running or not; --remote the deployed Worker's, with the
account that wrangler is logged in to.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("api_key.py: needs Python 3.11 or newer")

# What a key looks like is said in one place, and that is the Worker's.
sys.path.append(str(Path(__file__).resolve().parents[1] / "src"))

import time
from contextlib import redirect_stdout

from devtools import api_keys
from devtools.children import Children
from devtools.console import StepFailed, complain, say
from devtools.key_database import KeyDatabase
from devtools.local_run import run_folder
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import set_up


def main(arguments: list[str]) -> int:
    """Do what is asked; returns the exit status."""
    options = api_keys.parse_key_options(arguments, now_ms=time.time_ns() // 1_000_000)
    try:
        with StopSignals() as signals, run_folder() as home, Children(signals) as children:
            # The output is what was asked for alone: `key=$(… create …)` takes it whole.
            with redirect_stdout(sys.stderr):
                tools = set_up(children, packs_runtime=not options.is_remote)
            return _run(options, KeyDatabase(tools, home, children, options))
    except Stopped:
        return 1
    except (StepFailed, OSError) as exc:
        complain(f"{getattr(exc, 'tail', '')}\napi_key.py: {exc}".lstrip())
    return 1


def _run(options: api_keys.KeyOptions, database: KeyDatabase) -> int:
    now_ms = time.time_ns() // 1_000_000
    if options.action == "create":
        key, key_id = api_keys.new_key(), api_keys.new_key_id()
        database.rows(api_keys.create_statement(options, key_id=key_id, key=key, now_ms=now_ms))
        complain(f"{key_id} is made. This is the key; it is shown this once and stored nowhere:")
        say(key)
        return 0
    if options.action == "list":
        say(api_keys.table(database.rows(api_keys.list_statement())))
        return 0
    revoked = database.rows(api_keys.revoke_statement(options, now_ms=now_ms))
    if not revoked:
        complain("api_key.py: no such key, or it is revoked already")
        return 1
    for row in revoked:
        say(f"{row['key_id']} ({row['name']}) is revoked; the last isolate knows in 30 s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
