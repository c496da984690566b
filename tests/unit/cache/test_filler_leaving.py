"""Two users zoom about in the same charts and leave half of them: who stays is answered in time."""

from __future__ import annotations

import asyncio
import sys
from itertools import takewhile

import pytest

from building_vitals.isolate import Isolate
from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, read_body, read_json
from fakes.zooming import CHARTS, POINTS_PER_CHART, Look, looks

DAY_MS = 86_400_000
LATENCY_MS = 2000
LASTS_MS = 60_000
RATIO_MAX = 1.5
PERIOD = Range(EPOCH_MS - 440 * DAY_MS, EPOCH_MS - 40 * DAY_MS)
POINTS = [f"p{n}" for n in range(CHARTS * POINTS_PER_CHART)]


class User:
    """
    A user, and how long he had to wait each time that he stayed, in times of the upstream's.

    Attributes:
        ratios: The waits for what was not known.
    """

    def __init__(self, world: World, isolate: Isolate) -> None:
        self.ratios: list[float] = []
        self._world = world
        self._service = world.make_app(isolate).timeseries

    async def look(self, look: Look) -> None:
        """Look at one chart, or leave before it is there."""
        time_range = Range(look.start_ms, look.end_ms)
        began_ms = self._world.clock.now_ms()
        task = asyncio.ensure_future(self._ask(look.points, time_range))
        if look.leaves_after is not None:
            await asyncio.wait([task], timeout=look.leaves_after * LATENCY_MS / 1000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            assert self._world.truth(look.points, time_range) == await task
            ratio = (self._world.clock.now_ms() - began_ms) / LATENCY_MS
            self.ratios += [ratio] if ratio else []
        await asyncio.sleep(look.pause * LATENCY_MS / 1000)

    async def _ask(self, points: tuple[str, ...], time_range: Range) -> object:
        question = self._world.question(points, time_range)
        answer = await self._service.fetch_timeseries(question)
        return read_json(answer, await read_body(answer), is_gzip=question.gzip).samples


@pytest.mark.parametrize("isolates", [1, 2])
@pytest.mark.parametrize("seed", ["one", "two", "three"])
@in_virtual_time
async def test_who_stays_is_answered_in_about_the_time_of_the_upstream(
    seed: str, isolates: int
) -> None:
    """Within one and a half times; what is fetched, is fetched once or little more."""
    async with World(page_size=1_000_000, interval_ms=DAY_MS // 24) as world:
        world.upstream.page_ms = LATENCY_MS
        homes = [Isolate() for _ in range(isolates)]
        users = [User(world, homes[n % isolates]) for n in range(2)]

        async def use(number: int) -> None:
            for look in takewhile(
                lambda _: world.clock.now_ms() < EPOCH_MS + LASTS_MS,
                looks(f"{seed}-{number}", POINTS, *PERIOD),
            ):
                await users[number].look(look)

        await asyncio.gather(*map(use, range(2)))
        await world.settle()
        ratios = sorted(ratio for user in users for ratio in user.ratios)
        asked = {
            (point, at)
            for each in world.upstream.asked
            for point in each.points
            for at in world.upstream.times(point, each.time_range)
        }
        again = world.upstream.samples_sent / len(asked)
        median = ratios[len(ratios) // 2]
        sys.stdout.write(
            f"{len(ratios)} stayed for what was not known: median {median:.2f}, most "
            f"{ratios[-1]:.2f}; samples fetched for each distinct one: {again:.2f}\n"
        )
        assert ratios[-1] <= RATIO_MAX
        assert again <= 1.2
        assert [] == world.database.look("SELECT * FROM fetch_leases")
