"""The chunks of a plan, one by one, as the database makes them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from building_vitals.instants import DAY_MS
from building_vitals.jobs.chunking import JobPlan


class PlannedChunk(NamedTuple):
    """
    A chunk as a plan has it.

    Attributes:
        chunk: Its number in the job.
        first_point, points_count: Its part of the job's points.
        start_ms, end_ms: Its part of the job's range.
        estimated: Samples.
    """

    chunk: int
    first_point: int
    points_count: int
    start_ms: int
    end_ms: int
    estimated: int


def chunks_of(plan: JobPlan) -> list[PlannedChunk]:
    """Return all chunks of a plan."""
    parts = list(pairwise(plan.edges))
    return [
        PlannedChunk(
            group * len(parts) + n,
            first,
            stop - first,
            start_ms,
            end_ms,
            max(1, round((stop - first) * (end_ms - start_ms) / DAY_MS * plan.samples_per_day)),
        )
        for group, (first, stop) in enumerate(pairwise(plan.bounds))
        for n, (start_ms, end_ms) in enumerate(parts)
    ]
