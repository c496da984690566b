"""Results of large jobs: materialised once, answered from, and let go of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from building_vitals.access.caller import ANYBODY
from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.question import Question
from building_vitals.cache.object_keys import RESULTS_PREFIX
from building_vitals.jobs.model import Job
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.results import LOST_AFTER_MS, UNFINISHED_MS
from building_vitals.jobs.results_table import JobResult, JobResults
from building_vitals.jobs.upkeep import UNFINISHED_GRACE_MS, LostResults, OldResults
from building_vitals.ranges import Range
from building_vitals.upkeep import OBJECT_GRACE_MS
from fakes.failures import Fault
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import days, read_json

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
POINTS = ["a", "b", "c"]
EVER = Range(0, 2 * EPOCH_MS)


def materialised(world: JobWorld) -> list[str]:
    """Return the objects of results."""
    return [key for key in world.objects.infos if key.startswith(RESULTS_PREFIX)]


async def found(world: JobWorld, job_id: str) -> tuple[Job, JobResult | None]:
    """Return a job and its result, as another isolate finds them."""
    world.look_ups.forget()
    return await world.service_of_jobs.get_job_with_result(job_id, ANYBODY)


async def answer(world: JobWorld, job_id: str, **options: Any) -> TimeseriesAnswer | None:
    """Return the answer from a result."""
    job, result = await found(world, job_id)
    assert result is not None
    asked: Question = world.question([], job.time_range, route="queued", **options)
    return await world.results().answer(asked, result)


async def complete(world: JobWorld, time_range: Range) -> str:
    """Return a job that has been run."""
    job_id = await world.submit(POINTS, time_range)
    assert "completed" == (await world.run(job_id)).status
    return job_id


@in_virtual_time
async def test_a_result_is_one_object_with_an_end_for_each_answer() -> None:
    """What is stored and the end together are what would have been spliced, to the tag."""
    async with JobWorld(jobs=JobOptions(batch_size=2)) as world:
        job_id = await complete(world, days(9, 3))
        assert 1 == len(materialised(world))
        got = await answer(world, job_id)
        assert got is not None
        assert got.stored is not None
        body = got.stored.found.body + got.stored.end
        assert len(body) == got.stored.size
        read = read_json(got, body, is_gzip=True)
        assert world.truth(POINTS, days(9, 3)) == read.samples == await world.result(job_id)
        assert ("hit", got.samples) == (read.report.status, read.report.samples_from_cache)
        assert [] == world.reported


@in_virtual_time
async def test_a_result_of_cut_frames_has_the_length_it_was_said_to_have() -> None:
    """Segments that reach beyond the job on both sides are cut, in announcing and in doing."""
    async with JobWorld() as world:
        await world.ask(POINTS, days(9, 2))
        await world.settle()
        time_range = Range(days(8, 3).start_ms + 7 * HOUR_MS, days(8, 3).end_ms - 5 * HOUR_MS)
        job_id = await complete(world, time_range)
        assert 1 == len(materialised(world))
        assert world.truth(POINTS, time_range) == await world.result(job_id)
        assert [] == world.reported


@in_virtual_time
async def test_small_results_are_not_materialised() -> None:
    """What is one batch of pieces anyway is spliced; no row and no object is made for it."""
    async with JobWorld(result_bytes_min=10**6) as world:
        job_id = await complete(world, days(9, 3))
        assert (None, []) == ((await found(world, job_id))[1], materialised(world))
        assert await world.result(job_id) == world.truth(POINTS, days(9, 3))


@in_virtual_time
async def test_a_result_is_materialised_once() -> None:
    """However often a job is said to be complete, and by however many at once."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        await asyncio.gather(*(world.results().materialise(job_id) for _ in range(5)))
        assert 1 == len(materialised(world))
        assert [] == world.reported


@in_virtual_time
async def test_another_form_is_not_made_from_a_result() -> None:
    """Other formats, plain text and thinned-out answers are spliced; a known tag needs no bytes."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        for options in ({"format": "csv"}, {"gzip": False}, {"max_points": 10}):
            assert await answer(world, job_id, **options) is None, options
        whole = await answer(world, job_id)
        assert whole is not None
        known = await answer(world, job_id, matches=lambda tag: tag == whole.answer_etag)
        assert known is not None
        assert known.stored is None


@in_virtual_time
async def test_what_is_lost_or_changed_is_no_answer() -> None:
    """An object that is gone, or another one, is not passed on: the answer is spliced then."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        [key] = materialised(world)
        world.objects.overwrite(key, b"something else")
        assert await answer(world, job_id) is None
        world.objects.lose(key)
        assert await answer(world, job_id) is None
        assert world.truth(POINTS, days(9, 3)) == await world.result(job_id)


@pytest.mark.parametrize("harm", ["lost", "overwritten"])
@in_virtual_time
async def test_a_lost_result_is_made_again_once(harm: str) -> None:
    """The answers meanwhile are spliced; the next ones come from the new object."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        [key] = materialised(world)
        before = await answer(world, job_id)
        if harm == "lost":
            world.objects.lose(key)
        else:
            world.objects.overwrite(key, b"something else")
        assert [None] * 3 == await asyncio.gather(*(answer(world, job_id) for _ in range(3)))
        await world.settle()
        [again] = [each for each in materialised(world) if each != key]
        after = await answer(world, job_id)
        assert after is not None is not before
        assert after.answer_etag == before.answer_etag
        assert (again, world.truth(POINTS, days(9, 3))) == (
            *[row["object_key"] for row in world.database.look("SELECT * FROM job_results")],
            await world.result(job_id),
        )
        assert [] == world.reported


@in_virtual_time
async def test_a_lost_result_that_cannot_be_made_again_is_left() -> None:
    """A database that refuses is told of; the answer is spliced, and the next reader tries."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        _, result = await found(world, job_id)
        assert result is not None
        world.objects.lose(result.object_key)
        world.database.failures.next("batch", fault=Fault.REFUSED)
        asked = world.question([], days(9, 3), route="queued")
        assert await world.results().answer(asked, result) is None
        await world.settle()
        assert ["job result"] == [where for where, _ in world.reported]
        assert result == (await found(world, job_id))[1]


@pytest.mark.parametrize("fault", Fault)
@in_virtual_time
async def test_a_bucket_that_fails_leaves_a_job_as_it_is(fault: Fault) -> None:
    """The job is complete, the failure reported, nothing half stored; later it can be done."""
    async with JobWorld() as world:
        job_id = await world.submit(POINTS, days(9, 3))
        world.objects.failures.next("put_stream", fault=fault)
        assert "completed" == (await world.run(job_id)).status
        assert [] == materialised(world)
        assert ["job result"] == [where for where, _ in world.reported]
        assert (await found(world, job_id))[1] is None
        await world.results().materialise(job_id)
        assert 1 == len(materialised(world))
        assert world.truth(POINTS, days(9, 3)) == await world.result(job_id)


@in_virtual_time
async def test_a_result_that_was_lost_is_made_up_for() -> None:
    """A bucket that failed, or a consumer that died after its note: the maintenance run does it."""
    async with JobWorld() as world:
        step = LostResults(world.results())
        world.objects.failures.next("put_stream", fault=Fault.REFUSED)
        refused = await complete(world, days(9, 3))
        died = await complete(world, days(20, 12))
        [key] = materialised(world)
        world.objects.lose(key)
        dies_ms = world.clock.now_ms() + UNFINISHED_MS
        world.database.connection.execute(
            f"UPDATE job_results SET object_etag = NULL, expires_ms = {dies_ms}"
        )
        assert 0 == await step.run(world.clock.now_ms())
        await world.clock.sleep(LOST_AFTER_MS)
        assert 1 == await step.run(world.clock.now_ms())
        assert (await found(world, refused))[1] is not None
        await world.clock.sleep(UNFINISHED_MS + UNFINISHED_GRACE_MS + 1)
        old = OldResults(JobResults(world.database), world.objects)
        assert 1 == await old.run(world.clock.now_ms())
        assert [1, 0] == [await step.run(world.clock.now_ms()) for _ in range(2)]
        assert 2 == len(materialised(world))
        assert world.truth(POINTS, days(20, 12)) == await world.result(died)


@in_virtual_time
async def test_what_is_not_worth_it_is_looked_into_once() -> None:
    """A result that was found too small, or has gaps by now, is not tried at every run."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        results = JobResults(world.database)
        await results.drop(await results.expired(before_ms=10 * EPOCH_MS, limit=10))
        await world.index.purge("site", ["a"], EVER, now_ms=world.clock.now_ms())
        await world.clock.sleep(LOST_AFTER_MS)
        lost = {"since_ms": 0, "before_ms": 10 * EPOCH_MS, "data_size_min": 1, "limit": 9}
        assert [job_id] == await results.missing(**lost)
        assert 0 == await LostResults(world.results()).run(world.clock.now_ms())
        assert [] == await results.missing(**lost)


@in_virtual_time
async def test_a_purge_takes_results_with_it() -> None:
    """Purged results are not found any more; their objects go when nobody can read them."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        admin = world.app.cache_admin
        await admin.purge("elsewhere", None, None)
        await admin.purge("site", None, days(30, 20))
        await admin.purge("site", ["of no job"], None)
        assert (await found(world, job_id))[1] is not None
        assert 0 < await admin.purge("site", ["a"], days(5, 4))
        assert (await found(world, job_id))[1] is None
        await world.settle()
        assert await world.result(job_id) is None
        clean_up = OldResults(JobResults(world.database), world.objects)
        for _ in range(2):
            assert 0 == await clean_up.run(world.clock.now_ms())
            assert 1 == len(materialised(world))
            await world.clock.sleep(OBJECT_GRACE_MS)
        assert 1 == await clean_up.run(world.clock.now_ms() + 1)
        assert [] == materialised(world)


@in_virtual_time
async def test_a_purge_reaches_a_result_that_is_being_made() -> None:
    """Nothing that was read before a purge becomes known after it."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        job, result = await found(world, job_id)
        assert result is not None
        results = JobResults(world.database)
        await results.drop(await results.expired(before_ms=10 * EPOCH_MS, limit=10))
        assert await results.begin(
            job_id, "site", job.time_range, result.object_key, expires_ms=10 * EPOCH_MS
        )
        await world.index.purge("site", ["a"], EVER, now_ms=world.clock.now_ms())
        await results.finish(job_id, result, expires_ms=10 * EPOCH_MS)
        assert (await found(world, job_id))[1] is None
        # Nobody can have read it.
        await world.clock.sleep(1)
        gone = await results.expired(before_ms=world.clock.now_ms(), readable_before_ms=0, limit=9)
        assert [job_id] == [each.job_id for each in gone]


@in_virtual_time
async def test_results_go_when_they_are_old() -> None:
    """A result lives as long as segments that nobody reads, then row and object are deleted."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        results = JobResults(world.database)
        step = OldResults(results, world.objects)
        lives_ms = world.freshness.max_age_ms
        await world.clock.sleep(lives_ms - HOUR_MS)
        assert (await found(world, job_id))[1] is not None
        assert 0 == await step.run(world.clock.now_ms())
        await world.clock.sleep(2 * HOUR_MS)
        assert (await found(world, job_id))[1] is None
        assert 1 == await step.run(world.clock.now_ms() + OBJECT_GRACE_MS)
        assert [] == materialised(world)
        assert 0 == await step.run(world.clock.now_ms() + OBJECT_GRACE_MS)


@pytest.mark.parametrize("status", ["queued", "processing", "cancelled"])
@in_virtual_time
async def test_only_completed_jobs_have_results(status: str) -> None:
    """A note is only made for a job that is complete."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        results = JobResults(world.database)
        await results.drop(await results.expired(before_ms=10 * EPOCH_MS, limit=10))
        world.database.connection.execute(f"UPDATE queue_jobs SET status = '{status}'")
        assert not await results.begin(job_id, "site", days(9, 3), "key", expires_ms=EPOCH_MS)


@in_virtual_time
async def test_a_result_lives_as_long_as_it_says() -> None:
    """Neither the clean-up of datasets nor its own takes it before; then it goes."""
    async with JobWorld() as world:
        job_id = await complete(world, days(9, 3))
        [row] = world.database.look("SELECT expires_ms FROM job_results")
        old = OldResults(JobResults(world.database), world.objects)
        await world.clock.sleep(row["expires_ms"] - world.clock.now_ms() - 1)
        await world.app.datasets.cleanup()
        assert 0 == await old.run(world.clock.now_ms())
        assert 1 == len(materialised(world))
        assert (await found(world, job_id))[1] is not None
        await world.clock.sleep(OBJECT_GRACE_MS + 2)
        assert 1 == await old.run(world.clock.now_ms())
        assert [] == materialised(world)


@in_virtual_time
async def test_a_result_that_nobody_knows_of_goes_by_its_age() -> None:
    """Its writer may still be about to make it known; one that is known stays."""
    async with JobWorld() as world:
        await complete(world, days(9, 3))
        await world.objects.put(f"{RESULTS_PREFIX}site/job_x/abc", b"x", content_type="x")
        old = OldResults(JobResults(world.database), world.objects)
        assert 0 == await old.run(world.clock.now_ms())
        await world.clock.sleep(UNFINISHED_MS + OBJECT_GRACE_MS + 1)
        assert 1 == await old.run(world.clock.now_ms())
        assert 1 == len(materialised(world))
