"""One Worker and one fake upstream for all integration tests; each test has a site of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from devtools.children import Children
from devtools.signals import StopSignals
from devtools.toolchain import Toolchain, set_up
from fakes.upstream import WORKER_MARGIN_MS, FakeUpstream
from integration.harness.brittle_worker import BrittleWorker, brittle_worker
from integration.harness.client import Client
from integration.harness.keyed_worker import KeyedWorker, keyed_worker
from integration.harness.worker_server import WorkerServer


@pytest.fixture(scope="session")
def upstream() -> Iterator[FakeUpstream]:
    """The fake upstream, in a thread of this process."""
    server = FakeUpstream(margin_ms=WORKER_MARGIN_MS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def worker(
    upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerServer]:
    """The Worker, already warm."""
    server = WorkerServer(
        tmp_path_factory.mktemp("worker"),
        upstream=upstream.url,
        token=upstream.token,
        variables={"DEV_METRICS": "1"},
    )
    with server.healthy():
        yield server


@pytest.fixture(scope="session")
def keyed(
    upstream: FakeUpstream, tools: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeyedWorker]:
    """A Worker that asks for API keys, and keys of every kind."""
    folder = tmp_path_factory.mktemp("keyed")
    with keyed_worker(folder, tools, upstream) as running:
        yield running


@pytest.fixture(scope="session")
def brittle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrittleWorker]:
    """A Worker that forgets after a second, with an upstream of its own that may go down."""
    with brittle_worker(tmp_path_factory.mktemp("brittle")) as running:
        yield running


@pytest.fixture
def client(worker: WorkerServer) -> Client:
    """Sends requests to the Worker."""
    return worker.client


@pytest.fixture
def site(upstream: FakeUpstream) -> Iterator[str]:
    """
    A site name that no other test has.

    It is gone afterwards: a call by point gets what all sites have by that name.
    """
    name = f"site-{uuid.uuid4().hex[:12]}"
    yield name
    upstream.remove_sites(name)


@pytest.fixture(scope="session")
def tools() -> Toolchain:
    """The set-up that dev.py uses, for tests that call its programs."""
    with Children(StopSignals()) as children:
        return set_up(children)
