"""What the client's tests share: a server that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals_client import Client
from fakes.scripted_api import ScriptedApi


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    """Answers as it is told."""
    with ScriptedApi() as running:
        yield running


@pytest.fixture
def client(api: ScriptedApi) -> Iterator[Client]:
    """A client of it that gives up soon."""
    with Client(api.url, "secret-key", patience_s=3.0) as opened:
        yield opened
