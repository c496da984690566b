"""Points that a site does not have, from the fetch to the answer in every form."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgpack
import pytest

from building_vitals.answers.pieces import UNKNOWN_POINT
from building_vitals.cache.coverage import gaps_of
from building_vitals.jobs.options import JobOptions
from fakes.api_calls import called, document_of, headers_of
from fakes.brute_levels import finest
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time
from fakes.world import World, days, read_body

PAST = days(10, 9)
FORMS = [
    pytest.param({}, id="spliced JSON"),
    pytest.param({"gzip": False}, id="JSON as text"),
    pytest.param({"max_points": 50}, id="JSON of chosen samples"),
    pytest.param({"format": "msgpack"}, id="MessagePack"),
]


async def answer_to(world: World, *points: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Return an answer and its document."""
    question = world.question(points, PAST, **options)
    answer = await world.service.fetch_timeseries(question)
    body = await read_body(answer)
    plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    return answer, msgpack.unpackb(plain) if question.format == "msgpack" else json.loads(plain)


def of_points(document: dict[str, Any]) -> dict[str, tuple[int, str | None]]:
    """Return how many samples each point has, and its error."""
    data = document["data"]
    return {name: (len(found["samples"]), found["error"]) for name, found in data.items()}


@pytest.mark.parametrize("route", ["cached", "direct"])
@pytest.mark.parametrize("options", FORMS)
@in_virtual_time
async def test_unknown_point_has_an_error_in_every_form(
    options: dict[str, Any], route: str
) -> None:
    """The others have their samples; a point that merely is silent has no error."""
    async with World() as world:
        world.upstream.strangers, world.upstream.silent = {"x"}, {"mute"}
        for _ in range(2):
            answer, document = await answer_to(world, "a", "x", "mute", route=route, **options)
            await world.settle()
            truth = [(ms, json.dumps(value)) for ms, value in world.truth(["a"], PAST)["a"]]
            level = finest(truth, options.get("max_points") or len(truth))
            assert level is not None
            count = len(level[1])
            assert {
                "a": (count, None),
                "x": (0, UNKNOWN_POINT),
                "mute": (0, None),
            } == of_points(document)
            assert (answer.samples, count) == (count, document["_meta"]["samplesCount"])


@in_virtual_time
async def test_unknown_points_are_never_stored_nor_fetched() -> None:
    """They are no gaps: the next answer is a hit, and the index has not heard of them."""
    async with World() as world:
        world.upstream.strangers = {"x"}
        answer, _ = await answer_to(world, "a", "x")
        await world.settle()
        assert "miss" == answer.report.status
        assert {"a"} == {
            row["point"] for row in world.database.look("SELECT point FROM cache_segments")
        }
        hit, _ = await answer_to(world, "a", "x")
        assert ("hit", 0) == (hit.report.status, hit.report.upstream_requests)
        alone, document = await answer_to(world, "x")
        assert {"x": (0, UNKNOWN_POINT)} == of_points(document)
        assert ("hit", 0) == (alone.report.status, alone.report.upstream_requests)
        assert [("a",)] == [each.points for each in world.upstream.asked]
        assert [] == world.database.look("SELECT * FROM fetch_leases")
        need = world.need(["a", "x"], PAST)
        assert {} == gaps_of(world.filler.cover(need, await world.filler.look_up(need)))


@in_virtual_time
async def test_answer_with_an_unknown_point_is_not_kept_prepared() -> None:
    """The site may get that point at any moment: then its samples are there, with a new tag."""
    async with World() as world:
        world.upstream.strangers = {"x"}
        first, _ = await answer_to(world, "a", "x")
        await world.settle()
        second, _ = await answer_to(world, "a", "x")
        assert first.answer_etag == second.answer_etag is not None
        world.upstream.strangers.clear()
        world.upstream.forget_strangers()
        third, document = await answer_to(world, "a", "x")
        await world.settle()

        assert {"a": (288, None), "x": (288, None)} == of_points(document)
        assert "partial" == third.report.status
        assert third.answer_etag != first.answer_etag
        assert [("a",), ("x",)] == [each.points for each in world.upstream.asked]


@in_virtual_time
async def test_tags_tell_an_unknown_point_from_a_silent_one() -> None:
    """Neither has samples, and a client that has one answer must get the other."""
    async with World() as world:
        world.upstream.silent = {"x"}
        silent, _ = await answer_to(world, "x")
        await world.settle()
        world.upstream.strangers = {"x"}
        await world.upstream.check_points("site", ["x"])
        other = world.make_app().timeseries
        question = world.question(["x"], PAST)
        unknown = await other.fetch_timeseries(question)

        assert None not in (silent.answer_etag, unknown.answer_etag)
        assert silent.answer_etag != unknown.answer_etag


@in_virtual_time
async def test_job_with_an_unknown_point_completes_and_says_so() -> None:
    """Its counts are those of the others, and its result is answered by whoever is asked."""
    async with JobWorld() as world:
        world.upstream.strangers = {"x"}
        job_id = await world.submit(["a", "x"], PAST)
        job = await world.run(job_id)
        assert ("completed", 288, 0, None) == (
            job.status,
            job.samples_count,
            job.retry_count,
            job.error,
        )
        # Another isolate knows nothing of the site's list.
        world.upstream.forget_strangers()
        question = world.question(["a", "x"], PAST, route="queued")
        answer = await world.service.answer_known(question, as_of_ms=job.created_ms)
        assert answer is not None
        document = json.loads(gzip.decompress(await read_body(answer)))
        assert {"a": (288, None), "x": (0, UNKNOWN_POINT)} == of_points(document)
        assert [("a",)] == [each.points for each in world.upstream.asked]
        assert [] == world.crashes


@in_virtual_time
async def test_invented_names_make_no_job() -> None:
    """A large request of none but unknown points is answered at once, and nothing is stored."""
    async with JobWorld() as world:
        names = [f"x{n}" for n in range(5000)]
        world.upstream.strangers = {*names}
        body: dict[str, Any] = {"site": "site", "points": names, "route": "queued"}
        body |= {"start_time": PAST.start_ms, "end_time": PAST.end_ms}
        for _ in range(3):
            reply = await called(
                world,
                "POST /api/timeseries",
                body=json.dumps(body).encode(),
                content_type="application/json",
                accept_encoding="gzip",
            )
            assert (200, "queued") == (reply.status, headers_of(reply)["X-Route-Type"])
            document = await document_of(reply)
            assert dict.fromkeys(names, (0, UNKNOWN_POINT)) == of_points(document)
            await world.settle()
        for table in ("queue_jobs", "job_points", "job_chunks", "cache_segments", "fetch_leases"):
            assert [] == world.database.look(f"SELECT 1 FROM {table}")
        assert ([], {}) == (world.upstream.asked, world.objects.infos)
        assert not await world.deliver()


@in_virtual_time
async def test_invented_names_among_others_cost_no_chunk() -> None:
    """A job has as many chunks as it would have without them, in the order asked for."""
    async with JobWorld(jobs=JobOptions(batch_size=2)) as world:
        own, names = [f"p{n}" for n in range(4)], [f"x{n}" for n in range(300)]
        points = [*names[:100], *own[:3], *names[100:], own[3]]
        world.upstream.strangers = {*names}
        chunks = []
        for asked in (own, points):
            question = world.question(asked, days(20, 9), route="queued")
            assert await world.service.answer_known(question) is None
            job_id = await world.submit(asked, days(20, 9))
            chunks.append((await world.look(job_id)).total_chunks)
        assert chunks[0] == chunks[1] > 1
        assert "completed" == (await world.run(job_id)).status
        question = world.question(points, days(20, 9), route="queued")
        answer = await world.service.answer_known(question)
        assert answer is not None
        document = json.loads(gzip.decompress(await read_body(answer)))
        assert points == [*document["data"]]
        expected = dict.fromkeys(names, (0, UNKNOWN_POINT))
        assert expected | dict.fromkeys(own, (11 * 288, None)) == of_points(document)
        assert {*own} == {name for each in world.upstream.asked for name in each.points}


@pytest.mark.parametrize("route", ["direct", "cached"])
@in_virtual_time
async def test_invented_names_leave_nothing_behind(route: str) -> None:
    """Neither a row nor an object, however often they are asked for, and no sample is asked for."""
    async with World() as world:
        names = [f"x{n}" for n in range(500)]
        world.upstream.strangers = {*names}
        for _ in range(3):
            _, document = await answer_to(world, *names, route=route)
            assert dict.fromkeys(names, (0, UNKNOWN_POINT)) == of_points(document)
            await world.settle()
        assert {} == world.objects.infos
        assert [] == [each.points for each in world.upstream.asked if each.points]
        assert 0 == world.upstream.samples_sent
        for table in ("cache_segments", "cache_metadata", "fetch_leases"):
            assert [] == world.database.look(f"SELECT 1 FROM {table}")
