"""The tear-down, step by step: who uses a thing goes before the thing."""

from __future__ import annotations

from collections.abc import Mapping

from cloudflare_setup import commands as c
from cloudflare_setup.account import Account
from cloudflare_setup.files import write_whole
from cloudflare_setup.resources import PLACEHOLDER_ID, Resources, with_database_id
from cloudflare_setup.step import Paths, Step, tell_deleted
from devtools.console import StepFailed, say


class TearDown:
    """The steps from a deployed Worker back to an empty account."""

    def __init__(
        self, resources: Resources, paths: Paths, *, account: Account, environ: Mapping[str, str]
    ) -> None:
        self._resources = resources
        self._paths = paths
        self._account = account
        self._environ = environ

    def steps(self) -> list[Step]:
        """Return the steps in order: who uses a thing goes before the thing."""
        named = self._resources
        return [
            Step("Log-in", (c.who(),), self._log_in),
            Step(
                "Queue consumers",
                tuple(
                    each
                    for name in named.consumed
                    for each in (c.queue_info(name), c.remove_consumer(name, named.worker))
                ),
                self._remove_consumers,
            ),
            Step("Worker, its secrets with it", (c.delete_worker(named.worker),), self._worker),
            Step(
                "Queues",
                tuple(
                    make(name) for name in named.queues for make in (c.queue_info, c.delete_queue)
                ),
                self._delete_queues,
            ),
            Step(
                "D1 database, its keys and jobs with it",
                (
                    c.list_databases(),
                    c.delete_database(named.database),
                    "put the placeholder back into wrangler.toml, line database_id",
                ),
                self._delete_database,
            ),
            Step(
                "R2 buckets",
                tuple(
                    make(name)
                    for name in named.buckets
                    for make in (c.delete_bucket, c.list_rules, c.empty_bucket)
                ),
                self._delete_buckets,
            ),
        ]

    def _log_in(self) -> None:
        name = self._account.require_login(self._environ.get("CLOUDFLARE_ACCOUNT_ID"))
        say(f"  account: {name}")

    def _remove_consumers(self) -> None:
        for name in self._resources.consumed:
            tell_deleted(name, self._account.remove_consumer(name, self._resources.worker))

    def _worker(self) -> None:
        name = self._resources.worker
        tell_deleted(name, self._account.delete_worker(name))

    def _delete_queues(self) -> None:
        for name in self._resources.queues:
            tell_deleted(name, self._account.delete_queue(name))

    def _delete_database(self) -> None:
        path = self._paths.wrangler_toml
        tell_deleted(
            self._resources.database, self._account.delete_database(self._resources.database)
        )
        text = path.read_text(encoding="utf-8")
        write_whole(path, with_database_id(text, PLACEHOLDER_ID))

    def _delete_buckets(self) -> None:
        emptying = []
        for name in self._resources.buckets:
            done = self._account.delete_bucket(name)
            say(f"  {done}: {name}")
            if done == "emptying":
                emptying.append(name)
        if emptying:
            raise StepFailed(
                f"not empty yet: {', '.join(emptying)}; their objects now expire within a day: "
                "run this again tomorrow, or empty them in the dashboard"
            )
