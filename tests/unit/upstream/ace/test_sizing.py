"""How large answers may be, and what memory a fetch takes with them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from building_vitals.errors import Overloaded
from building_vitals.instants import DAY_MS
from building_vitals.memory import BUDGET_BYTES, JOBS_BYTES, MemoryBudget
from building_vitals.ranges import Range
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.ace.settings import PAGE_SIZES, CallsVar
from building_vitals.upstream.ace.sizing import (
    ANSWER_BYTES_MIN,
    SMALL_ANSWER_SAMPLES,
    WIRE_BYTES,
    answer_bytes_max,
    fetch_bytes,
    fetch_sizing,
    small,
)
from building_vitals.upstream.profile import SiteProfile
from fakes.ace import NOW_MS, Bench, FakeAce

COSTS = SiteCosts(SiteProfile(point_samples_per_day=1_000.0), "points", 50_000)


def test_small_answers_are_of_a_size_that_the_upstream_takes() -> None:
    """Pages have fixed sizes; one that is small already stays."""
    assert SMALL_ANSWER_SAMPLES in PAGE_SIZES
    assert 10_000 == small(COSTS).page_samples
    assert 500 == small(SiteCosts(SiteProfile(), "site", 500)).page_samples
    assert COSTS.way(10, DAY_MS) == small(COSTS).way(10, DAY_MS)


def test_a_fetch_takes_what_is_on_its_way_and_what_is_open() -> None:
    """It grows with the samples, up to what flies at once and lies in no frame."""
    sizes = [fetch_bytes(COSTS, points, DAY_MS, 4) for points in (1, 100, 196, 250, 5_000)]
    assert sorted(sizes) == sizes
    assert sizes[-1] == sizes[-2]
    assert fetch_bytes(small(COSTS), 196, DAY_MS, 4) < sizes[2] / 2
    assert fetch_bytes(small(COSTS), 1, DAY_MS, 4) == sizes[0] < 2_000_000


@pytest.mark.parametrize(
    ("calls", "rate", "points", "side_by_side"),
    [("points", 1_000.0, 250, 2), ("points", 288.0, 20, 4), ("site", 576.0, 400, 4)],
)
def test_a_chunk_asks_for_large_answers(
    calls: CallsVar, rate: float, points: int, side_by_side: int
) -> None:
    """Rather fewer at once than small ones; 250,000 samples fit into what jobs may hold."""
    profile = SiteProfile(point_samples_per_day=rate, samples_per_day=400 * rate, points=400)
    costs = SiteCosts(profile, calls, 50_000, is_awaited=False)
    sizing = fetch_sizing(costs, points, DAY_MS, 4, JOBS_BYTES)
    assert (50_000, side_by_side) == (sizing.costs.page_samples, sizing.in_flight)
    assert sizing.bytes <= JOBS_BYTES


def test_what_nobody_has_seen_is_asked_for_carefully() -> None:
    """Calls by point may bring many times what is reckoned: a chunk's are small before that."""
    costs = SiteCosts(SiteProfile(), "points", 50_000, is_awaited=False)
    chunk = fetch_sizing(costs, 30, 20 * DAY_MS, 4, JOBS_BYTES)
    assert (10_000, 4) == (chunk.costs.answer_samples, chunk.in_flight)
    year = fetch_sizing(costs, 1, 365 * DAY_MS, 4, JOBS_BYTES)
    assert (50_000, 4) == (year.costs.answer_samples, year.in_flight)
    awaited = fetch_sizing(replace(costs, is_awaited=True), 30, 20 * DAY_MS, 4, BUDGET_BYTES)
    assert 50_000 == awaited.costs.answer_samples


def test_what_does_not_fit_is_made_as_small_as_can_be() -> None:
    """Small answers where no large one fits, one at a time where that is all there is."""
    for bytes_max, side_by_side in ((11_000_000, 4), (8_000_000, 2), (0, 1)):
        sizing = fetch_sizing(COSTS, 100, DAY_MS, 4, bytes_max)
        assert (10_000, side_by_side) == (sizing.costs.answer_samples, sizing.in_flight)


def test_an_answer_is_read_up_to_twice_its_size() -> None:
    """Or to a least size, and never beyond what is configured."""
    assert 2 * WIRE_BYTES * 50_000 == answer_bytes_max(COSTS, 2**30)
    assert 2 * WIRE_BYTES * 10_000 == answer_bytes_max(small(COSTS), 2**30)
    assert 1_000 == answer_bytes_max(COSTS, 1_000)
    tiny = SiteCosts(SiteProfile(), "site", 10, answer_samples=10)
    assert ANSWER_BYTES_MIN == answer_bytes_max(tiny, 2**30)


ROWS = [("p", str(n), f"2025-01-01T{n // 60:02}:{n % 60:02}:00Z") for n in range(600)]
DAY = Range(NOW_MS, NOW_MS + DAY_MS)


def _bench(budget: MemoryBudget, *, is_awaited: bool = True) -> Bench:
    dense = SiteProfile(point_samples_per_day=30_000.0)
    bench = Bench(otherwise=FakeAce("hq", ROWS), calls="points", profile=dense)
    bench.client = AceClient(
        bench.http,
        bench.clock,
        bench.client._settings,
        profiles=bench.profiles,
        memory=budget,
        is_awaited=is_awaited,
    )
    return bench


@pytest.mark.parametrize(("free", "calls"), [(40_000_000, 1), (4_000_000, 3)])
async def test_answers_are_smaller_where_memory_is_short(free: int, calls: int) -> None:
    """All samples come either way, in more requests."""
    budget = MemoryBudget(free)
    bench = _bench(budget)
    await bench.fetch("p", time_range=DAY)
    assert calls == len(bench.http.requests)
    assert sorted(ROWS) == sorted(bench.sink.samples)
    assert free == budget.free_bytes(bench.clock.now_ms())


@pytest.mark.parametrize(
    ("holder_ms", "other_bytes", "calls"), [(5_000, 40_000_000, 1), (60_000, 34_000_000, 3)]
)
async def test_a_job_waits_for_large_answers(holder_ms: int, other_bytes: int, calls: int) -> None:
    """But not for ever: when others go on for long, it takes the little that is free."""
    budget = MemoryBudget(40_000_000)
    bench = _bench(budget, is_awaited=False)
    held = budget.share(
        other_bytes, clock=bench.clock, wait_until_ms=None, until_ms=NOW_MS + holder_ms
    )
    async with held:
        await bench.fetch("p", time_range=DAY, deadline_ms=NOW_MS + 240_000)
    assert calls == len(bench.http.requests)
    assert sorted(ROWS) == sorted(bench.sink.samples)


async def test_without_memory_the_upstream_is_not_asked() -> None:
    """The request hears of it before its time is over; what it waited for is not held."""
    budget = MemoryBudget(1_000_000)
    bench = _bench(budget)
    held = budget.share(
        1_000_000, clock=bench.clock, wait_until_ms=None, until_ms=NOW_MS + 1_000_000
    )
    async with held:
        with pytest.raises(Overloaded):
            await bench.fetch("p", time_range=DAY, deadline_ms=NOW_MS + 10_000)
    assert [] == bench.http.requests
    assert bench.clock.now_ms() < NOW_MS + 10_000
    assert 1_000_000 == budget.free_bytes(bench.clock.now_ms())
    assert {asyncio.current_task()} == asyncio.all_tasks()
