"""Jobs: whatever queues and consumers do, the result is what the upstream has."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest

from building_vitals.access.caller import Caller
from building_vitals.errors import (
    Conflict,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
    UpstreamError,
)
from building_vitals.jobs.options import JobOptions
from building_vitals.ranges import Range
from fakes.failures import Fault
from fakes.job_world import Death, JobWorld, chance
from fakes.queues import FakeMessage
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
READER = Caller(key_id="reader", is_admin=False, sites=None)
OTHER = Caller(key_id="other", is_admin=False, sites=None)
SMALL = JobOptions(batch_size=2)


def days(first: float, last: float) -> Range:
    """Return a range in days before the tests' present."""
    return Range(EPOCH_MS - round(first * DAY_MS), EPOCH_MS - round(last * DAY_MS))


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
        assert job.document()["dataUrl"] == f"/api/jobs/{job_id}/data"
        assert [] == world.reported


@in_virtual_time
async def test_the_same_active_request_is_the_same_job() -> None:
    """Thirty submissions at once are one job with one message a chunk, in any order of points."""
    async with JobWorld(jobs=SMALL) as world:
        time_range = days(5, 2)
        ids = await asyncio.gather(
            *(world.submit(["a", "b", "c"], time_range, caller=READER) for _ in range(29)),
            world.submit(["c", "b", "a"], time_range, caller=READER),
        )
        assert 1 == len(set(ids))
        assert 2 == len(world.queues.sent)
        assert ids[0] != await world.submit(["a", "b", "c"], time_range, caller=OTHER)


@in_virtual_time
async def test_an_ended_request_becomes_a_new_job() -> None:
    """After its end the same request is another job, which finds all known and fetches nothing."""
    async with JobWorld(jobs=SMALL) as world:
        first = await world.submit(["a", "b", "c"], days(5, 2))
        await world.run(first)
        fetched = world.upstream.requests
        second = await world.submit(["a", "b", "c"], days(5, 2))
        assert first != second
        assert "completed" == (await world.run(second)).status
        assert fetched == world.upstream.requests


@in_virtual_time
async def test_a_range_into_the_future_has_one_end() -> None:
    """A job that runs for long has the data up to its submission, for all points alike."""
    async with JobWorld(jobs=SMALL) as world:
        time_range = Range(EPOCH_MS - DAY_MS, EPOCH_MS + DAY_MS)
        job_id = await world.submit(["a", "b", "c", "d"], time_range)
        until_ms = world.clock.now_ms()
        world.upstream.page_ms = 20_000
        await world.run(job_id)
        assert world.clock.now_ms() >= until_ms + 20_000
        truth = world.truth(["a", "b", "c", "d"], Range(time_range.start_ms, until_ms))
        assert truth == await world.result(job_id)


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
        job = await world.run(job_id, maintained=True)
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
async def test_one_bad_chunk_leaves_the_others_alone() -> None:
    """A job with a chunk that can't be had fails, keeps the rest; a retry fetches the bad one."""
    async with JobWorld(jobs=SMALL) as world:
        points, time_range = [f"p{n}" for n in range(10)], days(4, 1)
        world.upstream.failing = lambda asking, _: "p4" in asking.points
        job_id = await world.submit(points, time_range)
        job = await world.run(job_id)
        assert ("failed", 4, 5, "upstream answered 503", "upstream") == (
            job.status,
            job.completed_chunks,
            job.total_chunks,
            job.error,
            job.error_class,
        )
        assert job.progress < 100
        failures = await world.service_of_jobs.dlq_failures(10)
        assert [(job_id, 2, "upstream", 4)] == [
            (each["jobId"], each["chunk"], each["class"], each["attempts"])
            for each in failures["failures"]
        ]
        stats = await world.service_of_jobs.dlq_stats()
        assert {"total": 1, "last24h": 1, "byClass": {"upstream": 1}} == stats["dlq"]
        with pytest.raises(Conflict):
            await world.result(job_id)
        world.upstream.failing = lambda *_: False
        world.upstream.asked.clear()
        revived = await world.service_of_jobs.retry_job(job_id, READER_OF_ALL)
        assert ("queued", None) == (revived.status, revived.error)
        assert "completed" == (await world.run(job_id)).status
        assert [("p4", "p5")] == [each.points for each in world.upstream.asked]
        assert world.truth(points, time_range) == await world.result(job_id)
        assert 0 == (await world.service_of_jobs.dlq_stats())["dlq"]["total"]


READER_OF_ALL = Caller(key_id="admin", is_admin=True, sites=None)


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
        failure = (await world.service_of_jobs.dlq_failures(10))["failures"][0]
        assert (4, "crash") == (failure["attempts"], failure["class"])
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
async def test_cancelling_stops_the_fetching() -> None:
    """After a cancel no chunk is begun, and those under way stop at their page."""
    async with JobWorld(jobs=SMALL) as world:
        world.upstream.page_ms = 1000
        points = [f"p{n}" for n in range(12)]
        job_id = await world.submit(points, days(4, 1))
        work = asyncio.ensure_future(world.deliver())
        await world.clock.sleep(1500)
        await world.service_of_jobs.cancel_job(job_id, READER_OF_ALL)
        requests = world.upstream.requests
        await work
        while await world.deliver():
            await world.maintenance.run()
        assert world.upstream.requests <= requests + 2
        job = await world.look(job_id)
        assert ("cancelled", 0) == (job.status, job.completed_chunks)
        assert 0 == world.queues.waiting
        assert [] == world.database.look("SELECT * FROM fetch_leases")
        with pytest.raises(Conflict):
            await world.service_of_jobs.cancel_job(job_id, READER_OF_ALL)


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
    """Expired data, good enough for a chart when the upstream fails, do not complete a job."""
    async with JobWorld(jobs=JobOptions(max_retries=0)) as world:
        await world.ask(["a"], days(4, 1))
        await world.settle()
        await world.clock.sleep(DAY_MS + 1)
        world.upstream.failing = lambda *_: True
        job = await world.run(await world.submit(["a"], days(4, 1)))
        assert "failed" == job.status


@in_virtual_time
async def test_a_result_that_is_gone_is_said_to_be() -> None:
    """A completed job whose segments were purged has no result any more."""
    async with JobWorld() as world:
        job_id = await world.submit(["a"], days(4, 1))
        await world.run(job_id)
        await world.index.purge("site", None, days(10, 0), now_ms=world.clock.now_ms())
        assert await world.result(job_id) is None


@in_virtual_time
async def test_urgent_jobs_go_first_and_low_ones_last() -> None:
    """A high job starts before a backlog of normal chunks, a low one when that is done."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        world.upstream.page_ms = 500
        low = await world.submit(["l"], days(4, 1), priority="low")
        backlog = await world.submit([f"p{n}" for n in range(40)], days(4, 1))
        high = await world.submit(["h"], days(4, 1), priority="high")
        jobs = {
            name: await world.run(job)
            for name, job in (("high", high), ("backlog", backlog), ("low", low))
        }
        order = [each.points[0][0] for each in world.upstream.asked]
        assert "h" in order[:1]
        assert "l" == order[-1]
        assert {"completed"} == {job.status for job in jobs.values()}
        assert (jobs["low"].started_ms or 0) >= (jobs["backlog"].completed_ms or 0)


@in_virtual_time
async def test_nothing_is_queued_when_no_message_can_be_sent() -> None:
    """A queue that is down from the first send on leaves no job; the next submission makes one."""
    async with JobWorld(jobs=JobOptions(batch_size=1)) as world:
        world.queues.failures.next("send")
        with pytest.raises(Unavailable):
            await world.submit(["a"], days(4, 1))
        tables = ("queue_jobs", "job_chunks", "job_points")
        assert [] == [
            row for name in tables for row in world.database.look(f"SELECT * FROM {name}")
        ]
        assert "completed" == (await world.run(await world.submit(["a"], days(4, 1)))).status


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


@in_virtual_time
async def test_owners_have_limits() -> None:
    """An owner may have so many jobs and samples queued; others are not affected; all is named."""
    options = JobOptions(max_active_jobs=2, max_queued_samples=1000)
    async with JobWorld(jobs=options) as world:
        await world.submit(["a"], days(4, 1), caller=READER)
        with pytest.raises(RateLimited, match="300 estimated samples and 800 more; 1000"):
            await world.submit(["a"], days(9, 1), caller=READER)
        with pytest.raises(TooLarge, match="1100 estimated samples; 1000"):
            await world.submit(["a"], days(12, 1), caller=READER)
        await world.submit(["b"], days(4, 1), caller=READER)
        with pytest.raises(RateLimited, match="too many active jobs: 2; 2 are allowed"):
            await world.submit(["c"], days(2, 1), caller=READER)
        await world.submit(["a"], days(9, 1), caller=OTHER)


@in_virtual_time
async def test_readers_see_their_own_jobs() -> None:
    """Somebody else's job is as unknown as one that does not exist, and is in no list."""
    async with JobWorld() as world:
        job_id = await world.submit(["a"], days(4, 1), caller=READER)
        service = world.service_of_jobs
        for caller, job in ((OTHER, job_id), (READER, "job_0")):
            with pytest.raises(NotFound):
                await service.get_job_status(job, caller)
            with pytest.raises(NotFound):
                await service.cancel_job(job, caller)
        everything: dict[str, Any] = {"status": None, "site": None, "limit": 10, "cursor": None}
        assert [] == (await service.list_jobs(OTHER, **everything))["jobs"]
        for caller in (READER, READER_OF_ALL):
            found = await service.list_jobs(caller, **everything)
            assert [job_id] == [job["jobId"] for job in found["jobs"]]


@in_virtual_time
async def test_lists_of_jobs_have_pages() -> None:
    """Pages follow each other from the newest job on, and filters hold on each."""
    async with JobWorld() as world:
        ids = [
            await world.submit([f"p{n}"], days(4, 1), site="odd" if n % 2 else "even")
            for n in range(7)
        ]
        for site, expected in ((None, ids), ("odd", ids[1::2])):
            found: list[str] = []
            cursor = None
            while True:
                page = await world.service_of_jobs.list_jobs(
                    READER_OF_ALL, status="queued", site=site, limit=2, cursor=cursor
                )
                assert len(page["jobs"]) <= 2
                found += [job["jobId"] for job in page["jobs"]]
                cursor = page["nextCursor"]
                if cursor is None:
                    break
            assert sorted(expected) == sorted(found)
            assert len(expected) == len(found)


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
