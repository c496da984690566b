"""
How long what was fetched counts as known: the one place that decides it, in Python and in SQL.

A fetch is split where settled data end, so a segment's first millisecond says whether all of it was
settled. Its end does not: joined segments count as fetched when their oldest part was, and the end
of the youngest one was not settled then.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from building_vitals.cache.segments import Segment

# Stretches of a life within which fetches count as one when segments are joined. More would take
# less of the parts' lives, and leave more rows: each point has at most one a stretch.
STRETCHES = 24


class Freshness(msgspec.Struct, frozen=True):
    """
    How long what was fetched counts as known; milliseconds.

    Attributes:
        settle_after_ms: Age at which data were settled when fetched.
        settled_ttl_ms: How long settled data are kept (`max_cache_age`).
        provisional_ttl_ms: How long data are kept that were not (`default_ttl`).
        grace_ms: How long expired data may still stand in when the upstream fails.
    """

    settle_after_ms: int
    settled_ttl_ms: int
    provisional_ttl_ms: int
    grace_ms: int

    def settled_until_ms(self, fetched_ms: int) -> int:
        """Return up to which instant data are settled that are fetched at *fetched_ms*."""
        return fetched_ms - self.settle_after_ms

    def expires_ms(self, segment: Segment) -> int:
        """Return when a segment stops being known."""
        return segment.fetched_ms + self._ttl_ms(segment)

    def kept_until_ms(self, segment: Segment) -> int:
        """Return when a segment may go, its grace over; `kept_until_sql` says the same in SQL."""
        return self.expires_ms(segment) + self.grace_ms

    def is_known(self, segment: Segment, now_ms: int) -> bool:
        """Return whether a segment answers requests."""
        return now_ms < self.expires_ms(segment)

    def is_kept(self, segment: Segment, now_ms: int) -> bool:
        """Return whether a segment may stand in when the upstream fails."""
        return now_ms < self.kept_until_ms(segment)

    def cohort(self, segment: Segment) -> Hashable:
        """
        Return what segments have in common that may be joined.

        They are of one kind, settled or provisional, and were fetched within the same short
        stretch of time: the whole expires as early as its oldest part, so a stretch is the most
        that joining takes of a part's life. What came by point and what came of pages may be other
        samples.
        """
        stretch = segment.fetched_ms // max(self._ttl_ms(segment) // STRETCHES, 1)
        return self._is_settled(segment), segment.is_by_point, stretch

    @property
    def sql_values(self) -> tuple[int, ...]:
        """The values of the parameters in `kept_until_sql`."""
        limits = (self.settle_after_ms, self.settled_ttl_ms, self.provisional_ttl_ms)
        return (*limits, self.grace_ms)

    def _is_settled(self, segment: Segment) -> bool:
        return segment.start_ms < self.settled_until_ms(segment.fetched_ms)

    def _ttl_ms(self, segment: Segment) -> int:
        return self.settled_ttl_ms if self._is_settled(segment) else self.provisional_ttl_ms


def kept_until_sql(first: int) -> str:
    """
    Return `Freshness.kept_until_ms` as an SQL expression over a row of `cache_segments`.

    Args:
        first: Number of the first of its parameters, whose values are `Freshness.sql_values`.
    """
    settle_after, settled_ttl, provisional_ttl, grace = (f"?{first + n}" for n in range(4))
    is_settled = f"start_ms < fetched_ms - {settle_after}"
    ttl = f"CASE WHEN {is_settled} THEN {settled_ttl} ELSE {provisional_ttl} END"
    return f"(fetched_ms + {ttl} + {grace})"
