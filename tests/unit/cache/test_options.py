"""The options of the cache as the rule takes them."""

from __future__ import annotations

from building_vitals.cache.freshness import LATENESS_MS, Freshness
from building_vitals.cache.options import CacheOptions


def test_seconds_become_milliseconds() -> None:
    """A lateness that is fixed is not learned."""
    options = CacheOptions(
        trust_ratio=3.5, trust_max=20, lateness=7, stale_grace=9, max_cache_age=11
    )
    assert options.freshness() == Freshness(
        trust_ratio=3.5,
        trust_max_ms=20_000,
        lateness_ms=7_000,
        is_learned=False,
        grace_ms=9_000,
        max_age_ms=11_000,
    )
    assert CacheOptions(lateness=0).freshness().lateness_ms == 0


def test_lateness_is_learned_where_it_is_not_fixed() -> None:
    """A minute stands for it until then."""
    freshness = CacheOptions().freshness()
    assert (True, LATENESS_MS) == (freshness.is_learned, freshness.lateness_ms)
