"""Messages that got lost are sent by the maintenance run; those that merely wait are not."""

from __future__ import annotations

import asyncio

from building_vitals.instants import DAY_MS
from building_vitals.jobs.model import CHUNKS_AHEAD
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.upkeep import PROBES_MAX
from fakes.failures import Fault
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time
from fakes.world import days


async def known_world(world: JobWorld) -> None:
    """Let the world's site be one that is known to have samples."""
    await world.ask(["known"], days(4, 1))
    await world.settle()


@in_virtual_time
async def test_messages_that_could_not_be_sent_are_sent_later() -> None:
    """When the messages of the chunks that come next can't be sent, the maintenance run does."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        points = [f"p{n}" for n in range(40)]
        failures = world.queues.failures
        failures.by_chance(lambda _: Fault.REFUSED if failures.calls["send"] == 2 else None)
        job_id = await world.submit(points, days(1.5, 1))
        await world.consume(world.queues.take("normal"))
        # The first, and the one that its end has made; those that its first page had made are lost.
        assert [0, CHUNKS_AHEAD] == [each.chunk for each in world.queues.sent]
        assert "completed" == (await world.run(job_id, maintained=True)).status


@in_virtual_time
async def test_a_backlog_behind_slow_chunks_is_not_sent_again() -> None:
    """
    A hundred jobs of six chunks, one consumer, 20 s a page, a maintenance run every 30 s: hardly
    more messages than chunks.
    """
    async with JobWorld(jobs=JobOptions(batch_size=1, max_active_jobs=1000)) as world:
        await known_world(world)
        world.upstream.page_ms = 20_000
        jobs = [
            await world.submit([f"p{job}-{n}" for n in range(6)], days(1.5, 1)) for job in range(40)
        ]

        async def maintain() -> None:
            while True:
                await world.clock.sleep(30_000)
                await world.maintenance.run()

        upkeep = asyncio.ensure_future(maintain())
        for job_id in jobs:
            assert "completed" == (await world.run(job_id, within_s=100_000)).status
        upkeep.cancel()
        assert len(world.queues.sent) <= 40 * 6 * 1.02


@in_virtual_time
async def test_where_nobody_consumes_few_messages_are_added() -> None:
    """Each is sent once more, then a few of them ever more rarely: consumers may have stopped."""
    async with JobWorld(jobs=JobOptions(batch_size=1, max_active_jobs=1000)) as world:
        await known_world(world)
        for job in range(10):
            await world.submit([f"p{job}-{n}" for n in range(50)], days(1.5, 1))
        assert 10 * CHUNKS_AHEAD == len(world.queues.sent)
        for _ in range(12 * 24):
            await world.clock.sleep(300_000)
            await world.maintenance.run()
        assert len(world.queues.sent) <= 2 * 10 * CHUNKS_AHEAD + 12 * 24 * PROBES_MAX


@in_virtual_time
async def test_all_messages_lost_at_once_are_sent_by_one_run() -> None:
    """As when a local runtime is killed: nobody works on anything, and the job goes on."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        await known_world(world)
        job_id = await world.submit([f"p{n}" for n in range(30)], days(1.5, 1))
        await world.clock.sleep(6_000)
        world.queues.clear()
        await world.maintenance.run()
        assert CHUNKS_AHEAD == world.queues.waiting
        assert "completed" == (await world.run(job_id)).status
        assert len(world.queues.sent) <= 30 + CHUNKS_AHEAD


@in_virtual_time
async def test_one_message_lost_among_many_is_found() -> None:
    """Its queue has come to messages sent long after it."""
    async with JobWorld(jobs=JobOptions(batch_size=1, max_active_jobs=1000)) as world:
        await known_world(world)
        lost = await world.submit(["lost"], days(1.5, 1))
        world.queues.clear()
        for n in range(100):
            other = await world.submit([f"p{n}"], days(1.5, 1))
            assert "completed" == (await world.run(other)).status
            await world.clock.sleep(9_000)
            await world.maintenance.run()
        assert "completed" == (await world.look(lost)).status


@in_virtual_time
async def test_a_low_job_that_gives_way_has_one_message_a_chunk() -> None:
    """However long it waits, and however often maintenance looks."""
    async with JobWorld() as world:
        await known_world(world)
        world.upstream.page_ms = 200_000
        await world.submit(["urgent"], days(1.5, 1), priority="high")
        low = await world.submit(["low"], days(1.5, 1), priority="low")
        world.queues.take("high")
        for _ in range(60):
            await world.deliver()
            await world.clock.sleep(5_000)
            await world.maintenance.run()
            world.queues.take("high")
            assert world.queues.waiting <= 1
        assert "queued" == (await world.look(low)).status


def test_a_probe_is_a_few() -> None:
    """Less than a consumer takes twice; a day has 288 maintenance runs."""
    assert PROBES_MAX * 288 < DAY_MS // 10_000
