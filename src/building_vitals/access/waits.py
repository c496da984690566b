"""Counts the requests that wait in an isolate for their jobs."""

from __future__ import annotations

# One that may not wait is answered 202 at once: that is no error.
WAITS_PER_KEY_MAX = 20
WAITS_MAX = 100
# A wait that shows no sign of life for so long no longer counts: its client left without a word, or
# its invocation was ended from outside.
LIFE_SIGN_MS = 10_000


class OpenWaits:
    """
    The waits of all keys, and when each was last heard of; plain data.

    Each isolate counts by itself: what a wait costs is its place in an isolate, and its looks.
    """

    def __init__(self) -> None:
        self._seen_ms: dict[tuple[str, str], int] = {}

    def enter(self, key_id: str, wait_id: str, now_ms: int) -> bool:
        """Count a wait; return whether there is room for it, and it is counted."""
        self._seen_ms = {
            wait: seen_ms
            for wait, seen_ms in self._seen_ms.items()
            if now_ms - seen_ms < LIFE_SIGN_MS
        }
        own = sum(key == key_id for key, _ in self._seen_ms)
        if own >= WAITS_PER_KEY_MAX or len(self._seen_ms) >= WAITS_MAX:
            return False
        self._seen_ms[key_id, wait_id] = now_ms
        return True

    def touch(self, key_id: str, wait_id: str, now_ms: int) -> None:
        """Note that a wait is alive; one that has ended stays so."""
        if (key_id, wait_id) in self._seen_ms:
            self._seen_ms[key_id, wait_id] = now_ms

    def leave(self, key_id: str, wait_id: str) -> None:
        """Count a wait no longer; one that has ended already does no harm."""
        self._seen_ms.pop((key_id, wait_id), None)

    def count(self, key_id: str) -> int:
        """Return how many waits of a key count."""
        return sum(key == key_id for key, _ in self._seen_ms)
