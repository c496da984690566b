"""API keys in D1: found by the hash of what a caller sends."""

from __future__ import annotations

import msgspec

from building_vitals.errors import Unavailable
from building_vitals.ports import Database, Statement

_FIND = """
SELECT key_id, key_hash, role, sites, expires_ms, revoked_ms, last_used_ms
FROM api_keys WHERE key_hash = ?1
"""
_TOUCH = "UPDATE api_keys SET last_used_ms = ?2 WHERE key_id = ?1"
# Bounded: the first usable key ends it.
_ANY_USABLE = """
SELECT key_id FROM api_keys
WHERE revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?1) LIMIT 1
"""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is stored of a key.

    Attributes:
        key_hash: SHA-256 of the key, hexadecimal.
        is_admin: Whether its role is admin, not reader.
        sites: Sites it may read; None for all.
        expires_ms, revoked_ms, last_used_ms: Epoch milliseconds; None where it isn't so.
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
    """Finds keys; they are made and revoked by `scripts/api_key.py`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key_hash: str) -> ApiKey | None:
        """
        Return the key with this hash, usable or not.

        Raises:
            Unavailable: the database does not answer, or its row is not as it must be.
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
        """Keep when a key was last used."""
        await self._database.batch([Statement(_TOUCH, (key_id, now_ms))])

    async def is_any_usable(self, now_ms: int) -> bool:
        """Return whether anybody could be let in."""
        return bool(await self._database.rows(_ANY_USABLE, now_ms))


def _read_sites(text: str) -> frozenset[str] | None:
    """Return the sites of a row: `*` for all (None), or a JSON array of names."""
    if text == "*":
        return None
    try:
        return frozenset(msgspec.json.decode(text, type=list[str]))
    except msgspec.MsgspecError as error:
        # A row that a hand has spoilt must let nobody in, and must not pass for a wrong key.
        raise Unavailable(
            "an API key's row is spoilt: its sites are neither * nor a list"
        ) from error
