"""
Counts what live charts cost, with small segments in their rows and with an object for each.

The product's own code runs on stand-ins that count, which the contract suite holds to the real
bindings, and in virtual time: 12 requests a second for 5 minutes, of charts of several sizes that
are reloaded every 5 to 60 seconds. Both ways get the same requests. Rows read are the segments that
look-ups give, and whatever else statements give back; what statistics record is left out.

Usage: python3 scripts/bench.py live
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from building_vitals.answers.routing import choose_route
from building_vitals.cache.estimates import estimated_samples
from building_vitals.cache.options import SLIVER_BYTES, CacheOptions
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ports import Outcome, Statement
from building_vitals.ranges import Range
from fakes.database import FakeDatabase
from fakes.meter import CLASS_A, CLASS_B, RowsWritten
from fakes.virtual_time import in_virtual_time
from fakes.world import World, WorldApp, read_body

REQUESTS_PER_SECOND = 12
SECONDS = 300
RELOADS_S = (5, 10, 30, 60)
SEED = 1
SITE_POINTS = 400
# Of docs/cost.md, USD per million.
PRICES = {"r2_puts": 4.5, "r2_gets": 0.36, "d1_rows_written": 1.0, "d1_rows_read": 0.001}


class Chart(NamedTuple):
    """Points, how long a range, and how often it is reloaded."""

    points: Sequence[str]
    lasts_ms: int
    reload_ms: int


class Reload(NamedTuple):
    """A chart that is asked for, so long after the beginning."""

    at_ms: int
    chart: Chart


# How many charts there are with so many points over so long, of samples every five minutes. The
# first kind is so small that it is fetched directly; none is so large that it becomes a job.
KINDS = (
    (40, 4, HOUR_MS),
    (60, 12, DAY_MS),
    (34, 10, 2 * DAY_MS),
    (6, 9, 7 * DAY_MS),
)


def main(rounds: int) -> None:
    """Print the figures of both ways, and their ratio: the same in each round."""
    del rounds
    puts: list[float] = []
    for name, sliver_bytes in (("slivers", SLIVER_BYTES), ("an object each", 0)):
        found: list[dict[str, float]] = []
        _count(found, sliver_bytes)
        puts.append(found[0]["r2_puts"])
        print(json.dumps({"live": name, **found[0]}), flush=True)
    print(json.dumps({"live": "puts, slivers to an object each", "ratio": puts[0] / puts[1]}))


def reloads() -> list[Reload]:
    """Return what is asked for, by time."""
    chance = random.Random(SEED)  # noqa: S311 - charts, not keys
    site = [f"AHU-{n:03}/zone temperature" for n in range(SITE_POINTS)]
    charts = [
        Chart(chance.sample(site, points), lasts_ms, 1000 * RELOADS_S[n % len(RELOADS_S)])
        for number, points, lasts_ms in KINDS
        for n in range(number)
    ]
    found = [
        Reload(at_ms, chart)
        for chart in charts
        for at_ms in range(chance.randrange(chart.reload_ms), SECONDS * 1000, chart.reload_ms)
    ]
    return sorted(chance.sample(found, min(REQUESTS_PER_SECOND * SECONDS, len(found))))


@in_virtual_time
async def _count(found: list[dict[str, float]], sliver_bytes: int) -> None:
    """Add the figures of one way."""
    options = CacheOptions(sliver_bytes=sliver_bytes)
    async with World(cache=options, page_size=50_000, interval_ms=5 * MINUTE_MS) as world:
        rows_written, database = RowsWritten(world.database), CountedDatabase(world.database)
        app = world.make_app(wrap=lambda port: database if port is world.database else port)
        routes: Counter[str] = Counter()
        begun_ms, requests = world.clock.now_ms(), list[asyncio.Task[None]]()
        for each in reloads():
            await world.clock.sleep(begun_ms + each.at_ms - world.clock.now_ms())
            requests.append(asyncio.create_task(_ask(world, app, each.chart, routes)))
        await asyncio.gather(*requests)
        await world.settle()
        calls = world.objects.failures.calls
        totals = {
            "r2_puts": sum(calls[each] for each in CLASS_A),
            "r2_gets": sum(calls[each] for each in CLASS_B),
            "r2_bytes_put": sum(map(len, world.objects.contents.values())),
            "r2_bytes_got": world.objects.bytes_read,
            "d1_calls": database.calls,
            "d1_rows_read": database.rows_read,
            "d1_rows_written": rows_written.total,
            "d1_bytes_sent": database.bytes_sent,
            "d1_bytes_got": database.bytes_got,
        }
        cost = sum(price * totals[name] / len(requests) for name, price in PRICES.items())
        found.append(
            {
                "requests": len(requests),
                **{f"requests_{name}": count for name, count in sorted(routes.items())},
                "r2_puts": totals["r2_puts"],
                **{f"{name}_each": round(n / len(requests), 3) for name, n in totals.items()},
                "usd_per_million": round(cost, 2),
            }
        )


async def _ask(world: World, app: WorldApp, chart: Chart, routes: Counter[str]) -> None:
    """Ask for a chart that ends now, and read it to its end."""
    now_ms = world.clock.now_ms()
    time_range = Range(now_ms - chart.lasts_ms, now_ms)
    limits = app.settings.routing
    route = choose_route(
        estimated_samples(len(chart.points), time_range),
        None,
        limits.small_threshold,
    )
    routes[route] += 1
    question = world.question(chart.points, time_range, route=route)
    await read_body(await app.timeseries.fetch_timeseries(question))


class CountedDatabase:
    """
    A Database that counts what goes to another one and comes back.

    Attributes:
        calls: Round trips.
        rows_read: Segments that look-ups gave, and other rows.
        bytes_sent, bytes_got: Of values, as text.
    """

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database
        self.calls = self.rows_read = self.bytes_sent = self.bytes_got = 0

    async def rows(self, sql: str, *values: str | int | float | None) -> list[dict[str, Any]]:
        """Return the rows of one statement."""
        return (await self._counted([Statement(sql, values)]))[0].rows

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements in one transaction: all of them or none."""
        return await self._counted(statements)

    async def _counted(self, statements: Sequence[Statement]) -> list[Outcome]:
        outcomes = await self._database.batch(statements)
        self.calls += 1
        self.bytes_sent += sum(len(str(value)) for each in statements for value in each.values)
        for row in (row for outcome in outcomes for row in outcome.rows):
            self.bytes_got += sum(len(str(value)) for value in row.values())
            segments = row.get("segments")
            self.rows_read += 1 if segments is None else len(json.loads(segments))
        return outcomes
