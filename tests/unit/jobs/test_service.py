"""The queue of jobs: what is submitted, refused, cancelled, put back and shown, and to whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from building_vitals.errors import (
    Conflict,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
)
from building_vitals.instants import DAY_MS
from building_vitals.jobs.documents import FailureCounts
from building_vitals.jobs.options import JobOptions
from building_vitals.ranges import Range
from fakes.job_world import OTHER, READER, READER_OF_ALL, SMALL, JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import days


@in_virtual_time
async def test_the_same_active_request_is_the_same_job() -> None:
    """
    Thirty submissions at once are one job, of which one chunk goes ahead; with the points in
    another order it is another answer, and so another job.
    """
    async with JobWorld(jobs=SMALL) as world:
        time_range = days(5, 2)
        ids = await asyncio.gather(
            *(world.submit(["a", "b", "c"], time_range, caller=READER) for _ in range(30)),
        )
        assert 1 == len(set(ids))
        assert 1 == len(world.queues.sent)
        assert ids[0] != await world.submit(["c", "b", "a"], time_range, caller=READER)
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
            (each.job_id, each.chunk, each.error_class, each.attempts) for each in failures.failures
        ]
        stats = await world.service_of_jobs.dlq_stats()
        assert FailureCounts(1, 1, {"upstream": 1}) == stats.dlq
        with pytest.raises(Conflict):
            await world.result(job_id)
        world.upstream.failing = lambda *_: False
        world.upstream.asked.clear()
        revived = await world.service_of_jobs.retry_job(job_id, READER_OF_ALL)
        assert ("queued", None) == (revived.status, revived.error)
        assert "completed" == (await world.run(job_id)).status
        assert [("p4", "p5")] == [each.points for each in world.upstream.asked]
        assert world.truth(points, time_range) == await world.result(job_id)
        assert 0 == (await world.service_of_jobs.dlq_stats()).dlq.total


@in_virtual_time
async def test_cancelling_stops_the_fetching() -> None:
    """After a cancel no chunk is begun; those under way, here one page each, come to their end."""
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
        assert ("cancelled", 1) == (job.status, job.completed_chunks)
        assert 0 == world.queues.waiting
        assert [] == world.database.look("SELECT * FROM fetch_leases")
        with pytest.raises(Conflict):
            await world.service_of_jobs.cancel_job(job_id, READER_OF_ALL)


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
async def test_owners_have_limits() -> None:
    """An owner may have so many jobs and samples queued; others are not affected; all is named."""
    options = JobOptions(max_active_jobs=2, max_queued_samples=1000)
    async with JobWorld(jobs=options) as world:
        await world.submit(["a"], days(4, 1), caller=READER)
        with pytest.raises(RateLimited, match="1100 with this request; 1000 are allowed"):
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
        assert [] == (await service.list_jobs(OTHER, **everything)).jobs
        for caller in (READER, READER_OF_ALL):
            found = await service.list_jobs(caller, **everything)
            assert [job_id] == [job.job_id for job in found.jobs]


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
                assert len(page.jobs) <= 2
                found += [job.job_id for job in page.jobs]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert sorted(expected) == sorted(found)
            assert len(expected) == len(found)


@in_virtual_time
async def test_each_asker_gets_its_own_order() -> None:
    """The same points in another order are a job of their own, which fetches nothing again."""
    async with JobWorld(jobs=SMALL) as world:
        first = await world.submit(["a", "b", "c"], days(5, 2))
        await world.run(first)
        sent = world.upstream.samples_sent
        second = await world.submit(["c", "a", "b"], days(5, 2))
        await world.run(second)
        assert sent == world.upstream.samples_sent
        for job_id, order in ((first, ["a", "b", "c"]), (second, ["c", "a", "b"])):
            result = await world.result(job_id)
            assert result is not None
            assert order == list(result)


@in_virtual_time
async def test_submitting_and_cancelling_costs_little_and_has_a_limit() -> None:
    """
    Of a job of thousands of chunks a few rows and messages are made; what was cancelled counts
    against the limit of an hour, until the hour is over.
    """
    options = JobOptions(batch_size=1, max_hourly_samples=3_000_000, max_active_jobs=2)
    async with JobWorld(jobs=options) as world:
        points, time_range = [f"p{n}" for n in range(1000)], days(11, 1)
        for _ in range(3):
            job_id = await world.submit(points, time_range)
            assert 1000 <= (await world.look(job_id)).total_chunks
            await world.service_of_jobs.cancel_job(job_id, READER_OF_ALL)
            await world.clock.sleep(60_000)
        text = r"4000000 with this request, .+; 3000000 are allowed \(MAX_HOURLY_SAMPLES\)"
        with pytest.raises(RateLimited, match=text) as caught:
            await world.submit(points, time_range)
        assert 3600 - 3 * 60 == caught.value.retry_after_s
        assert 3 == len(world.queues.sent)
        assert 3 == len(world.database.look("SELECT * FROM job_chunks"))
        await world.deliver()
        assert [] == world.upstream.asked
        await world.clock.sleep(1000 * (caught.value.retry_after_s or 0) - 1)
        with pytest.raises(RateLimited):
            await world.submit(points, time_range)
        await world.clock.sleep(1)
        await world.submit(points, time_range)


@in_virtual_time
async def test_names_of_ten_megabytes_are_kept() -> None:
    """5,000 points of 512 characters of 4 bytes: no value is over what D1 takes."""
    async with JobWorld(jobs=JobOptions(batch_size=1000)) as world:
        points = [f"{n:04}" + "\U0001f3e2" * 508 for n in range(5000)]
        job_id = await world.submit(points, days(1.1, 1))
        assert tuple(points) == await world.jobs.points(job_id)
        parts = world.database.look("SELECT length(CAST(points AS BLOB)) AS n FROM job_points")
        assert max(each["n"] for each in parts) <= 1_100_000
        state = await world.chunks.claim(
            world.queues.sent[0],
            "me",
            now_ms=0,
            expires_ms=0,
            due_ms=0,
            attempts_max=9,
            patience_ms=0,
        )
        assert state is not None
        assert tuple(points[: state.points_count]) == state.points
