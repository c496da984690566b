"""Identical direct requests of an isolate, whoever of them leaves, dies or fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from building_vitals.answers.formats.registry import Format
from building_vitals.cache.twins import SILENT_MS
from building_vitals.errors import RateLimited, UpstreamError
from building_vitals.isolate import Isolate
from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import Got, World, days, read_body, read_json

PAST = days(2, 1)


class Screen:
    """Who asks for charts by the direct route, each request an invocation of one isolate."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._isolate = Isolate()

    async def ask(
        self, points: list[str], time_range: Range = PAST, after_s: float = 0, **options: Any
    ) -> Got:
        """Return the answer to a request that is sent after a time."""
        await asyncio.sleep(after_s)
        question = self._world.question(points, time_range, route="direct", **options)
        service = self._world.make_app(self._isolate).timeseries
        answer = await service.fetch_timeseries(question)
        return read_json(answer, await read_body(answer), is_gzip=question.gzip)

    def begin(self, *args: Any, **options: Any) -> asyncio.Task[Got]:
        """Begin to ask."""
        return asyncio.ensure_future(self.ask(*args, **options))

    async def rows(self, points: list[str], format: Format) -> bytes:
        """Return the body of an answer in a format."""
        question = self._world.question(points, PAST, route="direct", format=format, gzip=False)
        service = self._world.make_app(self._isolate).timeseries
        return await read_body(await service.fetch_timeseries(question))


@in_virtual_time
async def test_fifty_who_ask_the_same_are_one_fetch() -> None:
    """Each has its own order, format and number of samples; requests are counted once."""
    async with World() as world:
        world.upstream.page_ms = 2000
        screen = Screen(world)
        csv = asyncio.ensure_future(screen.rows(["b", "a"], "csv"))
        asked = [
            screen.begin(
                ["a", "b"] if n % 2 else ["b", "a"],
                after_s=n / 50,
                gzip=n % 3 > 0,
                max_points=100 if n % 5 == 0 else None,
            )
            for n in range(50)
        ]
        found = await asyncio.gather(*asked)
        for n, got in enumerate(found):
            assert ["a", "b"] if n % 2 else ["b", "a"] == list(got.samples)
            if n % 5:
                assert world.truth(["a", "b"], PAST) == got.samples
            report = got.report
            count = sum(map(len, got.samples.values()))
            assert count == 576 if n % 5 else 0 < count <= 200
            assert ("bypass", count, [PAST]) == (
                report.status,
                report.samples_fetched,
                report.fetched,
            )
        assert 2 * 288 + 1 == (await csv).count(b"\n")
        assert 1 == len(world.upstream.asked) == world.upstream.requests
        assert 0 == sum(got.report.upstream_requests for got in found)
        assert world.clock.now_ms() - EPOCH_MS < 2000 + 500


@in_virtual_time
async def test_another_question_is_another_fetch() -> None:
    """Other points, another range, another isolate, and the same once it has ended."""
    async with World() as world:
        world.upstream.page_ms = 2000
        screen = Screen(world)
        others = [screen.begin(["a"]), screen.begin(["a", "b"]), screen.begin(["a"], days(3, 1))]
        await asyncio.gather(*others, Screen(world).ask(["a"]))
        await screen.ask(["a"])
        assert 5 == len(world.upstream.asked)


@in_virtual_time
async def test_who_leads_and_leaves_takes_nobody_along() -> None:
    """The fetch goes on for those who wait; where nobody does, it ends."""
    async with World() as world:
        world.upstream.page_ms = 10_000
        screen = Screen(world)
        first, second = screen.begin(["a"]), screen.begin(["a"], after_s=1)
        await asyncio.sleep(8)
        first.cancel()
        assert world.truth(["a"], PAST) == (await second).samples
        assert EPOCH_MS + 10_000 <= world.clock.now_ms() < EPOCH_MS + 10_100
        alone = screen.begin(["b"])
        await asyncio.sleep(1)
        alone.cancel()
        await world.settle()
        assert world.clock.now_ms() < EPOCH_MS + 12_000
        assert 2 == len(world.upstream.asked)


@in_virtual_time
async def test_who_leads_and_dies_is_replaced() -> None:
    """One of those who wait fetches for all of them, as soon as the silence is noticed."""
    async with World() as world:
        world.upstream.page_ms = 5000
        screen = Screen(world)
        first = screen.begin(["a"])
        others = [screen.begin(["a"], after_s=1 + n / 10) for n in range(5)]
        await asyncio.sleep(3)
        # All tasks of the one that dies stay where they are, with no last word.
        dead = world.upstream.asked[0]
        world.upstream.during = None
        [twin] = vars(vars(screen)["_isolate"].twins)["_fetches"].values()
        twin.seen_ms = 0
        for got in await asyncio.gather(*others):
            assert world.truth(["a"], PAST) == got.samples
        assert [dead.points] * 2 == [each.points for each in world.upstream.asked]
        assert world.clock.now_ms() < EPOCH_MS + 3000 + SILENT_MS + 5000
        await first


@in_virtual_time
async def test_a_failure_is_heard_by_all() -> None:
    """The upstream is not asked again and again for what it has just refused."""
    async with World() as world:
        world.upstream.page_ms = 1000
        world.upstream.failing = lambda *_: True
        screen = Screen(world)
        asked = [screen.begin(["a"], after_s=n / 10) for n in range(8)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert {503} == {each.upstream_status for each in found if isinstance(each, UpstreamError)}
        assert 8 == sum(isinstance(each, UpstreamError) for each in found)
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_a_short_deadline_is_its_own() -> None:
    """Who has less time ends by itself, and one that led does not end the others."""
    async with World() as world:
        world.upstream.page_ms = 3000
        screen = Screen(world)
        hasty = screen.begin(["a"], timeout_ms=500)
        patient = screen.begin(["a"], after_s=0.1)
        also_hasty = screen.begin(["a"], after_s=0.2, timeout_ms=800)
        for each in (hasty, also_hasty):
            with pytest.raises(UpstreamError) as caught:
                await each
            assert 504 == caught.value.status
            assert world.clock.now_ms() <= EPOCH_MS + 1100
        assert world.truth(["a"], PAST) == (await patient).samples


@in_virtual_time
async def test_a_refusal_of_one_caller_is_no_word_on_another() -> None:
    """Who may not have so much fetched hears it alone, and the next one fetches."""
    async with World() as world:
        world.upstream.page_ms = 1000
        isolate = Isolate()
        apps = [world.make_app(isolate) for _ in range(2)]

        async def refuse(_: int) -> None:
            await asyncio.sleep(0.5)
            raise RateLimited("too much")

        vars(vars(apps[0].filler)["_toll"])["_charge"] = refuse
        questions = [world.question([point], PAST, route="direct") for point in ("a", "a")]
        tasks = [
            asyncio.ensure_future(app.timeseries.fetch_timeseries(question))
            for app, question in zip(apps, questions, strict=True)
        ]
        refused, answer = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(refused, RateLimited)
        assert not isinstance(answer, BaseException)
        assert 288 == answer.samples


@in_virtual_time
async def test_what_reaches_the_present_is_not_heritage_of_late() -> None:
    """A second later it has other samples, so it is fetched again."""
    async with World(interval_ms=1000) as world:
        world.upstream.page_ms = 5000
        screen, live = Screen(world), Range(EPOCH_MS - 10_000, EPOCH_MS + 60_000)
        asked = [screen.begin(["a"], live, after_s=after_s) for after_s in (0, 0.5, 3)]
        counts = [len(got.samples["a"]) for got in await asyncio.gather(*asked)]
        assert 2 == len(world.upstream.asked)
        assert counts[0] == counts[1] == counts[2] - 3
