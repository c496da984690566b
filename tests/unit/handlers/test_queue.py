"""What the statistics are told of jobs."""

from __future__ import annotations

from building_vitals.jobs.options import JobOptions
from building_vitals.ranges import Range
from fakes.job_world import JobWorld
from fakes.queues import FakeMessage
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
WANTED = Range(EPOCH_MS - 5 * DAY_MS, EPOCH_MS - 2 * DAY_MS)


@in_virtual_time
async def test_each_chunk_that_ends_may_have_ended_the_job() -> None:
    """They are told after each completed or failed chunk, and of nothing else."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        job_id = await world.submit(["a", "b", "c"], WANTED)
        await world.run(job_id)
        assert [job_id] * 3 == world.perhaps_ended
        await world.consume([FakeMessage(world.queues.sent[0], "normal")])
        assert [job_id] * 3 == world.perhaps_ended
        assert [] == world.dead_letters


@in_virtual_time
async def test_samples_that_cannot_be_read_stand_in_the_log_line() -> None:
    """Of a chunk that left some out; the line of another has no such field."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        world.upstream.untimed = {"b"}
        await world.run(await world.submit(["a", "b"], WANTED))
        lines = [line for line in world.lines if line["event"] == "queue"]
        assert [None, 1] == [line.get("unreadableSamples") for line in lines]


@in_virtual_time
async def test_a_message_given_up_is_told() -> None:
    """With what became of its chunk, and how often the dead letter was delivered."""
    async with JobWorld() as world:
        job_id = await world.submit(["a"], WANTED)
        ref = world.queues.sent[0]
        await world.consume([FakeMessage(ref, "normal", 2)], queue="chunks-dlq")
        [told] = world.dead_letters
        assert (job_id, 0, "sent again", 2) == (
            told.job_id,
            told.chunk,
            told.outcome,
            told.attempts,
        )
