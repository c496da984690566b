"""
How to fetch the gaps of a request: in few requests, and with few samples that nobody needs.

Separate and pure: services only carry out what is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, pairwise

import msgspec

from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.upstream.costs import FetchCosts

# What a fetch may ask for without need, as a share of all it asks for, to save a request.
WASTE_MAX = 0.02
# So many requests take no longer than one.
SIDE_BY_SIDE = 4
# What lies between two gaps is fetched again to save a request, where it is as short as this and
# holds no more samples: a request takes seconds, whatever it brings.
BRIDGE_MS_MAX = 6 * HOUR_MS
BRIDGE_SAMPLES_MAX = 5_000
# So short a stretch is, where no time is saved either: a chart that reloads would come to have ever
# more gaps, for each stretch of its young end is no longer trusted at another moment.
NEAR_MS_MAX = 30 * MINUTE_MS
# Joining compares each with each; beyond this many, fetches stay as they are.
FETCHES_JOINED_MAX = 64


class UpstreamQuery(msgspec.Struct, frozen=True):
    """One question to the upstream: all of *points* over all of *time_range*."""

    points: tuple[str, ...]
    time_range: Range


def plan_fetches(missing: Mapping[str, Sequence[Range]], costs: FetchCosts) -> list[UpstreamQuery]:
    """
    Return fetches that together cover all gaps: few requests first, then few needless samples.

    Gaps very close together become one where that saves a request, and small ones less close where
    there are more requests than run side by side.
    Points whose gaps lie together are fetched together. There
    are two ways to begin: a fetch of each stretch of time for just the points that miss it, or a
    fetch of each gap for the points that miss just that. From either, two fetches become one where
    that saves a request and asks for at most `WASTE_MAX` without need; the cheaper outcome is
    taken. So it never takes more requests than the gaps would one by one, and no point is asked for
    the same instant twice.

    Args:
        missing: Gaps of each point, disjoint.
        costs: Tells how many requests a fetch takes.
    """

    def requests(fetch: UpstreamQuery) -> int:
        return costs.requests(len(fetch.points), fetch.time_range.duration_ms)

    plan = _plan(missing, requests)
    for longest_ms, most in ((NEAR_MS_MAX, 1), (BRIDGE_MS_MAX, SIDE_BY_SIDE)):
        if sum(map(requests, plan)) > most:
            bridged = _plan(_bridged(missing, costs, longest_ms), requests)
            plan = min(plan, bridged, key=lambda each: sum(map(requests, each)))
    return sorted(plan, key=lambda fetch: fetch.time_range)


def _plan(
    missing: Mapping[str, Sequence[Range]], requests: Callable[[UpstreamQuery], int]
) -> list[UpstreamQuery]:
    """Return the better of the two ways to begin, gaps as they are."""
    by_stretch, by_gap = _stretch_fetches(missing), _gap_fetches(missing)
    beginnings = [by_stretch] if by_stretch == by_gap else [by_stretch, by_gap]
    plans = [_joined(each, missing, requests) for each in beginnings]
    return min(plans, key=lambda plan: (sum(map(requests, plan)), sum(map(_asked_ms, plan))))


def _bridged(
    missing: Mapping[str, Sequence[Range]], costs: FetchCosts, longest_ms: int
) -> dict[str, tuple[Range, ...]]:
    """Return the gaps with those made one that lie so close together."""
    alike: dict[tuple[Range, ...], list[str]] = {}
    for point, ranges in missing.items():
        alike.setdefault(tuple(ranges), []).append(point)
    bridged = {
        ranges: _bridge(ranges, len(points), costs, longest_ms) for ranges, points in alike.items()
    }
    return {point: bridged[tuple(ranges)] for point, ranges in missing.items()}


def _bridge(
    ranges: Sequence[Range], count: int, costs: FetchCosts, longest_ms: float
) -> tuple[Range, ...]:
    """Return the gaps that *count* points have in common, some of them joined."""
    samples = costs.samples_per_day * count / DAY_MS
    longest_ms = min(longest_ms, BRIDGE_SAMPLES_MAX / samples)
    joined: list[Range] = []
    for each in sorted(ranges):
        if joined and each.start_ms - joined[-1].end_ms <= longest_ms:
            both = Range(joined[-1].start_ms, each.end_ms)
            apart = (joined[-1].duration_ms, each.duration_ms)
            if costs.requests(count, both.duration_ms) < sum(
                costs.requests(count, duration_ms) for duration_ms in apart
            ):
                joined[-1] = both
                continue
        joined.append(each)
    return tuple(joined)


def _asked_ms(fetch: UpstreamQuery) -> int:
    """Return the time a fetch asks for, summed over its points."""
    return len(fetch.points) * fetch.time_range.duration_ms


def _gap_fetches(missing: Mapping[str, Sequence[Range]]) -> list[UpstreamQuery]:
    """Return a fetch for each gap, for all points that have just that one."""
    by_range: dict[Range, list[str]] = {}
    for point, ranges in missing.items():
        for each in ranges:
            by_range.setdefault(each, []).append(point)
    return [UpstreamQuery(tuple(by_range[each]), each) for each in sorted(by_range)]


def _stretch_fetches(missing: Mapping[str, Sequence[Range]]) -> list[UpstreamQuery]:
    """Return a fetch for each stretch of time that the same points miss."""
    by_range = {each.time_range: each.points for each in _gap_fetches(missing)}
    edges = sorted({edge for each in by_range for edge in each})
    stretches: list[tuple[Range, frozenset[str]]] = []
    for start_ms, end_ms in pairwise(edges):
        points = frozenset(
            point
            for each, names in by_range.items()
            if each.start_ms <= start_ms and end_ms <= each.end_ms
            for point in names
        )
        if not points:
            continue
        if stretches and stretches[-1][1] == points and stretches[-1][0].end_ms == start_ms:
            stretches[-1] = (Range(stretches[-1][0].start_ms, end_ms), points)
        else:
            stretches.append((Range(start_ms, end_ms), points))
    order = list(missing)
    return [
        UpstreamQuery(tuple(point for point in order if point in points), each)
        for each, points in stretches
    ]


def _joined(
    fetches: list[UpstreamQuery],
    missing: Mapping[str, Sequence[Range]],
    requests: Callable[[UpstreamQuery], int],
) -> list[UpstreamQuery]:
    """Return the fetches with pairs made one for as long as that saves requests."""
    while len(fetches) <= FETCHES_JOINED_MAX:
        better = (
            _join(fetches, one, other, missing, requests) for one, other in combinations(fetches, 2)
        )
        found = next((each for each in better if each is not None), None)
        if found is None:
            break
        fetches = found
    return fetches


def _join(
    fetches: Sequence[UpstreamQuery],
    one: UpstreamQuery,
    other: UpstreamQuery,
    missing: Mapping[str, Sequence[Range]],
    requests: Callable[[UpstreamQuery], int],
) -> list[UpstreamQuery] | None:
    """Return the fetches with one in place of two, or None when that is not better."""
    time_range = Range(
        min(one.time_range.start_ms, other.time_range.start_ms),
        max(one.time_range.end_ms, other.time_range.end_ms),
    )
    both = UpstreamQuery(tuple(dict.fromkeys(one.points + other.points)), time_range)
    if requests(both) >= requests(one) + requests(other) or _is_wasteful(both, missing):
        return None
    asked = set(both.points)
    joined = [both]
    for each in fetches:
        if each is one or each is other:
            continue
        shared = each.time_range.clip(time_range)
        if shared is None or asked.isdisjoint(each.points):
            joined.append(each)
        elif shared != each.time_range:
            return None
        elif left := tuple(point for point in each.points if point not in asked):
            rest = UpstreamQuery(left, each.time_range)
            if _is_wasteful(rest, missing):
                return None
            joined.append(rest)
    return joined


def _is_wasteful(fetch: UpstreamQuery, missing: Mapping[str, Sequence[Range]]) -> bool:
    """Return whether a fetch asks for more than it may without need."""
    needed = sum(
        part.duration_ms
        for point in fetch.points
        for each in missing.get(point, ())
        if (part := each.clip(fetch.time_range)) is not None
    )
    asked = _asked_ms(fetch)
    return asked - needed > WASTE_MAX * asked
