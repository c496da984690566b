"""
The set-up and the tear-down of a Cloudflare account, step by step.

wrangler makes buckets, database and producers' queues itself when it deploys; here is what it
leaves to its user. Each step leaves alone what is done, so that a run that was stopped is simply
started again. With a Runner that only shows its calls, the same steps are the plan.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudflare_setup.names import DAY_SECONDS, Names
from cloudflare_setup.programs import Outcome, Runner, line_of
from devtools import api_keys
from devtools.console import StepFailed, progress, say

TOKEN = "ACE_API_TOKEN"  # noqa: S105 - a name
PREFIXES = ("timeseries/", "datasets/", "results/")
FIRST_KEY = api_keys.KeyOptions(action="create", name="first-admin", role="admin")
KEYS_SQL = "SELECT key_id FROM api_keys WHERE role = 'admin' AND revoked_ms IS NULL LIMIT 1"
# What wrangler says where there is nothing to do.
NO_DATABASE = r"Couldn't find a D1 DB"
NO_QUEUE = r'Queue "[^"]+" does not exist'
NO_CONSUMER = rf"{NO_QUEUE}|No worker consumer"
NO_WORKER = r'\[code: (10007|10090)\]|Worker "[^"]+" .*not found'
NO_BUCKET = r"\[code: 10006\]"
BUCKET_FULL = r"\[code: 10008\]"
QUEUE_EXISTS = r"\[code: 11009\]"
# What it says where the user can help, and how.
ADVICE = {
    r'"loggedIn": ?false|set a CLOUDFLARE_API_TOKEN': "not logged in: run `python3 "
    "scripts/wrangler.py login` (--device where there is no browser), or set CLOUDFLARE_API_TOKEN "
    "and CLOUDFLARE_ACCOUNT_ID",
    r"More than one account": "set CLOUDFLARE_ACCOUNT_ID to one of the accounts",
    r"\[code: 10000\]": "the log-in lacks a permission; docs/deployment.md lists them",
    r"\[code: (10042|10136)\]": "enable R2 for this account in the dashboard",
    # wrangler makes what a new Worker lacks, not what a deployed one has lost.
    r"\[code: (10085|11000)\]": "it was deleted, but the Worker that uses it was not: make it "
    "again with `wrangler r2 bucket create` or `wrangler queues create`",
    r"\[code: 7404\]": "the database was deleted, but the Worker that uses it was not: run this "
    "with --tear-down first",
    r"\[code: 100328\]": "[limits] in wrangler.toml needs the Workers Paid plan",
    r"database_id|valid `id`": "delete the line database_id from wrangler.toml: wrangler finds "
    "the database by its name",
}
TAIL_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """
    What the steps need besides names and wrangler.

    Attributes:
        is_plan: Only show what would be done.
        given_token: The upstream's token, None when none was given.
        ask_token: Asks for it; returns "" for none.
        new_token: Ask for it though one is stored.
        key_file: Gets the first API key.
        address: Where the Worker answers, None for where wrangler deploys it.
        await_health: Returns the version of the Worker at an address once it is healthy.
    """

    is_plan: bool
    given_token: str | None
    ask_token: Callable[[], str]
    new_token: bool
    key_file: Path
    address: str | None
    await_health: Callable[[str], str]


class Steps:
    """
    The steps for one account.

    Args:
        names: What wrangler.toml names.
        run: Runs wrangler, or shows how it would be run.
        inputs: The rest.
    """

    def __init__(self, names: Names, run: Runner, inputs: Inputs) -> None:
        self._names = names
        self._run = run
        self._inputs = inputs

    def set_up(self) -> None:
        """
        Take the account to a Worker that answers.

        Raises:
            StepFailed: A step failed; those after it have not been run.
        """
        self._log_in()
        say("- Dead letter queue: no producer names it, so wrangler does not make it")
        for name in self._names.unproduced:
            is_new = self._call("queues", "create", name, fine=QUEUE_EXISTS)
            self._tell(name, "made" if is_new else "exists")
        is_migrated = self._migrate("if the database exists", NO_DATABASE)
        address = self._deploy()
        if not is_migrated or self._inputs.is_plan:
            self._migrate("of the database that the deployment has made")
        days = self._names.lifecycle_days
        say(f"- R2 lifecycle rules: {', '.join(PREFIXES)} expire after {days} days")
        for name in self._names.buckets:
            self._set_rules(name, dict.fromkeys(PREFIXES, days))
            self._tell(name, "set")
        self._store_token()
        if self._names.asks_for_keys:
            self._make_key()
        say("- Smoke test")
        self._show("GET /api/health of the deployed Worker, until it is healthy")
        if not self._inputs.is_plan:
            if address is None:
                raise StepFailed("deployed, but without an address of its own: name one with --url")
            self._tell(address, f"healthy, version {self._inputs.await_health(address)}")

    def tear_down(self) -> None:
        """
        Take the account back to nothing: what uses a thing goes before the thing.

        Raises:
            StepFailed: A step failed, or a bucket is not empty yet.
        """
        names = self._names
        self._log_in()
        say("- Queue consumers")
        for name in names.consumed:
            remove = ("queues", "consumer", "remove", name, names.worker)
            self._tell_deleted(name, self._call(*remove, fine=NO_CONSUMER))
        say("- Worker, its secrets with it")
        self._tell_deleted(names.worker, self._call("delete", names.worker, fine=NO_WORKER))
        say("- Queues, with what is in them")
        for name in names.queues:
            self._tell_deleted(name, self._call("queues", "delete", name, fine=NO_QUEUE))
        say("- D1 database, its keys and jobs with it")
        for name in names.databases:
            delete = ("d1", "delete", name, "--skip-confirmation")
            self._tell_deleted(name, self._call(*delete, fine=NO_DATABASE))
        say("- R2 buckets")
        full = [name for name in names.buckets if not self._delete_bucket(name)]
        if full:
            raise StepFailed(
                f"not empty yet: {', '.join(full)}; their objects now expire within a day: "
                "run this again tomorrow, or empty them in the dashboard"
            )

    def _log_in(self) -> None:
        say("- Log-in")
        outcome = self._must("whoami", "--json")
        self._tell("accounts", ", ".join(re.findall(r'"name": ?"(.*?)"', outcome.output)))

    def _migrate(self, title: str, fine: str = "") -> bool:
        """Bring all databases to the newest migration; returns False where one is missing."""
        say(f"- D1 tables {title}")
        missing = []
        for name in self._names.databases:
            is_there = self._call("d1", "migrations", "apply", name, "--remote", fine=fine)
            self._tell(name, "up to date" if is_there else "does not exist yet")
            if not is_there:
                missing.append(name)
        return not missing

    def _deploy(self) -> str | None:
        """Deploy the Worker; returns its address, None where none is known."""
        if self._inputs.is_plan:
            say("- Deployment")
            self._must("deploy")
            produced = [name for name in self._names.queues if name not in self._names.unproduced]
            for name in (*self._names.buckets, *self._names.databases, *produced):
                self._show(f"makes {name}, if it is missing")
            return None
        with progress("Deployment"):
            outcome = self._must("deploy")
        for made in re.findall(r"Creating new (.+)\.\.\.", outcome.output):
            self._tell(made, "made")
        found = re.search(r"^ +(https://\S+)$", outcome.output, re.MULTILINE)
        address = self._inputs.address or (found[1] if found else None)
        self._tell(self._names.worker, f"deployed to {address or 'no address of its own'}")
        return address

    def _set_rules(self, bucket: str, days: Mapping[str, int]) -> None:
        """Let a bucket remove objects by themselves: by prefix, days after they were stored."""
        # The rules are set as a whole, so R2's own one, which a bucket begins with, is repeated.
        rules = [_rule("Default Multipart Abort Rule", "", "abortMultipartUploadsTransition", 7)]
        for prefix, age in days.items():
            name = f"expire-{prefix.strip('/') or 'all'}"
            rules.append(_rule(name, prefix, "deleteObjectsTransition", age))
        call = ("r2", "bucket", "lifecycle", "set", bucket, "--force", "--file")
        if self._inputs.is_plan:
            self._must(*call, "rules.json")
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rules.json"
            file.write_text(json.dumps({"rules": rules}), encoding="utf-8")
            self._must(*call, str(file))

    def _store_token(self) -> None:
        say(f"- Secret: {TOKEN}")
        inputs = self._inputs
        asks = inputs.new_token or inputs.given_token is not None
        if not asks and f'"{TOKEN}"' in self._must("secret", "list").output:
            self._tell(TOKEN, "exists")
            return
        token = inputs.given_token or ("" if inputs.is_plan else inputs.ask_token())
        if token or inputs.is_plan:
            self._show("unless it is stored and none is given; the token goes to standard input:")
            self._must("secret", "put", TOKEN, stdin=token)
        self._tell(TOKEN, "stored" if token else "left out; the upstream may refuse")

    def _make_key(self) -> None:
        say("- First API key, if no administrator has one")
        execute = ("d1", "execute", self._names.database, "--remote", "--yes", "--json")
        if '"key_id"' in self._must(*execute, "--command", KEYS_SQL).output:
            self._tell("an administrator's key", "exists")
            return
        file = self._inputs.key_file
        if self._inputs.is_plan:
            self._show(f"writes the key to {file.name}, which only this user can read")
            self._must(*execute, "--command", "INSERT INTO api_keys ...")
            return
        key = api_keys.new_key()
        # The file first: a key that is stored but that nobody has cannot be used by anybody.
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"{key}\n")
        sql = api_keys.create_statement(
            FIRST_KEY, key_id=api_keys.new_key_id(), key=key, now_ms=time.time_ns() // 1_000_000
        )
        self._must(*execute, "--command", sql)
        self._tell(str(file), "holds the key: move it to where you keep passwords")

    def _delete_bucket(self, name: str) -> bool:
        """Delete a bucket, or let its objects expire; returns whether it is gone."""
        outcome = self._must("r2", "bucket", "delete", name, fine=rf"{NO_BUCKET}|{BUCKET_FULL}")
        is_full = bool(re.search(BUCKET_FULL, outcome.text))
        if is_full or self._inputs.is_plan:
            self._show("only if it is not empty, so that its objects expire within a day:")
            self._set_rules(name, {"": 1})
        if not is_full:
            self._tell_deleted(name, outcome.status == 0)
        return not is_full

    def _tell(self, thing: str, state: str) -> None:
        if not self._inputs.is_plan:
            say(f"  {thing}: {state}")

    def _tell_deleted(self, name: str, is_deleted: bool) -> None:
        self._tell(name, "deleted" if is_deleted else "was not there")

    def _show(self, line: str) -> None:
        if self._inputs.is_plan:
            say(f"    {line}")

    def _call(self, *arguments: str, fine: str) -> bool:
        """Run wrangler; returns False when it refuses with a text that *fine* matches."""
        return self._must(*arguments, fine=fine).status == 0

    def _must(self, *arguments: str, stdin: str = "", fine: str = "") -> Outcome:
        """
        Return what wrangler did.

        Raises:
            StepFailed: It failed, with a text that *fine* does not match.
        """
        outcome = self._run(arguments, stdin=stdin)
        if outcome.status == 0 or (fine and re.search(fine, outcome.text)):
            return outcome
        text = outcome.text.replace(stdin, "***") if stdin else outcome.text
        advice = "".join(f"; {what}" for said, what in ADVICE.items() if re.search(said, text))
        # A stack trace may follow the error.
        lines = text[max(text.find("[ERROR]"), 0) :].splitlines()[:TAIL_LINES]
        raise StepFailed(f"{line_of(arguments)}: failed{advice}", "\n".join(lines))


def _rule(name: str, prefix: str, action: str, days: int) -> dict[str, object]:
    """Return a lifecycle rule as Cloudflare's API takes it."""
    return {
        "id": name,
        "enabled": True,
        "conditions": {"prefix": prefix} if prefix else {},
        action: {"condition": {"type": "Age", "maxAge": days * DAY_SECONDS}},
    }
