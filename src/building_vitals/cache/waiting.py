"""
Who waits for somebody else's fetch, in this isolate: the next who fetches does so for them too.

Without it, fifty charts that overlap would be fetched one sliver after the other. Plain data of
this isolate alone: those who wait elsewhere are served by the leases, a little later.
"""

from __future__ import annotations

from building_vitals.cache.lease import Lease
from building_vitals.cache.need import Need

# A request that died while it waited is not fetched for.
WAITING_MAX = 500
# Looks of all who wait in an isolate are so far apart: they must not take its time from the fetch.
LOOK_MS = 8
PAUSE_MS_MAX = 400


class Waiting:
    """Needs that wait."""

    def __init__(self) -> None:
        self._needs: dict[str, Need] = {}

    def add(self, waiter: str, need: Need, now_ms: int) -> None:
        """Let a need wait; those whose time was over have died without a word."""
        if waiter not in self._needs:
            living = self._needs.items()
            self._needs = {name: each for name, each in living if each.deadline_ms > now_ms}
        if len(self._needs) < WAITING_MAX:
            self._needs[waiter] = need

    def remove(self, waiter: str) -> None:
        """Let it wait no longer."""
        self._needs.pop(waiter, None)

    @property
    def pause_ms(self) -> int:
        """How long each waits at least between two looks."""
        return min(LOOK_MS * len(self._needs), PAUSE_MS_MAX)

    def behind(self, lease: Lease, now_ms: int) -> list[Need]:
        """Return the needs that the holder of a lease keeps waiting."""
        leased = set(lease.points)
        return [
            need
            for need in self._needs.values()
            if need.site == lease.site
            and need.deadline_ms > now_ms
            and need.time_range.clip(lease.time_range) is not None
            and not leased.isdisjoint(need.points)
        ]
