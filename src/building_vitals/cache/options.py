"""Options of the cache; `settings` reads them from the vars."""

from __future__ import annotations

import msgspec

from building_vitals.cache.freshness import LATENESS_MS, Freshness

# Stored bytes of about 1,500 samples: a day of samples a minute, a week of one each five minutes.
SLIVER_BYTES = 8_192


class CacheOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of the cache.

    Attributes:
        default_ttl: Seconds that lists of sites and points count as known.
        max_cache_age: Seconds since the last access after which the clean-up may delete.
        trust_ratio: How many times longer than its age when fetched a sample is trusted.
        trust_max: Seconds that it is trusted at the most.
        lateness: Seconds that samples come late, as a rule; None: as is learned of each site.
        stale_grace: Seconds that what is no longer trusted may stand in when the upstream fails.
        compression: Store datasets compressed; segments always are.
        sliver_bytes: Most stored bytes of a segment that lies in its row; 0: none does.
        lease_seconds: Seconds after which a fetch whose holder is silent may be taken over.
        min_refetch: Seconds within which what was fetched up to the present is not asked for again,
            unless its points are collected oftener.
    """

    default_ttl: int = 3600
    max_cache_age: int = 2_592_000
    trust_ratio: float = 2.0
    trust_max: int = 7_776_000
    lateness: int | None = None
    stale_grace: int = 86_400
    compression: bool = True
    sliver_bytes: int = SLIVER_BYTES
    lease_seconds: int = 10
    min_refetch: int = 5

    def freshness(self) -> Freshness:
        """Return the rule with these values."""
        return Freshness(
            trust_ratio=self.trust_ratio,
            trust_max_ms=self.trust_max * 1000,
            lateness_ms=LATENESS_MS if self.lateness is None else self.lateness * 1000,
            is_learned=self.lateness is None,
            grace_ms=self.stale_grace * 1000,
            max_age_ms=self.max_cache_age * 1000,
        )
