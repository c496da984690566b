"""What the adapters do in a Worker that was deployed without a binding."""

from __future__ import annotations

import pytest

from building_vitals.errors import Unavailable
from building_vitals.ports import Statement
from contract.remote import Remote, RemoteDatabase, RemoteObjects


async def test_a_missing_bucket_is_unavailable(remote: Remote) -> None:
    """Every operation says that the binding is missing."""
    objects = RemoteObjects(remote, binding="NO_BUCKET")
    for operation in (
        objects.put("a", b"x", content_type="text/plain"),
        objects.get("a"),
        objects.get("a", offset=1, length=1),
        objects.head("a"),
        objects.delete(["a"]),
        objects.list(),
    ):
        with pytest.raises(Unavailable, match="binding NO_BUCKET is missing"):
            await operation


async def test_a_missing_database_is_unavailable(remote: Remote) -> None:
    """Every operation says that the binding is missing."""
    database = RemoteDatabase(remote, binding="NO_DB")
    for operation in (database.rows("SELECT 1"), database.batch([Statement("SELECT 1")])):
        with pytest.raises(Unavailable, match="binding NO_DB is missing"):
            await operation
