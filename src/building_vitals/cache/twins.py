"""
Direct fetches that are under way in this isolate: who asks for the same takes over what they get.

Plain data, which those who wait look at by timers of their own: what one request resolves for
another would run in the wrong one's context. A fetch belongs to the request that leads it, which
may die at any moment, so each says now and then that it goes on.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from building_vitals.cache.failures import FetchFailure
from building_vitals.cache.need import LIVE_EDGE_MS, Filling, Need

# A leader says so often that it goes on, and who was silent for so long is dead.
BEAT_MS = 500
SILENT_MS = 2_000
# Looks of all who wait for a fetch are so far apart: they must not take its time from it.
LOOK_MS = 8
LOOK_MS_MIN = 25
LOOK_MS_MAX = 400


class TwinFetch(msgspec.Struct, eq=False):
    """
    A fetch that others may take over.

    Attributes:
        need: Of the request that leads it.
        seen_ms: When that was last heard of.
        waiting: How many wait for it.
        filling: What it got, once it has ended.
        failure: How it failed, where that says something of the upstream.
        has_ended: Whether it has, somehow.
    """

    need: Need
    seen_ms: int
    waiting: int = 0
    filling: Filling | None = None
    failure: FetchFailure | None = None
    has_ended: bool = False

    @property
    def pause_ms(self) -> int:
        """How long each who waits does so between two looks."""
        return min(max(LOOK_MS * self.waiting, LOOK_MS_MIN), LOOK_MS_MAX)

    def is_alive(self, now_ms: int) -> bool:
        """Return whether it goes on, as far as anybody knows."""
        return not self.has_ended and now_ms - self.seen_ms < SILENT_MS

    def serves(self, need: Need) -> bool:
        """
        Return whether what it gets is what a need would get.

        Of a range that reaches the present, what has happened since it began would be missing.
        """
        is_past = need.time_range.end_ms <= self.need.now_ms
        return is_past or 0 <= need.now_ms - self.need.now_ms < LIVE_EDGE_MS

    def heritage_of(self, need: Need) -> Filling | None:
        """Return what it got as the filling of a need, which made no request for it."""
        if self.filling is None:
            return None
        covers = {each.point: each for each in self.filling.covers}
        return msgspec.structs.replace(
            self.filling,
            covers=[covers[point] for point in need.points],
            fresh=dict(self.filling.fresh),
            upstream_requests=0,
        )


class Twins:
    """The fetches by what they are for: site, points in any order, range."""

    def __init__(self) -> None:
        self._fetches: dict[Hashable, TwinFetch] = {}

    def of(self, need: Need, now_ms: int) -> TwinFetch | None:
        """Return the fetch that a need may wait for, if there is one."""
        found = self._fetches.get(_key(need))
        if found is None or not found.is_alive(now_ms) or not found.serves(need):
            return None
        return found

    def begin(self, need: Need, now_ms: int) -> TwinFetch:
        """Note a fetch; one that was there before has died, or is too old for the need."""
        self._fetches = {key: each for key, each in self._fetches.items() if each.is_alive(now_ms)}
        fetch = self._fetches[_key(need)] = TwinFetch(need, now_ms)
        return fetch

    def end(self, fetch: TwinFetch) -> None:
        """Note that a fetch has ended; those who wait for it hold it, and nobody else joins."""
        fetch.has_ended = True
        if self._fetches.get(_key(fetch.need)) is fetch:
            del self._fetches[_key(fetch.need)]


def _key(need: Need) -> Hashable:
    return need.site, frozenset(need.points), need.time_range
