"""How large answers may be, and what memory a fetch takes with them."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.errors import Overloaded
from building_vitals.instants import DAY_MS
from building_vitals.memory import MemoryBudget
from building_vitals.ranges import Range
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.ace.settings import PAGE_SIZES
from building_vitals.upstream.ace.sizing import (
    ANSWER_BYTES_MIN,
    SMALL_ANSWER_SAMPLES,
    WIRE_BYTES,
    answer_bytes_max,
    fetch_bytes,
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


def test_an_answer_is_read_up_to_twice_its_size() -> None:
    """Or to a least size, and never beyond what is configured."""
    assert 2 * WIRE_BYTES * 50_000 == answer_bytes_max(COSTS, 2**30)
    assert 2 * WIRE_BYTES * 10_000 == answer_bytes_max(small(COSTS), 2**30)
    assert 1_000 == answer_bytes_max(COSTS, 1_000)
    tiny = SiteCosts(SiteProfile(), "site", 10, answer_samples=10)
    assert ANSWER_BYTES_MIN == answer_bytes_max(tiny, 2**30)


ROWS = [("p", str(n), f"2025-01-01T{n // 60:02}:{n % 60:02}:00Z") for n in range(600)]
DAY = Range(NOW_MS, NOW_MS + DAY_MS)


def _bench(budget: MemoryBudget) -> Bench:
    dense = SiteProfile(point_samples_per_day=30_000.0)
    bench = Bench(otherwise=FakeAce("hq", ROWS), calls="points", profile=dense)
    bench.client = AceClient(
        bench.http,
        bench.clock,
        bench.client._settings,
        profiles=bench.profiles,
        memory=budget,
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
