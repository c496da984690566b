"""Tests of dispatch: who gets through to a handler, and what is answered and logged besides."""

from __future__ import annotations

import re

import pytest

from building_vitals.access.caller import Caller
from building_vitals.api.endpoint import Endpoint
from building_vitals.api.routes import ENDPOINTS
from fakes.api_calls import OneCaller, called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time

READER = Caller(key_id="reader", is_admin=False, sites=frozenset({"site"}))
ADMIN = [each for each in ENDPOINTS if each.role == "admin"]
KEYED = [each for each in ENDPOINTS if each.role != "anybody"]
ANYBODYS = [each for each in ENDPOINTS if each.role == "anybody"]


def route_of(endpoint: Endpoint) -> str:
    """Return method and path with the open parts filled in."""
    return re.sub(r"\{\w+\}", "site", endpoint.route)


@pytest.mark.parametrize("endpoint", ADMIN, ids=lambda each: each.route)
def test_readers_are_no_administrators(endpoint: Endpoint) -> None:
    """A row for administrators refuses readers before its handler sees the request."""

    @in_virtual_time
    async def refused() -> None:
        async with JobWorld() as world:
            reply = await called(world, route_of(endpoint), caller=READER)
            document = await document_of(reply)
            assert (403, "urn:building-vitals:problem:forbidden") == (
                reply.status,
                document["type"],
            )

    refused()


@pytest.mark.parametrize("endpoint", KEYED, ids=lambda each: each.route)
def test_keyed_endpoints_need_a_key(endpoint: Endpoint) -> None:
    """Without a key no handler is called, and the refusal is counted for the endpoint."""

    @in_virtual_time
    async def refused() -> None:
        async with JobWorld() as world:
            reply = await called(world, route_of(endpoint), caller=None)
            assert (401, "Bearer") == (reply.status, headers_of(reply)["WWW-Authenticate"])
            (line,) = world.lines
            assert ("unauthorized", None) == (line["code"], line["key"])

    refused()


@pytest.mark.parametrize("endpoint", ANYBODYS, ids=lambda each: each.route)
def test_open_endpoints_ask_for_no_key(endpoint: Endpoint) -> None:
    """Nobody is identified, so nothing can fail at it, and nothing is recorded."""

    @in_virtual_time
    async def open_to_all() -> None:
        async with JobWorld() as world:
            reply = await called(world, route_of(endpoint), caller=None)
            assert 200 == reply.status
            access = world.app.access
            assert isinstance(access, OneCaller)
            assert 0 == access.asked
            await world.settle()
            assert [] == world.metrics.written

    open_to_all()


@in_virtual_time
async def test_unknown_paths_and_methods_are_problems() -> None:
    """A path that is not there is a 404, a wrong method a 405 that names the right ones."""
    async with JobWorld() as world:
        missing = await called(world, "GET /api/nothing")
        assert (404, "Not found") == (missing.status, (await document_of(missing))["title"])
        wrong = await called(world, "PATCH /api/jobs/x", caller=None)
        assert (405, "GET, DELETE, HEAD, OPTIONS") == (wrong.status, headers_of(wrong)["Allow"])
        assert (
            "PATCH is not allowed here: GET, DELETE, HEAD, OPTIONS"
            == ((await document_of(wrong))["detail"])
        )


@in_virtual_time
async def test_preflights_are_answered_from_the_table() -> None:
    """OPTIONS needs no key, has no body, and says what the path answers."""
    async with JobWorld() as world:
        reply = await called(world, "OPTIONS /api/timeseries", caller=None)
        assert (204, b"", "GET, POST, HEAD, OPTIONS") == (
            reply.status,
            reply.body,
            headers_of(reply)["Allow"],
        )


@in_virtual_time
async def test_the_log_line_keeps_its_fields() -> None:
    """Those who filter lines by a field find it under the name they know."""
    async with JobWorld() as world:
        query = "site=site&points=a&start_time=0&end_time=86400000&route=cached"
        reply = await called(world, "GET /api/timeseries", query)
        assert 200 == reply.status
        (line,) = world.lines
        assert [
            *("event", "requestId", "method", "path", "key", "status", "durationMs", "bytes"),
            *("streamed", "route", "site", "points", "format", "estimated", "cache", "samples"),
            "upstreamRequests",
        ] == list(line)
        assert ("request", "open", "cached", "site", 1, "json", "miss") == tuple(
            line[name] for name in ("event", "key", "route", "site", "points", "format", "cache")
        )


@in_virtual_time
async def test_samples_that_cannot_be_read_are_told() -> None:
    """In `_meta` always, in the log line where there are any: of what was fetched for an answer."""
    async with JobWorld() as world:
        world.upstream.untimed = {"a", "b"}
        told = []
        for route in ("cached", "cached", "direct"):
            query = f"site=site&points=a,b&start_time=0&end_time=86400000&route={route}"
            document = await document_of(await called(world, "GET /api/timeseries", query))
            told.append(document["_meta"]["unreadableSamples"])
            await world.settle()
        assert [2, 0, 2] == told
        assert [2, None, 2] == [line.get("unreadableSamples") for line in world.lines]


@in_virtual_time
async def test_a_fault_is_answered_and_logged() -> None:
    """A bug is a 500 that reveals nothing, and a line with its traceback."""

    class Broken:
        async def read(self) -> None:
            raise ZeroDivisionError("secret")

    async with JobWorld() as world:
        vars(world.app)["statistics"] = Broken()
        reply = await called(world, "GET /api/stats")
        assert 500 == reply.status
        assert b"secret" not in bytes(reply.body)
        fault, request = world.lines
        assert ("fault", "GET /api/stats") == (fault["event"], fault["where"])
        assert "ZeroDivisionError: secret" in fault["detail"]
        assert 500 == request["status"]
