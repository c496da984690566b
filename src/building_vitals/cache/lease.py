"""
The right to fetch, as others see it and as its holder does.

Separate from the table because what is decided by leases is decided without a database.
"""

from __future__ import annotations

import msgspec

from building_vitals.instants import MINUTE_MS
from building_vitals.ranges import Range

# No fetch is stored later after it began: DIRECT_TIMEOUT ends those of requests, a consumer those
# of its messages, and the platform a consumer.
# https://developers.cloudflare.com/queues/platform/limits/
FETCH_MS_MAX = 15 * MINUTE_MS
# Gaps of points, by time.
Gaps = dict[str, list[Range]]


class Lease(msgspec.Struct, frozen=True):
    """
    The right to fetch *points* over *time_range* until *expires_ms*.

    Attributes:
        begun_ms: When it was taken.
        ends_ms: When its holder expects to be ready.
        is_background: Whether it is for a job, so that nobody waits for it.
    """

    lease_id: str
    site: str
    points: tuple[str, ...]
    time_range: Range
    expires_ms: int
    begun_ms: int = 0
    ends_ms: int = 0
    is_background: bool = False


class OtherLease(msgspec.Struct, frozen=True):
    """
    A lease that is in the way of another one, or the record of a fetch that failed.

    Attributes:
        lease_id: Its name.
        shared: The points that both are for.
        points_count: Its points.
        time_range: Its range.
        expires_ms, begun_ms, ends_ms: As of a `Lease`.
        failure: How its fetch failed, as JSON; None while it goes on.
    """

    lease_id: str
    shared: tuple[str, ...]
    points_count: int
    time_range: Range
    expires_ms: int
    begun_ms: int
    ends_ms: int
    failure: str | None = None


def span(missing: Gaps) -> Range:
    """Return the range that holds all gaps; there must be one."""
    return Range(
        min(ranges[0].start_ms for ranges in missing.values()),
        max(ranges[-1].end_ms for ranges in missing.values()),
    )
