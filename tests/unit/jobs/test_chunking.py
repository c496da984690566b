"""How a job is cut into chunks, case by case; what holds of all is in tests/property."""

from __future__ import annotations

import pytest

from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.jobs.chunking import (
    CHUNK_SAMPLES,
    CHUNKS_MAX,
    NAME_BYTES_MAX,
    JobPlan,
    plan_chunks,
)
from building_vitals.ranges import Range
from fakes.job_plans import PlannedChunk, chunks_of

MINUTES_5 = 288
PAGE = 50_000


def chunks_for(points: int, time_range: Range, *, batch: int, rate: float) -> list[PlannedChunk]:
    """Return the chunks of a job for which each request is as good as another."""
    return chunks_of(
        plan_chunks(
            points,
            time_range,
            batch_size=batch,
            samples_per_day=rate,
            takes_site=False,
            requests_of=lambda *_: 1,
        )
    )


def pages_of(points: int, duration_ms: int) -> int:
    """Return the pages that 5-minute data of so many points take."""
    return max(1, -(-points * duration_ms * MINUTES_5 // (DAY_MS * PAGE)))


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
    chunks = chunks_for(points, Range(0, DAY_MS), batch=batch, rate=1)
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
    chunks = chunks_for(1, time_range, batch=1, rate=rate)
    assert edges == [chunks[0].start_ms, *(chunk.end_ms for chunk in chunks)]


def test_estimates_are_never_nothing() -> None:
    """A chunk without any expected sample still counts, or its job would have no progress."""
    [chunk] = chunks_for(1, Range(0, 1), batch=1, rate=0.0)
    assert 1 == chunk.estimated


def test_the_largest_request_has_a_bounded_number_of_chunks() -> None:
    """5,000 points one by one over 20 years of a sample a second."""
    years = Range(0, 7305 * DAY_MS)
    chunks = chunks_for(5000, years, batch=1, rate=86_400)
    assert CHUNKS_MAX == len(chunks)
    assert list(range(CHUNKS_MAX)) == [chunk.chunk for chunk in chunks]


@pytest.mark.parametrize(
    ("points", "days", "batch", "groups"),
    [
        pytest.param(200, 4, 50, 5, id="five groups of a page rather than four of two"),
        pytest.param(200, 3, 50, 4, id="no more groups than help"),
        pytest.param(51, 4, 50, 2, id="already small enough"),
        pytest.param(40, 4, 50, 1, id="one page"),
        pytest.param(50, 4, 50, 1, id="two pages are two pages"),
        pytest.param(300, 4, 50, 7, id="seven pages rather than twelve"),
    ],
)
def test_points_are_grouped_so_that_requests_are_few(
    points: int, days: int, batch: int, groups: int
) -> None:
    """A group of 40 points over four days is a page, one of 50 is two."""
    plan = plan_chunks(
        points,
        Range(0, days * DAY_MS),
        batch_size=batch,
        samples_per_day=MINUTES_5,
        takes_site=False,
        requests_of=pages_of,
    )
    chunks = chunks_of(plan)
    assert len(chunks) == plan.chunks_count
    assert groups == len({chunk.first_point for chunk in chunks})
    assert points == sum(chunk.points_count for chunk in chunks if not chunk.start_ms)
    assert max(chunk.points_count for chunk in chunks) <= batch


@pytest.mark.parametrize(
    ("points", "days", "hours_each"),
    [
        pytest.param(400, 4, [48, 48], id="ten pages in two parts"),
        pytest.param(5000, 1, [4] * 6, id="a day of a large site is cut at hours"),
        pytest.param(100, 1, [24], id="small enough"),
    ],
)
def test_pages_of_the_whole_site_are_cut_by_time_only(
    points: int, days: int, hours_each: list[int]
) -> None:
    """
    All points are one group, whatever a batch may hold: each page is fetched once for all, and no
    part costs more than the page at its end.
    """
    plan = plan_chunks(
        points,
        Range(0, days * DAY_MS),
        batch_size=50,
        samples_per_day=MINUTES_5,
        takes_site=True,
        requests_of=pages_of,
    )
    chunks = chunks_of(plan)
    assert len(chunks) == plan.chunks_count
    assert {(0, points)} == {(chunk.first_point, chunk.points_count) for chunk in chunks}
    assert hours_each == [(chunk.end_ms - chunk.start_ms) // HOUR_MS for chunk in chunks]
    assert all(chunk.estimated <= CHUNK_SAMPLES for chunk in chunks)
    pages = sum(pages_of(chunk.points_count, chunk.end_ms - chunk.start_ms) for chunk in chunks)
    least = pages_of(points, days * DAY_MS)
    assert least <= pages < least + len(chunks)


@pytest.mark.parametrize("takes_site", [True, False])
def test_names_of_a_group_fit_into_a_parameter(*, takes_site: bool) -> None:
    """D1 takes 2 MB: 5,000 points with names of 2 kB are ten groups at least, pages or no."""
    plan = plan_chunks(
        5000,
        Range(0, DAY_MS),
        batch_size=1000,
        samples_per_day=1.0,
        takes_site=takes_site,
        requests_of=lambda *_: 1,
        name_bytes=5000 * 2048,
    )
    sizes = [chunk.points_count for chunk in chunks_of(plan)]
    assert 5000 == sum(sizes)
    assert max(sizes) * 2048 <= NAME_BYTES_MAX


def test_estimates_of_a_plan_are_those_of_its_chunks() -> None:
    """Together, but for rounding; a chunk of which nothing is expected counts one."""
    plan = JobPlan([0, 3, 5], [0, DAY_MS, 3 * DAY_MS], 100.0)
    assert (4, 1500) == (plan.chunks_count, plan.estimated)
    assert plan.estimated == sum(chunk.estimated for chunk in chunks_of(plan))
    assert 4 == JobPlan([0, 3, 5], [0, 1, 2], 1.0).estimated
