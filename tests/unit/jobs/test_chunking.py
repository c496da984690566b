"""How a job is cut into chunks, case by case; what holds of all is in tests/property."""

from __future__ import annotations

import pytest

from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.jobs.chunking import CHUNK_SAMPLES, CHUNKS_MAX, plan_chunks
from building_vitals.ranges import Range

# Points with so many samples a day fill a chunk in ten days.
TENTH = CHUNK_SAMPLES / 10


@pytest.mark.parametrize(
    ("points", "batch", "sizes"),
    [
        pytest.param(1, 50, [1], id="one point"),
        pytest.param(50, 50, [50], id="a full batch"),
        pytest.param(51, 50, [25, 26], id="one more is halved"),
        pytest.param(7, 3, [2, 2, 3], id="evenly"),
        pytest.param(3, 1, [1, 1, 1], id="one by one"),
    ],
)
def test_points_are_spread_evenly(points: int, batch: int, sizes: list[int]) -> None:
    """As few chunks as the batch allows, none much smaller than the others."""
    chunks = plan_chunks(points, Range(0, DAY_MS), batch_size=batch, samples_per_day=1)
    assert sizes == [chunk.points_count for chunk in chunks]
    assert [sum(sizes[:n]) for n in range(len(sizes))] == [chunk.first_point for chunk in chunks]


@pytest.mark.parametrize(
    ("time_range", "rate", "edges"),
    [
        pytest.param(Range(5, 10 * DAY_MS), TENTH, [5, 10 * DAY_MS], id="as much as a chunk holds"),
        pytest.param(
            Range(5, 11 * DAY_MS), TENTH, [5, 5 * DAY_MS, 11 * DAY_MS], id="cut at a midnight"
        ),
        pytest.param(
            Range(HOUR_MS // 2, DAY_MS),
            2 * CHUNK_SAMPLES,
            [HOUR_MS // 2, 12 * HOUR_MS, DAY_MS],
            id="less than two days are cut at an hour",
        ),
        pytest.param(
            Range(1, HOUR_MS), 1e12, [1, HOUR_MS], id="within an hour there is nothing to cut at"
        ),
    ],
)
def test_time_is_cut_where_frames_close(time_range: Range, rate: float, edges: list[int]) -> None:
    """At whole days, or hours where the parts are short, so that no frame is cut."""
    chunks = plan_chunks(1, time_range, batch_size=1, samples_per_day=rate)
    assert edges == [chunks[0].start_ms, *(chunk.end_ms for chunk in chunks)]


def test_estimates_are_never_nothing() -> None:
    """A chunk without any expected sample still counts, or its job would have no progress."""
    [chunk] = plan_chunks(1, Range(0, 1), batch_size=1, samples_per_day=0.0)
    assert 1 == chunk.estimated


def test_the_largest_request_has_a_bounded_number_of_chunks() -> None:
    """5,000 points one by one over 20 years of a sample a second."""
    years = Range(0, 7305 * DAY_MS)
    chunks = plan_chunks(5000, years, batch_size=1, samples_per_day=86_400)
    assert CHUNKS_MAX == len(chunks)
    assert list(range(CHUNKS_MAX)) == [chunk.chunk for chunk in chunks]
