"""Messages that were never sent or got lost are sent by the maintenance run."""

from __future__ import annotations

from building_vitals.jobs.options import JobOptions
from fakes.failures import Fault
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time
from fakes.world import days


@in_virtual_time
async def test_messages_that_could_not_be_sent_are_sent_later() -> None:
    """When only some messages could be sent, the maintenance run sends the others."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        points = [f"p{n}" for n in range(150)]
        failures = world.queues.failures
        failures.by_chance(lambda _: Fault.REFUSED if failures.calls["send"] == 2 else None)
        job_id = await world.submit(points, days(1.5, 1))
        assert 100 == len(world.queues.sent)
        assert "completed" == (await world.run(job_id, maintained=True)).status


@in_virtual_time
async def test_a_backlog_is_not_sent_again_and_again() -> None:
    """Chunks that merely wait are sent again ever more rarely: some 30 times in the first day."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        await world.submit([f"p{n}" for n in range(50)], days(1.5, 1))
        for _ in range(12 * 24):
            await world.clock.sleep(300_000)
            await world.maintenance.run()
        assert 50 * 10 <= len(world.queues.sent) <= 50 * 35
