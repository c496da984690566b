"""What docs/cost.md says that a request costs is what the code does, counted on the stand-ins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from building_vitals.jobs.options import RESULT_BYTES_MIN, JobOptions
from building_vitals.ranges import Range
from building_vitals.statistics.events import RequestEvent
from building_vitals.statistics.requests_table import RequestAnalytics, WeightedRequest
from fakes.api_calls import called
from fakes.job_world import JobWorld
from fakes.meter import Meter
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "cost.md"
DAY_MS = 86_400_000
POINTS = [f"p{n}" for n in range(20)]
MONTH = Range(EPOCH_MS - 32 * DAY_MS, EPOCH_MS - 2 * DAY_MS)
ROW = re.compile(r"^\| (?P<name>[^|]+?) \|(?P<numbers>(?: *[\d,]+ *\|)+)$", re.MULTILINE)


async def read_costs() -> dict[str, list[int]]:
    """Return what each kind of request costs, by the name the guide has for it."""
    costs = {}
    async with World(page_size=50_000) as world:
        meter = Meter(world)
        await world.ask(POINTS, MONTH, route="direct")
        await world.settle()
        costs["direct"] = meter.read()
        await world.ask(POINTS, MONTH)
        await world.settle()
        costs["cached, miss"] = meter.read()
        await world.clock.sleep(5000)
        await world.ask(POINTS, Range(MONTH.start_ms + DAY_MS, MONTH.end_ms - DAY_MS))
        await world.settle()
        costs["cached, hit"] = meter.read()
        await world.clock.sleep(5000)
        await world.ask([*POINTS, "one more"], MONTH)
        await world.settle()
        costs["cached, one point more"] = meter.read()
        await world.clock.sleep(5000)
        await world.ask(POINTS, day_until(0))
        await world.settle()
        meter.read()
        await world.clock.sleep(60_000)
        await world.ask(POINTS, day_until(60_000))
        await world.settle()
        costs["live chart, reload"] = meter.read()
        await world.clock.sleep(5000)
        await world.ask(POINTS, day_until(60_000))
        await world.settle()
        costs["live chart, hit"] = meter.read()
    return costs


def day_until(after_ms: int) -> Range:
    """Return the range of a chart of a day, so long after it was first asked for."""
    end_ms = EPOCH_MS - 60_000 + after_ms
    return Range(end_ms - DAY_MS, end_ms)


async def read_job_costs(chunks: int) -> list[int]:
    """Return what a job of some chunks of 50 points and two days costs, messages last."""
    points = [f"p{n}" for n in range(50 * chunks)]
    wanted = Range(EPOCH_MS - 4 * DAY_MS, EPOCH_MS - 2 * DAY_MS)
    options = JobOptions(batch_size=50)
    async with JobWorld(jobs=options, page_size=50_000, result_bytes_min=RESULT_BYTES_MIN) as world:
        meter = Meter(world)
        job = await world.run(await world.submit(points, wanted))
        await world.settle()
        assert ("completed", chunks) == (job.status, job.total_chunks)
        return [*meter.read(), len(world.queues.sent)]


def documented() -> dict[str, list[int]]:
    """Return the tables' rows of the guide."""
    text = GUIDE.read_text(encoding="utf-8")
    return {
        found["name"]: [int(n.replace(",", "")) for n in re.findall(r"[\d,]+", found["numbers"])]
        for found in ROW.finditer(text)
    }


def is_fair(told: list[int], measured: list[int]) -> bool:
    """Return whether no number is more than told, nor so much less that the guide misleads."""
    return len(told) == len(measured) and all(
        now <= most <= 1.5 * now + 2 for most, now in zip(told, measured, strict=True)
    )


@in_virtual_time
async def test_requests_cost_what_the_guide_says() -> None:
    """D1 calls and rows, R2 operations and upstream requests of each route are those told."""
    told = documented()
    costs = await read_costs()
    assert [] == [(name, now) for name, now in costs.items() if not is_fair(told[name], now)]
    assert told["cached, hit"] == costs["cached, hit"] == [1, 0, 0, 1, 0]
    assert told["direct"] == costs["direct"]
    assert told["live chart, hit"] == costs["live chart, hit"] == [1, 0, 0, 0, 0]
    assert 0 == costs["live chart, reload"][2]


@pytest.mark.parametrize("chunks", [1, 4])
@in_virtual_time
async def test_jobs_cost_what_the_guide_says(chunks: int) -> None:
    """The same for jobs, and a message for each chunk."""
    name = f"job of {chunks} chunk" + "s" * (chunks > 1)
    measured = await read_job_costs(chunks)
    assert is_fair(documented()[name], measured), measured
    assert chunks == measured[-1]


@in_virtual_time
async def test_recording_costs_what_the_guide_says() -> None:
    """The row and the sums of a request, after its answer, are one call."""
    event = RequestEvent(
        request_id="r",
        time_ms=EPOCH_MS,
        endpoint="GET /api/timeseries",
        route="cached",
        cache_status="hit",
        duration_ms=5,
        status=200,
    )
    async with World() as world:
        meter = Meter(world)
        await RequestAnalytics(world.database).record([WeightedRequest(event, 1)])
        measured = meter.read()
        assert is_fair(documented()["recording a request"], measured), measured


@in_virtual_time
async def test_statistics_cost_what_the_guide_says() -> None:
    """Totals, jobs, requests, hours and quota come in one call, and nothing is written."""
    async with JobWorld() as world:
        meter = Meter(world)
        reply = await called(world, "GET /api/stats")
        assert 200 == reply.status
        assert documented()["`/api/stats`"] == meter.read() == [1, 0, 0, 0, 0]
