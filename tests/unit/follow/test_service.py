"""How a follow goes, as its document says it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import msgspec

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.follow.service import FollowService, document, followed_sites
from building_vitals.instants import DAY_MS, HOUR_MS, INSTANT_MAX_MS, MINUTE_MS, format_instant
from building_vitals.ranges import Range
from fakes.database import FakeDatabase
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time

NOW_MS = 1_767_225_600_000
ALL = Range(0, INSTANT_MAX_MS)


async def test_a_document_tells_what_the_row_has() -> None:
    """Instants as text, times in whole seconds; what nobody knows yet is null."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        row = await follows.put(
            "hq", since_ms=NOW_MS - DAY_MS, every_ms=300_000, every="5m", now_ms=NOW_MS
        )
        new = document(row, NOW_MS + 1_999)
        assert ("backfilling", 1, None, None, None) == (
            new.state,
            new.lag_seconds,
            new.newest_sample,
            new.backfill.until,
            new.backfill.eta_seconds,
        )
        half = Range(NOW_MS - 12 * HOUR_MS, NOW_MS)
        follow = msgspec.structs.replace(
            row.follow, read=(half,), last_round=half, pace=HOUR_MS, backfill_failures=1
        )
        grown = msgspec.structs.replace(
            row.with_counts(7, 900, NOW_MS - 5, NOW_MS), follow=follow, error="no luck"
        )
        found = document(grown, NOW_MS + 10_000)
        assert {
            "state": "failing",
            "lagSeconds": 10,
            "newestSample": format_instant(NOW_MS - 5),
            "since": format_instant(NOW_MS - DAY_MS),
            "every": "5m",
            "backfill": {
                "progress": 50,
                "until": format_instant(half.start_ms),
                # 12 hours of data, an hour in a millisecond.
                "etaSeconds": 1,
            },
            "pagesPerDay": 7,
            "samplesPerDay": 900,
            "error": "no luck",
        } == msgspec.to_builtins(found)
        [named] = followed_sites(database.look("SELECT * FROM site_follows"), NOW_MS)
        assert {"site": "hq", **msgspec.to_builtins(document(row, NOW_MS))} == {
            **msgspec.to_builtins(named)
        }


class OwnLists:
    """The lists of a site that has all points."""

    async def own_points(
        self,
        site: str,
        names: Collection[str],
        *,
        deadline_ms: int | None,
        on_ask: Callable[[], None] = lambda: None,
    ) -> frozenset[str]:
        """Return the points that are the site's: all."""
        del site, deadline_ms
        on_ask()
        return frozenset(names)


def service(world: JobWorld) -> FollowService:
    """Return the service over the stores of a world."""
    app = world.make_app()
    return FollowService(
        follows=SiteFollows(world.database),
        lists=OwnLists(),
        keeper=app.blocks,
        purge=lambda site: app.index.purge(site, None, ALL, now_ms=world.clock.now_ms()),
        sender=world.queues,
        freshness_of=app.freshness_of,
        on_change=app.isolate.follows.forget,
        invocation=world.invocation,
    )


async def followed(world: JobWorld, *, days: int) -> FollowService:
    """Follow a site from some days back on, until all is read."""
    follows = service(world)
    await put(world, days)
    await pass_time(world, 10 * MINUTE_MS)
    assert "following" == (await follows.read("site")).state
    return follows


async def put(world: JobWorld, days: int, every_ms: int = 300_000) -> None:
    """Follow the site, or change from when on and how often."""
    since_ms = world.clock.now_ms() - days * DAY_MS
    await service(world).put("site", since_ms=since_ms, every_ms=every_ms, every="so often")


async def pass_time(world: JobWorld, duration_ms: int) -> None:
    """Deliver what comes for a while."""
    until_ms = world.clock.now_ms() + duration_ms
    while world.clock.now_ms() < until_ms:
        await world.deliver()
        await asyncio.sleep(10)


@in_virtual_time
async def test_what_an_earlier_follow_has_left_is_read_no_second_time() -> None:
    """What is trusted of it; the last hours are read again, and charts are hits as ever."""
    async with JobWorld(page_size=1000) as world:
        names = world.upstream.site_points = tuple(f"p{n}" for n in range(8))
        follows = await followed(world, days=20)
        await follows.end("site", forgets=False)
        await asyncio.sleep(6 * 3600)
        world.upstream.asked.clear()
        await put(world, 21)
        # Its first round is awaited since a moment, and the most of it is known.
        put_again = await follows.read("site")
        assert ("backfilling", 0) == (put_again.state, put_again.lag_seconds)
        assert 90 <= put_again.backfill.progress < 100
        await pass_time(world, 10 * MINUTE_MS)
        found = await follows.read("site")
        assert ("following", 100) == (found.state, found.backfill.progress)
        # 18 hours before all that was read, and those of which little is trusted.
        read_ms = sum(each.time_range.duration_ms for each in world.upstream.asked)
        assert 24 * HOUR_MS < read_ms < 32 * HOUR_MS
        world.upstream.asked.clear()
        # Long after trust alone would have it asked for again.
        await put(world, 21, every_ms=DAY_MS)
        for _ in range(40):
            await asyncio.sleep(DAY_MS / 1000)
            await world.deliver()
        end_ms = world.clock.now_ms() - HOUR_MS
        asked = Range(end_ms - 60 * DAY_MS, end_ms)
        before = world.upstream.requests
        got = await world.ask(names[:2], asked)
        assert ("hit", before) == (got.report.status, world.upstream.requests)
        assert world.truth(names[:2], asked) == got.samples


@in_virtual_time
async def test_what_was_forgotten_or_purged_is_read_again() -> None:
    """Also where blocks of it are left, because a part of them is still known."""
    async with JobWorld(page_size=1000) as world:
        world.upstream.site_points = tuple(f"p{n}" for n in range(8))
        follows = await followed(world, days=9)
        purged = Range(world.clock.now_ms() - 7 * DAY_MS, world.clock.now_ms() - 5 * DAY_MS)
        await world.index.purge("site", None, purged, now_ms=world.clock.now_ms())
        await follows.end("site", forgets=False)
        world.upstream.asked.clear()
        await asyncio.sleep(2)
        await put(world, 9)
        await pass_time(world, 10 * MINUTE_MS)
        assert purged in [each.time_range for each in world.upstream.asked]
        await follows.end("site", forgets=True)
        world.upstream.asked.clear()
        await asyncio.sleep(2)
        await put(world, 9)
        await pass_time(world, 10 * MINUTE_MS)
        assert 9 * DAY_MS <= sum(each.time_range.duration_ms for each in world.upstream.asked)
