"""Requests that wait for the job they become."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from building_vitals.access.caller import Caller
from building_vitals.access.waits import WAITS_PER_KEY_MAX
from building_vitals.api.messages import Reply
from building_vitals.jobs.options import JobOptions
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import days

DAY_MS = 86_400_000
PAST = days(5, 4)
QUERY = f"site=site&points=a,b&start_time={PAST.start_ms}&end_time={PAST.end_ms}&route=queued"
OWNER = Caller(key_id="owner", is_admin=False, sites=None)


async def waited(world: JobWorld, query: str = QUERY, after_s: float = 3, **options: Any) -> Reply:
    """Return the reply to a request whose job's messages are delivered after a time."""

    async def work() -> None:
        await asyncio.sleep(after_s)
        while await world.deliver():
            continue

    consumer = asyncio.ensure_future(work())
    reply = await called(world, "GET /api/timeseries", query, **options)
    consumer.cancel()
    await asyncio.gather(consumer, return_exceptions=True)
    return reply


@pytest.mark.parametrize("bytes_min", [1, 1 << 30])
def test_a_job_that_ends_in_time_is_answered_with_its_result(bytes_min: int) -> None:
    """200 within a quarter more of the time it took, from a stored result or from segments."""

    @in_virtual_time
    async def answered() -> None:
        async with JobWorld(result_bytes_min=bytes_min) as world:
            reply = await waited(world, f"{QUERY}&wait=20", accept_encoding="gzip")
            assert 200 == reply.status
            assert 3000 <= world.clock.now_ms() - EPOCH_MS <= 1.25 * 3000 + 250
            stored, headers = reply.stored, headers_of(reply)
            assert (bytes_min == 1) == (stored is not None)
            body = stored.found.body + stored.end if stored else bytes(reply.body)
            document = gzip.decompress(body).decode()
            assert '"routeType":"queued"' in document
            assert '"missingSamples":200' in document
            assert ("queued", "true") == (headers["X-Route-Type"], headers["X-Cache-Hit"])
            assert "Preference-Applied" not in headers
            assert 0 == world.app.isolate.waits.count("open")

    answered()


@in_virtual_time
async def test_the_result_is_as_it_was_asked_for() -> None:
    """Format, number of samples and order of points are the request's, not the job's."""
    async with JobWorld() as world:
        reply = await waited(world, f"{QUERY}&wait=20&format=csv")
        assert "text/csv; charset=utf-8" == headers_of(reply)["Content-Type"]
        assert bytes(reply.body).startswith(b"time,point,value")
        query = QUERY.replace("points=a,b", "points=b,c")
        document = await document_of(await waited(world, f"{query}&wait=20&max_points=4"))
        assert ["b", "c"] == list(document["data"])
        assert (True, 4) == (document["_meta"]["downsampled"], document["data"]["b"]["count"])


@in_virtual_time
async def test_a_job_that_takes_longer_is_an_address() -> None:
    """After the wait 202, and the job goes on; the next who waits for the same gets its result."""
    async with JobWorld() as world:
        reply = await waited(world, f"{QUERY}&wait=2")
        assert (202, EPOCH_MS + 2000) == (reply.status, world.clock.now_ms())
        job = await document_of(reply)
        assert job["statusUrl"] == headers_of(reply)["Location"]
        assert 200 == (await waited(world, f"{QUERY}&wait=20")).status
        assert "completed" == (await world.look(job["jobId"])).status
        assert 1 == len(world.database.look("SELECT 1 FROM queue_jobs"))


@pytest.mark.parametrize(
    ("query", "prefer", "applied", "waited_ms"),
    [
        ("", "wait=2", "wait=2", 2000),
        ("", "respond-async, wait=1", "wait=1", 1000),
        ("", "wait=0", "wait=0", 0),
        ("", "wait=61", None, 0),
        ("", "wait=soon", None, 0),
        ("", "respond-async", None, 0),
        ("&wait=1", "wait=2", None, 1000),
        ("&wait=0", "wait=2", None, 0),
    ],
)
def test_a_preference_is_heeded_or_ignored(
    query: str, prefer: str, applied: str | None, waited_ms: int
) -> None:
    """Heeded, the answer says so; the parameter comes first."""

    @in_virtual_time
    async def heeded() -> None:
        async with JobWorld() as world:
            reply = await called(world, "GET /api/timeseries", QUERY + query, prefer=prefer)
            assert (202, waited_ms) == (reply.status, world.clock.now_ms() - EPOCH_MS)
            assert applied == headers_of(reply).get("Preference-Applied")
            reply = await waited(world, QUERY + query, 0.1, prefer=prefer)
            assert (200 if waited_ms else 202) == reply.status
            assert applied == headers_of(reply).get("Preference-Applied")

    heeded()


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "", "soon"])
def test_a_wrong_wait_is_refused_with_all_that_is_wrong(wait: str) -> None:
    """400, and nothing is queued."""

    @in_virtual_time
    async def refused() -> None:
        async with JobWorld() as world:
            query = f"{QUERY}&wait={wait}&priority=urgent"
            reply = await called(world, "GET /api/timeseries", query)
            errors = (await document_of(reply))["errors"]
            assert (400, ["priority", "wait"]) == (reply.status, [each["field"] for each in errors])
            assert [] == world.database.look("SELECT 1 FROM queue_jobs")

    refused()


@in_virtual_time
async def test_a_request_that_is_no_job_waits_for_nothing() -> None:
    """It is answered as if it had not asked to wait, and so is a look."""
    async with JobWorld() as world:
        for route in ("direct", "cached"):
            query = f"{QUERY.replace('queued', route)}&wait=20"
            assert 200 == (await called(world, "GET /api/timeseries", query)).status
        query = QUERY.replace("points=a", "points=c")
        assert 202 == (await called(world, "HEAD /api/timeseries", f"{query}&wait=20")).status
        assert EPOCH_MS == world.clock.now_ms()


@in_virtual_time
async def test_a_job_that_fails_is_told_at_once() -> None:
    """As the failure that ended it, not as an address at which it can be read."""
    async with JobWorld(jobs=JobOptions(max_retries=0)) as world:
        world.upstream.failing = lambda *_: True
        reply = await waited(world, f"{QUERY}&wait=60", 1)
        document = await document_of(reply)
        [row] = world.database.look("SELECT job_id FROM queue_jobs")
        assert 502 == reply.status
        assert document["detail"] == (
            f"the job of this request has failed: upstream answered 503 ({row['job_id']})"
        )
        assert 0 == world.app.isolate.waits.count("open")


@in_virtual_time
async def test_a_job_that_is_cancelled_is_told_at_once() -> None:
    """An address at which it can be seen: somebody did not want it."""
    async with JobWorld() as world:
        task = asyncio.ensure_future(called(world, "GET /api/timeseries", f"{QUERY}&wait=60"))
        await asyncio.sleep(1)
        [row] = world.database.look("SELECT job_id FROM queue_jobs")
        assert await world.jobs.cancel(row["job_id"], now_ms=world.clock.now_ms())
        reply = await task
        message = (await document_of(reply))["message"]
        assert (202, "the job of the request is cancelled; statusUrl shows it") == (
            reply.status,
            message,
        )
        assert world.clock.now_ms() < EPOCH_MS + 2000


@in_virtual_time
async def test_who_leaves_frees_the_wait_and_not_the_job() -> None:
    """Its place is free at once, or soon where the runtime says nothing; the job is done."""
    async with JobWorld() as world:
        task = asyncio.ensure_future(
            called(world, "GET /api/timeseries", f"{QUERY}&wait=60", caller=OWNER)
        )
        await asyncio.sleep(1)
        assert 1 == world.app.isolate.waits.count("owner")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert 0 == world.app.isolate.waits.count("owner")
        [row] = world.database.look("SELECT job_id FROM queue_jobs")
        assert "completed" == (await world.run(row["job_id"])).status


@in_virtual_time
async def test_only_so_many_of_a_key_wait() -> None:
    """One more is answered at once, whatever it prefers, and is told that it did not wait."""
    async with JobWorld() as world:
        tasks = [
            asyncio.ensure_future(
                called(
                    *(world, "GET /api/timeseries", f"{QUERY}&wait=5"),
                    caller=OWNER,
                    request_id=f"r{n}",
                )
            )
            for n in range(WAITS_PER_KEY_MAX)
        ]
        await asyncio.sleep(1)
        one = await called(world, "GET /api/timeseries", QUERY, caller=OWNER, prefer="wait=5")
        assert (202, EPOCH_MS + 1000) == (one.status, world.clock.now_ms())
        assert "Preference-Applied" not in headers_of(one)
        assert {202} == {reply.status for reply in await asyncio.gather(*tasks)}
        assert EPOCH_MS + 5000 == world.clock.now_ms()


@in_virtual_time
async def test_a_long_wait_takes_few_statements() -> None:
    """An invocation has a thousand: a minute takes some fifty of them."""
    async with JobWorld() as world:
        before = world.app.statements.statements
        assert 202 == (await called(world, "GET /api/timeseries", f"{QUERY}&wait=60")).status
        assert EPOCH_MS + 60_000 == world.clock.now_ms()
        assert world.app.statements.statements - before < 60
