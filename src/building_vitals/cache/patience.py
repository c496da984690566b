"""
How long to wait for somebody else's fetch: only while that is cheaper than to fetch oneself.

Pure: `filler` asks it each time that it finds a lease in its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from building_vitals.cache.fetch_plan import SIDE_BY_SIDE, UpstreamQuery
from building_vitals.cache.lease import Gaps, Lease, OtherLease
from building_vitals.ranges import Range, gaps, merge
from building_vitals.upstream.costs import FetchCosts

# How long to wait before looking again: a quarter of the time that the holder needs.
WAIT_MIN_MS = 25
WAIT_MAX_MS = 400
# Somebody else's fetch may take this much longer than one's own: it saves the upstream a request.
WAIT_RATIO = 1.3
# After a fetch has ended, what came is stored: that long, nobody thinks it late.
STORING_MS = 300
# A holder that has missed a heartbeat by this much counts as dead. A clock may step back by a
# second, and a database takes its time.
SILENCE_MS = 1_500
# What a holder does takes some calls one after the other, each as late as a look.
LAGS = 4


def plan_ms(fetches: Sequence[UpstreamQuery], costs: FetchCosts) -> int:
    """Return how long a plan probably takes: the longest of its fetches, or all of them in turn."""
    each = [costs.fetch_ms(len(one.points), one.time_range.duration_ms) for one in fetches]
    return max(max(each, default=0), sum(each) // SIDE_BY_SIDE)


def left_ms(other: OtherLease, now_ms: int, lease_ms: int, lag_ms: int = 0) -> int | None:
    """
    Return how long a holder probably still needs; None where it seems to be dead.

    One that is late is expected to be late by as much again. A machine or a database that makes
    those who wait late, by *lag_ms* a look, makes the holder late too.
    """
    beaten_ms = other.expires_ms - lease_ms
    if now_ms - beaten_ms > lease_ms // 3 + SILENCE_MS + LAGS * lag_ms:
        return None
    if other.ends_ms > now_ms:
        return other.ends_ms - now_ms
    return max(0, now_ms - other.ends_ms - STORING_MS - LAGS * lag_ms)


def is_worth_waiting(
    other: OtherLease,
    mine: Lease,
    *,
    now_ms: int,
    deadline_ms: int,
    lease_ms: int,
    lag_ms: int = 0,
) -> bool:
    """
    Return whether it is better to wait for a holder than to fetch oneself.

    A fetch of the same size takes as long as the holder's, whatever the plan said: so that of many
    who are alike one fetches. A holder that will not be ready in time is no longer waited for while
    there is time to fetch: one who waits does, and the others wait for that one.

    Args:
        other: The holder's lease.
        mine: The lease that one's own fetch would have.
        now_ms: The present.
        deadline_ms: When to give up.
        lease_ms: How long a lease lives unless renewed.
        lag_ms: How late the last looks came.
    """
    left = left_ms(other, now_ms, lease_ms, lag_ms)
    if left is None:
        return False
    own_ms = mine.ends_ms - mine.begun_ms
    share = min(1.0, _area(len(mine.points), mine.time_range) / _area_of(other))
    elapsed_ms = max(0, now_ms - other.begun_ms)
    if left > WAIT_RATIO * max(own_ms, share * (elapsed_ms + left)):
        return False
    is_in_time = now_ms + left <= deadline_ms
    return is_in_time or now_ms + own_ms > deadline_ms


def next_look_ms(others: Iterable[OtherLease], now_ms: int) -> int:
    """Return how long to wait before looking again at leases that are worth waiting for."""
    soonest = min(abs(other.ends_ms - now_ms) for other in others)
    return min(max(soonest // 4, WAIT_MIN_MS), WAIT_MAX_MS)


def outside(missing: Gaps, others: Sequence[OtherLease]) -> Gaps:
    """Return the part of gaps that nobody else fetches."""
    held: dict[str, list[Range]] = {}
    for other in others:
        for point in other.shared:
            held.setdefault(point, []).append(other.time_range)
    found: Gaps = {}
    for point, ranges in missing.items():
        haves = merge(held.get(point, ()))
        if left := [part for each in ranges for part in gaps(haves, each)]:
            found[point] = left
    return found


def _area(points_count: int, time_range: Range) -> int:
    return points_count * time_range.duration_ms


def _area_of(other: OtherLease) -> int:
    return max(1, _area(other.points_count, other.time_range))
