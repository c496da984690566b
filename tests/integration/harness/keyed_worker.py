"""A Worker in the mode `keys`, with keys of every kind, for tests of who may ask what."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devtools import api_keys
from devtools.api_keys import KeyOptions
from devtools.children import Children
from devtools.key_database import KeyDatabase
from devtools.local_run import run_folder
from devtools.signals import StopSignals
from devtools.toolchain import Toolchain
from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client
from integration.harness.worker_server import ROOT, WorkerServer

SITE, OTHER_SITE, UNKNOWN_SITE = "keyed-own", "keyed-other", "keyed-nowhere"
SLOW_SITE = "keyed-slow"
ORIGIN = "https://dashboard.example"
START_MS = 1_767_225_600_000
DAY_MS = 86_400_000
KEY_COMMAND_S = 120.0
# Administrators for programs that ask too much for one key.
ROBOTS = tuple(f"robot-{number}" for number in range(8))


@dataclass(frozen=True, slots=True)
class KeyedWorker:
    """
    A running Worker and keys to it.

    Attributes:
        keys: By name: `reader` and `second` (of SITE), `stranger` (of OTHER_SITE), `admin`,
            `revoked`, `expired`, `busy` and `hasty` (to be used up), ROBOTS, `unknown` (stored
            nowhere).
        ids: Their identities.
        points: Names of points that SITE and OTHER_SITE have.
    """

    server: WorkerServer
    upstream: FakeUpstream
    keys: dict[str, str]
    ids: dict[str, str]
    points: dict[str, list[str]] = field(default_factory=dict)

    def client(self, name: str | None) -> Client:
        """Return a client that sends the key of this name, or none."""
        headers = {} if name is None else {"X-API-Key": self.keys[name]}
        return Client(self.server.url, headers)

    def ask(self, name: str | None, site: str = SITE, **more: object) -> Answer:
        """Ask for a day of a point of a site."""
        return self.client(name).get("/api/timeseries", self.question(site, **more))

    def question(self, site: str = SITE, **more: object) -> dict[str, object]:
        """Return the parameters of a question for a day of a point."""
        point = self.points.get(site, self.points[SITE])[0]
        times = {"start_time": START_MS, "end_time": START_MS + DAY_MS}
        return {"site": site, "points": point, "route": "cached", **times, **more}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run scripts/api_key.py on this Worker's database."""
        return key_command(self.server.state, *arguments)


def key_command(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/api_key.py on the database in a state folder."""
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(ROOT / "scripts/api_key.py"), *arguments, "--state", str(state)],
        capture_output=True,
        text=True,
        timeout=KEY_COMMAND_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@contextmanager
def keyed_worker(folder: Path, tools: Toolchain, upstream: FakeUpstream) -> Iterator[KeyedWorker]:
    """Make the keys, start the Worker, and stop it cleanly at the end."""
    server = WorkerServer(
        folder,
        upstream=upstream.url,
        token=upstream.token,
        variables={
            "AUTH_MODE": "keys",
            "CORS_ORIGINS": ORIGIN,
            "UPSTREAM_MAX_RETRIES": "1",
            "UPSTREAM_RETRY_DELAY": "10",
        },
    )
    keys, ids = _make_keys(server.state, tools)
    points = {
        site: upstream.add_generated(
            site, start_ms=START_MS, end_ms=START_MS + 5 * DAY_MS, points=2, interval_s=3600
        )
        for site in (SITE, OTHER_SITE)
    }
    with server.healthy():
        yield KeyedWorker(server, upstream, keys, ids, points)


def _make_keys(state: Path, tools: Toolchain) -> tuple[dict[str, str], dict[str, str]]:
    """Store keys of every kind; returns them and their ids by name."""
    now_ms = time.time_ns() // 1_000_000
    own, other = (SITE,), (OTHER_SITE,)
    wanted = [
        KeyOptions(action="create", name="reader", sites=(SITE, UNKNOWN_SITE)),
        KeyOptions(action="create", name="second", sites=own),
        KeyOptions(action="create", name="stranger", sites=other),
        KeyOptions(action="create", name="admin", role="admin"),
        KeyOptions(action="create", name="revoked", sites=own),
        KeyOptions(action="create", name="expired", sites=own, expires_ms=now_ms - 1),
        KeyOptions(action="create", name="busy", sites=own),
        KeyOptions(action="create", name="hasty", sites=(SITE, SLOW_SITE)),
        *(KeyOptions(action="create", name=name, role="admin") for name in ROBOTS),
    ]
    keys = {"unknown": api_keys.new_key()}
    ids: dict[str, str] = {}
    statements = []
    for options in wanted:
        assert options.name is not None
        key_id, key = api_keys.new_key_id(), api_keys.new_key()
        ids[options.name], keys[options.name] = key_id, key
        statements.append(api_keys.create_statement(options, key_id=key_id, key=key, now_ms=now_ms))
    statements.append(
        api_keys.revoke_statement(KeyOptions(action="revoke", name="revoked"), now_ms=now_ms)
    )
    options = KeyOptions(action="create", state=state)
    with run_folder() as home, Children(StopSignals()) as children:
        KeyDatabase(tools, home, children, options).rows("; ".join(statements))
    return keys, ids
