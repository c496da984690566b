"""How a job is cut into chunks."""

from __future__ import annotations

from itertools import pairwise

from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.jobs.model import ChunkSpec
from building_vitals.ranges import Range

# A chunk of this size fits into memory several times over, and costs little to fetch again.
CHUNK_SAMPLES = 250_000

# Rows of one insert, and messages of one job.
CHUNKS_MAX = 10_000


def plan_chunks(
    points_count: int, time_range: Range, *, batch_size: int, samples_per_day: float
) -> list[ChunkSpec]:
    """
    Cut a request by points first, then by time.

    Points are spread evenly over as few chunks as *batch_size* allows; each of these is cut into
    parts of about `CHUNK_SAMPLES` samples, at whole days (or hours, where a part is shorter than
    two days), so that frames, which close at midnights, are not cut. *samples_per_day* is the
    estimate for one point.
    """
    groups = -(-points_count // batch_size)
    bounds = [points_count * n // groups for n in range(groups + 1)]
    widest = max(after - before for before, after in pairwise(bounds))
    estimate = widest * time_range.duration_ms / DAY_MS * samples_per_day
    parts = _time_parts(
        time_range, min(max(1, -int(-estimate // CHUNK_SAMPLES)), max(1, CHUNKS_MAX // groups))
    )
    return [
        ChunkSpec(
            chunk=group * len(parts) + n,
            first_point=bounds[group],
            points_count=bounds[group + 1] - bounds[group],
            start_ms=part.start_ms,
            end_ms=part.end_ms,
            estimated=max(
                1,
                round(
                    (bounds[group + 1] - bounds[group])
                    * part.duration_ms
                    / DAY_MS
                    * samples_per_day
                ),
            ),
        )
        for group in range(groups)
        for n, part in enumerate(parts)
    ]


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
