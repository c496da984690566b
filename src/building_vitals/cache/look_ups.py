"""
What the index said a moment ago, kept in the isolate's memory.

A chart that many people watch asks the index the same question many times a second; one of them
asks for all. Truth stays in the database: an answer is believed for a second, in this isolate
alone, and only as to what is known. Gaps are always looked up again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

BELIEVED_MS = 1000
ANSWERS_MAX = 128


class LookUps:
    """Keeps the latest look-ups, and the answers made of them."""

    def __init__(self, believed_ms: int = BELIEVED_MS) -> None:
        self._believed_ms = believed_ms
        self._found: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self._forgotten = 0

    @property
    def generation(self) -> int:
        """What `keep` is to be given that was read before the index was asked."""
        return self._forgotten

    def find(self, key: Hashable, now_ms: int) -> Any | None:
        """Return an answer that was found a moment ago; None when none was."""
        kept = self._found.get(key)
        if kept is None or not 0 <= now_ms - kept[0] < self._believed_ms:
            return None
        return kept[1]

    def keep(self, key: Hashable, answer: Any, found_ms: int, generation: int) -> None:
        """Keep an answer found at *found_ms*, unless all was forgotten since that *generation*."""
        if generation != self._forgotten:
            return
        self._found[key] = (found_ms, answer)
        self._found.move_to_end(key)
        # By age: what is no longer believed only takes memory.
        oldest_ms = found_ms - self._believed_ms
        while len(self._found) > ANSWERS_MAX or next(iter(self._found.values()))[0] < oldest_ms:
            self._found.popitem(last=False)

    def forget(self) -> None:
        """Forget everything: something has been removed from the index."""
        self._forgotten += 1
        self._found.clear()
