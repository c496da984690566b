"""Who is let in by an API key, for how long that is remembered, and what a stranger can cause."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

import pytest

from building_vitals.access.api_keys import NOT_VALID, hash_key
from building_vitals.access.caller import Caller
from building_vitals.access.key_access import (
    KNOWN_MS,
    REMEMBERED_MAX,
    UNKNOWN_MS,
    USE_NOTED_MS,
    KeyAccess,
    KeyMemory,
)
from building_vitals.access.keys_table import ApiKeys
from building_vitals.errors import AppError, Forbidden, Unauthorized, Unavailable
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.invocation import invocation


def key_of(number: int) -> str:
    """Return a well-formed key."""
    return f"bv_{number:043d}"


class Door:
    """A KeyAccess on a database of its own."""

    def __init__(self, database: FakeDatabase) -> None:
        self.database = database
        self.clock = VirtualClock()
        self.memory = KeyMemory()
        self.waiting: list[Coroutine[Any, Any, None]] = []
        self.reports: list[str] = []
        self.access = self.isolate(self.memory)

    def isolate(self, memory: KeyMemory) -> KeyAccess:
        """Return the access of an isolate with this memory."""

        def report(where: str, error: AppError) -> None:
            self.reports.append(f"{where}: {error.code}")

        return KeyAccess(
            keys=ApiKeys(self.database),
            memory=memory,
            invocation=invocation(self.clock, run_later=self.waiting.append, on_fault=report),
        )

    def add(
        self, number: int, *, role: str = "reader", sites: str = '["a"]', expires: int | None = None
    ) -> None:
        """Store a key."""
        self.database.connection.execute(
            "INSERT INTO api_keys (key_id, name, key_hash, role, sites, created_ms, expires_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (f"key_{number}", "n", hash_key(key_of(number)), role, sites, 1, expires),
        )

    def revoke(self, number: int) -> None:
        """Revoke a key."""
        self.database.connection.execute(
            "UPDATE api_keys SET revoked_ms = 5 WHERE key_id = ?", (f"key_{number}",)
        )

    async def ask(self, number: int) -> Caller:
        """Identify the holder of a key, and finish what runs after the answer."""
        try:
            return await self.access.identify({"x-api-key": key_of(number)})
        finally:
            while self.waiting:
                await self.waiting.pop()

    async def is_refused(self, number: int) -> bool:
        """Return whether a key is refused, with the one text that all refusals have."""
        try:
            await self.ask(number)
        except Unauthorized as error:
            assert NOT_VALID == error.detail
            return True
        return False

    @property
    def looks(self) -> int:
        """How often the database was asked."""
        return self.database.failures.calls["rows"]


@pytest.fixture
def door() -> Any:
    """A door without keys."""
    with FakeDatabase() as database:
        yield Door(database)


async def test_key_says_who_asks(door: Door) -> None:
    """Role and sites are those of the key's row."""
    door.add(1, sites='["a", "b"]')
    door.add(2, role="admin", sites="*")
    door.add(3, sites="*")
    door.add(4, sites="[]")
    reader = await door.ask(1)
    assert Caller(key_id="key_1", is_admin=False, sites=frozenset({"a", "b"})) == reader
    assert Caller(key_id="key_2", is_admin=True, sites=None) == await door.ask(2)
    assert Caller(key_id="key_3", is_admin=False, sites=None) == await door.ask(3)
    with pytest.raises(Forbidden, match="'a'"):
        (await door.ask(4)).require_site("a")


async def test_empty_table_lets_nobody_in(door: Door) -> None:
    """Where no key is stored, every key is refused, and none at all too."""
    assert await door.is_refused(1)
    with pytest.raises(Unauthorized, match="API key missing"):
        await door.access.identify({})


async def test_malformed_keys_never_reach_the_database(door: Door) -> None:
    """What cannot be a key costs no look-up."""
    with pytest.raises(Unauthorized):
        await door.access.identify({"x-api-key": "bv_short"})
    assert 0 == door.looks


async def test_key_is_looked_up_now_and_then(door: Door) -> None:
    """A known key is remembered for half a minute, not longer, and by its hash alone."""
    door.add(1)
    for _ in range(3):
        await door.ask(1)
    assert 1 == door.looks
    door.clock.advance(KNOWN_MS - 1)
    await door.ask(1)
    assert 1 == door.looks
    door.clock.advance(1)
    await door.ask(1)
    assert 2 == door.looks
    assert KNOWN_MS <= 30_000
    assert key_of(1) not in repr(vars(door.memory))


async def test_revocation_holds_within_a_minute(door: Door) -> None:
    """A revoked key is refused as soon as it is looked up again, a minute later at most."""
    door.add(1)
    await door.ask(1)
    door.revoke(1)
    assert not await door.is_refused(1)
    door.clock.advance(60_000)
    assert await door.is_refused(1)
    fresh = door.isolate(KeyMemory())
    with pytest.raises(Unauthorized):
        await fresh.identify({"x-api-key": key_of(1)})


async def test_expiry_holds_at_once(door: Door) -> None:
    """A key is refused from its expiry on, also while it is remembered."""
    expires = door.clock.now_ms() + 1000
    door.add(1, expires=expires)
    await door.ask(1)
    door.clock.advance(999)
    assert not await door.is_refused(1)
    door.clock.advance(1)
    assert await door.is_refused(1)


async def test_new_key_works_soon_after_it_was_refused(door: Door) -> None:
    """A refusal is remembered for seconds: long enough to spare D1, short enough to set up."""
    assert await door.is_refused(1)
    door.add(1)
    assert await door.is_refused(1)
    assert 1 == door.looks
    door.clock.advance(UNKNOWN_MS)
    assert not await door.is_refused(1)


async def test_strangers_cannot_fill_the_memory(door: Door) -> None:
    """However many keys are tried, memory is bounded, and the known key stays in it."""
    door.add(0)
    await door.ask(0)
    for number in range(1, REMEMBERED_MAX + 50):
        assert await door.is_refused(number)
    assert REMEMBERED_MAX + 1 == len(door.memory)
    looks = door.looks
    await door.ask(0)
    assert looks == door.looks


async def test_spoilt_row_lets_nobody_in(door: Door) -> None:
    """A row whose sites are no list of names is a failure of ours, not a way in."""
    door.add(1, sites=json.dumps([1, 2]))
    with pytest.raises(Unavailable, match="damaged"):
        await door.ask(1)


async def test_without_database_nobody_is_let_in_unseen(door: Door) -> None:
    """While D1 is down a remembered key works on for a while, another is refused as unavailable."""
    door.add(1)
    door.add(2)
    await door.ask(1)
    door.database.failures.always("rows")
    await door.ask(1)
    with pytest.raises(Unavailable):
        await door.ask(2)
    door.clock.advance(KNOWN_MS)
    with pytest.raises(Unavailable):
        await door.ask(1)


async def test_last_use_is_kept_to_the_hour(door: Door) -> None:
    """The first use is written, the next an hour later; a failed write is told, not raised."""
    door.add(1)

    def used() -> int | None:
        [row] = door.database.look("SELECT last_used_ms FROM api_keys")
        used_ms: int | None = row["last_used_ms"]
        return used_ms

    begun = door.clock.now_ms()
    await door.ask(1)
    assert begun == used()
    door.clock.advance(USE_NOTED_MS - 1)
    await door.ask(1)
    assert begun == used()
    door.clock.advance(KNOWN_MS)
    door.database.failures.next("batch")
    await door.ask(1)
    assert begun == used()
    assert ["note-use: unavailable"] == door.reports


async def test_a_second_look_goes_by_the_database_alone(door: Door) -> None:
    """What the isolate remembers of a key does not keep a stream open after its revocation."""
    headers = {"x-api-key": key_of(1)}
    door.add(1)
    await door.ask(1)
    assert "key_1" == (await door.access.identify_again(headers)).key_id
    while door.waiting:
        await door.waiting.pop()
    door.revoke(1)
    with pytest.raises(Unauthorized):
        await door.access.identify_again(headers)
