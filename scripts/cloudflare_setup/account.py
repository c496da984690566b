"""
What is in the account, asked and changed through wrangler; what wrangler prints is read here only.

Every `make_*` leaves alone what exists, and says whether it has made something.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloudflare_setup import commands as c
from cloudflare_setup.commands import Command
from cloudflare_setup.programs import Outcome, Runner
from devtools.console import StepFailed

BUCKET_EXISTS = re.compile(r"\[code: 10004\]|bucket you tried to create already exists")
BUCKET_MISSING = re.compile(r"\[code: 10006\]|bucket does not exist")
BUCKET_FULL = re.compile(r"\[code: 10008\]|not empty")
QUEUE_MISSING = re.compile(r"does not exist|\[code: 11000\]")
WORKER_MISSING = re.compile(r"\[code: (10007|10090)\]|Worker \"[^\"]+\" .*not found")
LIFECYCLE_RULE = re.compile(r"^name:\s+(.+)\n(?:.+\n)*?action:\s+(.*)$", re.MULTILINE)
TAIL_LINES = 12
# Codes of Cloudflare's API, and what to do.
HINTS = {
    "10042": "enable R2 for this account in the dashboard, then run this again",
    "10136": "enable R2 for this account in the dashboard, then run this again",
    "100328": "[limits] in wrangler.toml needs the Workers Paid plan; the Free plan's 10 ms of CPU "
    "time are too short for Python anyway",
    "10000": "the log-in lacks a permission; docs/deployment.md lists those that are needed",
}


class Account:
    """
    One Cloudflare account.

    Args:
        run: Runs wrangler.
    """

    def __init__(self, run: Runner) -> None:
        self._run = run

    def require_login(self, chosen: str | None) -> str:
        """
        Return the name of the account that wrangler will work in.

        Args:
            chosen: Id from the environment or wrangler.toml, None for none.

        Raises:
            StepFailed: Nobody is logged in, or into several accounts with none chosen.
        """
        outcome = self._run(c.who())
        try:
            found = json.loads(outcome.output)
        except ValueError:
            found = {"loggedIn": False} if outcome.status else {}
        if not found.get("loggedIn"):
            raise StepFailed(
                "not logged in to Cloudflare: run `python3 scripts/wrangler.py login` (--device "
                "where there is no browser), or set CLOUDFLARE_API_TOKEN and "
                "CLOUDFLARE_ACCOUNT_ID; docs/deployment.md lists the permissions"
            )
        accounts: dict[str, str] = {
            each["id"]: each["name"] for each in found.get("accounts") or []
        }
        if chosen is not None:
            return accounts.get(chosen, chosen)
        if len(accounts) != 1:
            listed = "\n".join(f"  {key}  {name}" for key, name in accounts.items())
            raise StepFailed(
                f"{len(accounts)} accounts to choose from: set CLOUDFLARE_ACCOUNT_ID to one",
                listed,
            )
        return next(iter(accounts.values()))

    def check_pack(self) -> None:
        """Return when the Worker can be packed."""
        self._must(c.pack())

    def make_bucket(self, name: str, location: str | None) -> bool:
        """Make a bucket."""
        outcome = self._run(c.create_bucket(name, location))
        if outcome.status and BUCKET_EXISTS.search(outcome.text):
            return False
        _check(c.create_bucket(name, location), outcome)
        return True

    def make_rules(self, bucket: str, prefixes: Sequence[str], days: int) -> list[str]:
        """Let a bucket remove objects after *days*; returns the prefixes that had no such rule."""
        listed = self._must(c.list_rules(bucket)).output
        actions = dict(LIFECYCLE_RULE.findall(listed))
        made = []
        for prefix in prefixes:
            action = actions.get(c.rule_name(prefix))
            if action is not None and f"after {days} days" in action:
                continue
            if action is not None:
                self._must(c.remove_rule(bucket, prefix))
            self._must(c.add_rule(bucket, prefix, days))
            made.append(prefix)
        return made

    def database_id(self, name: str) -> str | None:
        """Return the id of the database of this name, None when there is none."""
        listed = _read_json(self._must(c.list_databases()))
        ids = [str(each["uuid"]) for each in listed if each["name"] == name]
        return ids[0] if ids else None

    def make_database(self, name: str, location: str | None) -> str:
        """Make a database; returns its id."""
        self._must(c.create_database(name, location))
        made = self.database_id(name)
        if made is None:
            raise StepFailed(f"database {name} was made but is not listed: run this again")
        return made

    def apply(self, command: Command) -> None:
        """Bring the database up to date."""
        self._must(command)

    def count_keys(self, database: str) -> int:
        """Return how many API keys there are."""
        found = _read_json(self._must(c.count_keys(database)))
        return int(found[0]["results"][0]["keys"])

    def store_key(self, database: str, sql: str) -> None:
        """Store the first API key, of which *sql* holds the hash."""
        self._must(c.insert_key(database, sql))

    def has_queue(self, name: str) -> bool:
        """Return whether there is a queue of this name."""
        command = c.queue_info(name)
        outcome = self._run(command)
        if outcome.status and QUEUE_MISSING.search(outcome.text):
            return False
        _check(command, outcome)
        return True

    def make_queue(self, name: str) -> bool:
        """Make a queue."""
        if self.has_queue(name):
            return False
        self._must(c.create_queue(name))
        return True

    def deploy(self) -> str | None:
        """Deploy the Worker; returns an address it answers at, None when it has none."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "wrangler.jsonl"
            self._must(c.deploy(), env={"WRANGLER_OUTPUT_FILE_PATH": str(report)})
            lines = report.read_text(encoding="utf-8").splitlines() if report.is_file() else []
        for line in lines:
            entry = json.loads(line)
            if entry.get("type") == "deploy":
                targets = [str(each) for each in entry.get("targets") or []]
                return next((each for each in targets if each.startswith("https://")), None)
        return None

    def has_secret(self, name: str) -> bool:
        """Return whether the Worker has a secret of this name."""
        command = c.list_secrets()
        outcome = self._run(command)
        if outcome.status and WORKER_MISSING.search(outcome.text):
            return False
        _check(command, outcome)
        return any(each["name"] == name for each in _read_json(outcome))

    def put_secret(self, name: str, value: str) -> None:
        """Store a secret of the Worker; it goes through standard input alone."""
        command = c.put_secret(name)
        outcome = self._run(command, stdin=value)
        _check(command, Outcome(outcome.status, outcome.text.replace(value, "***")))

    def remove_consumer(self, queue: str, worker: str) -> bool:
        """Take the Worker off a queue."""
        command = c.queue_info(queue)
        outcome = self._run(command)
        if not re.search(rf"\bworker:{re.escape(worker)}(,|$)", outcome.output, re.MULTILINE):
            return False
        self._must(c.remove_consumer(queue, worker))
        return True

    def delete_worker(self, name: str) -> bool:
        """Delete the Worker."""
        return self._unless(WORKER_MISSING, c.delete_worker(name))

    def delete_queue(self, name: str) -> bool:
        """Delete a queue and what is in it."""
        if not self.has_queue(name):
            return False
        self._must(c.delete_queue(name))
        return True

    def delete_database(self, name: str) -> bool:
        """Delete the database."""
        if self.database_id(name) is None:
            return False
        self._must(c.delete_database(name))
        return True

    def delete_bucket(self, name: str) -> str:
        """Delete a bucket; returns "deleted", "missing", or "emptying" when it holds objects."""
        command = c.delete_bucket(name)
        outcome = self._run(command)
        if outcome.status == 0:
            return "deleted"
        if BUCKET_MISSING.search(outcome.text):
            return "missing"
        if not BUCKET_FULL.search(outcome.text):
            _check(command, outcome)
        if c.TEAR_DOWN_RULE not in self._must(c.list_rules(name)).output:
            self._must(c.empty_bucket(name))
        return "emptying"

    def _unless(self, harmless: re.Pattern[str], command: Command) -> bool:
        outcome = self._run(command)
        if outcome.status and harmless.search(outcome.text):
            return False
        _check(command, outcome)
        return True

    def _must(self, command: Command, *, env: dict[str, str] | None = None) -> Outcome:
        outcome = self._run(command, env=env)
        _check(command, outcome)
        return outcome


def _check(command: Command, outcome: Outcome) -> None:
    """
    Return when a command has succeeded.

    Raises:
        StepFailed: It has not; says what to do where that is known.
    """
    if outcome.status == 0:
        return
    hints = [hint for code, hint in HINTS.items() if f"[code: {code}]" in outcome.text]
    advice = "".join(f"; {hint}" for hint in hints)
    raise StepFailed(
        f"{command.line}: ended with status {outcome.status}{advice}", _tail(outcome.text)
    )


def _read_json(outcome: Outcome) -> Any:
    """Return the JSON that wrangler has printed, whatever it has printed around it."""
    start = min((at for at in map(outcome.output.find, "[{") if at >= 0), default=0)
    try:
        return json.JSONDecoder().raw_decode(outcome.output[start:])[0]
    except ValueError as error:
        raise StepFailed("wrangler has not answered in JSON", _tail(outcome.text)) from error


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-TAIL_LINES:])
