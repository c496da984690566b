"""Routes by what is missing: a chart that slides is no job, however long it is."""

from __future__ import annotations

import asyncio
import dataclasses

import msgspec
import pytest

from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.question import Question
from building_vitals.answers.routing import LargeGaps
from building_vitals.errors import TooLarge
from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.upstream.profile import Source
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days

HOURLY_MS = 3_600_000
POINTS = tuple(f"p{n}" for n in range(20))
YEAR = Range(EPOCH_MS - 365 * DAY_MS, EPOCH_MS)


def query_of(points: tuple[str, ...], time_range: Range, **options: object) -> str:
    """Return a query."""
    parts = {"points": ",".join(points), "start_time": time_range.start_ms}
    parts |= {"end_time": time_range.end_ms, **options}
    return "&".join(["site=site", *(f"{name}={value}" for name, value in parts.items())])


async def missing_of(world: World, question: Question) -> int:
    """Return the estimate of what is missing of a request that a job is needed for."""
    with pytest.raises(LargeGaps) as caught:
        await world.service.fetch_timeseries(question)
    return caught.value.missing


@in_virtual_time
async def test_a_year_that_slides_is_never_a_job_again() -> None:
    """Each minute 200, with what came since fetched, and no other."""
    async with JobWorld(interval_ms=HOURLY_MS) as world:
        reply = await called(world, "GET /api/timeseries", query_of(POINTS, YEAR))
        job = await document_of(reply)
        assert (202, 20 * 365 * 100) == (reply.status, job["estimatedSamples"])
        await world.run(job["jobId"])
        world.upstream.page_ms = 2000
        for minutes in range(1, 3):
            await asyncio.sleep(60 - world.clock.now_ms() / 1000 % 60)
            end_ms = began_ms = world.clock.now_ms()
            time_range = Range(end_ms - 365 * DAY_MS, end_ms)
            reply = await called(world, "GET /api/timeseries", query_of(POINTS, time_range))
            assert (200, "cached", "partial") == (
                reply.status,
                headers_of(reply)["X-Route-Type"],
                headers_of(reply)["X-Cache-Status"],
            )
            document = await document_of(reply)
            assert world.clock.now_ms() - began_ms <= 1.2 * 2000 + 50
            await world.settle()
            meta, samples = document["_meta"], document["data"]
            assert world.truth(POINTS, time_range) == {
                name: each["samples"] for name, each in samples.items()
            }
            assert 730_000 == meta["estimatedSamples"], minutes
            # By the rate seen, 24 a day; what is too young to be believed is missing too.
            assert 0 < meta["missingSamples"] < 20 * 24
            [[start_ms, last_ms]] = meta["cache"]["fetched"]
            assert end_ms == last_ms
            assert end_ms - start_ms < DAY_MS
        assert 1 == len(world.database.look("SELECT 1 FROM queue_jobs"))


@in_virtual_time
async def test_what_is_fully_known_is_answered_whatever_its_size() -> None:
    """A hit by the cached route, streamed; a part of it more is a job, unless it is small."""
    async with JobWorld(interval_ms=HOURLY_MS) as world:
        past = days(400, 35)
        job = await document_of(await called(world, "GET /api/timeseries", query_of(POINTS, past)))
        await world.run(job["jobId"])
        reply = await called(world, "GET /api/timeseries", query_of(POINTS, past))
        meta = (await document_of(reply))["_meta"]
        assert (200, "cached", True, 0) == (
            reply.status,
            *(meta[name] for name in ("routeType", "cacheHit", "missingSamples")),
        )
        more = ("new", *POINTS)
        reply = await called(world, "GET /api/timeseries", query_of(more, past))
        meta = (await document_of(reply))["_meta"]
        assert (200, 365 * 100) == (reply.status, meta["missingSamples"])
        many = (*(f"new{n}" for n in range(3)), *POINTS)
        reply = await called(world, "GET /api/timeseries", query_of(many, past))
        assert 202 == reply.status


@in_virtual_time
async def test_the_rates_seen_decide() -> None:
    """Of points with an hourly sample five years are little; with one each minute, a month not."""
    for interval_ms, span, expected in ((HOURLY_MS, 1800, 24), (MINUTE_MS, 90, 1440)):
        async with World(interval_ms=interval_ms) as world:
            await world.ask(["a", "b"], days(2000, 1999))
            await world.settle()
            question = world.question(["a", "b"], days(2000, 2000 - span))
            if expected == 24:
                answer = await world.service.fetch_timeseries(question)
                assert 2 * 24 * (span - 1) == answer.missing_samples
            else:
                assert 2 * 1440 * (span - 1) == await missing_of(world, question)


@in_virtual_time
async def test_limits_of_a_route_that_is_asked_for_stay() -> None:
    """`route=cached` refuses what it may not fetch; `route=queued` fetches nothing at all."""
    async with World() as world:
        large = days(1200, 1)
        assert 119_900 == await missing_of(world, world.question(["a"], large))
        named = world.question(["a"], large)
        request = dataclasses.replace(named.request, route="cached")
        with pytest.raises(TooLarge):
            await world.service.fetch_timeseries(msgspec.structs.replace(named, request=request))
        small = world.question(["a"], days(2, 1), route="queued")
        assert 100 == await missing_of(world, small)
        assert [] == world.upstream.asked


@pytest.mark.parametrize(("gives", "came"), [("points", "pages"), ("pages", "points")])
def test_what_a_job_fetched_is_filled_up_with_its_like(gives: Source, came: Source) -> None:
    """Where calls by point give other samples than pages, a job's are not fetched again."""

    @in_virtual_time
    async def filled_up() -> None:
        async with JobWorld(interval_ms=HOURLY_MS) as world:
            world.upstream.gives = came
            past = days(400, 35)
            await world.run(await world.submit(POINTS, past))
            world.upstream.gives = gives
            before = len(world.upstream.asked)
            question = world.question(POINTS, days(400, 34))
            answer: TimeseriesAnswer = await world.service.fetch_timeseries(question)
            assert "partial" == answer.report.status
            assert [days(35, 34)] == [each.time_range for each in world.upstream.asked[before:]]

    filled_up()
