"""The check before a job's end: a job that is completed has all its data."""

from __future__ import annotations

import pytest

from building_vitals.cache import upkeep as cache_upkeep
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.jobs.check import PASSES_MAX
from building_vitals.jobs.options import JobOptions
from fakes.job_world import READER_OF_ALL, JobWorld
from fakes.virtual_time import in_virtual_time
from fakes.world import OBJECTS_ONLY, days

ONE_BY_ONE = JobOptions(batch_size=1, max_retries=0)


async def clean_up(world: JobWorld) -> None:
    """Run the cache's steps of the maintenance run."""
    steps = cache_upkeep.steps(world.database, world.objects, world.index, world.freshness)
    for step in steps:
        await step.run(world.clock.now_ms())


@in_virtual_time
async def test_a_job_retried_after_days_has_all_its_data() -> None:
    """What its chunks had fetched has expired by then, and is fetched again."""
    async with JobWorld(jobs=ONE_BY_ONE) as world:
        points, time_range = [f"p{n}" for n in range(40)], days(4, 1)
        world.upstream.failing = lambda asking, _: asking.points == ("p39",)
        job_id = await world.submit(points, time_range)
        job = await world.run(job_id)
        assert ("failed", 39) == (job.status, job.completed_chunks)
        await world.clock.sleep(60 * HOUR_MS)
        await clean_up(world)
        world.upstream.failing = lambda *_: False
        await world.service_of_jobs.retry_job(job_id, READER_OF_ALL)
        job = await world.run(job_id)
        truth = world.truth(points, time_range)
        assert ("completed", 40, sum(map(len, truth.values())), 0) == (
            job.status,
            job.completed_chunks,
            job.samples_count,
            job.retry_count,
        )
        assert truth == await world.result(job_id)
        [row] = world.database.look("SELECT upstream_requests AS n FROM queue_jobs")
        assert world.upstream.requests == row["n"]


@in_virtual_time
async def test_a_purge_in_the_middle_of_a_job_is_made_up_for() -> None:
    """What was purged of chunks that were done is fetched again before the end."""
    async with JobWorld(jobs=ONE_BY_ONE) as world:
        points = [f"p{n}" for n in range(6)]
        job_id = await world.submit(points, days(4, 1))
        await world.deliver()
        await world.index.purge("site", ["p0"], days(10, 0), now_ms=world.clock.now_ms())
        await world.clock.sleep(1)
        assert "completed" == (await world.run(job_id)).status
        assert world.truth(points, days(4, 1)) == await world.result(job_id)


@in_virtual_time
async def test_a_job_whose_data_never_last_fails_in_the_end() -> None:
    """With a reason, after a bounded number of passes."""
    async with JobWorld(jobs=ONE_BY_ONE) as world:

        async def purge(_: int) -> None:
            await world.index.purge("site", ["p0"], days(10, 0), now_ms=world.clock.now_ms())
            await world.clock.sleep(1)

        world.upstream.during = purge
        job_id = await world.submit(["p0", "p1"], days(4, 1))
        await world.run(job_id)
        fetched = [each.points[0] for each in world.upstream.asked]
        assert fetched.count("p0") <= PASSES_MAX + 2


@in_virtual_time
async def test_a_large_job_is_checked_in_parts() -> None:
    """An invocation looks at as much as its statements allow; the next one goes on from there."""
    async with JobWorld(cache=OBJECTS_ONLY, jobs=JobOptions(batch_size=1)) as world:
        points = [f"p{n}" for n in range(700)]
        job_id = await world.submit(points, days(1.2, 1))
        job = await world.run(job_id, within_s=10_000)
        assert ("completed", 700) == (job.status, job.completed_chunks)
        last = [line for line in world.lines if line.get("chunk") == 700]
        assert ["goes on", "completed"] == [line["outcome"] for line in last[-2:]]


@pytest.mark.parametrize("days_ago", [0, 3])
@in_virtual_time
async def test_points_that_the_site_does_not_have_are_no_gaps(days_ago: int) -> None:
    """A job with one among its points completes."""
    async with JobWorld() as world:
        time_range = days(4 + days_ago, 1 + days_ago)
        job_id = await world.submit(["a", "stranger"], time_range)
        assert "completed" == (await world.run(job_id)).status
        assert DAY_MS * 3 == time_range.duration_ms
