"""What docs/cost.md says that a request costs is what the code does, counted on the stand-ins."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from building_vitals.jobs.options import RESULT_BYTES_MIN, JobOptions
from building_vitals.ranges import Range
from building_vitals.statistics.events import RequestEvent
from building_vitals.statistics.requests_table import RequestAnalytics, WeightedRequest
from fakes.database import FakeDatabase
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "cost.md"
DAY_MS = 86_400_000
POINTS = [f"p{n}" for n in range(20)]
MONTH = Range(EPOCH_MS - 32 * DAY_MS, EPOCH_MS - 2 * DAY_MS)
ROW = re.compile(r"^\| (?P<name>[^|]+?) \|(?P<numbers>(?: *[\d,]+ *\|)+)$", re.MULTILINE)
# Of R2, by how it is billed; deleting is free.
CLASS_A, CLASS_B = ("put", "list"), ("get", "head")


class Meter:
    """
    Counts what is billed, from one reading to the next.

    A row that is inserted or deleted counts once and once more for each index, as D1 bills it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows = RowsWritten(world.database)
        self._before: Counter[str] = Counter()
        self.read()

    def read(self) -> list[int]:
        """Return D1 calls, D1 rows written, R2 class A, R2 class B and upstream requests."""
        d1, r2 = self._world.database.failures.calls, self._world.objects.failures.calls
        now = Counter(
            d1=d1["rows"] + d1["batch"],
            rows=self._rows.total,
            a=sum(r2[each] for each in CLASS_A),
            b=sum(r2[each] for each in CLASS_B),
            upstream=self._world.upstream.requests,
        )
        since = [now[each] - self._before[each] for each in ("d1", "rows", "a", "b", "upstream")]
        self._before = now
        return since


class RowsWritten:
    """Counts rows as they are written, by triggers of this connection alone."""

    def __init__(self, database: FakeDatabase) -> None:
        self.total = 0
        connection = database.connection
        connection.create_function("note_rows", 1, self._note)
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        for (table,) in connection.execute(tables).fetchall():
            indexes = connection.execute(f"PRAGMA index_list({table})").fetchall()
            rows = 1 + sum(index["origin"] != "pk" for index in indexes)
            for event, count in (("INSERT", rows), ("DELETE", rows), ("UPDATE", 1)):
                connection.execute(
                    f"CREATE TEMP TRIGGER count_{table}_{event} AFTER {event} ON main.{table} "
                    f"BEGIN SELECT note_rows({count}); END"
                )

    def _note(self, rows: int) -> None:
        self.total += rows


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
    return costs


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
