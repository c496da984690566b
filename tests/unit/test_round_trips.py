"""
How many calls of D1 and R2 follow each other before an answer, told by the time that they take.

In production each crosses a network: locally they take nothing, so that no other test would mind.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from building_vitals.api.messages import Reply
from building_vitals.ranges import Range
from fakes.api_calls import called, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
# Of each call of D1 and R2, and of each answer of the upstream.
CALL_MS = 250
PAGE_MS = 2_000
POINTS = [f"p{n}" for n in range(5)]
TEN_DAYS = Range(EPOCH_MS - 12 * DAY_MS, EPOCH_MS - 2 * DAY_MS)


class Distance:
    """A world whose database and bucket are far away."""

    def __init__(self, world: JobWorld) -> None:
        self._world = world
        world.upstream.page_ms = PAGE_MS
        for failures in (world.database.failures, world.objects.failures):
            failures.before = self._delay

    async def calls(self, route: str, query: str = "", *, etag: str = "") -> tuple[float, Reply]:
        """Return how many calls follow each other before the end of an answer, and the answer."""
        clock, before = self._world.clock, self._world.upstream.requests
        start_ms = clock.now_ms()
        reply = await called(self._world, route, query, if_none_match=etag)
        if reply.rest is not None:
            async for _ in reply.rest:
                pass
        pages = self._world.upstream.requests - before
        took_ms = clock.now_ms() - start_ms - pages * PAGE_MS
        await self._world.settle()
        return took_ms / CALL_MS, reply

    @staticmethod
    async def _delay(_: str) -> None:
        await asyncio.sleep(CALL_MS / 1000)


def question(points: list[str] = POINTS, time_range: Range = TEN_DAYS, **more: Any) -> str:
    """Return a query for samples."""
    options = {"start_time": time_range.start_ms, "end_time": time_range.end_ms, **more}
    return urlencode({"site": "site", "points": ",".join(points), **options})


@in_virtual_time
async def test_charts() -> None:
    """A miss: look up, take the lease; a hit: look up, read; one that the client has: look up."""
    async with JobWorld(page_size=50_000) as world:
        far = Distance(world)
        miss, reply = await far.calls("GET /api/timeseries", question(route="cached"))
        assert (2, 200) == (miss, reply.status)
        await asyncio.sleep(5)
        etag = headers_of(reply)["ETag"]
        same, reply = await far.calls("GET /api/timeseries", question(route="cached"), etag=etag)
        assert (1, 304) == (same, reply.status)
        hit, reply = await far.calls("GET /api/timeseries", question(POINTS[:3], route="cached"))
        assert (2, 200, "hit") == (hit, reply.status, headers_of(reply)["X-Cache-Status"])
        direct, reply = await far.calls("GET /api/timeseries", question(route="direct"))
        assert (0, 200) == (direct, reply.status)


@in_virtual_time
async def test_jobs() -> None:
    """Submitted, or found active: look up what is known, insert; its status is one call."""
    async with JobWorld(page_size=50_000) as world:
        far = Distance(world)
        query = question(time_range=Range(EPOCH_MS - 400 * DAY_MS, EPOCH_MS - DAY_MS))
        submitted, reply = await far.calls("GET /api/timeseries", query)
        assert (2, 202) == (submitted, reply.status)
        address = headers_of(reply)["Location"]
        status, reply = await far.calls(f"GET {address}")
        assert (1, 200) == (status, reply.status)
        again, reply = await far.calls("GET /api/timeseries", query)
        assert (2, 202) == (again, reply.status)


@pytest.mark.parametrize(
    ("path", "count"), [("/api/jobs", 1), ("/api/stats", 1), ("/api/upstream", 1)]
)
@in_virtual_time
async def test_lists(path: str, count: int) -> None:
    """One call for each."""
    async with JobWorld() as world:
        calls, reply = await Distance(world).calls(f"GET {path}")
        assert (count, 200) == (calls, reply.status)
