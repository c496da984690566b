"""
wrangler as the set-up sees it: commands in, text out, an account in memory behind it.

The texts are those of the real wrangler, which tests/integration/test_setup_cloudflare.py runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudflare_setup.commands import Command
from cloudflare_setup.programs import Outcome

ADDRESS = "https://building-vitals.operator.workers.dev"
OK = Outcome(0, "done")


class FakeWrangler:
    """
    A Runner.

    Attributes:
        accounts: Accounts of the log-in; None when nobody is logged in.
        ran: Every command that was run.
        stdins: What went into standard inputs.
        buckets: Number of objects, by name.
        rules: Days by bucket and rule.
        databases: Id by name.
        queues: Names.
        consumers: Queues that the Worker consumes.
        is_deployed: Whether there is a Worker.
        secrets: Values by name.
        keys: SQL that stored API keys.
        schema_runs: How often the schema was applied.
        fail: Makes a command fail, if it returns an outcome.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, str] | None = {"id-1": "Operator"}
        self.ran: list[Command] = []
        self.stdins: list[str] = []
        self.buckets: dict[str, int] = {}
        self.rules: dict[str, dict[str, str]] = {}
        self.databases: dict[str, str] = {}
        self.queues: list[str] = []
        self.consumers: set[str] = set()
        self.is_deployed = False
        self.secrets: dict[str, str] = {}
        self.keys: list[str] = []
        self.schema_runs = 0
        self.fail: Callable[[Command], Outcome | None] = lambda _: None
        self._handlers: list[tuple[tuple[str, ...], Callable[..., Outcome]]] = [
            (("whoami",), self._who),
            (("r2", "bucket", "create"), self._create_bucket),
            (("r2", "bucket", "delete"), self._delete_bucket),
            (("r2", "bucket", "lifecycle", "list"), self._list_rules),
            (("r2", "bucket", "lifecycle", "add"), self._add_rule),
            (("r2", "bucket", "lifecycle", "remove"), self._remove_rule),
            (("d1", "list"), self._list_databases),
            (("d1", "create"), self._create_database),
            (("d1", "delete"), self._delete_database),
            (("d1", "migrations", "apply"), self._apply_schema),
            (("d1", "execute"), self._execute),
            (("queues", "info"), self._queue_info),
            (("queues", "create"), self._create_queue),
            (("queues", "delete"), self._delete_queue),
            (("queues", "consumer", "remove"), self._remove_consumer),
            (("deploy", "--dry-run"), lambda: OK),
            (("deploy",), self._deploy),
            (("delete",), self._delete_worker),
            (("secret", "list"), self._list_secrets),
        ]

    def __call__(
        self, command: Command, *, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Outcome:
        """Do what wrangler would do."""
        self.ran.append(command)
        self.stdins.append(stdin)
        failure = self.fail(command)
        if failure is not None:
            return failure
        arguments = command.arguments
        if arguments[:2] == ("secret", "put"):
            self.secrets[arguments[2]] = stdin
            return OK
        for prefix, handler in self._handlers:
            if arguments[: len(prefix)] == prefix:
                rest = arguments[len(prefix) :]
                return handler(env or {}) if prefix == ("deploy",) else handler(*rest)
        raise AssertionError(f"nobody has told the fake about: {command.line}")

    def _who(self, *_: str) -> Outcome:
        if self.accounts is None:
            return Outcome(1, json.dumps({"loggedIn": False}))
        accounts = [{"id": key, "name": name} for key, name in self.accounts.items()]
        return Outcome(0, json.dumps({"loggedIn": True, "accounts": accounts}))

    def _create_bucket(self, name: str, *_: str) -> Outcome:
        if name in self.buckets:
            return refused("The bucket you tried to create already exists", 10004)
        self.buckets[name], self.rules[name] = 0, {}
        return OK

    def _delete_bucket(self, name: str) -> Outcome:
        if name not in self.buckets:
            return refused("The specified bucket does not exist.", 10006)
        if self.buckets[name]:
            return refused("The bucket you tried to delete is not empty.", 10008)
        del self.buckets[name], self.rules[name]
        return OK

    def _list_rules(self, bucket: str) -> Outcome:
        listed = [
            f"name:     {name}\nenabled:  Yes\n"
            f"prefix:   p/\naction:   Expire objects after {days} days"
            for name, days in self.rules[bucket].items()
        ]
        return Outcome(
            0, f"Listing lifecycle rules for bucket '{bucket}'...\n" + "\n\n".join(listed)
        )

    def _add_rule(self, bucket: str, name: str, *rest: str) -> Outcome:
        self.rules[bucket][name] = rest[rest.index("--expire-days") + 1]
        return OK

    def _remove_rule(self, bucket: str, _: str, name: str) -> Outcome:
        del self.rules[bucket][name]
        return OK

    def _list_databases(self, *_: str) -> Outcome:
        found = [{"name": name, "uuid": key} for name, key in self.databases.items()]
        return Outcome(0, json.dumps(found, indent=2))

    def _create_database(self, name: str, *_: str) -> Outcome:
        self.databases[name] = f"0a000000-0000-0000-0000-00000000000{len(self.databases)}"
        return OK

    def _delete_database(self, name: str, *_: str) -> Outcome:
        del self.databases[name]
        return OK

    def _apply_schema(self, *_: str) -> Outcome:
        self.schema_runs += 1
        return OK

    def _execute(self, *rest: str) -> Outcome:
        if "--file" in rest:
            return self._apply_schema()
        sql = rest[-1]
        rows: list[dict[str, Any]] = [{"keys": len(self.keys)}]
        if sql.startswith("INSERT"):
            self.keys.append(sql)
            rows = []
        return Outcome(0, json.dumps([{"results": rows, "success": True}]))

    def _queue_info(self, name: str) -> Outcome:
        if name not in self.queues:
            return Outcome(1, "", f'Queue "{name}" does not exist. To create it, run: ...')
        consumer = "\nConsumers: worker:building-vitals" if name in self.consumers else ""
        return Outcome(0, f"Queue Name: {name}{consumer}")

    def _create_queue(self, name: str) -> Outcome:
        self.queues.append(name)
        return OK

    def _delete_queue(self, name: str) -> Outcome:
        assert name not in self.consumers, "a queue that is consumed cannot be deleted"
        self.queues.remove(name)
        return OK

    def _remove_consumer(self, queue: str, _: str) -> Outcome:
        self.consumers.remove(queue)
        return OK

    def _deploy(self, env: Mapping[str, str]) -> Outcome:
        self.is_deployed = True
        self.consumers = {name for name in self.queues if name.startswith("chart-")}
        entry = {"type": "deploy", "targets": [ADDRESS, "schedule: */5 * * * *"]}
        Path(env["WRANGLER_OUTPUT_FILE_PATH"]).write_text(f"{json.dumps(entry)}\n")
        return OK

    def _delete_worker(self, _: str) -> Outcome:
        if not self.is_deployed:
            return refused("This Worker does not exist on your account.", 10007)
        assert not self.consumers, "the consumers come first"
        self.is_deployed = False
        return OK

    def _list_secrets(self, *_: str) -> Outcome:
        if not self.is_deployed:
            return Outcome(1, "", 'Worker "building-vitals" not found.')
        listed = [{"name": name, "type": "secret_text"} for name in self.secrets]
        return Outcome(0, json.dumps(listed))


def refused(message: str, code: int) -> Outcome:
    """Return what wrangler prints when Cloudflare's API refuses."""
    return Outcome(1, "", f"A request to the Cloudflare API failed.\n\n  {message} [code: {code}]")
