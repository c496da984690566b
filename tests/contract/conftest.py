"""Each port twice: its stand-in in memory, and the real adapter on the real runtime."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from building_vitals.ports import Database, ObjectStore
from contract.odd_server import OddServer
from contract.remote import Remote, RemoteDatabase, RemoteHttp, RemoteObjects
from contract.sender import LocalHttp, Sender
from contract.worker_run import contract_worker
from fakes.database import FakeDatabase
from fakes.object_store import FakeObjectStore


@pytest.fixture(scope="session")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """The contract Worker, started once."""
    with contract_worker(tmp_path_factory.mktemp("contract")) as running:
        yield running


@pytest.fixture(params=["fake", "workerd"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    """An ObjectStore."""
    if request.param == "fake":
        return FakeObjectStore()
    return RemoteObjects(request.getfixturevalue("remote"))


@pytest.fixture(params=["fake", "workerd"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A Database, with nothing in it that a test may rely on."""
    if request.param == "workerd":
        yield RemoteDatabase(request.getfixturevalue("remote"))
        return
    with FakeDatabase() as fake:
        yield fake


@pytest.fixture(params=["sockets", "workerd"])
def sender(request: pytest.FixtureRequest) -> Sender:
    """What sends requests by an HttpClient."""
    if request.param == "sockets":
        return LocalHttp()
    return RemoteHttp(request.getfixturevalue("remote"))


@pytest.fixture(scope="session")
def server() -> Iterator[OddServer]:
    """An HTTP server whose answers do not end well."""
    with OddServer() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """Begins keys that no other test uses."""
    return f"contract/{uuid.uuid4().hex}/"
