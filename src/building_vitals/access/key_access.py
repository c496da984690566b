"""Who is let in: everybody, or whoever has a valid key."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from building_vitals.access.api_keys import NOT_VALID, hash_key, read_key
from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.access.keys_table import ApiKey, ApiKeys
from building_vitals.errors import AppError, Unauthorized
from building_vitals.ports import Invocation

# How long a revocation may go unnoticed at most.
KNOWN_MS = 30_000
# How long a new key may go unnoticed by an isolate that has refused it before.
UNKNOWN_MS = 5_000
# Of each kind. A stranger's tries push out one another, never a key that is known.
REMEMBERED_MAX = 1000
# Finer than this nobody needs to know when a key was last used; coarser costs fewer writes.
USE_NOTED_MS = 3_600_000


class Access(Protocol):
    """Decides who asks: the one place."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """
        Return the caller of a request.

        Raises:
            Unauthorized: it has no key, or none that is valid.
            Unavailable: it has one, but nobody can say whether it is valid.
        """
        ...


class OpenAccess:
    """The mode `open`: everybody may do everything."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller that everybody is."""
        return ANYBODY


class _Memory(NamedTuple):
    """What D1 said of a hash, and until when that counts; None for no such key."""

    key: ApiKey | None
    until_ms: int


class KeyMemory:
    """What an isolate remembers of keys, from one request to the next: plain data, by hash."""

    def __init__(self) -> None:
        self._known: dict[str, _Memory] = {}
        self._unknown: dict[str, _Memory] = {}

    def recall(self, key_hash: str, now_ms: int) -> _Memory | None:
        """Return what is remembered, unless its time is over."""
        memory = self._known.get(key_hash) or self._unknown.get(key_hash)
        return memory if memory is not None and now_ms < memory.until_ms else None

    def remember(self, key_hash: str, key: ApiKey | None, now_ms: int) -> None:
        """Remember what D1 said, for as long as it may count."""
        self._known.pop(key_hash, None)
        self._unknown.pop(key_hash, None)
        is_known = key is not None and key.is_usable(now_ms)
        kept, lasts_ms = (self._known, KNOWN_MS) if is_known else (self._unknown, UNKNOWN_MS)
        if len(kept) >= REMEMBERED_MAX:
            # The oldest: a dict keeps the order of insertion.
            del kept[next(iter(kept))]
        kept[key_hash] = _Memory(key, now_ms + lasts_ms)

    def __len__(self) -> int:
        """Return how many hashes are remembered."""
        return len(self._known) + len(self._unknown)


class KeyAccess:
    """The mode `keys`: a caller is who its API key says."""

    def __init__(
        self,
        *,
        keys: ApiKeys,
        memory: KeyMemory,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            memory: Outlives the request.
        """
        self._keys = keys
        self._memory = memory
        self._clock = invocation.clock
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """
        Return the caller of a request.

        Raises:
            Unauthorized: it has no key, or none that is valid.
            Unavailable: the key is not remembered, and the database does not answer.
        """
        key_hash = hash_key(read_key(headers))
        now_ms = self._clock.now_ms()
        memory = self._memory.recall(key_hash, now_ms)
        key = memory.key if memory is not None else await self._look_up(key_hash, now_ms)
        # The index has found the row already; this is for the day a look-up is less exact.
        if key is None or not hmac.compare_digest(key.key_hash, key_hash):
            raise Unauthorized(NOT_VALID)
        if not key.is_usable(now_ms):
            raise Unauthorized(NOT_VALID)
        return Caller(
            key_id=key.key_id,
            is_admin=key.is_admin,
            # An administrator sees what lies in the cache of every site, so no list binds it.
            sites=None if key.is_admin else key.sites,
        )

    async def _look_up(self, key_hash: str, now_ms: int) -> ApiKey | None:
        key = await self._keys.find(key_hash)
        self._memory.remember(key_hash, key, now_ms)
        if key is not None and key.is_usable(now_ms):
            used_ms = key.last_used_ms
            if used_ms is None or now_ms - used_ms >= USE_NOTED_MS:
                self._run_later(self._note_use(key.key_id, now_ms))
        return key

    async def _note_use(self, key_id: str, now_ms: int) -> None:
        try:
            await self._keys.note_use(key_id, now_ms)
        except AppError as error:
            self._on_fault("note-use", error)
