"""Tests of `/api/jobs` from request to reply."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.access.caller import Caller
from building_vitals.access.streams import STREAMS_MAX
from building_vitals.ranges import Range
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
RANGE = Range(EPOCH_MS - 5 * DAY_MS, EPOCH_MS - 4 * DAY_MS)


@in_virtual_time
async def test_a_job_is_shown_listed_and_cancelled() -> None:
    """Each answer is the job's document, and the log line tells its status."""
    async with JobWorld() as world:
        job_id = await world.submit(["a", "b"], RANGE)
        reply = await called(world, f"GET /api/jobs/{job_id}")
        document = await document_of(reply)
        assert (200, job_id, "queued", 2) == (
            reply.status,
            *(document["jobId"], document["status"], document["pointsCount"]),
        )
        assert "queued" == world.lines[-1]["jobStatus"]
        listed = await document_of(await called(world, "GET /api/jobs", "status=queued"))
        assert {"jobs": [document], "nextCursor": None} == listed
        reply = await called(world, f"DELETE /api/jobs/{job_id}")
        assert {"success": True, "message": f"job {job_id} is cancelled"} == (
            await document_of(reply)
        )
        again = await called(world, f"DELETE /api/jobs/{job_id}")
        assert 409 == again.status


@in_virtual_time
async def test_results_have_a_format_and_a_number_of_samples() -> None:
    """The parameters of the row reach the answer, from a stored result and from segments."""
    for bytes_min in (1, 1 << 30):
        async with JobWorld(result_bytes_min=bytes_min) as world:
            job_id = await world.submit(["a"], RANGE)
            await world.run(job_id)
            await world.settle()
            route = f"GET /api/jobs/{job_id}/data"
            reply = await called(world, route, "format=csv")
            assert "text/csv; charset=utf-8" == headers_of(reply)["Content-Type"]
            reply = await called(world, route, "max_points=4")
            document = await document_of(reply)
            assert (True, 4) == (document["_meta"]["downsampled"], document["data"]["a"]["count"])
            line = world.lines[-1]
            assert ("queued", "site", 1) == (line["route"], line["site"], line["points"])


@pytest.mark.parametrize("bytes_min", [1, 1 << 30], ids=["stored result", "segments"])
def test_results_have_the_buckets_that_were_asked_for(bytes_min: int) -> None:
    """Interval, aggregates and zone are kept; each may be asked for otherwise later."""

    @in_virtual_time
    async def kept() -> None:
        async with JobWorld(result_bytes_min=bytes_min) as world:
            start, end = RANGE
            asked = f"site=site&points=b&start_time={start}&end_time={end}&route=queued"
            forms = ("interval=6h&aggregate=count,max&tz=Asia/Kolkata", "max_points=4")
            job_ids = []
            for form in forms:
                reply = await called(world, "GET /api/timeseries", f"{asked}&{form}")
                job_ids.append((await document_of(reply))["jobId"])
            for job_id in job_ids:
                await world.run(job_id)
            await world.settle()
            data = [f"GET /api/jobs/{job_id}/data" for job_id in job_ids]

            async def rows_of(route: str, query: str = "") -> tuple[Any, list[list[float]]]:
                document = await document_of(await called(world, route, query))
                return document["_meta"].get("columns"), document["data"]["b"]["samples"]

            columns, rows = await rows_of(data[0])
            assert ["count", "max"] == columns
            # A day of UTC begins in India half an hour before the second six hours.
            first_ms = start - 5 * 3_600_000 - 1_800_000
            assert [first_ms + n * 6 * 3_600_000 for n in range(5)] == [row[0] for row in rows]
            values = [value for _, value in world.upstream.truth("b", RANGE)]
            numbers = sum(type(value) in (int, float) for value in values)
            assert (6, numbers) == (rows[0][1], sum(row[1] for row in rows))
            columns, rows = await rows_of(data[0], "aggregate=twa")
            assert (["twa"], 5) == (columns, len(rows))
            assert 4 == len((await rows_of(data[0], "tz=UTC"))[1])
            assert [numbers] == [
                row[1] for row in (await rows_of(data[0], "interval=1d&tz=UTC"))[1]
            ]
            assert 4 == len((await rows_of(data[0], "max_points=4"))[1])
            columns, rows = await rows_of(data[1])
            assert (None, 4) == (columns, len(rows))
            columns, rows = await rows_of(data[1], "interval=12h")
            assert (["mean"], 2) == (columns, len(rows))
            for wrong in ("aggregate=max", "interval=1h&max_points=3", "tz=Nowhere"):
                reply = await called(world, data[1], wrong)
                assert 400 == reply.status
            route = data[0].replace("GET", "HEAD")
            whole = await called(world, data[0])
            assert headers_of(whole)["ETag"] == headers_of(await called(world, route))["ETag"]
            tag = headers_of(whole)["ETag"]
            assert 304 == (await called(world, data[0], if_none_match=tag)).status
            assert 200 == (await called(world, data[0], "tz=UTC", if_none_match=tag)).status

    kept()


@pytest.mark.parametrize("bytes_min", [1, 1 << 30], ids=["stored result", "segments"])
def test_results_come_as_they_were_asked_for(bytes_min: int) -> None:
    """Format, layout and number of samples are kept; what is asked for later comes first."""

    @in_virtual_time
    async def kept() -> None:
        async with JobWorld(result_bytes_min=bytes_min) as world:
            start, end = RANGE
            asked = f"site=site&points=b,a&start_time={start}&end_time={end}&route=queued"
            forms = ("max_points=4", "format=ndjson", "layout=wide", "")
            job_ids = []
            for form in forms:
                reply = await called(world, "GET /api/timeseries", f"{asked}&{form}")
                job_ids.append((await document_of(reply))["jobId"])
            assert 4 == len(set(job_ids))
            for job_id in job_ids:
                await world.run(job_id)
            await world.settle()
            assert 576 == world.upstream.samples_sent
            data = [f"GET /api/jobs/{job_id}/data" for job_id in job_ids]
            few, lines, wide, plain = data
            document = await document_of(await called(world, few))
            assert [4, 4] == [each["count"] for each in document["data"].values()]
            assert ["b", "a"] == list(document["data"])
            document = await document_of(await called(world, few, "max_points=7"))
            assert 4 < document["data"]["a"]["count"] <= 7
            assert await type_of(world, lines) == "application/x-ndjson"
            assert await type_of(world, lines, "format=json") == "application/json"
            assert await type_of(world, lines, "layout=wide") == "text/csv; charset=utf-8"
            reply = await called(world, wide)
            assert bytes(reply.body).startswith(b"time,b,a\r\n")
            assert "Content-Disposition" in headers_of(reply)
            assert await type_of(world, wide, "format=msgpack") == "application/msgpack"
            reply = await called(world, wide, "layout=long")
            assert bytes(reply.body).startswith(b"time,point,value\r\n")
            assert await type_of(world, plain) == "application/json"
            assert 288 == (await document_of(await called(world, plain)))["data"]["a"]["count"]

    kept()


async def type_of(world: JobWorld, route: str, query: str = "") -> str:
    """Return the type of an answer."""
    return headers_of(await called(world, route, query))["Content-Type"]


@in_virtual_time
async def test_a_format_that_accept_asked_for_is_kept() -> None:
    """A browser that follows dataUrl has another Accept."""
    async with JobWorld() as world:
        start, end = RANGE
        query = f"site=site&points=a&start_time={start}&end_time={end}&route=queued"
        reply = await called(world, "GET /api/timeseries", query, accept="text/csv")
        job_id = (await document_of(reply))["jobId"]
        again = await called(world, "GET /api/timeseries", query, accept="text/csv")
        assert job_id == (await document_of(again))["jobId"]
        await world.run(job_id)
        reply = await called(world, f"GET /api/jobs/{job_id}/data", accept="text/html, */*")
        assert "text/csv; charset=utf-8" == headers_of(reply)["Content-Type"]


@in_virtual_time
async def test_results_of_others_are_not_found() -> None:
    """A job has one owner, and its data are refused while it has not completed."""
    async with JobWorld() as world:
        job_id = await world.submit(["a"], RANGE)
        other = Caller(key_id="other", is_admin=False, sites=None)
        for route in (f"GET /api/jobs/{job_id}", f"GET /api/jobs/{job_id}/data"):
            assert 404 == (await called(world, route, caller=other)).status
        assert 409 == (await called(world, f"GET /api/jobs/{job_id}/data")).status


@in_virtual_time
async def test_events_are_streamed() -> None:
    """The stream of a job that has ended is short: its last state, twice."""
    async with JobWorld() as world:
        job_id = await world.submit(["a"], RANGE)
        await world.run(job_id)
        reply = await called(world, f"GET /api/jobs/{job_id}/events")
        assert reply.rest is not None
        text = b"".join([chunk async for chunk in reply.rest]).decode()
        assert "text/event-stream" == headers_of(reply)["Content-Type"]
        assert ["progress", "completed"] == [
            line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event:")
        ]


@in_virtual_time
async def test_a_key_has_so_many_streams() -> None:
    """One more is a 429; a client that leaves makes room, and HEAD takes none."""
    async with JobWorld() as world:
        caller = Caller(key_id="one", is_admin=True, sites=None)
        route = f"GET /api/jobs/{await world.submit(['a'], RANGE)}/events"
        open_ones: list[Any] = []
        for n in range(STREAMS_MAX):
            reply = await called(world, route, caller=caller, request_id=f"r{n}")
            assert reply.rest is not None
            await anext(reply.rest)
            open_ones.append(reply.rest)
        refused = await called(world, route, caller=caller, request_id="more")
        assert (429, "15") == (refused.status, headers_of(refused)["Retry-After"])
        assert 200 == (await called(world, route, request_id="open mode")).status
        await open_ones[3].aclose()
        assert 200 == (await called(world, f"HEAD {route[4:]}", caller=caller)).status
        assert 200 == (await called(world, route, caller=caller, request_id="more")).status
        assert 429 == (await called(world, route, caller=caller, request_id="again")).status
        for each in open_ones:
            await each.aclose()


@in_virtual_time
async def test_streams_that_have_ended_do_not_count() -> None:
    """A stream ends with its job, and its place is free then."""
    async with JobWorld() as world:
        caller = Caller(key_id="one", is_admin=True, sites=None)
        job_id = await world.submit(["a"], RANGE)
        await world.run(job_id)
        reply = await called(world, f"GET /api/jobs/{job_id}/events", caller=caller)
        assert reply.rest is not None
        assert 1 == world.app.isolate.streams.count("one")
        assert [chunk async for chunk in reply.rest]
        assert 0 == world.app.isolate.streams.count("one")
