"""
What fetches cost, as plans ask for it.

Separate from the port because plans only reckon: nothing here is asked of the upstream.
"""

from __future__ import annotations

from typing import Protocol


class FetchCosts(Protocol):
    """The cost of fetches of one site, as far as it is known."""

    @property
    def samples_per_day(self) -> float:
        """Samples of one point in a day, estimated."""
        ...

    @property
    def pages_per_day(self) -> float | None:
        """Pages that hold all samples of the site in a day; None where nothing tells."""
        ...

    def requests(self, points_count: int, duration_ms: int) -> int:
        """Return how many requests a fetch takes, by the cheaper way; at least 1."""
        ...

    def takes_site(self, points_count: int, duration_ms: int) -> bool:
        """Return whether the cheaper way is that of the pages that hold the whole site."""
        ...

    def is_all_of_site(self, points_count: int) -> bool:
        """Return whether the site is known to have no more points than so many."""
        ...

    def fetch_ms(self, points_count: int, duration_ms: int) -> int:
        """Return how long a fetch takes, by the cheaper way: milliseconds, estimated."""
        ...
