"""Tests of `/api/timeseries` from request to reply."""

from __future__ import annotations

import itertools
import json

import pytest

from building_vitals.access.caller import Caller
from building_vitals.instants import format_instant
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
START, END = EPOCH_MS - 5 * DAY_MS, EPOCH_MS - 4 * DAY_MS
QUERY = f"site=site&points=a&start_time={START}&end_time={END}"
BODY = {"site": "site", "points": ["a"], "start_time": START, "end_time": END}


@in_virtual_time
async def test_headers_tell_route_and_cache_status() -> None:
    """The first answer is a miss, the next a hit, the client's own a 304."""
    async with JobWorld() as world:
        query = f"{QUERY}&route=cached"
        for status, hit in (("miss", "false"), ("hit", "true")):
            reply = await called(world, "GET /api/timeseries", query, accept_encoding="gzip")
            headers = headers_of(reply)
            assert (200, "cached", hit, status) == (
                reply.status,
                *(headers[name] for name in ("X-Route-Type", "X-Cache-Hit", "X-Cache-Status")),
            )
            document = await document_of(reply)
            assert status == document["_meta"]["cache"]["status"]
            assert document["data"]["a"]["count"] == len(document["data"]["a"]["samples"]) > 0
            await world.settle()
        reply = await called(
            world,
            "GET /api/timeseries",
            query,
            accept_encoding="gzip",
            if_none_match=headers["ETag"],
        )
        assert 304 == reply.status


@in_virtual_time
async def test_a_query_that_counts_from_the_present_is_read_each_time() -> None:
    """The same text means another range a minute later, and the same as its instants."""
    async with JobWorld() as world:
        told = []
        for _ in range(2):
            query = "site=site&points=a&start_time=now-1d&route=cached"
            document = await document_of(await called(world, "GET /api/timeseries", query))
            told.append((document["_meta"]["startTime"], document["_meta"]["endTime"]))
            await world.clock.sleep(60_000)
        assert [
            tuple(format_instant(EPOCH_MS + n * 60_000 - days * DAY_MS) for days in (1, 0))
            for n in (0, 1)
        ] == told


@in_virtual_time
async def test_a_large_request_becomes_a_job() -> None:
    """The answer says where to ask for it; the log line names the job, new or not."""
    async with JobWorld() as world:
        for is_new in (True, False):
            reply = await called(world, "GET /api/timeseries", f"{QUERY}&route=queued")
            document, headers, line = await document_of(reply), headers_of(reply), world.lines[-1]
            assert (202, "queued", document["statusUrl"], "2", "no-store") == (
                reply.status,
                *(document["status"], headers["Location"], headers["Retry-After"]),
                headers["Cache-Control"],
            )
            assert f"/api/jobs/{document['jobId']}" == document["statusUrl"]
            assert (document["jobId"], is_new) == (line["jobId"], line["isNew"])


@in_virtual_time
async def test_a_look_makes_no_job() -> None:
    """HEAD says what GET would, but for an address that does not exist."""
    async with JobWorld() as world:
        reply = await called(world, "HEAD /api/timeseries", f"{QUERY}&route=queued")
        headers = headers_of(reply)
        assert (202, "queued", b"") == (reply.status, headers["X-Route-Type"], bytes(reply.body))
        assert "Location" not in headers
        assert [] == world.database.look("SELECT * FROM queue_jobs")
        assert 0 == world.queues.waiting


@in_virtual_time
async def test_a_post_asks_by_its_body() -> None:
    """The body's members are the parameters of the query."""
    async with JobWorld() as world:
        body = json.dumps(BODY | {"format": "csv", "route": "direct"}).encode()
        reply = await called(world, "POST /api/timeseries", body=body)
        assert 200 == reply.status
        assert bytes(reply.body).startswith(b"time,point,value")


@in_virtual_time
async def test_a_post_is_answered_whole() -> None:
    """Whatever tags the client has: only a GET or a HEAD is answered with a 304."""
    async with JobWorld() as world:
        body = json.dumps(BODY | {"route": "cached"}).encode()
        await called(world, "POST /api/timeseries", body=body)
        await world.settle()
        tag = headers_of(await called(world, "POST /api/timeseries", body=body))["ETag"]
        for known in (tag, "*"):
            reply = await called(world, "POST /api/timeseries", body=body, if_none_match=known)
            assert 200 == reply.status
            assert (await document_of(reply))["data"]["a"]["count"] > 0
            for method in ("GET", "HEAD"):
                route = f"{method} /api/timeseries"
                reply = await called(world, route, f"{QUERY}&route=cached", if_none_match=known)
                assert 304 == reply.status


@pytest.mark.parametrize(
    ("query", "encoding", "field"),
    [("site=site", "identity", "query"), ("", "gzip", "Content-Encoding")],
)
def test_a_post_is_plain_and_has_no_query(query: str, encoding: str, field: str) -> None:
    """Two places for parameters, or a body that would have to be inflated, are refused."""

    @in_virtual_time
    async def refused() -> None:
        async with JobWorld() as world:
            body = json.dumps(BODY).encode()
            route = "POST /api/timeseries"
            reply = await called(world, route, query, body=body, content_encoding=encoding)
            errors = (await document_of(reply))["errors"]
            assert (400, [field]) == (reply.status, [each["field"] for each in errors])

    refused()


@in_virtual_time
async def test_other_sites_are_refused_before_anything_is_fetched() -> None:
    """A key for one site gets nothing of another."""
    async with JobWorld() as world:
        reader = Caller(key_id="r", is_admin=False, sites=frozenset({"other"}))
        reply = await called(world, "GET /api/timeseries", QUERY, caller=reader)
        assert (403, []) == (reply.status, world.upstream.asked)


@in_virtual_time
async def test_routes_that_are_asked_for_have_limits_of_size() -> None:
    """Whatever asks for more than fits hears what would fit, and costs the upstream nothing."""
    async with JobWorld() as world:
        span = f"start_time={EPOCH_MS - 7300 * DAY_MS}&end_time={EPOCH_MS}"
        names = ",".join(f"p{n}" for n in range(5000))
        told = {
            "direct": "route=direct takes at most 100,000 estimated samples; this is 3,650,000,000",
            "cached": "route=cached fetches at most 100,000 estimated samples; here 3,650,000,000",
            "queued": "request too large: 3650000000 estimated samples; 50000000 are allowed",
        }
        for route, beginning in told.items():
            query = f"site=site&points={names}&{span}&route={route}"
            reply = await called(world, "GET /api/timeseries", query)
            assert 413 == reply.status, route
            detail = (await document_of(reply))["detail"]
            assert detail.startswith(beginning)
            if route != "queued":
                hint = "leave out route=, or ask for at most 4 hours of these points"
                assert detail.endswith(hint)
        assert 0 == world.upstream.requests
        for table in ("cache_segments", "fetch_leases", "queue_jobs", "job_points"):
            assert [] == world.database.look(f"SELECT * FROM {table}")


@in_virtual_time
async def test_what_is_known_has_no_limit_of_size() -> None:
    """route=cached answers whatever is known already, however large."""
    async with JobWorld(interval_ms=DAY_MS // 4) as world:
        names = ",".join(f"p{n}" for n in range(4))
        ends = [EPOCH_MS - n * 200 * DAY_MS for n in (4, 3, 2, 1)]
        pieces = list(itertools.pairwise(ends))
        for start, end in pieces:
            query = f"site=site&points={names}&start_time={start}&end_time={end}&route=cached"
            assert 200 == (await called(world, "GET /api/timeseries", query)).status
            await world.settle()
        whole = f"start_time={pieces[0][0]}&end_time={pieces[-1][1]}"
        query = f"site=site&points={names}&{whole}&route=cached"
        reply = await called(world, "GET /api/timeseries", query)
        assert (200, "hit") == (reply.status, headers_of(reply)["X-Cache-Status"])


@in_virtual_time
async def test_large_requests_do_not_go_past_a_cache_that_is_down() -> None:
    """Nobody can say what of it is known, so it is not fetched whole: 503, to be tried again."""
    async with JobWorld() as world:
        world.database.failures.always("*", "rows", "batch")
        span = f"start_time={EPOCH_MS - 2000 * DAY_MS}&end_time={EPOCH_MS}"
        query = f"site=site&points=a&{span}&route=cached"
        reply = await called(world, "GET /api/timeseries", query)
        assert (503, "10") == (reply.status, headers_of(reply)["Retry-After"])
        assert 0 == world.upstream.requests
