"""
The set-up, step by step.

Each step asks what there is and makes only what is missing, so that a run that was stopped is
simply started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from cloudflare_setup import commands as c
from cloudflare_setup.account import Account
from cloudflare_setup.commands import Command
from cloudflare_setup.files import write_private, write_whole
from cloudflare_setup.inputs import TOKEN, Inputs
from cloudflare_setup.resources import (
    LIFECYCLE_PREFIXES,
    PLACEHOLDER_ID,
    Resources,
    with_database_id,
)
from cloudflare_setup.step import Paths, Step, tell_made
from devtools import api_keys
from devtools.console import StepFailed, say


class SetUp:
    """
    The steps from an empty account to a Worker that answers.

    Args:
        resources: What wrangler.toml names.
        paths: Files.
        account: The account.
        inputs: What the user gives.
        await_health: Returns when the Worker at an address is well.
        environ: For the id of the account, where one is chosen.
        location: Hint for where buckets and database are made.
        address: Where the Worker answers, when its deployment does not tell.
        new_token: Ask for the token though one is set.
    """

    def __init__(
        self,
        resources: Resources,
        paths: Paths,
        *,
        account: Account,
        inputs: Inputs,
        await_health: Callable[[str], Mapping[str, Any]],
        environ: Mapping[str, str],
        location: str | None = None,
        address: str | None = None,
        new_token: bool = False,
    ) -> None:
        self._resources = resources
        self._paths = paths
        self._account = account
        self._inputs = inputs
        self._await_health = await_health
        self._environ = environ
        self._location = location
        self._address = address
        self._new_token = new_token

    def steps(self) -> list[Step]:
        """Return the steps in order."""
        named, location = self._resources, self._location
        steps = [
            Step("Log-in", (c.who(),), self._log_in),
            Step("Check: the Worker can be packed", (c.pack(),), self._account.check_pack),
            Step(
                "R2 buckets",
                tuple(c.create_bucket(name, location) for name in named.buckets),
                self._make_buckets,
            ),
            Step("R2 lifecycle rules, a safety net", self._rule_commands(), self._make_rules),
            Step(
                "D1 database",
                (
                    c.list_databases(),
                    c.create_database(named.database, location),
                    "write its id into wrangler.toml, line database_id",
                ),
                self._make_database,
            ),
            Step("D1 tables", (self._schema_command(),), self._apply_schema),
            Step(
                "Queues",
                tuple(
                    make(name) for name in named.queues for make in (c.queue_info, c.create_queue)
                ),
                self._make_queues,
            ),
            Step("Deployment", (c.deploy(),), self._deploy),
            Step("Secrets", (c.list_secrets(), c.put_secret(TOKEN)), self._put_token),
        ]
        if named.asks_for_keys:
            commands = (
                c.count_keys(named.database),
                c.insert_key(named.database),
                f"write the key to {self._paths.key_file.name}, for this user's eyes alone",
            )
            steps.append(Step("First API key", commands, self._make_key))
        address = self._address or "https://<address of the deployment>"
        steps.append(
            Step("Smoke test", (f"GET {address}/api/health until it is healthy",), self._smoke_test)
        )
        return steps

    def _rule_commands(self) -> tuple[Command, ...]:
        days = self._resources.lifecycle_days
        found: list[Command] = []
        for bucket in self._resources.buckets:
            found.append(c.list_rules(bucket))
            for prefix in LIFECYCLE_PREFIXES:
                found += [c.remove_rule(bucket, prefix), c.add_rule(bucket, prefix, days)]
        return tuple(found)

    def _schema_command(self) -> Command:
        database = self._resources.database
        return c.migrate(database) if self._paths.has_migrations else c.apply_schema(database)

    def _log_in(self) -> None:
        name = self._account.require_login(self._environ.get("CLOUDFLARE_ACCOUNT_ID"))
        say(f"  account: {name}")

    def _make_buckets(self) -> None:
        for name in self._resources.buckets:
            tell_made(name, self._account.make_bucket(name, self._location))

    def _make_rules(self) -> None:
        days = self._resources.lifecycle_days
        for bucket in self._resources.buckets:
            made = self._account.make_rules(bucket, LIFECYCLE_PREFIXES, days)
            for prefix in LIFECYCLE_PREFIXES:
                is_new = prefix in made
                tell_made(f"{bucket}: {prefix} expires after {days} days", is_new)

    def _make_database(self) -> None:
        name, path = self._resources.database, self._paths.wrangler_toml
        found = self._account.database_id(name)
        known = self._resources.database_id
        if known not in {PLACEHOLDER_ID, found}:
            raise StepFailed(
                f"wrangler.toml names database {known}, but this account's {name} is "
                f"{found or 'missing'}: log in to the other account, or put {PLACEHOLDER_ID} there"
            )
        database_id = found or self._account.make_database(name, self._location)
        tell_made(f"{name} ({database_id})", found is None)
        if known != database_id:
            text = path.read_text(encoding="utf-8")
            write_whole(path, with_database_id(text, database_id))
            say("  written into wrangler.toml")

    def _apply_schema(self) -> None:
        self._account.apply(self._schema_command())
        say("  up to date")

    def _make_queues(self) -> None:
        for name in self._resources.queues:
            tell_made(name, self._account.make_queue(name))

    def _deploy(self) -> None:
        found = self._account.deploy()
        self._address = self._address or found
        say(f"  deployed: {found or 'without an address of its own'}")

    def _put_token(self) -> None:
        wanted = self._new_token or self._inputs.given_token is not None
        if not wanted and self._account.has_secret(TOKEN):
            tell_made(TOKEN, is_new=False)
            return
        token = self._inputs.token()
        if token is None:
            say(f"  {TOKEN} left out: the upstream will be asked without it, and may refuse")
            return
        self._account.put_secret(TOKEN, token)
        say(f"  {TOKEN} stored")

    def _make_key(self) -> None:
        count = self._account.count_keys(self._resources.database)
        if count:
            say(f"  there are {count} already")
            return
        key, path = api_keys.new_key(), self._paths.key_file
        # The file first: a key that is stored but that nobody has cannot be used by anybody.
        write_private(path, f"{key}\n")
        options = api_keys.KeyOptions(action="create", name=c.FIRST_KEY_NAME, role="admin")
        sql = api_keys.create_statement(
            options, key_id=api_keys.new_key_id(), key=key, now_ms=time.time_ns() // 1_000_000
        )
        self._account.store_key(self._resources.database, sql)
        say(f"  {c.FIRST_KEY_NAME}: written to {path}")
        say("  move it to where you keep passwords, and delete the file")

    def _smoke_test(self) -> None:
        if self._address is None:
            raise StepFailed("the Worker has no address of its own: name one with --url")
        document = self._await_health(self._address)
        say(f"  {self._address} is {document['status']}, version {document.get('version')}")
