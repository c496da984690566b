"""
Which route a request takes: a small one by its size, others by what of them is not known.

The second half is decided where the index has been asked: `service` raises `LargeGaps`.
"""

from __future__ import annotations

import msgspec

from building_vitals.answers.question import Route, TimeseriesRequest
from building_vitals.cache.need import Need


def choose_route(estimate: int, override: Route | None, small_threshold: int) -> Route:
    """
    Return the route for a request, as long as nobody knows what of it is missing.

    Args:
        estimate: Its estimated samples.
        override: What the request asks for; taken as it is.
        small_threshold: From this many on, a request is cached, or a job if much is missing.
    """
    if override is not None:
        return override
    return "direct" if estimate < small_threshold else "cached"


def needs_job(missing: int, override: Route | None, large_threshold: int) -> bool:
    """
    Return whether so much is missing of a cached request that it is fetched in the background.

    Args:
        missing: Estimated samples that are not known.
        override: What the request asks for: by name, it is refused rather than made a job.
        large_threshold: As many are still fetched for an answer.
    """
    return override is None and missing > large_threshold


class LargeGaps(Exception):
    """
    A request is a job's: what is missing of it has to be fetched in the background.

    Attributes:
        missing: Estimated samples that are not known.
    """

    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} samples are not known")
        self.missing = missing


class RoutingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of the routing.

    Attributes:
        small_threshold: Estimated samples below which a request is answered directly.
        large_threshold: Estimated samples that are not known, above which it becomes a job.
        direct_timeout: Milliseconds that an answer may wait for the upstream.
        cache_timeout: Milliseconds after which a cache look-up is given up.
    """

    small_threshold: int = 1000
    large_threshold: int = 100_000
    direct_timeout: int = 30_000
    cache_timeout: int = 5000


def need_of(request: TimeseriesRequest, options: RoutingOptions, now_ms: int) -> Need:
    """Return the need of a request, as of now."""
    level_samples = 0
    if request.max_points is not None:
        # As app.py says: most answers have all samples.
        from building_vitals.cache import zooming

        level_samples = zooming.level_samples(request.max_points)
    elif request.aggregation is not None:
        # The same.
        from building_vitals.cache.rollup_plans import rollup_samples

        wish = request.aggregation
        level_samples = rollup_samples(
            wish.interval, wish.aggregates, wish.zone_name, request.time_range
        )
    return Need(
        site=request.site,
        points=request.points,
        time_range=request.time_range,
        now_ms=now_ms,
        deadline_ms=now_ms + (request.timeout_ms or options.direct_timeout),
        # Who leaves the route to the Worker is not refused: too much becomes a job.
        fetched_max=options.large_threshold if request.route == "cached" else None,
        level_samples=level_samples,
        is_fresh=request.is_fresh,
    )
