"""Options of the cache; `settings` reads them from the vars."""

from __future__ import annotations

import msgspec

from building_vitals.cache.freshness import Freshness


class CacheOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of the cache.

    Attributes:
        default_ttl: Seconds that provisional data count as known.
        max_cache_age: Seconds that settled data count as known.
        settle_after: Age in seconds at which data are settled when fetched.
        stale_grace: Seconds that expired data are kept for when the upstream fails.
        compression: Store datasets compressed; segments always are.
        lease_seconds: Seconds after which a fetch whose holder is silent may be taken over.
    """

    default_ttl: int = 3600
    max_cache_age: int = 86_400
    settle_after: int = 7200
    stale_grace: int = 86_400
    compression: bool = True
    lease_seconds: int = 10

    def freshness(self) -> Freshness:
        """Return the same in milliseconds."""
        return Freshness(
            settle_after_ms=self.settle_after * 1000,
            settled_ttl_ms=self.max_cache_age * 1000,
            provisional_ttl_ms=self.default_ttl * 1000,
            grace_ms=self.stale_grace * 1000,
        )
