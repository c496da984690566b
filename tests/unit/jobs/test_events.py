"""The stream of a job's events."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.errors import AppError, Unauthorized, Unavailable
from building_vitals.jobs.events import CHECK_MS
from fakes.job_world import SMALL, JobWorld
from fakes.virtual_time import in_virtual_time
from fakes.world import days


@in_virtual_time
async def test_events_tell_of_each_change_and_end() -> None:
    """The stream of events shows progress that never falls, then the end, and then ends itself."""
    async with JobWorld(jobs=SMALL) as world:
        world.upstream.page_ms = 800
        job_id = await world.submit([f"p{n}" for n in range(8)], days(4, 1))
        work = asyncio.ensure_future(world.run(job_id))
        job = await world.look(job_id)
        text = b"".join([event async for event in world.service_of_jobs.events(job)]).decode()
        await work
        names = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
        assert {"progress"} == set(names[:-1])
        assert "completed" == names[-1]
        assert len(names) > 4


@in_virtual_time
async def test_streams_of_events_have_an_end() -> None:
    """The stream of a job that does not move shows signs of life and ends after some minutes."""
    async with JobWorld() as world:
        job = await world.look(await world.submit(["a"], days(4, 1)))
        started_ms = world.clock.now_ms()
        events = [event async for event in world.service_of_jobs.events(job)]
        assert 1 == sum(event.startswith(b"event: ") for event in events)
        assert 15 <= sum(event.startswith(b":") for event in events) <= 20
        assert 290_000 <= world.clock.now_ms() - started_ms <= 310_000


STRANGER = Caller(key_id="stranger", is_admin=False, sites=None)


@pytest.mark.parametrize("later", [Unauthorized("revoked"), STRANGER], ids=["revoked", "other's"])
def test_streams_end_with_the_right_to_see_the_job(later: AppError | Caller) -> None:
    """Within half a minute of a revocation the client hears why, and nothing more of the job."""

    @in_virtual_time
    async def ends() -> None:
        async with JobWorld() as world:
            job = await world.look(await world.submit(["a"], days(4, 1)))
            started_ms = world.clock.now_ms()

            async def identify() -> Caller:
                if world.clock.now_ms() - started_ms < 2 * CHECK_MS:
                    return ANYBODY
                if isinstance(later, AppError):
                    raise later
                return later

            events = [event async for event in world.service_of_jobs.events(job, identify)]
            assert b": this stream ends: its API key may no longer see the job\n\n" == events[-1]
            assert 2 * CHECK_MS <= world.clock.now_ms() - started_ms < 2 * CHECK_MS + 3000

    ends()


@in_virtual_time
async def test_streams_outlive_a_database_that_cannot_say() -> None:
    """While nobody can tell whether the key is valid, the stream goes on to its usual end."""
    async with JobWorld() as world:
        job = await world.look(await world.submit(["a"], days(4, 1)))
        started_ms = world.clock.now_ms()

        async def identify() -> Caller:
            raise Unavailable("D1 refused")

        async for _ in world.service_of_jobs.events(job, identify):
            pass
        assert world.clock.now_ms() - started_ms > 290_000
