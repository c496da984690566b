"""Tests of submission: what makes a request a job, and its messages."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.errors import RateLimited, TooLarge, Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.jobs.model import CHUNKS_AHEAD
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.submission import (
    RESEND_AFTER_MS,
    RESEND_AFTER_MS_MAX,
    JobSubmission,
    Queued,
    request_hash,
    resend_after_ms,
)
from building_vitals.ranges import Range
from fakes.history import History, SiteCosts
from fakes.job_world import READER_OF_ALL, JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

POINTS = tuple(f"p{n}" for n in range(150))


def request(*points: str, days: int = 1) -> TimeseriesRequest:
    """Return a request for points over the last days."""
    return TimeseriesRequest("site", points, Range(EPOCH_MS - days * DAY_MS, EPOCH_MS))


def submission(world: JobWorld, **options: int) -> JobSubmission:
    """Return a submission over a world's parts."""
    return JobSubmission(
        jobs=world.jobs,
        upstream=world.upstream,
        sender=world.queues,
        options=JobOptions(**options),
        invocation=world.invocation,
    )


def test_a_request_is_what_its_answer_is() -> None:
    """Another order of points is another answer; what else a request says makes no difference."""
    one = request("a", "b")
    assert request_hash(one) == request_hash(replace(one, priority="high", timeout_ms=5))
    assert request_hash(one) != request_hash(request("b", "a"))
    assert request_hash(request("a", "b")) != request_hash(request("a"))


@in_virtual_time
async def test_one_owner_has_one_active_job_for_a_request() -> None:
    """Asked again it is the same job, and nothing is sent; another owner has one of its own."""
    async with JobWorld() as world:
        service = submission(world)
        first = await service.submit(request("a", "b"), "one", 10)
        again = await service.submit(request("a", "b"), "one", 10)
        other = await service.submit(request("a", "b"), "other", 10)
        assert (True, False, True) == (first.is_new, again.is_new, other.is_new)
        assert first.job_id == again.job_id != other.job_id
        assert [first.job_id, other.job_id] == [each.job_id for each in world.queues.sent]


@in_virtual_time
async def test_limits_of_an_owner() -> None:
    """Too large alone, too much together, too many at once: each says which."""
    async with JobWorld() as world:
        service = submission(world, max_active_jobs=2, max_queued_samples=100)
        with pytest.raises(TooLarge, match="101 estimated samples; 100 are allowed"):
            await service.submit(request("a"), "one", 101)
        await service.submit(request("a"), "one", 60)
        with pytest.raises(RateLimited, match="101 with this request; 100 are allowed"):
            await service.submit(request("b"), "one", 41)
        await service.submit(request("b"), "one", 1)
        with pytest.raises(RateLimited, match="too many active jobs: 2; 2 are allowed"):
            await service.submit(request("c"), "one", 1)


@in_virtual_time
async def test_a_few_chunks_are_made_ahead() -> None:
    """Of a site that is known to have samples; of another one goes ahead."""
    async with JobWorld() as world:
        service = submission(world, batch_size=1)
        unknown = await service.submit(request(*POINTS), "one", 10)
        assert [0] == [each.chunk for each in world.queues.sent]
        assert 150 == (await world.look(unknown.job_id)).total_chunks
        await world.ask(["known"], request("known").time_range)
        await world.settle()
        known = await service.submit(request(*POINTS), "other", 10)
        assert [(known.job_id, n) for n in range(CHUNKS_AHEAD)] == [
            (each.job_id, each.chunk) for each in world.queues.sent[1:]
        ]
        assert 2 == world.queues.failures.calls["send"]


@in_virtual_time
async def test_without_any_message_there_is_no_job() -> None:
    """A queue that is down leaves no rows behind."""
    async with JobWorld() as world:
        world.queues.failures.next("send")
        with pytest.raises(Unavailable):
            await submission(world, batch_size=1).submit(request(*POINTS), "one", 10)
        for table in ("queue_jobs", "job_chunks", "job_points", "job_plans"):
            assert [] == world.database.look(f"SELECT * FROM {table}")


@in_virtual_time
async def test_a_job_on_most_of_a_site_fetches_each_page_once() -> None:
    """400 points over 4 days of a site of 400: ten pages of 50,000 samples, each for all points."""
    points = tuple(f"p{n}" for n in range(400))
    async with JobWorld(page_size=50_000) as world:
        world.upstream.site_points = points
        time_range = Range(EPOCH_MS - 6 * DAY_MS, EPOCH_MS - 2 * DAY_MS)
        job = await world.run(await world.submit(points, time_range))
        assert ("completed", 2, 400 * 4 * 288) == (job.status, job.total_chunks, job.samples_count)
        assert 10 == world.upstream.requests
        assert 400 * 4 * 288 == world.upstream.samples_sent


@in_virtual_time
async def test_a_job_is_cut_by_the_rate_of_its_site() -> None:
    """60 days of one point: 8,640 samples a day are three chunks, 288 are one."""
    async with JobWorld() as world:
        counts = []
        for interval_ms in (10_000, 300_000):
            service = JobSubmission(
                jobs=world.jobs,
                upstream=History(world.clock, interval_ms=interval_ms),
                sender=world.queues,
                options=JobOptions(),
                invocation=world.invocation,
            )
            queued = await service.submit(request(f"p{interval_ms}", days=60), "one", 10)
            counts.append((await world.look(queued.job_id, READER_OF_ALL)).total_chunks)
        assert [3, 1] == counts


class SlowCosts(History):
    """An upstream that has to be asked how large a site is."""

    async def costs(self, site: str, *, for_job: bool = False) -> SiteCosts:
        """Return what is true, after a while."""
        await self._clock.sleep(60_000)
        return await super().costs(site)


@in_virtual_time
async def test_the_same_job_is_found_while_the_upstream_is_silent() -> None:
    """Who asks again does not wait until it has told how large the site is."""
    async with JobWorld(history=SlowCosts) as world:
        service = submission(world)
        first = await service.submit(request("a"), "one", 10)
        began_ms = world.clock.now_ms()
        assert Queued(first.job_id, False) == await service.submit(request("a"), "one", 10)
        assert began_ms == world.clock.now_ms()


@in_virtual_time
async def test_an_active_job_is_found_although_new_ones_may_not_be_so_large() -> None:
    """Limits that were lowered keep nobody from a job that is under way."""
    async with JobWorld() as world:
        first = await submission(world).submit(request("a"), "one", 500)
        stricter = submission(world, max_queued_samples=100)
        assert Queued(first.job_id, False) == await stricter.submit(request("a"), "one", 500)
        with pytest.raises(TooLarge):
            await stricter.submit(request("b"), "one", 500)


def test_each_message_more_waits_longer() -> None:
    """From five seconds up to an hour."""
    waits = [resend_after_ms(sends) for sends in range(1, 30)]
    assert (RESEND_AFTER_MS, RESEND_AFTER_MS_MAX) == (waits[0], waits[-1])
    assert all(4 * before == after for before, after in pairwise(waits[:5]))
