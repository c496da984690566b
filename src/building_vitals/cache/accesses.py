"""
Notes when objects were last read, for the clean-up.

No hit waits for it, and few take a write: of an object that was stored or noted lately nothing is
noted, and of the others once in a part of the age at which the clean-up may delete them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from building_vitals.cache.coverage import Cover
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.errors import AppError
from building_vitals.instants import is_recent
from building_vitals.ports import Invocation

# Objects of which an isolate remembers that their access was noted.
OBJECTS_REMEMBERED_MAX = 10_000


class AccessMemory:
    """When the access of objects was last noted, as far as an isolate knows."""

    def __init__(self) -> None:
        self._noted: OrderedDict[str, int] = OrderedDict()

    def noted_ms(self, key: str) -> int:
        """Return when an object's access was noted; 0 for never."""
        return self._noted.get(key, 0)

    def note(self, keys: Iterable[str], now_ms: int) -> None:
        """Remember that it has been noted."""
        for key in keys:
            self._noted[key] = now_ms
            self._noted.move_to_end(key)
        while len(self._noted) > OBJECTS_REMEMBERED_MAX:
            self._noted.popitem(last=False)


class Accesses:
    """Notes accesses."""

    def __init__(
        self,
        *,
        index: SegmentIndex,
        memory: AccessMemory,
        freshness: Freshness,
        invocation: Invocation,
    ) -> None:
        self._index = index
        self._memory = memory
        self._every_ms = freshness.note_every_ms
        self._clock = invocation.clock
        self._on_fault = invocation.on_fault

    def due(self, covered: Iterable[Cover]) -> list[str]:
        """Return the objects of covers whose access is to be noted."""
        now_ms = self._clock.now_ms()
        found: dict[str, None] = {}
        for each in covered:
            for segment, _ in each.known:
                # What was fetched lately was stored lately.
                if segment.key and not is_recent(segment.fetched_ms, now_ms, self._every_ms):
                    found[segment.key] = None
        return [
            key
            for key in found
            if not is_recent(self._memory.noted_ms(key), now_ms, self._every_ms)
        ]

    async def note(self, keys: Sequence[str]) -> None:
        """Note that objects are being read; failures are reported."""
        now_ms = self._clock.now_ms()
        try:
            await self._index.note_access(keys, now_ms=now_ms, before_ms=now_ms - self._every_ms)
        except AppError as error:
            # The next answer tries again.
            self._on_fault("access", error)
            return
        self._memory.note(keys, now_ms)
