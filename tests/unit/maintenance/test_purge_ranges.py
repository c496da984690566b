"""Purges in a world with compaction, jobs and slow fetches: what they do not name is untouched."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, World, days

MINUTE_MS = 60_000


@pytest.mark.parametrize("points", [["q"], ["no such point"], ["p"]])
@in_virtual_time
async def test_a_purge_of_another_point_or_time_leaves_compaction_alone(
    points: list[str],
) -> None:
    """Ten reads are hits, before, while and after what was read is brought together."""
    async with World(cache=OBJECTS_ONLY) as world:
        for day in range(20, 10, -1):
            await world.ask(["p"], days(day, day - 1))
            await world.settle()
            await world.clock.sleep(1000)
        await world.ask(["q"], days(20, 19))
        await world.settle()
        await world.clock.sleep(5000)
        named = None if points != ["p"] else days(30, 25)
        await world.app.cache_admin.purge("site", points, named)
        truth = world.truth(["p"], days(20, 10))
        asked = len(world.upstream.asked)
        for _ in range(10):
            got = await world.ask(["p"], days(20, 10))
            assert ("hit", truth) == (got.report.status, got.samples)
            await world.settle()
            await world.clock.sleep(2000)
        assert 1 == world.started["Compactor.compact"]
        assert asked == len(world.upstream.asked)
        assert [] == world.reported


@in_virtual_time
async def test_five_minutes_purged_are_five_minutes_fetched() -> None:
    """Of ten days one sample is fetched again; after that all is known, joined or not."""
    async with World() as world:
        await world.ask(["p"], days(20, 10))
        await world.settle()
        await world.clock.sleep(1000)
        world.upstream.changes.append(world.clock.now_ms())
        part = Range(EPOCH_MS - 15 * DAY_MS, EPOCH_MS - 15 * DAY_MS + 5 * MINUTE_MS)
        assert 1 == await world.app.cache_admin.purge("site", ["p"], part)
        await world.clock.sleep(1000)
        sent = world.upstream.samples_sent
        got = await world.ask(["p"], days(20, 10))
        assert [part] == got.report.fetched
        assert 1 == world.upstream.samples_sent - sent
        before, after = days(20, 15), Range(part.end_ms, EPOCH_MS - 10 * DAY_MS)
        expected = [
            *world.upstream.truth("p", before),
            *world.upstream.truth("p", part, 1),
            *world.upstream.truth("p", after),
        ]
        assert {"p": expected} == got.samples
        await world.settle()
        await world.clock.sleep(2000)
        again = await world.ask(["p"], days(20, 10))
        assert ("hit", {"p": expected}) == (again.report.status, again.samples)


@in_virtual_time
async def test_entity_tags_tell_answers_before_and_after_a_purge_apart() -> None:
    """A client that holds the answer of before gets another one."""
    async with World() as world:
        await world.ask(["p"], days(20, 10))
        await world.settle()
        await world.clock.sleep(1000)
        before = await world.ask(["p"], days(20, 10))
        world.upstream.changes.append(world.clock.now_ms())
        await world.app.cache_admin.purge("site", ["p"], days(15, 14))
        await world.clock.sleep(1000)
        await world.ask(["p"], days(20, 10))
        await world.settle()
        after = await world.ask(["p"], days(20, 10))
        assert ("hit", "hit") == (before.report.status, after.report.status)
        assert before.samples != after.samples
        assert before.answer_etag != after.answer_etag


@in_virtual_time
async def test_a_purge_while_a_fetch_goes_on_takes_its_part_alone() -> None:
    """Of what was fetched, the range purged is a gap afterwards, and the rest is known."""
    async with World() as world:
        world.upstream.page_ms = 3000
        asking = asyncio.ensure_future(world.ask(["p", "q"], days(20, 10)))
        await world.clock.sleep(4000)
        await world.app.cache_admin.purge("site", ["p"], days(15, 14))
        await world.app.cache_admin.purge("site", ["p"], days(12, 11))
        await world.app.cache_admin.purge("site", ["p"], days(14.5, 13))
        await asking
        await world.settle()
        await world.clock.sleep(1000)
        world.upstream.page_ms = 0
        got = await world.ask(["p", "q"], days(20, 10))
        assert world.truth(["p", "q"], days(20, 10)) == got.samples
        assert [days(15, 13), days(12, 11)] == got.report.fetched
        assert [("p",), ("p",)] == [each.points for each in world.upstream.asked[1:]]


@pytest.mark.parametrize("name", ["q", "p"])
@in_virtual_time
async def test_a_job_completes_while_others_are_purged(name: str) -> None:
    """Every two seconds another point or another time of the same: nothing is fetched twice."""
    async with JobWorld() as world:
        world.upstream.page_ms = 3000
        job_id = await world.submit(["p"], days(40, 10))
        running = asyncio.ensure_future(world.run(job_id))
        while not running.done():
            await world.app.cache_admin.purge("site", [name], days(60, 50))
            await world.clock.sleep(2000)
        assert "completed" == (await running).status
        assert len(world.upstream.times("p", days(40, 10))) == world.upstream.samples_sent
        assert world.truth(["p"], days(40, 10)) == await world.result(job_id)


@in_virtual_time
async def test_a_job_completes_when_what_it_fetches_is_purged() -> None:
    """The purged part is fetched again, and nothing else."""
    async with JobWorld() as world:
        world.upstream.page_ms = 3000
        job_id = await world.submit(["p"], days(40, 10))
        running = asyncio.ensure_future(world.run(job_id))
        await world.clock.sleep(8000)
        world.upstream.changes.append(world.clock.now_ms())
        await world.app.cache_admin.purge("site", ["p"], days(39, 38))
        assert "completed" == (await running).status
        result = await world.result(job_id)
        assert result is not None
        day = days(39, 38)
        shown = [each for each in result["p"] if day.start_ms <= each[0] < day.end_ms]
        assert world.upstream.truth("p", day, 1) == shown
        twice = world.upstream.samples_sent - len(world.upstream.times("p", days(40, 10)))
        assert len(world.upstream.times("p", day)) == twice


def purged(world: JobWorld) -> set[str]:
    """Return the jobs whose results were purged."""
    rows = world.database.look("SELECT job_id FROM job_results WHERE expires_ms < 0")
    return {row["job_id"] for row in rows}


@in_virtual_time
async def test_results_of_other_points_stay() -> None:
    """A purge takes the results of jobs that hold one of its points, and no other."""
    async with JobWorld() as world:
        jobs = {name: await world.submit([name, "both"], days(40, 10)) for name in "pq"}
        for name, job_id in jobs.items():
            await world.run(job_id)
            await world.settle()
            world.database.look(
                "INSERT OR REPLACE INTO job_results (job_id, site, start_ms, end_ms, object_key,"
                " expires_ms) VALUES (?1, 'site', ?2, ?3, ?4, 99)",
                *(job_id, *days(40, 10), name),
            )
        purge = world.app.cache_admin.purge
        await purge("site", ["neither"], None)
        await purge("site", ["p"], days(50, 40))
        await purge("elsewhere", ["p"], None)
        assert set() == purged(world)
        await world.index.purge("site", ["p", "x"], days(41, 39), now_ms=world.clock.now_ms())
        assert {jobs["p"]} == purged(world)
        await world.index.purge("site", ["both"], days(41, 39), now_ms=world.clock.now_ms())
        assert {*jobs.values()} == purged(world)
