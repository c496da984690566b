"""Chunks of jobs: whatever queues and consumers do, the result is what the upstream has."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from building_vitals.errors import (
    Unavailable,
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
)
from building_vitals.instants import DAY_MS
from building_vitals.jobs.documents import job_document
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.submission import RESEND_AFTER_MS_MAX
from building_vitals.ranges import Range
from fakes.failures import Fault
from fakes.history import Asking
from fakes.job_world import READER_OF_ALL, SMALL, Death, JobWorld, chance
from fakes.queues import FakeMessage
from fakes.virtual_time import in_virtual_time
from fakes.world import days


@in_virtual_time
async def test_a_job_gets_what_the_upstream_has() -> None:
    """A job of several chunks completes; its counts and its data are exact, nothing came twice."""
    points = [f"p{n}" for n in range(7)]
    async with JobWorld(jobs=SMALL) as world:
        job_id = await world.submit(points, days(5, 2))
        job = await world.run(job_id)
        truth = world.truth(points, days(5, 2))
        samples = sum(map(len, truth.values()))
        assert ("completed", 4, 4, samples, 0, None) == (
            job.status,
            job.total_chunks,
            job.completed_chunks,
            job.samples_count,
            job.retry_count,
            job.error,
        )
        assert truth == await world.result(job_id)
        assert samples == world.upstream.samples_sent
        assert job_document(job).data_url == f"/api/jobs/{job_id}/data"
        assert [] == world.reported


@in_virtual_time
async def test_a_job_makes_no_levels_and_charts_get_them() -> None:
    """They would take as much CPU as the rest of it; the first chart has those made it needs."""
    async with JobWorld(jobs=SMALL) as world:
        time_range = days(40, 2)
        job = await world.run(await world.submit(["a"], time_range))
        assert "completed" == job.status

        async def levels() -> list[bool]:
            found = await world.index.find("site", ["a"], time_range, level_samples=1)
            return [each.levels is not None for each in found]

        assert {False} == set(await levels())
        first = await world.ask(["a"], time_range, max_points=500)
        await world.settle()
        assert {True} == set(await levels())
        await asyncio.sleep(2)
        assert first.samples == (await world.ask(["a"], time_range, max_points=500)).samples
        assert [] == world.reported


@in_virtual_time
async def test_known_parts_are_not_fetched_and_counted_exactly() -> None:
    """What a chart has fetched is used, cut to the job's range, and counted to the sample."""
    async with JobWorld(jobs=SMALL) as world:
        await world.ask(["a", "b"], days(6.3, 3.7))
        await world.settle()
        world.upstream.samples_sent = 0
        time_range = days(5.1, 2)
        job = await world.run(await world.submit(["a", "b"], time_range))
        truth = world.truth(["a", "b"], time_range)
        assert sum(map(len, truth.values())) == job.samples_count
        assert truth == await world.result(job.job_id)
        missing = world.truth(["a", "b"], days(3.7, 2))
        assert sum(map(len, missing.values())) == world.upstream.samples_sent


async def complete_after_death(at_call: int, *, is_after: bool, keeps_messages: bool) -> bool:
    """Let the first consumer die at a call, then complete the job; returns whether it died."""
    async with JobWorld(jobs=SMALL) as world:
        points, time_range = ["a", "b", "c"], days(4, 1)
        job_id = await world.submit(points, time_range)
        death = Death(at_call, is_after=is_after)
        await world.deliver(death=death)
        if not keeps_messages:
            world.queues.clear()
        job = await world.run(job_id, maintained=True)
        assert "completed" == job.status
        truth = world.truth(points, time_range)
        assert truth == await world.result(job_id)
        assert sum(map(len, truth.values())) == job.samples_count
        assert world.crashes == []
        return death.is_dead.is_set()


@pytest.mark.parametrize("keeps_messages", [True, False], ids=["redelivered", "lost"])
@pytest.mark.parametrize("is_after", [True, False], ids=["after the call", "before the call"])
@in_virtual_time
async def test_a_consumer_may_die_at_any_call(is_after: bool, keeps_messages: bool) -> None:
    """Wherever a consumer dies, the job completes with each sample once."""
    at_call = 0
    while await complete_after_death(at_call, is_after=is_after, keeps_messages=keeps_messages):
        at_call += 1
    assert at_call > 12


@pytest.mark.parametrize("seed", range(12))
@in_virtual_time
async def test_chaos_ends_in_the_same_data(seed: int) -> None:
    """Lost, repeated and late messages, failing parts and dying consumers change no result."""
    async with JobWorld(jobs=JobOptions(batch_size=2, max_retries=30)) as world:
        dice = random.Random(seed)
        points, time_range = [f"p{n}" for n in range(8)], days(4, 1)
        world.upstream.page_ms = 400
        world.upstream.failing = chance(seed, 0.2)
        world.queues.losing = chance(seed + 1, 0.2)
        world.database.failures.by_chance(
            lambda _: Fault.ANSWER_LOST if dice.random() < 0.03 else None
        )
        job_id = await until_submitted(world, points, time_range)
        for _ in range(400):
            death = Death(dice.randrange(40), is_after=dice.random() < 0.5)
            await world.deliver(death=death if dice.random() < 0.5 else None)
            if dice.random() < 0.3:
                repeated = FakeMessage(world.queues.sent[0], "normal")
                world.queues.put(repeated, dice.randrange(5))
            await world.clock.sleep(dice.randrange(8_000))
            await world.maintenance.run()
            rows = world.database.look("SELECT status FROM queue_jobs")
            if rows[0]["status"] not in ("queued", "processing", "retrying"):
                break
        world.database.failures.clear()
        world.upstream.failing = lambda *_: False
        world.queues.losing = lambda: False
        # Of a chunk whose messages were lost one after the other, the next is due in an hour.
        job = await world.run(job_id, within_s=RESEND_AFTER_MS_MAX // 1000 + 600, maintained=True)
        assert "completed" == job.status, job.error
        assert world.truth(points, time_range) == await world.result(job_id)


async def until_submitted(world: JobWorld, points: list[str], time_range: Range) -> str:
    """Submit a request as often as it takes."""
    while True:
        try:
            return await world.submit(points, time_range)
        except Unavailable:
            await world.clock.sleep(100)


@in_virtual_time
async def test_failures_are_retried_with_doubling_delays() -> None:
    """A chunk that fails thrice is tried again after 1, 2 and 4 seconds, and the job says so."""
    async with JobWorld() as world:
        world.upstream.failing = lambda *_: len(world.upstream.asked) <= 3
        job_id = await world.submit(["a"], days(4, 1))
        seen = set()
        while not (job := await world.look(job_id)).is_over:
            seen.add((job.status, job.error))
            await world.deliver()
            await world.clock.sleep(50)
        assert ("completed", 3, None) == (job.status, job.retry_count, job.error)
        assert ("retrying", "upstream answered 503") in seen
        times = [each.at_ms for each in world.upstream.asked]
        pauses = [round((after - before) / 1000, 1) for before, after in pairwise(times)]
        assert all(
            least <= pause <= least + 0.2 for least, pause in zip((1, 2, 4), pauses, strict=True)
        ), pauses


@in_virtual_time
async def test_the_upstream_may_ask_for_a_longer_pause() -> None:
    """A failure that says when to come back is not retried before."""
    async with JobWorld() as world:
        asked: list[int] = []

        async def limited(_: int) -> None:
            asked.append(world.clock.now_ms())
            if len(asked) == 1:
                raise UpstreamError("limited", retryable=True, retry_after_s=30)

        world.upstream.during = limited
        job = await world.run(await world.submit(["a"], days(4, 1)))
        assert "completed" == job.status
        assert 30_000 <= asked[1] - asked[0] <= 32_000


@in_virtual_time
async def test_what_can_not_succeed_is_not_tried_again() -> None:
    """A failure that will come again ends the chunk at once."""
    async with JobWorld() as world:

        async def refused(_: int) -> None:
            raise UpstreamError("upstream answered 401", upstream_status=401)

        world.upstream.during = refused
        job = await world.run(await world.submit(["a"], days(4, 1)))
        assert ("failed", "upstream answered 401", 0) == (job.status, job.error, job.retry_count)
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_a_chunk_that_kills_its_consumers_fails_in_the_end() -> None:
    """A chunk whose consumers always die fails as a crash after as many attempts as any other."""
    async with JobWorld() as world:
        job_id = await world.submit(["a"], days(4, 1))
        deaths = 0
        while not (job := await world.look(job_id)).is_over:
            if await world.deliver(death=Death(3, is_after=False)):
                deaths += 1
            await world.clock.sleep(5_000)
            await world.maintenance.run()
        assert ("failed", "crash") == (job.status, job.error_class)
        assert "begun 4 times" in str(job.error)
        failure = (await world.service_of_jobs.dlq_failures(10)).failures[0]
        assert (4, "crash") == (failure.attempts, failure.error_class)
        await world.service_of_jobs.retry_job(job_id, READER_OF_ALL)
        assert "completed" == (await world.run(job_id)).status


@in_virtual_time
async def test_given_up_messages_do_not_end_a_chunk_that_can_go_on() -> None:
    """The dead letter queue fails a chunk without attempts left, and sends others again, thrice."""
    async with JobWorld() as world:
        job_id = await world.submit(["a"], days(4, 1))
        ref = world.queues.sent[0]
        for _ in range(2):
            world.queues.clear()
            await world.consume([FakeMessage(ref, "normal")], "chunks-dlq")
            assert 1 == world.queues.waiting
        assert "completed" == (await world.run(job_id)).status
        await world.consume([FakeMessage(ref, "normal")], "chunks-dlq")
        assert 0 == world.queues.waiting
        assert "completed" == (await world.look(job_id)).status
        other = await world.submit(["b"], days(4, 1))
        for _ in range(3):
            world.queues.clear()
            await world.consume([FakeMessage(world.queues.sent[-1], "normal")], "chunks-dlq")
        job = await world.look(other)
        assert ("failed", "crash") == (job.status, job.error_class)


@in_virtual_time
async def test_somebody_elses_fetch_is_waited_for_without_counting() -> None:
    """A chunk whose data a chart is fetching is put back, and completes from what that stored."""
    async with JobWorld(jobs=JobOptions(max_retries=0)) as world:
        world.upstream.page_ms = 10_000
        chart = asyncio.ensure_future(world.ask(["a"], days(4, 1)))
        await world.clock.sleep(100)
        job_id = await world.submit(["a"], days(4, 1))
        job = await world.run(job_id)
        await chart
        assert ("completed", 0) == (job.status, job.retry_count)
        assert 1 == len(world.upstream.asked)
        assert any(line.get("outcome") == "busy" for line in world.lines)


@in_virtual_time
async def test_stale_data_are_no_result() -> None:
    """What is kept, good enough for a chart when the upstream fails, does not complete a job."""
    async with JobWorld(jobs=JobOptions(max_retries=0)) as world:
        await world.ask(["a"], days(4, 1))
        await world.settle()
        await world.clock.sleep(6 * DAY_MS)
        world.upstream.failing = lambda *_: True
        job = await world.run(await world.submit(["a"], days(4, 1)))
        assert "failed" == job.status


def requests_counted(world: JobWorld) -> int:
    """Return the requests that the jobs say they took."""
    [row] = world.database.look("SELECT sum(upstream_requests) AS requests FROM queue_jobs")
    return int(row["requests"])


@in_virtual_time
async def test_a_chunk_that_takes_long_goes_on_where_it_was() -> None:
    """
    A chunk of three times 240 s completes without an attempt to spare, and each page is fetched
    once but those that were under way when time ran out.
    """
    async with JobWorld(jobs=JobOptions(max_retries=0)) as world:
        world.upstream.page_ms = 24_000
        # 25 pages of 1,000 samples, of 24 s each.
        points, time_range = [f"p{n}" for n in range(29)], days(5, 2)
        job = await world.run(await world.submit(points, time_range), within_s=1000)
        truth = world.truth(points, time_range)
        samples = sum(map(len, truth.values()))
        assert ("completed", 1, 0, None) == (
            job.status,
            job.total_chunks,
            job.retry_count,
            job.error,
        )
        assert truth == await world.result(job.job_id)
        assert samples == job.samples_count == world.upstream.samples_sent
        starts = [each.time_range.start_ms for each in world.upstream.asked]
        assert 3 == len(starts)
        assert starts == sorted(set(starts))
        assert world.upstream.requests == requests_counted(world)
        assert ["goes on", "goes on", "completed"] == [
            line["outcome"] for line in world.lines if line["event"] == "queue"
        ]
        # One after the other, without a pause.
        times = [each.at_ms for each in world.upstream.asked]
        assert all(after - before <= 242_000 for before, after in pairwise(times))


@in_virtual_time
async def test_a_quota_that_ends_attempts_is_waited_for() -> None:
    """Each attempt gets two pages and is told when to come back: none of them counts."""
    async with JobWorld(jobs=JobOptions(max_retries=0)) as world:

        async def limited(page: int) -> None:
            if page == 2:
                raise UpstreamLimited("no request may be sent", retryable=True, retry_after_s=40)

        world.upstream.during = limited
        points, time_range = [f"p{n}" for n in range(10)], days(5, 2)
        job = await world.run(await world.submit(points, time_range))
        assert ("completed", 0, None) == (job.status, job.retry_count, job.error)
        assert sum(len(world.upstream.times(p, time_range)) for p in points) == (
            world.upstream.samples_sent
        )
        times = [each.at_ms for each in world.upstream.asked]
        assert 5 == len(times)
        assert all(40_000 <= after - before <= 42_000 for before, after in pairwise(times))


@in_virtual_time
async def test_other_failures_that_bring_a_chunk_on_do_not_count_either() -> None:
    """Every attempt fails at its third page; the job says so meanwhile, and completes."""
    async with JobWorld(jobs=JobOptions(max_retries=0)) as world:
        world.upstream.failing = lambda _, page: page == 2
        points, time_range = [f"p{n}" for n in range(10)], days(5, 2)
        job_id = await world.submit(points, time_range)
        await world.deliver()
        job = await world.look(job_id)
        assert ("retrying", "upstream answered 503", 0) == (job.status, job.error, job.retry_count)
        job = await world.run(job_id)
        assert ("completed", 0, None) == (job.status, job.retry_count, job.error)
        assert world.truth(points, time_range) == await world.result(job_id)


@in_virtual_time
async def test_a_chunk_that_comes_no_further_fails() -> None:
    """What was stored is no excuse: attempts that add nothing to it count."""
    async with JobWorld(jobs=JobOptions(max_retries=2)) as world:
        until_ms = days(4, 3).start_ms

        def failing(asking: Asking, page: int) -> bool:
            return page == 1 or asking.time_range.start_ms > until_ms

        world.upstream.failing = failing
        job = await world.run(await world.submit(["a", "b"], days(5, 1)))
        assert ("failed", "upstream answered 503", 2) == (job.status, job.error, job.retry_count)
        assert 1 + 3 == len(world.upstream.asked)


@in_virtual_time
async def test_consumers_that_die_leave_their_pages_behind() -> None:
    """Deaths after something was stored do not use up the attempts, and no page comes twice."""
    async with JobWorld(jobs=JobOptions(max_retries=1)) as world:
        world.upstream.page_ms = 20_000
        points, time_range = [f"p{n}" for n in range(10)], days(8, 1)
        # 21 pages.
        job_id = await world.submit(points, time_range)
        deaths = 0
        while not (job := await world.look(job_id)).is_over:
            if deaths < 4 and world.queues.waiting:
                death = Death(10**9, is_after=False)
                kill = asyncio.get_running_loop().call_later(70, death.is_dead.set)
                await world.deliver(death=death)
                kill.cancel()
                deaths += death.is_dead.is_set()
            else:
                await world.deliver()
            await world.clock.sleep(5000)
            await world.maintenance.run()
        assert ("completed", 4) == (job.status, deaths)
        assert world.truth(points, time_range) == await world.result(job_id)
        # A consumer that dies at 70 s has stored two pages of three, and waits for one more.
        # The one that lives runs out of time once.
        assert world.upstream.requests <= 21 + 2 * 4 + 1
        starts = [each.time_range.start_ms for each in world.upstream.asked]
        assert (6, sorted(set(starts))) == (len(starts), starts)


@in_virtual_time
async def test_attempts_that_failed_stay_counted_when_others_come_back() -> None:
    """One that failed at once, then two that ran out of time with much stored: one retry."""
    async with JobWorld(jobs=JobOptions(max_retries=1)) as world:
        world.upstream.page_ms = 24_000
        world.upstream.failing = lambda *_: len(world.upstream.asked) == 1
        points, time_range = [f"p{n}" for n in range(29)], days(5, 2)
        job = await world.run(await world.submit(points, time_range), within_s=1000)
        assert ("completed", 1, 4) == (job.status, job.retry_count, len(world.upstream.asked))


@in_virtual_time
async def test_chunks_of_a_job_that_has_failed_do_not_go_on() -> None:
    """The job fails anyway: a chunk ends with the attempt that is under way, or the next one."""
    async with JobWorld(jobs=JobOptions(max_retries=0, batch_size=1)) as world:
        await world.ask(["known"], days(4, 1))
        await world.settle()
        world.upstream.asked.clear()

        def failing(asking: Asking, page: int) -> bool:
            return asking.points == ("a",) or page == 1

        world.upstream.failing = failing
        job = await world.run(await world.submit(["a", "b"], days(30, 2)))
        assert "failed" == job.status
        assert 2 == sum(each.points == ("b",) for each in world.upstream.asked)


@in_virtual_time
async def test_a_failure_that_cannot_be_cured_costs_one_request() -> None:
    """A job of hundreds of chunks on a site that does not exist fails with its first one."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:

        async def refused(_: int) -> None:
            raise UpstreamSiteUnknown("no such site", upstream_status=404)

        world.upstream.during = refused
        job_id = await world.submit([f"p{n}" for n in range(232)], days(4, 1))
        job = await world.run(job_id)
        assert ("failed", 232, 0, "no such site", "bad_request") == (
            job.status,
            job.total_chunks,
            job.completed_chunks,
            job.error,
            job.error_class,
        )
        assert 1 == len(world.upstream.asked)
        assert [job_id] == world.ended


@in_virtual_time
async def test_the_others_stop_when_a_failure_cannot_be_cured() -> None:
    """Chunks that wait are not begun, and a retry runs all that are left, once each."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        await world.ask(["known"], days(4, 1))
        await world.settle()
        points = [f"p{n}" for n in range(40)]

        async def refused(_: int) -> None:
            if world.upstream.asked[-1].points == ("p4",):
                raise UpstreamError("upstream answered 401", upstream_status=401)

        world.upstream.during = refused
        job_id = await world.submit(points, days(4, 1))
        job = await world.run(job_id)
        assert ("failed", "upstream answered 401") == (job.status, job.error)
        assert job.completed_chunks <= 6
        world.upstream.during = nothing
        world.upstream.asked.clear()
        await world.service_of_jobs.retry_job(job_id, READER_OF_ALL)
        assert "completed" == (await world.run(job_id)).status
        assert world.truth(points, days(4, 1)) == await world.result(job_id)
        names = [each.points for each in world.upstream.asked]
        assert len(names) == len(set(names)) <= 40


async def nothing(_: int) -> None:
    """Let a page come."""


@in_virtual_time
async def test_as_many_attempts_as_configured_with_the_reason() -> None:
    """21 of them, though the queue gives up a message after four deliveries."""
    async with JobWorld(jobs=JobOptions(max_retries=20, retry_delay=10)) as world:
        world.upstream.failing = lambda *_: True
        job = await world.run(await world.submit(["a"], days(4, 1)), within_s=10**6)
        assert ("failed", "upstream answered 503", 20) == (job.status, job.error, job.retry_count)
        assert 21 == len(world.upstream.asked)
        assert [] == world.dead_letters


@in_virtual_time
async def test_a_crash_at_the_end_keeps_the_reason_before_it() -> None:
    """What is known of earlier attempts is said, too."""
    async with JobWorld(jobs=JobOptions(max_retries=1)) as world:
        world.upstream.failing = lambda *_: True
        job_id = await world.submit(["a"], days(4, 1))
        await world.deliver()
        while not (job := await world.look(job_id)).is_over:
            await world.deliver(death=Death(3, is_after=False))
            await world.clock.sleep(5_000)
            await world.maintenance.run()
        assert "begun 2 times" in str(job.error)
        assert "before that: upstream answered 503" in str(job.error)


@in_virtual_time
async def test_a_message_too_many_is_no_more_than_that() -> None:
    """While somebody works on its chunk it is dropped; the one that comes again is kept."""
    async with JobWorld() as world:
        world.upstream.page_ms = 60_000
        job_id = await world.submit(["a"], days(4, 1))
        ref = world.queues.sent[0]
        work = asyncio.ensure_future(world.deliver())
        await world.clock.sleep(1000)
        surplus, again = FakeMessage(ref, "normal"), FakeMessage(ref, "normal", 2)
        await world.consume([surplus, again])
        assert "ack" == surplus.verdict
        assert isinstance(again.verdict, int)
        assert 0 == world.queues.waiting
        await work
        assert "completed" == (await world.look(job_id)).status


@in_virtual_time
async def test_an_end_is_told_once() -> None:
    """However often the last chunk is delivered, and once more for an end after a retry."""
    async with JobWorld(jobs=JobOptions(batch_size=1, max_retries=0)) as world:
        world.upstream.failing = lambda *_: True
        job_id = await world.submit(["a", "b"], days(4, 1))
        await world.run(job_id)
        assert [job_id] == world.ended
        world.upstream.failing = lambda *_: False
        await world.service_of_jobs.retry_job(job_id, READER_OF_ALL)
        await world.run(job_id)
        assert [job_id] * 2 == world.ended
        for ref in dict.fromkeys(world.queues.sent):
            await world.consume([FakeMessage(ref, "normal")])
        assert [job_id] * 2 == world.ended
