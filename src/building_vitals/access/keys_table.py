"""API keys in D1, found by their hash."""

from __future__ import annotations

import msgspec

from building_vitals.errors import Unavailable
from building_vitals.ports import Database, Statement

_FIND = """
SELECT key_id, key_hash, role, sites, expires_ms, revoked_ms, last_used_ms
FROM api_keys WHERE key_hash = ?1
"""
_TOUCH = "UPDATE api_keys SET last_used_ms = ?2 WHERE key_id = ?1"
# Bounded: it stops at the first usable key.
_ANY_USABLE = """
SELECT key_id FROM api_keys
WHERE revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?1) LIMIT 1
"""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    A key as its row has it.

    Attributes:
        key_hash: SHA-256 of the key, hexadecimal.
        is_admin: Whether its role is admin, not reader.
        sites: Sites that its holder may read; None for all.
        expires_ms, revoked_ms, last_used_ms: Epoch milliseconds; None for never.
    """

    key_id: str
    key_hash: str
    is_admin: bool
    sites: frozenset[str] | None
    expires_ms: int | None
    revoked_ms: int | None
    last_used_ms: int | None

    def is_usable(self, now_ms: int) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)


class ApiKeys:
    """Finds keys; `scripts/api_key.py` makes and revokes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key_hash: str) -> ApiKey | None:
        """
        Return the key with this hash, usable or not.

        Raises:
            Unavailable: the database does not answer, or the row is damaged.
        """
        rows = await self._database.rows(_FIND, key_hash)
        if not rows:
            return None
        row = rows[0]
        return ApiKey(
            key_id=row["key_id"],
            key_hash=row["key_hash"],
            is_admin=row["role"] == "admin",
            sites=_read_sites(row["sites"]),
            expires_ms=row["expires_ms"],
            revoked_ms=row["revoked_ms"],
            last_used_ms=row["last_used_ms"],
        )

    async def note_use(self, key_id: str, now_ms: int) -> None:
        """Record that a key was used at *now_ms*."""
        await self._database.batch([Statement(_TOUCH, (key_id, now_ms))])

    @staticmethod
    def usable_statement(now_ms: int) -> Statement:
        """Return the statement that has a row where a key is neither revoked nor expired."""
        return Statement(_ANY_USABLE, (now_ms,))


def _read_sites(text: str) -> frozenset[str] | None:
    """Return the sites of a row: `*` for all (None), or a JSON array of names."""
    if text == "*":
        return None
    try:
        return frozenset(msgspec.json.decode(text, type=list[str]))
    except msgspec.MsgspecError as error:
        # A row that was damaged by hand must let nobody in, and must not pass for a wrong key.
        raise Unavailable(
            "the row of an API key is damaged: its sites are neither * nor a list"
        ) from error
