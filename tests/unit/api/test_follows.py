"""Followed sites, from the request to the charts that are hits."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from building_vitals.access.caller import Caller
from building_vitals.errors import UpstreamError, UpstreamSiteUnknown
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS, format_instant
from building_vitals.ranges import Range
from building_vitals.upstream.port import Items
from fakes.api_calls import called, document_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

FOLLOW = "/api/sites/site/follow"
NAMES = tuple(f"p{n}" for n in range(24))
READER = Caller(key_id="r", is_admin=False, sites=None)
WISH = {"since": "now-3d", "every": "5m"}


class Listings:
    """
    Lists of points, of one site.

    Attributes:
        failure: Raised in place of a list.
    """

    failure: UpstreamError | None = None

    async def list_points(self, site: str, *, deadline_ms: int | None = None) -> Items:
        """List the points."""
        if self.failure is not None:
            raise self.failure
        if site != "site":
            raise UpstreamSiteUnknown(f"no such site: {site}")
        return [{"name": name} for name in NAMES]


class Site(JobWorld):
    """
    A world with one site, whose points lie in the upstream's pages.

    Attributes:
        listings: Its lists.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(page_size=1000, **options)
        self.upstream.site_points = NAMES
        self.upstream.page_ms = 1000
        self.listings = vars(self.app)["upstream"] = Listings()

    async def put(self, wish: object = WISH, path: str = FOLLOW, **options: Any) -> Any:
        """Follow the site; return status and document."""
        body = wish if isinstance(wish, bytes) else json.dumps(wish).encode()
        reply = await called(self, f"PUT {path}", body=body, **options)
        return reply.status, await document_of(reply)

    async def seen(self, method: str = "GET", query: str = "") -> Any:
        """Return status and document of the follow."""
        reply = await called(self, f"{method} {FOLLOW}", query)
        return reply.status, await document_of(reply)

    async def chart(self, time_range: Range, *points: str, **options: Any) -> Any:
        """Return `_meta` and the samples of a chart."""
        wish = {"start_time": time_range.start_ms, "end_time": time_range.end_ms, **options}
        query = urlencode({"site": "site", "points": ",".join(points or NAMES[:20]), **wish})
        document = await document_of(await called(self, "GET /api/timeseries", query))
        await self.settle()
        samples = {name: each["samples"] for name, each in document["data"].items()}
        return document["_meta"], samples

    async def pass_time(self, duration_ms: int) -> None:
        """Deliver what comes for a while."""
        until_ms = self.clock.now_ms() + duration_ms
        while self.clock.now_ms() < until_ms:
            if not await self.deliver():
                await asyncio.sleep(1)


@in_virtual_time
async def test_a_site_is_followed_from_then_on() -> None:
    """Put, read to its beginning, seen, kept up to date, and ended."""
    async with Site() as world:
        status, found = await world.put()
        assert (200, "backfilling", 0) == (status, found["state"], found["lagSeconds"])
        assert found == {
            "state": "backfilling",
            "lagSeconds": 0,
            "newestSample": None,
            "since": format_instant(EPOCH_MS - 3 * DAY_MS),
            "every": "5m",
            "backfill": {"progress": 0, "until": None, "etaSeconds": None},
            "pagesPerDay": 0,
            "samplesPerDay": 0,
            "error": None,
        }
        await world.deliver()
        samples = sum(
            len(world.upstream.times(name, Range(EPOCH_MS - 3 * DAY_MS, EPOCH_MS)))
            for name in NAMES
        )
        pages = -(-samples // 1000)
        assert (200, (pages, samples)) == (
            (await world.seen())[0],
            ((await world.seen())[1]["pagesPerDay"], (await world.seen())[1]["samplesPerDay"]),
        )
        status, found = await world.seen()
        assert ("following", pages, None) == (found["state"], found["lagSeconds"], found["error"])
        since = format_instant(EPOCH_MS - 3 * DAY_MS)
        assert {"progress": 100, "until": since, "etaSeconds": 0} == found["backfill"]
        newest = max(world.upstream.times(name, Range(0, EPOCH_MS))[-1] for name in NAMES)
        assert format_instant(newest) == found["newestSample"]
        [event] = world.readings
        assert ("round", 1, pages, samples) == (
            event.outcome,
            event.rounds,
            event.pages,
            event.samples,
        )
        assert pages <= 1.02 * -(-samples // 1000)
        stats = await document_of(await called(world, "GET /api/stats"))
        assert [("site", "following", pages)] == [
            (each["site"], each["state"], each["lagSeconds"]) for each in stats["follows"]
        ]
        assert (200, True) == ((ended := await world.seen("DELETE"))[0], ended[1]["success"])
        assert (404, 404) == ((await world.seen())[0], (await world.seen("DELETE"))[0])
        asked = len(world.upstream.asked)
        await world.pass_time(HOUR_MS)
        assert asked == len(world.upstream.asked)


@in_virtual_time
async def test_every_chart_of_a_followed_site_is_a_hit() -> None:
    """With the truth up to the last round, for hours: the upstream hears of rounds alone."""
    async with Site() as world:
        await world.put()
        await world.deliver()
        await world.pass_time(10 * MINUTE_MS)
        rounds = world.upstream.requests
        for hour in range(5):
            await world.pass_time(HOUR_MS)
            before = world.upstream.requests
            now_ms = world.clock.now_ms()
            day = Range(now_ms - DAY_MS, now_ms)
            meta, samples = await world.chart(day, *NAMES[hour : hour + 20])
            until_ms = meta["cache"]["knownUntil"]
            assert ("hit", True, []) == (
                meta["cache"]["status"],
                meta["cacheHit"],
                meta["cache"]["fetched"],
            )
            assert 0 <= now_ms - until_ms <= 5 * MINUTE_MS + 10_000
            known = Range(day.start_ms, until_ms)
            assert world.truth(NAMES[hour : hour + 20], known) == samples
            assert before == world.upstream.requests
        assert 60 == world.upstream.requests - rounds
        assert [] == world.crashes


@in_virtual_time
async def test_what_is_younger_than_the_last_round_may_be_wanted() -> None:
    """`fresh=true` fetches that, and nothing that rounds have read."""
    async with Site() as world:
        await world.put()
        await world.deliver()
        await world.pass_time(14 * MINUTE_MS)
        now_ms = world.clock.now_ms() // 1000 * 1000
        day = Range(now_ms - DAY_MS, now_ms)
        meta, _ = await world.chart(day)
        until_ms = meta["cache"]["knownUntil"]
        assert until_ms < now_ms - MINUTE_MS
        meta, samples = await world.chart(day, fresh="true")
        assert ("partial", [[until_ms, now_ms]]) == (
            meta["cache"]["status"],
            meta["cache"]["fetched"],
        )
        assert world.truth(NAMES[:20], day) == samples
        assert until_ms == meta["cache"]["knownUntil"]
        # In a body, too.
        wish = {
            "site": "site",
            "points": list(NAMES),
            "start_time": until_ms,
            "end_time": now_ms,
            "route": "cached",
        }
        for is_fresh, status in ((False, "hit"), (True, "partial")):
            body = json.dumps({**wish, "fresh": is_fresh}).encode()
            found = await document_of(await called(world, "POST /api/timeseries", body=body))
            assert status == found["_meta"]["cache"]["status"], is_fresh


@in_virtual_time
async def test_small_requests_tell_of_the_last_round_too() -> None:
    """They go upstream, whatever is known; what they say of the follow is of now."""
    async with Site() as world:
        await world.put()
        await world.deliver()
        # The isolate hears of the follow by a chart that finds blocks.
        await world.chart(Range(EPOCH_MS - DAY_MS, EPOCH_MS))
        until = set()
        for _ in range(3):
            await world.pass_time(5 * MINUTE_MS)
            now_ms = world.clock.now_ms()
            meta, _ = await world.chart(Range(now_ms - HOUR_MS, now_ms), NAMES[0])
            assert "bypass" == meta["cache"]["status"]
            until.add(meta["cache"]["knownUntil"])
            assert 0 <= now_ms - meta["cache"]["knownUntil"] <= 5 * MINUTE_MS + 10_000
        assert 3 == len(until)


@in_virtual_time
async def test_a_follow_that_is_behind_leaves_charts_to_themselves() -> None:
    """What rounds have read stays known; what came since is fetched by who wants it."""
    async with Site() as world:
        await world.put()
        await world.deliver()
        world.queues.clear()
        await asyncio.sleep(HOUR_MS / 1000)
        now_ms = world.clock.now_ms() // 1000 * 1000
        meta, samples = await world.chart(Range(now_ms - DAY_MS, now_ms))
        assert world.truth(NAMES[:20], Range(now_ms - DAY_MS, now_ms)) == samples
        assert ("partial", [[EPOCH_MS, now_ms]]) == (
            meta["cache"]["status"],
            meta["cache"]["fetched"],
        )
        assert "behind" == (await world.seen())[1]["state"]


@in_virtual_time
async def test_points_that_nobody_has_are_told() -> None:
    """Blocks know them to be empty: that is no answer to who has mistyped a name."""
    async with Site() as world:
        world.upstream.strangers = {"no such point"}
        await world.put()
        await world.deliver()
        query = urlencode(
            {"site": "site", "points": f"no such point,{NAMES[0]}", "route": "cached"}
            | {"start_time": EPOCH_MS - DAY_MS, "end_time": EPOCH_MS}
        )
        found = await document_of(await called(world, "GET /api/timeseries", query))
        assert "hit" == found["_meta"]["cache"]["status"]
        assert ["unknown point", None] == [each["error"] for each in found["data"].values()]


@in_virtual_time
async def test_what_is_forgotten_is_gone() -> None:
    """All that was stored of the site: the next chart is a miss."""
    async with Site() as world:
        await world.put()
        await world.deliver()
        day = Range(EPOCH_MS - DAY_MS, EPOCH_MS)
        assert "hit" == (await world.chart(day))[0]["cache"]["status"]
        status, found = await world.seen("DELETE", "forget=true")
        assert (200, True) == (status, found["success"])
        meta, samples = await world.chart(day)
        assert ("miss", world.truth(NAMES[:20], day)) == (meta["cache"]["status"], samples)
        assert "knownUntil" not in meta["cache"]
        # Of a site that nobody follows, too.
        assert 200 == (await world.seen("DELETE", "forget=true"))[0]


@in_virtual_time
async def test_a_job_reads_what_was_never_read_only() -> None:
    """Half of its range is followed, so half of it is fetched."""
    async with Site() as world:
        await world.put({"since": "now-10d"})
        await world.pass_time(30 * MINUTE_MS)
        now_ms = world.clock.now_ms() // 1000 * 1000
        before = len(world.upstream.asked)
        job_id = await world.submit(NAMES, Range(EPOCH_MS - 20 * DAY_MS, now_ms - HOUR_MS))
        job = await world.run(job_id)
        assert "completed" == job.status
        asked = [each.time_range for each in world.upstream.asked[before:]]
        rest = [each for each in asked if each.end_ms < now_ms - 15 * MINUTE_MS]
        assert rest
        assert max(each.end_ms for each in rest) <= EPOCH_MS - 10 * DAY_MS


@pytest.mark.parametrize(
    ("wish", "path", "fields"),
    [
        ({}, FOLLOW, ["since"]),
        ({"since": None, "every": None}, FOLLOW, ["since"]),
        ({"since": "yesterday", "every": "5"}, FOLLOW, ["since", "every"]),
        ({"since": "2999-01-01", "every": "59s"}, FOLLOW, ["since", "every"]),
        ({"since": "1999-01-01", "every": "25h"}, FOLLOW, ["since", "every"]),
        ({"since": 1, "every": 300}, FOLLOW, ["since", "every"]),
        ({"since": [], "every": "0m"}, FOLLOW, ["since", "every"]),
        ({"since": "now", "every": "05m"}, FOLLOW, ["every"]),
        ({"since": "now", "evry": "5m"}, FOLLOW, ["evry"]),
        ({"every": "x"}, "/api/sites/a%20b/follow", ["site", "since", "every"]),
        ({"since": "now", "every": ""}, "/api/sites/%2e%2E/follow", ["site", "every"]),
    ],
)
@in_virtual_time
async def test_all_that_is_wrong_is_told_at_once(wish: Any, path: str, fields: list[str]) -> None:
    """The name of the site, each member, and members that nobody knows."""
    async with Site() as world:
        status, found = await world.put(wish, path)
        assert (400, fields) == (status, [each["field"] for each in found["errors"]])
        assert [] == world.database.look("SELECT * FROM site_follows")


@pytest.mark.parametrize(
    ("every", "every_ms"),
    [("60s", 60_000), ("1m", 60_000), ("5m", 300_000), ("24h", DAY_MS), ("1d", DAY_MS)],
)
@in_virtual_time
async def test_intervals_from_a_minute_to_a_day(every: str, every_ms: int) -> None:
    """As they are written they are told; each time may be given in any spelling."""
    async with Site() as world:
        status, found = await world.put({"since": EPOCH_MS - HOUR_MS, "every": every, "_x": 1})
        assert (200, every, format_instant(EPOCH_MS - HOUR_MS)) == (
            status,
            found["every"],
            found["since"],
        )
        [row] = world.database.look("SELECT every_ms FROM site_follows")
        assert every_ms == row["every_ms"]


@in_virtual_time
async def test_a_body_is_one_json_object() -> None:
    """As everywhere: uncompressed, and without a query beside it."""
    async with Site() as world:
        assert 400 == (await world.put(b"{"))[0]
        assert 400 == (await world.put(b"[]"))[0]
        assert 400 == (await world.put(content_encoding="gzip"))[0]
        reply = await called(world, f"PUT {FOLLOW}", "since=now", body=json.dumps(WISH).encode())
        assert 400 == reply.status
        for query in ("forget=1", "forget=true&forget=true", "x=1"):
            assert 400 == (await world.seen("DELETE", query))[0]
        assert 400 == (await world.seen("GET", "forget=true"))[0]
        assert 405 == (await called(world, f"POST {FOLLOW}")).status


@in_virtual_time
async def test_follows_are_administrators() -> None:
    """Nobody else puts, sees or ends them."""
    async with Site() as world:
        for method in ("PUT", "GET", "DELETE"):
            assert 403 == (await called(world, f"{method} {FOLLOW}", caller=READER)).status


@in_virtual_time
async def test_a_site_has_to_exist_as_far_as_anybody_knows() -> None:
    """A wrong name is told at once; an upstream that is down keeps nobody from following."""
    async with Site() as world:
        status, found = await world.put(path="/api/sites/other/follow")
        assert (404, "no such site: other") == (status, found["detail"])
        world.listings.failure = UpstreamError("down", upstream_status=503)
        assert 200 == (await world.put(path="/api/sites/other/follow"))[0]
        world.queues.failures.next("send")
        assert 200 == (await world.put(path="/api/sites/third/follow"))[0]
        assert {"follow"} == {where for where, _ in world.reported}
