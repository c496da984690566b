"""
Every command line that the set-up may run, each written once.

Separate because the plan that is shown, the run, and the test that asks the installed wrangler for
its own help must not speak of different commands.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

RULE_SUFFIX = "safety-net"
TEAR_DOWN_RULE = "tear-down"
KEYS_SQL = "SELECT count(*) AS keys FROM api_keys WHERE role = 'admin' AND revoked_ms IS NULL"
KEY_SQL = "INSERT INTO api_keys ..."
FIRST_KEY_NAME = "first-admin"


@dataclass(frozen=True, slots=True)
class Command:
    """
    One call of wrangler.

    Attributes:
        arguments: After `wrangler`.
        when: On what it depends whether it runs; empty for always.
        stdin: What goes into its standard input, for the plan; never the value itself.
    """

    arguments: tuple[str, ...]
    when: str = ""
    stdin: str = ""

    @property
    def line(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(["wrangler", *self.arguments])

    def shown(self) -> str:
        """Return the command as a line for the plan."""
        line = self.line
        notes = [f"stdin: {self.stdin}"] if self.stdin else []
        notes += [self.when] if self.when else []
        return f"{line}    # {'; '.join(notes)}" if notes else line


def who() -> Command:
    """Return what tells whether somebody is logged in."""
    return Command(("whoami", "--json"))


def pack() -> Command:
    """Return what packs the Worker without sending it anywhere."""
    return Command(("deploy", "--dry-run"))


def create_bucket(name: str, location: str | None) -> Command:
    """Return what makes a bucket."""
    place = ("--location", location) if location else ()
    return Command(("r2", "bucket", "create", name, *place), when="fine if it exists")


def list_rules(bucket: str) -> Command:
    """Return what lists a bucket's lifecycle rules."""
    return Command(("r2", "bucket", "lifecycle", "list", bucket))


def rule_name(prefix: str) -> str:
    """Return the name of the rule for a prefix."""
    return f"{prefix.rstrip('/')}-{RULE_SUFFIX}"


def add_rule(bucket: str, prefix: str, days: int) -> Command:
    """Return what lets a bucket remove old objects by itself."""
    return Command(
        (
            *("r2", "bucket", "lifecycle", "add", bucket, rule_name(prefix), prefix),
            *("--expire-days", str(days)),
        ),
        when="unless it is there",
    )


def remove_rule(bucket: str, prefix: str) -> Command:
    """Return what removes a lifecycle rule."""
    return Command(
        ("r2", "bucket", "lifecycle", "remove", bucket, "--name", rule_name(prefix)),
        when="if its days differ",
    )


def empty_bucket(bucket: str) -> Command:
    """Return what lets all objects of a bucket expire within a day."""
    return Command(
        (
            *("r2", "bucket", "lifecycle", "add", bucket, TEAR_DOWN_RULE),
            *("--expire-days", "1", "--force"),
        ),
        when="if it is not empty",
    )


def list_databases() -> Command:
    """Return what lists the account's databases."""
    return Command(("d1", "list", "--json"))


def create_database(name: str, location: str | None) -> Command:
    """Return what makes the database."""
    place = ("--location", location) if location else ()
    return Command(("d1", "create", name, *place), when="if it does not exist")


def migrate(database: str) -> Command:
    """Return what brings the database to the newest migration."""
    return Command(("d1", "migrations", "apply", database, "--remote"))


def apply_schema(database: str) -> Command:
    """Return what applies schema.sql, which leaves what exists as it is."""
    return Command(("d1", "execute", database, "--remote", "--yes", "--file", "schema.sql"))


def count_keys(database: str) -> Command:
    """Return what counts the API keys."""
    return Command(("d1", "execute", database, "--remote", "--json", "--command", KEYS_SQL))


def queue_info(name: str) -> Command:
    """Return what tells whether there is a queue."""
    return Command(("queues", "info", name))


def create_queue(name: str) -> Command:
    """Return what makes a queue."""
    return Command(("queues", "create", name), when="if it does not exist")


def deploy() -> Command:
    """Return what deploys the Worker."""
    return Command(("deploy",))


def list_secrets() -> Command:
    """Return what lists the names of the Worker's secrets."""
    return Command(("secret", "list"), when="unless a token is given")


def put_secret(name: str) -> Command:
    """Return what stores a secret, its value on standard input."""
    return Command(
        ("secret", "put", name), stdin="the token", when="unless it is set and none is given"
    )


def insert_key(database: str, sql: str = KEY_SQL) -> Command:
    """Return what stores the first API key's hash."""
    return Command(
        ("d1", "execute", database, "--remote", "--yes", "--json", "--command", sql),
        when="if there is no key",
    )


def remove_consumer(queue: str, worker: str) -> Command:
    """Return what takes the Worker off a queue."""
    return Command(("queues", "consumer", "remove", queue, worker), when="if it consumes it")


def delete_worker(name: str) -> Command:
    """Return what deletes the Worker."""
    return Command(("delete", name))


def delete_queue(name: str) -> Command:
    """Return what deletes a queue and what is in it."""
    return Command(("queues", "delete", name), when="if it exists")


def delete_database(name: str) -> Command:
    """Return what deletes the database."""
    return Command(("d1", "delete", name, "--skip-confirmation"), when="if it exists")


def delete_bucket(name: str) -> Command:
    """Return what deletes an empty bucket."""
    return Command(("r2", "bucket", "delete", name), when="if it exists")
