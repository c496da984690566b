"""
What stands before a fetch: a limit of its size, and its cost, which the caller's allowance pays.

Separate from the filler because it decides whether a fetch begins, and the filler how.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from building_vitals.cache.estimates import fetch_cost, longest_that_fits, missing_samples
from building_vitals.cache.need import Need
from building_vitals.errors import TooLarge
from building_vitals.ranges import Range
from building_vitals.upstream.port import Upstream

# Takes the cost of a fetch, in samples, or raises RateLimited.
Charge = Callable[[int], Awaitable[None]]


class Toll:
    """Has the cost of fetches charged; with *charge* None, they are free."""

    def __init__(self, upstream: Upstream, charge: Charge | None) -> None:
        self._upstream = upstream
        self._charge = charge

    async def pay(self, need: Need, missing: Mapping[str, Sequence[Range]]) -> None:
        """
        Return when the gaps of points may be fetched.

        Raises:
            RateLimited: the caller may not have so much fetched now.
        """
        if self._charge is None:
            return
        costs = await self._upstream.costs(need.site)
        points_ms = [sum(each.duration_ms for each in ranges) for ranges in missing.values()]
        await self._charge(fetch_cost(points_ms, costs.samples_per_day))


def require_size(need: Need, missing: Mapping[str, Sequence[Range]]) -> None:
    """
    Return when the gaps of a need are small enough.

    Raises:
        TooLarge: they are not; the text says what is.
    """
    most = need.fetched_max
    if most is None or (samples := missing_samples(missing)) <= most:
        return
    raise TooLarge(
        f"route=cached fetches at most {most:,} estimated samples; here {samples:,} are not known: "
        f"leave out route=, or ask for at most {longest_that_fits(len(missing), most)} of these "
        "points"
    )
