"""API keys in their table: what a row says, and which keys are of use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals.access.keys_table import ApiKeys
from building_vitals.errors import Unavailable
from fakes.database import FakeDatabase

NOW_MS = 1_767_225_600_000


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """A database with an empty table of keys."""
    with FakeDatabase() as made:
        yield made


def insert(
    database: FakeDatabase,
    *,
    role: str = "reader",
    sites: str = "*",
    expires_ms: int | None = None,
    revoked_ms: int | None = None,
) -> None:
    """Insert the key `key_1`."""
    database.look(
        "INSERT INTO api_keys (key_id, key_hash, role, sites, name, created_ms, expires_ms,"
        " revoked_ms) VALUES ('key_1', ?1, ?2, ?3, '', 1, ?4, ?5)",
        *("a" * 64, role, sites, expires_ms, revoked_ms),
    )


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        pytest.param("*", None, id="all"),
        pytest.param('["hq","lab"]', frozenset({"hq", "lab"}), id="some"),
        pytest.param("[]", frozenset(), id="none"),
    ],
)
async def test_sites_of_a_key(
    database: FakeDatabase, sites: str, expected: frozenset[str] | None
) -> None:
    """A star is every site, a list is that list, an empty one is nothing."""
    insert(database, sites=sites)
    found = await ApiKeys(database).find("a" * 64)
    assert found is not None
    assert expected == found.sites


@pytest.mark.parametrize("sites", ["[1]", '["hq",null]', '[["hq"]]'])
async def test_spoilt_sites_are_no_key_and_no_wrong_key(database: FakeDatabase, sites: str) -> None:
    """A row that a hand has spoilt is a fault of ours, not of the caller."""
    insert(database, sites=sites)
    with pytest.raises(Unavailable, match="damaged"):
        await ApiKeys(database).find("a" * 64)


async def test_keys_are_found_by_their_hash_alone(database: FakeDatabase) -> None:
    """Another hash finds nothing; the row says who it is and what it may do."""
    insert(database, role="admin")
    assert None is await ApiKeys(database).find("b" * 64)
    found = await ApiKeys(database).find("a" * 64)
    assert found is not None
    assert ("key_1", True, None) == (found.key_id, found.is_admin, found.last_used_ms)


@pytest.mark.parametrize(
    ("revoked_ms", "expires_ms", "is_usable"),
    [
        pytest.param(None, None, True, id="valid"),
        pytest.param(None, NOW_MS + 1, True, id="not yet expired"),
        pytest.param(None, NOW_MS, False, id="expired just now"),
        pytest.param(5, None, False, id="revoked"),
        pytest.param(NOW_MS + 5, None, False, id="revoked by a clock ahead"),
    ],
)
async def test_usable_keys(
    database: FakeDatabase, revoked_ms: int | None, expires_ms: int | None, *, is_usable: bool
) -> None:
    """The table and the row judge alike, to the millisecond."""
    keys = ApiKeys(database)
    usable = ApiKeys.usable_statement(NOW_MS)
    assert [] == await database.rows(usable.sql, *usable.values)
    insert(database, revoked_ms=revoked_ms, expires_ms=expires_ms)
    found = await keys.find("a" * 64)
    assert found is not None
    is_any = bool(await database.rows(usable.sql, *usable.values))
    assert (is_usable, is_usable) == (found.is_usable(NOW_MS), is_any)


async def test_last_use_is_kept_with_its_key(database: FakeDatabase) -> None:
    """Only the row of that key changes."""
    insert(database)
    keys = ApiKeys(database)
    await keys.note_use("key_2", NOW_MS)
    assert [{"last_used_ms": None}] == database.look("SELECT last_used_ms FROM api_keys")
    await keys.note_use("key_1", NOW_MS)
    assert [{"last_used_ms": NOW_MS}] == database.look("SELECT last_used_ms FROM api_keys")
