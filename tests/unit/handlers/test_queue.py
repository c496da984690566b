"""What the statistics are told of jobs."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.handlers.queue import consume
from building_vitals.jobs.model import FollowRef
from building_vitals.jobs.options import JobOptions
from building_vitals.ranges import Range
from building_vitals.statement_count import STATEMENTS_MAX, STATEMENTS_SPENT
from fakes.job_world import JobWorld
from fakes.queues import FakeMessage
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
WANTED = Range(EPOCH_MS - 5 * DAY_MS, EPOCH_MS - 2 * DAY_MS)


@in_virtual_time
async def test_the_end_of_a_job_is_told_once() -> None:
    """By the chunk that ended it, and by nothing else."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        job_id = await world.submit(["a", "b", "c"], WANTED)
        await world.run(job_id)
        assert [job_id] == world.ended
        await world.consume([FakeMessage(world.queues.sent[0], "normal")])
        assert [job_id] == world.ended
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


@in_virtual_time
async def test_no_chunk_is_begun_with_half_of_the_statements_spent() -> None:
    """Ten chunks in one batch, of many pages each: the rest is sent again, none is lost."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        await world.ask(["known"], WANTED)
        await world.settle()
        world.upstream.page_ms = 10_000
        points = [f"p{n}" for n in range(10)]
        job_id = await world.submit(points, Range(EPOCH_MS - 60 * DAY_MS, EPOCH_MS - DAY_MS))
        job = await world.run(job_id, within_s=100_000)
        assert "completed" == job.status
        counts = [app.statements.statements for app in world.consumers]
        assert STATEMENTS_SPENT < max(counts) < STATEMENTS_MAX
        messages = [line for line in world.lines if line["event"] == "queue"]
        assert {1} == {line["delivery"] for line in messages}


@pytest.mark.parametrize("queue", ["chart-processing-high", "chart-processing-queue"])
@in_virtual_time
async def test_what_is_put_back_goes_to_its_own_queue(queue: str) -> None:
    """A message that can't be sent again is left to the queue's own retry."""
    async with JobWorld() as world:
        await world.submit(["a"], WANTED)
        ref, app = world.queues.sent[0], world.consumer()
        app.statements.statements = STATEMENTS_SPENT
        message, strange = FakeMessage(ref, "normal"), FakeMessage(ref, "normal")
        world.queues.clear()
        await consume(queue, [message], app)
        assert "ack" == message.verdict
        expected = "high" if queue.endswith("high") else "normal"
        assert [1] == [len(world.queues.take(expected))]
        world.queues.failures.next("send")
        await consume(queue, [strange], app)
        assert 1 == strange.verdict


@in_virtual_time
async def test_a_followed_site_is_read_by_its_message() -> None:
    """In any queue; the log tells of it, and the statistics where something was read."""
    async with JobWorld() as world:
        world.upstream.site_points = ("a", "b")
        now_ms = world.clock.now_ms()
        await SiteFollows(world.database).put(
            "site", since_ms=now_ms - DAY_MS, every_ms=300_000, every="5m", now_ms=now_ms
        )
        for site in ("site", "other"):
            await world.consume([FakeMessage(FollowRef(site), "low")], "chart-processing-low")
        lines = [line for line in world.lines if line["event"] == "queue"]
        assert [("site", "round", None), ("other", "nothing", None)] == [
            (line["follow"], line["outcome"], line["jobId"]) for line in lines
        ]
        assert [("site", 1, 576)] == [
            (each.site, each.rounds, each.samples) for each in world.readings
        ]
        assert 1 == world.queues.waiting


@in_virtual_time
async def test_a_message_of_a_follow_that_is_given_up_is_dropped() -> None:
    """The maintenance run sends another one, so nothing is lost."""
    async with JobWorld() as world:
        message = FakeMessage(FollowRef("site"), "low")
        await world.consume([message], "chart-processing-dlq")
        assert ("ack", []) == (message.verdict, world.dead_letters)
        assert "dropped" == world.lines[-1]["outcome"]


@in_virtual_time
async def test_a_follow_that_cannot_be_looked_up_comes_again() -> None:
    """And one that comes too late in its batch is sent again."""
    async with JobWorld() as world:
        message = FakeMessage(FollowRef("site"), "low")
        world.database.failures.always("batch")
        await world.consume([message], "chart-processing-low")
        assert 10 == message.verdict
        world.database.failures.clear()
        app = world.consumer()
        app.statements.statements = STATEMENTS_SPENT
        again = FakeMessage(FollowRef("site"), "low")
        await consume("chart-processing-low", [again], app)
        assert ("ack", ["site"]) == (again.verdict, world.queues.follows)


class Garbled(FakeMessage):
    """A message that says nothing that is known."""

    @property
    def body(self) -> dict[str, Any]:
        """What was sent."""
        return {"follow": 7}


@in_virtual_time
async def test_a_message_that_says_nothing_known_is_acknowledged() -> None:
    """It would never be understood; the log has what is wrong with it."""
    async with JobWorld() as world:
        message = Garbled(FollowRef("site"), "low")
        await world.consume([message], "chart-processing-low")
        assert ("ack", "unreadable") == (message.verdict, world.lines[-1]["outcome"])
