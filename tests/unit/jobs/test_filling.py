"""Chunks are filled whatever has become of objects, and measured to the sample."""

from __future__ import annotations

import pytest

from building_vitals.jobs.options import JobOptions
from fakes.job_world import READER_OF_ALL, JobWorld
from fakes.virtual_time import in_virtual_time
from fakes.world import OBJECTS_ONLY, days


@pytest.mark.parametrize("damage", ["gone", "spoilt"])
@pytest.mark.parametrize("edge", [5.1, 5.0], ids=["cut", "whole"])
@in_virtual_time
async def test_a_lost_object_is_fetched_again(damage: str, edge: float) -> None:
    """A job over a range of which an object is gone or changed gets all of it, in one attempt."""
    async with JobWorld(cache=OBJECTS_ONLY, jobs=JobOptions(max_retries=0)) as world:
        await world.ask(["a"], days(6, 4))
        await world.settle()
        [key] = world.objects.infos
        if damage == "gone":
            await world.objects.delete([key])
        else:
            await world.objects.put(key, b"spoilt", content_type="x")
        time_range = days(edge, 3) if edge != 5.0 else days(6, 3)
        job = await world.run(await world.submit(["a"], time_range))
        assert ("completed", None) == (job.status, job.error)
        assert world.truth(["a"], time_range) == await world.result(job.job_id)


@in_virtual_time
async def test_a_failed_job_whose_objects_went_completes_when_it_is_retried() -> None:
    """What its other chunks had fetched is fetched again."""
    async with JobWorld(jobs=JobOptions(batch_size=1, max_retries=0)) as world:
        world.upstream.failing = lambda asking, _: asking.points == ("b",)
        job_id = await world.submit(["a", "b"], days(4, 1))
        assert "failed" == (await world.run(job_id)).status
        world.upstream.failing = lambda *_: False
        await world.objects.delete(list(world.objects.infos))
        await world.service_of_jobs.retry_job(job_id, READER_OF_ALL)
        assert "completed" == (await world.run(job_id)).status
        assert world.truth(["a", "b"], days(4, 1)) == await world.result(job_id)
