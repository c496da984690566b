"""
wrangler as the set-up sees it: calls in, text out, an account in memory behind it.

The texts are those of the real wrangler, which tests/integration/test_setup_cloudflare.py runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from cloudflare_setup.programs import Outcome, line_of

ADDRESS = "https://building-vitals.operator.workers.dev"
PRODUCED = ("chart-processing-queue", "chart-processing-high", "chart-processing-low")
DEAD_LETTERS = "chart-processing-dlq"
BUCKET = "building-vitals-timeseries"
DATABASE = "building-vitals-db"


class FakeWrangler:
    """
    A Runner.

    Attributes:
        is_logged_in: Whether somebody is logged in.
        lines: Every call.
        stdins: What went into standard inputs, by call.
        buckets: Number of objects, by name.
        rules: Days by bucket and prefix.
        databases: Whether each has its tables.
        queues: Names.
        consumers: Queues that the Worker consumes.
        is_deployed: Whether there is a Worker.
        secrets: Values by name.
        keys: SQL that stored API keys.
        fail: Makes a call fail, if it returns an outcome.
    """

    def __init__(self) -> None:
        self.is_logged_in = True
        self.lines: list[str] = []
        self.stdins: dict[str, str] = {}
        self.buckets: dict[str, int] = {}
        self.rules: dict[str, dict[str, float]] = {}
        self.databases: dict[str, bool] = {}
        self.queues: list[str] = []
        self.consumers: set[str] = set()
        self.is_deployed = False
        self.secrets: dict[str, str] = {}
        self.keys: list[str] = []
        self.fail: Callable[[str], Outcome | None] = lambda _: None
        self._handlers: dict[str, Callable[..., Outcome]] = {
            "whoami": self._who,
            "r2 bucket delete": self._delete_bucket,
            "r2 bucket lifecycle set": self._set_rules,
            "d1 migrations apply": self._migrate,
            "d1 execute": self._execute,
            "d1 delete": self._delete_database,
            "queues create": self._create_queue,
            "queues delete": self._delete_queue,
            "queues consumer remove": self._remove_consumer,
            "deploy": self._deploy,
            "delete": self._delete_worker,
            "secret list": self._list_secrets,
        }

    def __call__(self, arguments: Sequence[str], *, stdin: str = "") -> Outcome:
        """Do what wrangler would do."""
        line = line_of(arguments)
        self.lines.append(line)
        if stdin:
            self.stdins[line] = stdin
        failure = self.fail(line)
        if failure is not None:
            return failure
        if tuple(arguments[:2]) == ("secret", "put"):
            self.secrets[arguments[2]] = stdin
            return Outcome(0)
        for name, handler in self._handlers.items():
            words = name.split()
            if list(arguments[: len(words)]) == words:
                return handler(*arguments[len(words) :])
        raise AssertionError(f"nobody has told the fake about: {line}")

    def state(self) -> dict[str, str]:
        """Return what is in the account, to be compared."""
        names = ("buckets", "rules", "databases", "queues", "consumers", "secrets", "is_deployed")
        return {name: repr(getattr(self, name)) for name in names}

    def _who(self, *_: str) -> Outcome:
        if not self.is_logged_in:
            return Outcome(1, json.dumps({"loggedIn": False}))
        found = {"loggedIn": True, "accounts": [{"id": "id-1", "name": "Operator"}]}
        return Outcome(0, json.dumps(found, indent=4))

    def _create_queue(self, name: str) -> Outcome:
        if name in self.queues:
            return refused(f"Queue name '{name}' is already taken.", 11009)
        self.queues.append(name)
        return Outcome(0)

    def _deploy(self) -> Outcome:
        if DEAD_LETTERS not in self.queues:
            return no_queue(DEAD_LETTERS)
        made = []
        if DATABASE not in self.databases:
            self.databases[DATABASE] = False
            made.append(f'D1 Database "{DATABASE}"')
        if BUCKET not in self.buckets:
            self.buckets[BUCKET], self.rules[BUCKET] = 0, {}
            made.append(f'R2 Bucket "{BUCKET}"')
        for name in PRODUCED:
            if name not in self.queues:
                self.queues.append(name)
                made.append(f'Queue "{name}"')
        self.is_deployed = True
        self.consumers = {*PRODUCED, DEAD_LETTERS}
        told = [*(f"Creating new {each}..." for each in made), "Deployed", f"  {ADDRESS}"]
        return Outcome(0, "\n".join(told))

    def _migrate(self, name: str, *_: str) -> Outcome:
        if name not in self.databases:
            return no_database(name)
        self.databases[name] = True
        return Outcome(0)

    def _execute(self, name: str, *rest: str) -> Outcome:
        assert self.databases[name], "no such table: api_keys"
        rows = [{"key_id": "key_0"}] if self.keys else []
        if rest[-1].startswith("INSERT"):
            self.keys.append(rest[-1])
        return Outcome(0, json.dumps([{"results": rows, "success": True}]))

    def _delete_database(self, name: str, *_: str) -> Outcome:
        if name not in self.databases:
            return no_database(name)
        del self.databases[name]
        return Outcome(0)

    def _set_rules(self, bucket: str, *rest: str) -> Outcome:
        rules = json.loads(Path(rest[-1]).read_text())["rules"]
        self.rules[bucket] = {
            rule["conditions"].get("prefix", ""): rule["deleteObjectsTransition"]["condition"][
                "maxAge"
            ]
            / 86_400
            for rule in rules
            if "deleteObjectsTransition" in rule
        }
        return Outcome(0)

    def _delete_bucket(self, name: str) -> Outcome:
        if name not in self.buckets:
            return refused("The specified bucket does not exist.", 10006)
        if self.buckets[name]:
            return refused("The bucket you tried to delete is not empty.", 10008)
        del self.buckets[name], self.rules[name]
        return Outcome(0)

    def _delete_queue(self, name: str) -> Outcome:
        if name not in self.queues:
            return no_queue(name)
        assert name not in self.consumers, "a queue that is consumed cannot be deleted"
        self.queues.remove(name)
        return Outcome(0)

    def _remove_consumer(self, queue: str, worker: str) -> Outcome:
        if queue not in self.queues:
            return no_queue(queue)
        if queue not in self.consumers:
            return failed(f"No worker consumer '{worker}' exists for queue {queue}")
        self.consumers.remove(queue)
        return Outcome(0)

    def _delete_worker(self, _: str) -> Outcome:
        if not self.is_deployed:
            return refused("This Worker does not exist on your account.", 10007)
        assert not self.consumers, "the consumers come first"
        self.is_deployed = False
        return Outcome(0)

    def _list_secrets(self, *_: str) -> Outcome:
        if not self.is_deployed:
            return failed('Worker "building-vitals" not found.')
        listed = [{"name": name, "type": "secret_text"} for name in self.secrets]
        return Outcome(0, json.dumps(listed))


def failed(message: str) -> Outcome:
    """Return what wrangler prints when it refuses."""
    return Outcome(1, "", f"✘ [ERROR] {message}")


def refused(message: str, code: int) -> Outcome:
    """Return what wrangler prints when Cloudflare's API refuses."""
    return failed(f"A request to the Cloudflare API failed.\n\n  {message} [code: {code}]")


def no_queue(name: str) -> Outcome:
    """Return what wrangler prints when there is no such queue."""
    return failed(f'Queue "{name}" does not exist. To create it, run: ...')


def no_database(name: str) -> Outcome:
    """Return what wrangler prints when there is no such database."""
    return failed(f"Couldn't find a D1 DB named '{name}' (bound as '{name}') in the API.")
