"""
What an operator may set of the services; `platform.settings` reads it from the vars.
"""

from __future__ import annotations

import msgspec

from building_vitals.cache.fetch_plan import Freshness


class CacheOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of the cache.

    Attributes:
        default_ttl: Seconds that provisional data count as known.
        max_cache_age: Seconds that settled data count as known.
        settle_after: Age in seconds at which data are settled when fetched.
        stale_grace: Seconds that expired data are kept for when the upstream fails.
        compression: Store frames deflated; without, they are stored blocks.
        lease_seconds: Seconds after which a fetch whose holder is silent may be taken over.
    """

    default_ttl: int = 3600
    max_cache_age: int = 86_400
    settle_after: int = 7200
    stale_grace: int = 86_400
    compression: bool = True
    lease_seconds: int = 30

    def freshness(self) -> Freshness:
        """
        Return the same in milliseconds.
        """
        return Freshness(
            settle_after_ms=self.settle_after * 1000,
            settled_ttl_ms=self.max_cache_age * 1000,
            provisional_ttl_ms=self.default_ttl * 1000,
            grace_ms=self.stale_grace * 1000,
        )


class RoutingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of the routing.

    Attributes:
        small_threshold: Estimated samples below which a request is answered directly.
        large_threshold: Estimated samples above which it becomes a job.
        direct_timeout: Milliseconds that an answer may wait for the upstream.
        cache_timeout: Milliseconds after which a cache look-up is given up.
        page_size: Samples on a page of the upstream.
    """

    small_threshold: int = 1000
    large_threshold: int = 100_000
    direct_timeout: int = 30_000
    cache_timeout: int = 5000
    page_size: int = 50_000


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of jobs.

    Attributes:
        max_retries: Attempts of a chunk after the first.
        retry_delay: Milliseconds before the first of them; doubles each time.
        batch_size: Points in a chunk, at most.
        max_active_jobs: Jobs of one key that may be unfinished at once.
        max_queued_samples: Estimated samples of them together.
    """

    max_retries: int = 3
    retry_delay: int = 1000
    batch_size: int = 50
    max_active_jobs: int = 20
    max_queued_samples: int = 50_000_000
