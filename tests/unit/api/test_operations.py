"""Tests of health and of the administrators' endpoints."""

from __future__ import annotations

from building_vitals.access.caller import Caller
from building_vitals.maintenance.health import REMEMBERED_MS
from building_vitals.ranges import Range
from building_vitals.upstream.profile import SiteProfile
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
RANGE = Range(EPOCH_MS - 5 * DAY_MS, EPOCH_MS - 4 * DAY_MS)


@in_virtual_time
async def test_health_is_a_status_too() -> None:
    """200 while everything answers, 503 when the bucket does not."""
    async with JobWorld() as world:
        reply = await called(world, "GET /api/health")
        assert (200, "healthy") == (reply.status, (await document_of(reply))["status"])
        world.objects.failures.always("*")
        await world.clock.sleep(REMEMBERED_MS)
        reply = await called(world, "GET /api/health")
        assert (503, "degraded") == (reply.status, (await document_of(reply))["status"])


@in_virtual_time
async def test_objects_are_listed_by_page_and_purged() -> None:
    """An empty cursor is the first page; a purge says how many segments are gone, and of where."""
    async with JobWorld() as world:
        for point in "ab":
            await world.run(await world.submit([point], RANGE))
        await world.settle()
        pages, cursor = [], ""
        while cursor is not None:
            query = f"prefix=&limit=1&cursor={cursor}"
            page = await document_of(await called(world, "GET /api/cache/objects", query))
            pages.append([each["key"] for each in page["objects"]])
            cursor = page["nextCursor"]
        stored = await world.objects.list(prefix="", limit=1000, cursor=None)
        assert [[each.key] for each in stored.objects] == pages
        assert len(pages) > 1
        purged = await document_of(await called(world, "DELETE /api/cache", "site=site&points=a"))
        assert purged["deleted"] > 0
        assert "site" == world.lines[-1]["site"]


@in_virtual_time
async def test_a_failed_job_is_counted_listed_and_retried() -> None:
    """The chunk is in both documents until its job is put back."""
    async with JobWorld() as world:
        world.upstream.failing = lambda *_: True
        job_id = await world.submit(["a"], RANGE)
        await world.run(job_id)
        stats = await document_of(await called(world, "GET /api/queue/dlq/stats"))
        assert 1 == stats["dlq"]["total"]
        found = await document_of(await called(world, "GET /api/queue/dlq/failures", "limit=5"))
        assert (1, job_id) == (found["count"], found["failures"][0]["jobId"])
        reply = await called(world, f"POST /api/queue/dlq/failures/{job_id}/retry")
        assert (202, f"/api/jobs/{job_id}") == (reply.status, headers_of(reply)["Location"])


@in_virtual_time
async def test_a_maintenance_run_tells_its_steps() -> None:
    """The answer and the log line have the same steps."""
    async with JobWorld() as world:
        document = await document_of(await called(world, "POST /api/maintenance/run"))
        assert len(document["steps"]) > 5
        assert document["steps"] == world.lines[-1]["steps"]


@in_virtual_time
async def test_statistics_are_answered() -> None:
    """The report is a document of its own, never stored."""
    async with JobWorld() as world:
        reply = await called(world, "GET /api/stats")
        names = ["cache", "jobs", "requests", "hours", "upstream", "follows", "timestamp"]
        assert names == list(await document_of(reply))
        assert "no-store" == headers_of(reply)["Cache-Control"]


@in_virtual_time
async def test_what_was_learned_of_the_upstream_is_shown_to_administrators() -> None:
    """By site, never stored; other callers are refused."""
    async with JobWorld() as world:
        world.app.profiles.change("lab", SiteProfile())
        await world.app.profiles.read("hq")
        world.app.profiles.change("hq", SiteProfile(points=7, is_same=True))
        await world.settle()
        reply = await called(world, "GET /api/upstream")
        document = await document_of(reply)
        assert [("hq", 7, True)] == [
            (site["site"], site["points"], site["sameSamples"]) for site in document["sites"]
        ]
        assert ("auto", "no-store") == (document["calls"], headers_of(reply)["Cache-Control"])
        reader = Caller(key_id="k", is_admin=False, sites=frozenset({"hq"}))
        reply = await called(world, "GET /api/upstream", caller=reader)
        assert 403 == reply.status
