"""Tests of dispatch: who gets through to a handler, and what is answered and logged besides."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from building_vitals.access.caller import Caller
from building_vitals.access.options import AllowanceOptions
from building_vitals.answers import service
from building_vitals.answers.stream_limit import STREAMS_MAX
from building_vitals.api.endpoint import Endpoint
from building_vitals.api.messages import Reply
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


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.route)
def test_unknown_parameters_are_refused_everywhere(endpoint: Endpoint) -> None:
    """Whatever the path, before anything is done; what begins with `_` harms nowhere."""

    @in_virtual_time
    async def refused() -> None:
        async with JobWorld() as world:
            reply = await called(world, route_of(endpoint), "_=1&max_point=2", body=b"{}")
            errors = (await document_of(reply))["errors"]
            assert 400 == reply.status
            assert ("max_point" in [each["field"] for each in errors]) != bool(endpoint.body)
            assert ("query" in [each["field"] for each in errors]) == bool(endpoint.body)
            assert (0, 0) == (world.upstream.requests, world.queues.waiting)
            reply = await called(world, route_of(endpoint), "_=1", body=b"{}")
            told = await document_of(reply) if reply.status == 400 else {"errors": []}
            assert not {"_", "query"} & {each["field"] for each in told["errors"]}

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
async def test_browsers_that_look_for_an_icon_find_nothing_wrong() -> None:
    """204, without a key, to be asked for no more today; to change it is still no path."""
    async with JobWorld() as world:
        for method in ("GET", "HEAD"):
            reply = await called(world, f"{method} /favicon.ico", caller=None)
            assert (204, b"") == (reply.status, reply.body)
            assert "public, max-age=86400" == headers_of(reply)["Cache-Control"]
        assert 404 == (await called(world, "POST /favicon.ico", caller=None)).status


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
async def test_an_isolate_without_memory_to_spare_says_when_to_come_again() -> None:
    """A problem document with Retry-After, for large answers as for fetches; small ones go on."""
    query = "site=site&points=a&start_time=2025-01-01&end_time=2025-01-02&route=cached"
    async with JobWorld() as world:
        assert 200 == (await called(world, "GET /api/timeseries", query)).status
        await world.settle()
        streams = world.app.isolate.answer_streams
        for _ in range(STREAMS_MAX):
            streams.enter(world.clock.now_ms())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(service, "WHOLE_BYTES_MAX", 10)
            reply = await called(world, "GET /api/timeseries", f"{query}&format=csv")
        document = await document_of(reply)
        assert (503, "15", "no-store") == (
            reply.status,
            headers_of(reply)["Retry-After"],
            headers_of(reply)["Cache-Control"],
        )
        assert "application/problem+json" == headers_of(reply)["Content-Type"]
        assert ("urn:building-vitals:problem:overloaded", 503) == (
            document["type"],
            document["status"],
        )
        assert 200 == (await called(world, "GET /api/timeseries", query)).status


@in_virtual_time
async def test_the_log_line_keeps_its_fields() -> None:
    """Those who filter lines by a field find it under the name they know."""
    async with JobWorld() as world:
        query = "site=site&points=a&start_time=2025-01-01&end_time=2025-01-02&route=cached"
        reply = await called(world, "GET /api/timeseries", query)
        assert 200 == reply.status
        (line,) = world.lines
        assert [
            *("event", "requestId", "method", "path", "key", "status", "durationMs", "bytes"),
            *("streamed", "route", "site", "points", "format", "estimated", "missing"),
            *("cache", "samples", "upstreamRequests"),
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
            query = f"site=site&points=a,b&start_time=2025-01-01&end_time=2025-01-02&route={route}"
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


def set_mode(world: JobWorld, auth_mode: str, **options: Any) -> None:
    """Give a world another mode, in the same isolate."""
    world.settings = msgspec.structs.replace(world.settings, auth_mode=auth_mode, **options)
    world.app = world.make_app(world.app.isolate)


@in_virtual_time
async def test_the_open_mode_serves_this_machine_alone() -> None:
    """By another name every path is refused, before anybody is counted; with keys any will do."""
    async with JobWorld() as world:
        for path in ("/api/jobs", "/api/health", "/openapi.json", "/nope"):
            reply = await called(world, f"GET {path}", host="evil.example:8787")
            assert 403 == reply.status, path
        set_mode(world, "open", open_hosts=frozenset({"evil.example"}))
        assert 200 == (await called(world, "GET /api/jobs", host="evil.example:8787")).status
        set_mode(world, "keys")
        assert 200 == (await called(world, "GET /api/jobs", host="evil.example:8787")).status


@in_virtual_time
async def test_pages_of_other_origins_change_nothing_in_the_open_mode() -> None:
    """A form that a page sends is refused before it does anything; listed origins may."""
    async with JobWorld() as world:
        run = "POST /api/maintenance/run"
        page: dict[str, Any] = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}
        refused = await called(world, run, **page)
        assert (403, "Not allowed with this API key") == (
            *(refused.status, (await document_of(refused))["title"]),
        )
        assert [] == world.database.look("SELECT step FROM maintenance_state")
        assert 403 == (await called(world, "DELETE /api/cache", "site=a", **page)).status
        assert 200 == (await called(world, "GET /api/jobs", **page)).status
        assert 200 == (await called(world, run)).status
        own: dict[str, Any] = {"origin": "http://127.0.0.1:8787", "sec_fetch_site": "same-origin"}
        assert 200 == (await called(world, run, host="127.0.0.1:8787", **own)).status
        set_mode(world, "open", cors_origins="https://evil.example")
        assert 200 == (await called(world, run, **page)).status
        set_mode(world, "keys", cors_origins="")
        assert 200 == (await called(world, run, **page)).status


@in_virtual_time
async def test_keys_are_neither_answered_nor_logged() -> None:
    """Wherever a client puts a key, the problem and the line have it masked."""
    key = "bv_" + "aB3_-" * 8 + "xyz"
    routes = [
        (f"GET /nope/{key}", ""),
        (f"GET /api/jobs/{key}", ""),
        ("GET /api/timeseries", f"site={key}%20&points=a&format={key}&start_time={key}"),
        ("GET /api/jobs", f"limit={key}&{key}=1"),
        (f"{key[:40].upper()} /api/jobs", ""),
    ]
    async with JobWorld() as world:
        for route, query in routes:
            reply = await called(world, route, query)
            assert 400 <= reply.status < 500
            text = f"{bytes(reply.body)!r} {reply.headers} {world.lines.pop()}"
            assert key[3:20] not in text, route
            assert "bv_***" in text


@in_virtual_time
async def test_answers_by_https_say_so() -> None:
    """Browsers are told for a year; never of this machine, and not by an answer in the clear."""
    async with JobWorld() as world:
        set_mode(world, "keys")
        name = "Strict-Transport-Security"
        told = {
            (host, is_https): headers_of(
                await called(world, "GET /api/jobs", host=host, is_https=is_https)
            ).get(name)
            for host in ("vitals.example", "localhost:8787")
            for is_https in (True, False)
        }
        assert {("vitals.example", True): "max-age=31536000"} == {
            each: value for each, value in told.items() if value is not None
        }


@in_virtual_time
async def test_what_is_fetched_is_counted_by_what_it_costs() -> None:
    """A key that asks for much is told when to come back; what is known costs it nothing."""
    async with JobWorld() as world:
        set_mode(world, "keys", allowance=AllowanceOptions(at_once=20_000, per_minute=1000))
        one = Caller(key_id="one", is_admin=False, sites=None)
        many, others = (",".join(f"{x}{n}" for n in range(60)) for x in "pq")

        async def asked(points: str, route: str, caller: Caller = one) -> Reply:
            query = (
                f"site=site&points={points}&start_time=2025-01-01&end_time=2025-01-02&route={route}"
            )
            reply = await called(world, "GET /api/timeseries", query, caller=caller)
            await world.settle()
            return reply

        assert 200 == (await asked(many, "cached")).status
        before = world.upstream.requests
        for route in ("cached", "direct"):
            refused = await asked(others, route)
            assert (429, True) == (refused.status, int(headers_of(refused)["Retry-After"]) > 0)
            assert "too much to fetch" in (await document_of(refused))["detail"]
        assert 200 == (await asked(many, "cached")).status
        assert before == world.upstream.requests
        assert [] == world.database.look("SELECT lease_id FROM fetch_leases")
        assert 200 == (await asked(others, "direct", READER)).status
