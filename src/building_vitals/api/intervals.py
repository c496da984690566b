"""
What is wrong with a wish for buckets: rules between parameters, zones and numbers of buckets.

Imported late, as what it needs of calendars and zones: few requests have intervals.
"""

from __future__ import annotations

from collections.abc import Iterator

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.api import interval_parameters as ip
from building_vitals.api import parameters as p
from building_vitals.api.parameters import shown
from building_vitals.errors import Problem
from building_vitals.nearest import KnownNames
from building_vitals.ranges import Range
from building_vitals.series.buckets import (
    UTC_NAME,
    expected_buckets,
    parse_interval,
    zone_names,
)

# The hours of 20 years fit. Where the format tells their number first, the rows of one point are
# held as bytes until then.
BUCKETS_MAX = 200_000


def interval_problems(request: TimeseriesRequest, time_range: Range | None) -> Iterator[Problem]:
    """
    Yield all that is wrong with a request's interval, aggregates and time zone.

    Args:
        request: Its values are allowed, each for itself.
        time_range: None where it is not known.
    """
    if request.tz is not None and request.tz != UTC_NAME and request.tz not in zone_names():
        yield Problem(ip.TZ.name, _unknown_zone(request.tz))
    if request.interval is None:
        for name in (ip.AGGREGATE.name, ip.TZ.name):
            if getattr(request, name) is not None:
                yield Problem(name, "says nothing without interval: give both, or leave it out")
        return
    if request.max_points is not None:
        yield Problem(
            p.MAX_POINTS.name,
            "chooses samples, and with interval there are none: leave out one of the two",
        )
    try:
        interval = parse_interval(request.interval)
    except ValueError as error:
        yield Problem(ip.INTERVAL.name, f"{error}; {ip.INTERVAL.allowed}")
        return
    buckets = 0 if time_range is None else expected_buckets(interval, time_range)
    if buckets > BUCKETS_MAX:
        yield Problem(
            ip.INTERVAL.name,
            f"too many buckets: about {buckets:,} of each point; {BUCKETS_MAX:,} are allowed: ask "
            "for a longer interval or a shorter range",
        )


def _unknown_zone(name: str) -> str:
    said = f"unknown time zone: {shown(name)}"
    meant = KnownNames(sorted(zone_names())).nearest(name)
    return f"{said}; {ip.TZ.allowed}" if meant is None else f"{said}; the nearest is {meant}"
