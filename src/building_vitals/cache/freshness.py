"""How long what was fetched counts as known."""

from __future__ import annotations

import msgspec


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

    def is_settled(self, end_ms: int, fetched_ms: int) -> bool:
        """Return whether all of a segment that ends at *end_ms* was settled when fetched."""
        return end_ms <= fetched_ms - self.settle_after_ms

    def expires_ms(self, end_ms: int, fetched_ms: int) -> int:
        """Return when a segment that ends at *end_ms* stops being known."""
        is_settled = self.is_settled(end_ms, fetched_ms)
        return fetched_ms + (self.settled_ttl_ms if is_settled else self.provisional_ttl_ms)
