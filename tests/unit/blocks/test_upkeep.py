"""The clean-up of blocks: what is due is merged, what is gone goes, nothing that is read does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from building_vitals.blocks.blocks_table import Blocks
from building_vitals.blocks.merging import MERGED_MIN
from building_vitals.blocks.upkeep import MERGES_MAX, DueMerges, ExpiredBlocks, GoneBlocks
from building_vitals.cache.lease import FETCH_MS_MAX
from building_vitals.cache.options import CacheOptions
from building_vitals.errors import Unavailable
from building_vitals.follow.follows_table import SiteFollows
from building_vitals.follow.runner import READ_MS_LIMIT
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.jobs.runner import CHUNK_MS_MAX
from building_vitals.ranges import Range
from building_vitals.settings import SettingsError, read_settings
from building_vitals.upkeep import OBJECT_GRACE_MS, Step
from fakes.blocks import block_keys, keep_block, series_of
from fakes.failures import Fault
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days

SOME = ["a", "b"]
STEP_MS = 15 * MINUTE_MS
# What came is stored so soon after the fetch has ended, or nobody does it any longer.
STORED_MS_MAX = 4 * MINUTE_MS


def held(world: World) -> set[str]:
    """Return the keys of all blocks in the bucket."""
    return {key for key in world.objects.infos if key.startswith("blocks/")}


async def keep_rounds(world: World, site: str, count: int) -> None:
    """Store empty rounds of a site."""
    for n in range(count):
        begin_ms = EPOCH_MS - 40 * HOUR_MS + n * STEP_MS
        known = Range(begin_ms, begin_ms + STEP_MS)
        fetched_ms = world.clock.now_ms() - FETCH_MS_MAX - MERGED_MIN + n
        await world.app.blocks.keep(site, known, [], fetched_ms=fetched_ms)


@in_virtual_time
async def test_a_run_merges_what_is_due() -> None:
    """Of every site, so many at the most; the next run goes on."""
    async with World() as world:
        for n in range(MERGES_MAX + 2):
            await keep_rounds(world, f"site {n}", MERGED_MIN)
        await keep_rounds(world, "few", MERGED_MIN - 1)
        counts = []
        for _ in range(3):
            report = await world.app.maintenance.run()
            counts.append({each.name: each.changed for each in report.steps}["merged blocks"])
        assert [MERGES_MAX, 2, 0] == counts
        assert MERGES_MAX + 2 + MERGED_MIN - 1 == len(block_keys(world))


@in_virtual_time
async def test_blocks_are_merged_when_no_older_fetch_can_come() -> None:
    """A fetch that began before the last of them is stored by then, whoever carries it out."""
    async with World() as world:
        await keep_rounds(world, "site", MERGED_MIN)
        begun_ms = world.clock.now_ms() - 1
        await world.app.blocks.keep("site", days(3, 2), [], fetched_ms=begun_ms)
        for n in range(MERGED_MIN):
            known = Range(EPOCH_MS - HOUR_MS + n, EPOCH_MS - HOUR_MS + n + 1)
            await world.app.blocks.keep("other", known, [], fetched_ms=begun_ms + n)
        step = DueMerges(Blocks(world.database), world.app.merger)
        await world.clock.sleep(FETCH_MS_MAX - 2)
        assert 1 == await step.run(world.clock.now_ms())
        await world.clock.sleep(MERGED_MIN)
        assert 1 == await step.run(world.clock.now_ms())


def test_no_fetch_lasts_longer() -> None:
    """Whatever the vars say: those of requests, of chunks, of follows, and what behind them is."""
    vars_max = read_settings(SimpleNamespace(DIRECT_TIMEOUT="600000"))
    limits = (vars_max.routing.direct_timeout, CHUNK_MS_MAX, READ_MS_LIMIT)
    assert max(limits) + STORED_MS_MAX <= FETCH_MS_MAX
    with pytest.raises(SettingsError):
        read_settings(SimpleNamespace(DIRECT_TIMEOUT="600001"))


@in_virtual_time
async def test_replaced_blocks_stay_for_who_reads_them() -> None:
    """The object goes when no answer can be read from it any longer, and its row with it."""
    async with World() as world:
        await keep_rounds(world, "site", MERGED_MIN)
        await world.app.maintenance.run()
        assert MERGED_MIN + 1 == len(held(world))
        await world.clock.sleep(OBJECT_GRACE_MS)
        await world.app.maintenance.run()
        assert MERGED_MIN + 1 == len(held(world))
        await world.clock.sleep(1000)
        await world.app.maintenance.run()
        assert set(block_keys(world)) == held(world)
        assert 1 == len(world.database.look("SELECT * FROM site_blocks"))


@in_virtual_time
async def test_what_was_dropped_goes() -> None:
    """A site that is forgotten leaves nothing."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 3))
        await world.app.blocks.forget("site")
        await world.clock.sleep(OBJECT_GRACE_MS + 1000)
        await world.app.maintenance.run()
        assert set() == held(world)
        assert [] == world.database.look("SELECT * FROM site_blocks")


@in_virtual_time
async def test_a_block_that_was_never_made_known_goes() -> None:
    """After an hour, for it may be about to be; those that have a row stay."""
    async with World() as world:
        await keep_block(world, SOME, days(10, 3))
        known = held(world)
        world.database.failures.next("batch", fault=Fault.REFUSED)
        with pytest.raises(Unavailable):
            await keep_block(world, SOME, days(3, 2))
        await world.app.maintenance.run()
        assert 2 == len(held(world))
        await world.clock.sleep(HOUR_MS + 1000)
        await world.app.maintenance.run()
        assert known == held(world)
        assert "hit" == (await world.ask(SOME, days(10, 3))).report.status


@in_virtual_time
async def test_a_day_of_rounds_takes_few_writes() -> None:
    """A round every 5 minutes: at most 400 objects and 2,000 rows, and few blocks are left."""
    async with World() as world:
        blocks = Blocks(world.database)
        steps: list[Step] = [GoneBlocks(blocks, world.objects), DueMerges(blocks, world.app.merger)]
        for _ in range(288):
            await world.clock.sleep(5 * MINUTE_MS)
            now_ms = world.clock.now_ms()
            await keep_block(world, SOME, Range(now_ms - 6 * MINUTE_MS, now_ms))
            for step in steps:
                await step.run(now_ms)
        assert world.objects.failures.calls["put"] <= 400
        assert world.database.connection.total_changes <= 2000
        assert len(block_keys(world)) <= 24
        # Of those that were replaced, the last hours are left.
        assert len(held(world)) <= 24 + 4.1 * 12 * 1.2
        segments = await world.index.find("site", SOME, Range(EPOCH_MS, world.clock.now_ms()))
        day = Range(EPOCH_MS, EPOCH_MS + 24 * HOUR_MS)
        stored = dict.fromkeys(SOME, 0)
        for each in segments:
            stored[each.point] += sum(frame.count for frame in each.frames or ())
        for point in SOME:
            # What rounds that are not merged yet have twice, and the minute before the day.
            least = len(world.upstream.times(point, day))
            assert least <= stored[point] <= least + 10


async def keep_once(world: World, start_ms: int, **options: Any) -> None:
    """Store an hour of a site as a job does."""
    known = Range(start_ms, start_ms + HOUR_MS)
    series = await series_of(world, SOME, known)
    fetched_ms = world.clock.now_ms()
    options = {"fetched_ms": fetched_ms, "is_once": True} | options
    await world.app.blocks.keep("site", known, series, **options)


@in_virtual_time
async def test_a_block_goes_when_nobody_reads_it_unless_the_site_is_followed() -> None:
    """Each access counts, also that of what it became part of; a followed site keeps everything."""
    async with World(cache=CacheOptions(max_cache_age=10 * DAY_MS // 1000)) as world:
        old_ms = EPOCH_MS - 300 * DAY_MS
        await keep_once(world, old_ms)
        await keep_once(world, old_ms + 10 * HOUR_MS)
        read, unread = block_keys(world)
        step = ExpiredBlocks(Blocks(world.database), world.freshness)
        await world.clock.sleep(6 * DAY_MS)
        await world.ask(SOME, Range(old_ms, old_ms + HOUR_MS))
        await world.settle()
        await world.clock.sleep(6 * DAY_MS)
        await SiteFollows(world.database).put(
            "site", since_ms=0, every_ms=300_000, every="5m", now_ms=world.clock.now_ms()
        )
        assert 0 == await step.run(world.clock.now_ms())
        world.database.connection.execute("DELETE FROM site_follows")
        assert 1 == await step.run(world.clock.now_ms())
        assert [read] == block_keys(world)
        assert unread in held(world)
        await world.clock.sleep(OBJECT_GRACE_MS + HOUR_MS)
        await world.app.maintenance.run()
        assert {read} == held(world)
        await world.clock.sleep(6 * DAY_MS)
        assert 1 == await step.run(world.clock.now_ms())
        assert [] == block_keys(world)


@in_virtual_time
async def test_what_is_no_longer_trusted_goes_sooner() -> None:
    """As segments do: when nothing of it may stand in any longer."""
    async with World(cache=CacheOptions(max_cache_age=1000 * DAY_MS // 1000)) as world:
        await keep_once(world, EPOCH_MS - 2 * HOUR_MS)
        step = ExpiredBlocks(Blocks(world.database), world.freshness)
        grace_ms = world.freshness.grace_ms
        assert 0 == await step.run(EPOCH_MS + 4 * HOUR_MS + grace_ms)
        assert 1 == await step.run(EPOCH_MS + 4 * HOUR_MS + grace_ms + 1)


@pytest.mark.parametrize("is_block", [True, False])
def test_a_block_stays_while_it_hides_an_older_copy(*, is_block: bool) -> None:
    """An answer never goes back in time because nobody has read the newer copy."""

    @in_virtual_time
    async def run() -> None:
        async with World(cache=CacheOptions(max_cache_age=10 * DAY_MS // 1000)) as world:
            old_ms = EPOCH_MS - 300 * DAY_MS
            wider = Range(old_ms - HOUR_MS, old_ms + 2 * HOUR_MS)
            series = await series_of(world, SOME, wider)
            if is_block:
                await world.app.blocks.keep("site", wider, series, fetched_ms=EPOCH_MS - 1)
            else:
                made = world.store.made("site", series, fetched_ms=EPOCH_MS - 1)
                await world.store.commit([await world.store.put(made)], now_ms=EPOCH_MS)
            await keep_once(world, old_ms)
            newest = block_keys(world)[0]
            world.database.connection.execute(
                "UPDATE site_blocks SET last_access_ms = ? WHERE object_key <> ?",
                (EPOCH_MS + 11 * DAY_MS, newest),
            )
            step = ExpiredBlocks(Blocks(world.database), world.freshness)
            assert 0 == await step.run(EPOCH_MS + 12 * DAY_MS)
            assert newest in block_keys(world)
            world.database.connection.execute("DELETE FROM cache_segments")
            world.database.connection.execute(
                "DELETE FROM site_blocks WHERE object_key <> ?", (newest,)
            )
            assert 1 == await step.run(EPOCH_MS + 12 * DAY_MS)

    run()
