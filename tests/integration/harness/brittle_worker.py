"""
A Worker that forgets after a second, reads small pages, and has an upstream that may go down.

It always takes the site's pages: what may be wrong with pages and cursors needs many small ones,
and the Worker would choose calls by point instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.upstream import WORKER_MARGIN_MS, FakeUpstream
from integration.harness.client import Client
from integration.harness.worker_server import WorkerServer

PAGE_SIZE = 100
PAGE_TIMEOUT_MS = 1000
RETRIES = 3
TTL_S = 1
VARIABLES = {
    "DEFAULT_TTL": str(TTL_S),
    "TRUST_MAX": str(TTL_S),
    "MIN_REFETCH": str(TTL_S),
    "UPSTREAM_CALLS": "site",
    "UPSTREAM_PAGE_SIZE": str(PAGE_SIZE),
    "UPSTREAM_PAGE_TIMEOUT": str(PAGE_TIMEOUT_MS),
    "UPSTREAM_MAX_RETRIES": str(RETRIES),
    "UPSTREAM_RETRY_DELAY": "10",
}


@dataclass(frozen=True, slots=True)
class BrittleWorker:
    """
    A running Worker with an upstream of its own.

    Attributes:
        upstream: May be stopped and started again by a test that leaves it running.
    """

    server: WorkerServer
    upstream: FakeUpstream

    @property
    def client(self) -> Client:
        """Sends requests to the Worker."""
        return self.server.client


@contextmanager
def brittle_worker(folder: Path) -> Iterator[BrittleWorker]:
    """Start upstream and Worker, and stop both cleanly at the end."""
    with FakeUpstream("brittle-token-51f0", margin_ms=WORKER_MARGIN_MS) as upstream:
        server = WorkerServer(
            folder, upstream=upstream.url, token=upstream.token, variables=VARIABLES
        )
        with server.healthy():
            yield BrittleWorker(server, upstream)
