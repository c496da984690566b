"""What docs/following.md says that a day of a followed site costs is what it does, counted."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.instants import HOUR_MS
from building_vitals.jobs.model import FollowRef
from fakes.database import begin_invocation
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "following.md"
ROW = re.compile(r"^\| ([\w ]+) \| ([\d,]+) \|$", re.MULTILINE)
FIVE_MINUTES_S = 300


def said() -> dict[str, int]:
    """Return the numbers of the guide, by what they count."""
    text = GUIDE.read_text(encoding="utf-8")
    return {what: int(number.replace(",", "")) for what, number in ROW.findall(text)}


def count_rows(world: JobWorld) -> Counter[str]:
    """Have the rows of follows and blocks counted that are written from now on."""
    found: Counter[str] = Counter()
    connection = world.database.connection
    connection.create_function("note_table", 1, lambda table: found.update([table]))
    for table in ("site_follows", "site_blocks"):
        for event in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TEMP TRIGGER note_{table}_{event} AFTER {event} ON main.{table} "
                f"BEGIN SELECT note_table('{table}'); END"
            )
    return found


@in_virtual_time
async def test_a_day_of_rounds_costs_what_the_guide_says() -> None:
    """At most so much, and no less than four fifths of it."""
    async with JobWorld(page_size=50_000) as world:
        world.upstream.site_points = tuple(f"p{n}" for n in range(10))
        now_ms = world.clock.now_ms()
        await put(world, now_ms)
        steps = [
            each
            for each in world.app.maintenance._steps
            if each.name in ("follow", "merged blocks", "gone blocks")
        ]
        assert 3 == len(steps)

        async def day() -> None:
            for _ in range(288):
                await asyncio.sleep(FIVE_MINUTES_S)
                await world.deliver()
                for step in steps:
                    begin_invocation()
                    await step.run(world.clock.now_ms())

        await day()
        rows, puts = count_rows(world), world.objects.failures.calls["put"]
        requests = world.upstream.requests
        await day()
        counted = {
            "rounds": world.upstream.requests - requests,
            "D1 rows written": rows.total(),
            "R2 objects put": world.objects.failures.calls["put"] - puts,
        }
        assert 3 * 288 == rows["site_follows"]
        for what, most in said().items():
            assert 0.8 * most <= counted[what] <= most, (what, counted)


async def put(world: JobWorld, now_ms: int) -> None:
    """Follow the site from an hour ago on."""
    await SiteFollows(world.database).put(
        "site", since_ms=now_ms - HOUR_MS, every_ms=300_000, every="5m", now_ms=now_ms
    )
    await world.queues.send([FollowRef("site")], "low")
    await world.deliver()
