"""How a job is cut into chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import msgspec

from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range

# A chunk of this size fits into memory several times over, and costs little to fetch again.
CHUNK_SAMPLES = 250_000

# Chunks of one job: its plan, two lists of numbers, stays small.
CHUNKS_MAX = 10_000
# Bytes of the names of a group: they are one parameter of a statement, of which D1 takes 2 MB.
NAME_BYTES_MAX = 1_000_000

# Of the groups that are compared, the smallest is this share of what a batch may hold.
GROUP_SHARE_MIN = 4

# Returns how many requests upstream it takes to fetch so many points over so many milliseconds.
RequestsOf = Callable[[int, int], int]
# Where the groups of points begin and the last one ends, and the parts of the range.
Cut = tuple[list[int], list[Range]]


class JobPlan(msgspec.Struct, frozen=True):
    """
    How a job is cut into chunks: each group of points over each part of the range, group by group.

    Attributes:
        bounds: Where groups of points begin, and the last one ends.
        edges: Where parts of the range begin, and the last one ends; epoch milliseconds.
        samples_per_day: Of one point, estimated.
    """

    bounds: list[int]
    edges: list[int]
    samples_per_day: float

    @property
    def chunks_count(self) -> int:
        """How many chunks there will be."""
        return (len(self.bounds) - 1) * (len(self.edges) - 1)

    @property
    def estimated(self) -> int:
        """Samples of all chunks, at least one each."""
        duration_ms = self.edges[-1] - self.edges[0]
        samples = self.bounds[-1] * duration_ms / DAY_MS * self.samples_per_day
        return max(self.chunks_count, round(samples))


def plan_chunks(
    points_count: int,
    time_range: Range,
    *,
    batch_size: int,
    samples_per_day: float,
    takes_site: bool,
    requests_of: RequestsOf,
    name_bytes: int = 0,
) -> JobPlan:
    """
    Cut a request by points first, then by time.

    Points are spread evenly over groups, each of which is cut into parts of about `CHUNK_SAMPLES`
    samples, at whole days (or hours, where a part is shorter than two days), so that frames, which
    close at midnights, are not cut. Where the pages hold the whole site anyway, all points are one
    group, so that each page is fetched once. Else there are as many groups as make the requests
    few, and no more than that; and never so few that their names are too many bytes.

    Args:
        points_count: Points of the request.
        time_range: Its range.
        batch_size: Points in a group, at most, unless all are one.
        samples_per_day: Of one point, estimated.
        takes_site: Whether the cheapest way to fetch all of it brings the whole site.
        requests_of: What a part of it takes.
        name_bytes: Bytes of the longest name, times the points.
    """
    groups_min = min(points_count, max(1, -(-name_bytes // NAME_BYTES_MAX)))
    if takes_site:
        bounds, parts = _cut(points_count, time_range, groups_min, samples_per_day)
    else:
        bounds, parts = min(
            (
                _cut(points_count, time_range, groups, samples_per_day)
                for groups in _group_counts(points_count, batch_size)
                if groups >= groups_min
            ),
            key=lambda plan: (_requests(plan, requests_of), (len(plan[0]) - 1) * len(plan[1])),
        )
    edges = [parts[0].start_ms, *(part.end_ms for part in parts)]
    return JobPlan(bounds, edges, samples_per_day)


def _group_counts(points_count: int, batch_size: int) -> list[int]:
    """Return the numbers of groups worth comparing, the least first."""
    sizes = range(max(1, batch_size // GROUP_SHARE_MIN), batch_size + 1)
    return sorted({-(-points_count // size) for size in sizes})


def _cut(points_count: int, time_range: Range, groups: int, samples_per_day: float) -> Cut:
    """Return so many groups of points, spread evenly, and the parts of the range."""
    bounds = [points_count * n // groups for n in range(groups + 1)]
    widest = max(after - before for before, after in pairwise(bounds))
    estimate = widest * time_range.duration_ms / DAY_MS * samples_per_day
    count = min(max(1, -int(-estimate // CHUNK_SAMPLES)), max(1, CHUNKS_MAX // groups))
    return bounds, _time_parts(time_range, count)


def _requests(cut: Cut, requests_of: RequestsOf) -> int:
    """Return how many requests all groups take over all parts."""
    bounds, parts = cut
    sizes = Counter(after - before for before, after in pairwise(bounds))
    durations = Counter(part.duration_ms for part in parts)
    return sum(
        requests_of(size, duration_ms) * groups * times
        for size, groups in sizes.items()
        for duration_ms, times in durations.items()
    )


def _time_parts(time_range: Range, count: int) -> list[Range]:
    """Return the range in about *count* parts of nearly the same length."""
    length_ms = time_range.duration_ms / count
    step_ms = DAY_MS if length_ms >= 2 * DAY_MS else HOUR_MS
    edges = {time_range.start_ms, time_range.end_ms}
    for n in range(1, count):
        edge_ms = round(time_range.start_ms + n * length_ms)
        edge_ms -= edge_ms % step_ms
        if time_range.start_ms < edge_ms < time_range.end_ms:
            edges.add(edge_ms)
    ordered = sorted(edges)
    return [Range(*edge) for edge in pairwise(ordered)]
