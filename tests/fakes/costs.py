"""Costs of fetches from an upstream that filters: what is asked for, in pages of one size."""

from __future__ import annotations

from dataclasses import dataclass

from building_vitals.instants import DAY_MS


@dataclass(frozen=True)
class SteadyCosts:
    """A `FetchCosts` of pages that hold only what was asked for."""

    page_size: int
    samples_per_day: float = 288.0

    @property
    def pages_per_day(self) -> float | None:
        """Nothing: how large the site is does not matter."""
        return None

    def requests(self, points_count: int, duration_ms: int) -> int:
        """Return the pages, rounded up; at least one."""
        samples = points_count * duration_ms * self.samples_per_day / DAY_MS
        return max(1, -int(-samples // self.page_size))

    def takes_site(self, points_count: int, duration_ms: int) -> bool:
        """Return that pages hold what was asked for alone."""
        return False

    def is_all_of_site(self, points_count: int) -> bool:
        """Return that nothing is known of the site."""
        return False

    def fetch_ms(self, points_count: int, duration_ms: int) -> int:
        """Return a second for each page."""
        return 1000 * self.requests(points_count, duration_ms)
