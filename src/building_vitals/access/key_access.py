"""Identifies callers: everybody in the mode `open`, holders of valid keys in the mode `keys`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from building_vitals.access.api_keys import NOT_VALID, hash_key, read_key
from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.access.keys_table import ApiKey, ApiKeys
from building_vitals.errors import AppError, Unauthorized
from building_vitals.instants import is_recent
from building_vitals.ports import Invocation

# Longest time that a revocation may go unnoticed.
KNOWN_MS = 30_000
# Longest time that an isolate which has refused a key goes on refusing it.
UNKNOWN_MS = 5_000
# Valid keys, and refused ones: tries of a stranger push out each other, never a valid key.
REMEMBERED_MAX = 1000
# Precision of the time when a key was last used: a finer one costs more writes.
USE_NOTED_MS = 3_600_000


class Access(Protocol):
    """Identifies the caller of a request; no other code does."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """
        Return the caller of a request.

        Raises:
            Unauthorized: the request has no valid key.
            Unavailable: the request has a key, but the database cannot say whether it is valid.
        """
        ...

    async def identify_again(self, headers: Mapping[str, str]) -> Caller:
        """Do the same, without what the isolate remembers."""
        ...


class OpenAccess:
    """The mode `open`: everybody may do everything."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return ANYBODY, whatever the headers."""
        del headers  # the port has them
        return ANYBODY

    async def identify_again(self, headers: Mapping[str, str]) -> Caller:
        """Return ANYBODY: the mode does not change."""
        return await self.identify(headers)


class _Memory(NamedTuple):
    """The key of a hash as D1 had it (None: no such key), when, and for how long it is believed."""

    key: ApiKey | None
    found_ms: int
    lasts_ms: int


class KeyMemory:
    """Remembers keys by their hash, from one request of an isolate to the next."""

    def __init__(self) -> None:
        self._known: dict[str, _Memory] = {}
        self._unknown: dict[str, _Memory] = {}

    def recall(self, key_hash: str, now_ms: int) -> _Memory | None:
        """Return the remembered key, or None when there is none or its time is over."""
        memory = self._known.get(key_hash) or self._unknown.get(key_hash)
        if memory is None or not is_recent(memory.found_ms, now_ms, memory.lasts_ms):
            return None
        return memory

    def remember(self, key_hash: str, key: ApiKey | None, now_ms: int) -> None:
        """Remember a valid key for KNOWN_MS, another one for UNKNOWN_MS."""
        self._known.pop(key_hash, None)
        self._unknown.pop(key_hash, None)
        is_known = key is not None and key.is_usable(now_ms)
        kept, lasts_ms = (self._known, KNOWN_MS) if is_known else (self._unknown, UNKNOWN_MS)
        if len(kept) >= REMEMBERED_MAX:
            # The oldest: a dict keeps the order of insertion.
            del kept[next(iter(kept))]
        kept[key_hash] = _Memory(key, now_ms, lasts_ms)

    def __len__(self) -> int:
        """Return how many hashes are remembered."""
        return len(self._known) + len(self._unknown)


class KeyAccess:
    """The mode `keys`: the API key identifies the caller."""

    def __init__(
        self,
        *,
        keys: ApiKeys,
        memory: KeyMemory,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            keys: The keys in D1.
            memory: The isolate's; outlives the request.
            invocation: Clock, work after the answer, faults.
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
            Unauthorized: the request has no valid key.
            Unavailable: the isolate does not remember the key, and the database does not answer.
        """
        key_hash = hash_key(read_key(headers))
        now_ms = self._clock.now_ms()
        memory = self._memory.recall(key_hash, now_ms)
        key = memory.key if memory is not None else await self._look_up(key_hash, now_ms)
        return self._caller(key, key_hash, now_ms)

    async def identify_again(self, headers: Mapping[str, str]) -> Caller:
        """Do the same by the database alone, so that a revocation takes effect."""
        key_hash = hash_key(read_key(headers))
        now_ms = self._clock.now_ms()
        return self._caller(await self._look_up(key_hash, now_ms), key_hash, now_ms)

    def _caller(self, key: ApiKey | None, key_hash: str, now_ms: int) -> Caller:
        # The index has found the row already; this holds even if a look-up becomes less exact.
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
