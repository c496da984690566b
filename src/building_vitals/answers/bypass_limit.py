"""
How many requests of an isolate go past the cache at once.

While D1 or R2 is down, every chart would ask the upstream for itself: a few may, and the others are
told when to come again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from building_vitals.errors import Unavailable

BYPASSES_MAX = 4
RETRY_AFTER_S = 5


class BypassLimit:
    """Plain data of the isolate; a request that died in the middle counts until its deadline."""

    def __init__(self) -> None:
        self._deadlines_ms: dict[object, int] = {}

    @contextmanager
    def one(self, now_ms: int, deadline_ms: int) -> Iterator[None]:
        """
        Count one for as long as the block lasts.

        Raises:
            Unavailable: there are as many as may be.
        """
        living = {key: until for key, until in self._deadlines_ms.items() if until > now_ms}
        if len(living) >= BYPASSES_MAX:
            raise Unavailable(
                "the cache is down, and as many requests as may go past it do so already",
                retry_after_s=RETRY_AFTER_S,
            )
        self._deadlines_ms, key = living, object()
        self._deadlines_ms[key] = deadline_ms
        try:
            yield
        finally:
            self._deadlines_ms.pop(key, None)
