"""A Cloudflare account in memory, as far as the set-up knows it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "0123456789abcdef0123456789abcdef"
NOW = "2026-11-24T00:00:00.000000Z"


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request of wrangler.

    Attributes:
        method: GET, POST...
        path: Below the account, or whole for paths outside of it.
        query: Its parameters.
        content_type: Of the body.
        body: As it came.
        parts: The path's pieces that its route leaves open.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    content_type: str
    body: bytes
    parts: tuple[str, ...] = ()

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class Refused(Exception):
    """The API answers with an error."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass
class CloudflareAccount:
    """
    An account, at first empty.

    Attributes:
        token: What every request must carry.
        origin: Where the API answers, http://127.0.0.1:PORT.
        accounts: What the token may work in.
        calls: All requests, in order.
        buckets: Number of objects, by name.
        rules: Lifecycle rules of each bucket.
        databases: Id by name.
        queues: Id by name.
        consumers: What consumes a queue, by its name.
        scripts: Main module of each Worker, by name.
        bindings: What the deployed Worker is bound to.
        secrets: Values by name.
        crons: Schedules of the Worker.
        assets: Paths of its static files.
        uploads: Files on their way into the database, by path.
        refuse: Makes a call fail, if it returns something.
        sql: The database.
    """

    token: str
    origin: str = ""
    accounts: list[dict[str, str]] = field(
        default_factory=lambda: [{"id": ACCOUNT, "name": "Operator"}]
    )
    calls: list[Call] = field(default_factory=list)
    buckets: dict[str, int] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)
    consumers: dict[str, dict[str, Any]] = field(default_factory=dict)
    scripts: dict[str, bytes] = field(default_factory=dict)
    bindings: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    crons: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    refuse: Callable[[Call], Refused | None] = lambda _: None
    sql: sqlite3.Connection = field(
        default_factory=lambda: sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None
        )
    )
