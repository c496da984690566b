"""Who waits for whom, and how long: nobody is held up by another's fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from building_vitals.cache.failures import FAILURE_MS
from building_vitals.errors import (
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from building_vitals.isolate import Isolate
from building_vitals.ranges import Range
from fakes.failures import Fault
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import Got, World

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LEASES = "SELECT * FROM fetch_leases"


def past(days: float, *, skipped: float = 0) -> Range:
    """Return a range that ends some days ago, whatever its length."""
    end_ms = EPOCH_MS - 10 * DAY_MS - round(skipped * DAY_MS)
    return Range(end_ms - round(days * DAY_MS), end_ms)


async def asked_in(world: World, points: list[str], time_range: Range, **options: Any) -> int:
    """Return how long an answer takes, having seen that it is right."""
    began_ms = world.clock.now_ms()
    got = await world.ask(points, time_range, **options)
    assert world.truth(points, time_range) == got.samples
    return world.clock.now_ms() - began_ms


@pytest.mark.parametrize("left_after_s", [0.1, 0.8, 1.9])
@in_virtual_time
async def test_who_zooms_out_is_not_blocked_by_the_request_he_left(left_after_s: float) -> None:
    """The fetch outlives its client; what it does not bring is fetched beside it."""
    async with World(page_size=100_000) as world:
        world.upstream.page_ms = 2000
        left = asyncio.ensure_future(world.ask(["a", "b"], past(7)))
        await asyncio.sleep(left_after_s)
        left.cancel()
        assert await asked_in(world, ["a", "b"], past(14)) <= 1.05 * 2000
        await world.settle()
        assert world.upstream.samples_sent == 2 * 14 * 288
        assert [] == world.database.look(LEASES)


@in_virtual_time
async def test_what_is_fetched_for_one_who_left_is_kept() -> None:
    """The next one finds it, and nothing is fetched twice."""
    async with World() as world:
        world.upstream.page_ms = 1000
        left = asyncio.ensure_future(world.ask(["a"], past(2)))
        await asyncio.sleep(0.5)
        left.cancel()
        await world.settle()
        assert "hit" == (await world.ask(["a"], past(2))).report.status
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_an_invocation_that_is_killed_leaves_what_came_long_before() -> None:
    """A long fetch that somebody waits for is stored every ten seconds, as far as it has come."""
    async with World(page_size=58) as world:
        world.upstream.page_ms = 4000
        dying = asyncio.ensure_future(world.ask(["a"], past(2), timeout_ms=100_000))
        await asyncio.sleep(30)
        await world.die(dying)
        sent = world.upstream.samples_sent
        got = await world.ask(["a"], past(2), timeout_ms=100_000)
        assert world.truth(["a"], past(2)) == got.samples
        assert "partial" == got.report.status
        assert world.upstream.samples_sent - sent <= 576 - 6 * 58


@in_virtual_time
async def test_a_bucket_that_is_down_does_not_end_a_fetch_that_somebody_waits_for() -> None:
    """What can't be stored on the way is still answered."""
    async with World(page_size=58) as world:
        world.upstream.page_ms = 4000
        world.objects.failures.by_chance(lambda _: Fault.REFUSED)
        world.database.failures.by_chance(
            lambda _: Fault.REFUSED if len(world.upstream.asked) else None
        )
        filling = await world.filler.fill(world.need(["a"], past(2), within_ms=100_000), [])
        assert 576 == filling.samples_fetched
        assert "store" in [where for where, _ in world.reported]


@in_virtual_time
async def test_people_do_not_wait_for_a_job() -> None:
    """A chart inside a chunk that is being fetched takes the upstream's own time."""
    async with World(page_size=1000) as world:
        world.upstream.page_ms = 2000
        works: list[Coroutine[Any, Any, None]] = []
        need = world.need(["a", "b", "c"], past(30), within_ms=600_000)
        job = asyncio.ensure_future(world.app.filler_for(works.append).fill(need, []))
        await asyncio.sleep(3)
        assert 2000 == await asked_in(world, ["b"], past(1))
        await job
        for work in works:
            await work
        await world.settle()
        assert [] == world.database.look(LEASES)


@pytest.mark.parametrize("believed_ms", [None, 1000], ids=["as it is", "as is usual"])
@in_virtual_time
async def test_a_small_request_inside_a_large_fetch_takes_its_own_time(
    believed_ms: int | None,
) -> None:
    """Two hours inside ten days that take eleven seconds, with four seconds of patience."""
    async with World(page_size=288) as world:
        world.upstream.page_ms, world.upstream.believed_page_ms = 1100, believed_ms
        large = asyncio.ensure_future(world.ask(["a"], past(10)))
        await asyncio.sleep(1)
        took_ms = await asked_in(world, ["a"], past(1 / 12), timeout_ms=4000)
        assert took_ms <= 1.5 * 1100
        assert world.truth(["a"], past(10)) == (await large).samples


@in_virtual_time
async def test_a_holder_that_takes_longer_than_planned_says_so() -> None:
    """A plan of one page that turns out to be ten: a small request learns of it with the first."""
    async with World(page_size=288) as world:
        world.upstream.page_ms, world.upstream.believed_page_ms = 1000, 100
        large = asyncio.ensure_future(world.ask(["a"], past(10)))
        await asyncio.sleep(0.9)
        await asked_in(world, ["b"], past(1 / 12))
        assert await asked_in(world, ["a"], past(1 / 12)) <= 1500
        await large


@in_virtual_time
async def test_a_small_request_is_not_made_to_fetch_a_large_one_along() -> None:
    """Both behind one lease: the small one, with three seconds, answers in its own time."""
    async with World(page_size=1000) as world:
        world.upstream.page_ms = 1000
        first = asyncio.ensure_future(world.ask(["a"], past(0.5)))
        await asyncio.sleep(0.1)
        large = asyncio.ensure_future(world.ask(["a"], past(120), timeout_ms=60_000))
        small = asyncio.ensure_future(asked_in(world, ["a"], past(1), timeout_ms=3000))
        assert await small <= 1500
        await first
        assert world.truth(["a"], past(120)) == (await large).samples


@pytest.mark.parametrize("count", [2, 12])
@in_virtual_time
async def test_of_those_who_give_up_waiting_one_fetches(count: int) -> None:
    """Whoever else wants the same waits for that one, in another isolate as in this."""
    async with World(page_size=288) as world:
        world.upstream.page_ms = 1000
        large = asyncio.ensure_future(world.ask(["a"], past(20)))
        await asyncio.sleep(0.5)
        apps = [world.make_app(Isolate()) for _ in range(count)]
        question = world.question(["a"], past(0.5))
        began_ms = world.clock.now_ms()
        await asyncio.gather(*(app.timeseries.fetch_timeseries(question) for app in apps))
        assert world.clock.now_ms() - began_ms <= 1500
        assert [past(0.5)] == [each.time_range for each in world.upstream.asked[1:]]
        await large


@in_virtual_time
async def test_one_who_waits_fetches_while_there_is_time() -> None:
    """A holder whose request hangs beyond their deadlines: one of them asks, the rest wait on."""
    async with World() as world:
        world.upstream.believed_page_ms = 1000

        async def hanging(_: int) -> None:
            if 1 == len(world.upstream.asked):
                await asyncio.sleep(25)

        world.upstream.during = hanging
        first = asyncio.ensure_future(world.ask(["a"], past(2)))
        await asyncio.sleep(0.1)
        found = await asyncio.gather(*(asked_in(world, ["a"], past(2)) for _ in range(5)))
        assert all(took_ms <= 20_000 for took_ms in found)
        assert 2 == len(world.upstream.asked)
        await first


def down(world: World, *, after_ms: int = 800) -> None:
    """Let the upstream answer 500 after a while."""
    world.upstream.page_ms = after_ms
    world.upstream.failing = lambda *_: True


@pytest.mark.parametrize("isolates", [1, 4])
@in_virtual_time
async def test_a_failure_is_shared(isolates: int) -> None:
    """Twenty equal requests: one asks, and all hear what happened, soon after."""
    async with World() as world:
        down(world)
        services = [world.make_app(Isolate()).timeseries for _ in range(isolates)]
        question = world.question(["a"], past(2))
        found = await asyncio.gather(
            *(services[n % isolates].fetch_timeseries(question) for n in range(20)),
            return_exceptions=True,
        )
        assert {("upstream answered 503", 502, 503, True)} == {
            (each.detail, each.status, each.upstream_status, each.retryable)
            for each in found
            if isinstance(each, UpstreamError)
        }
        assert 20 == sum(isinstance(each, UpstreamError) for each in found)
        assert 1 == len(world.upstream.asked)
        assert world.clock.now_ms() - EPOCH_MS <= 800 + 500


@pytest.mark.parametrize("isolates", [1, 4])
@in_virtual_time
async def test_who_hears_of_a_failure_takes_what_is_kept(isolates: int) -> None:
    """Twenty equal requests, expired data kept: all are stale, none asks again."""
    async with World() as world:
        await world.ask(["a"], past(2))
        await world.settle()
        # Twice as long as it was old: some of it is no longer trusted, but kept.
        await asyncio.sleep(20 * DAY_MS / 1000)
        began_ms = world.clock.now_ms()
        down(world)
        services = [world.make_app(Isolate()).timeseries for _ in range(isolates)]
        question = world.question(["a"], past(2))
        found = await asyncio.gather(
            *(services[n % isolates].fetch_timeseries(question) for n in range(20))
        )
        assert ["stale"] * 20 == [each.report.status for each in found]
        assert 2 == len(world.upstream.asked)
        assert world.clock.now_ms() - began_ms <= 800 + 500


@in_virtual_time
async def test_a_failure_is_remembered_for_some_seconds() -> None:
    """Nobody asks again at once, here or in another isolate; a little later somebody does."""
    async with World() as world:
        down(world)
        with pytest.raises(UpstreamError):
            await world.ask(["a"], past(2))
        await world.settle()
        world.upstream.failing = lambda *_: False
        other = world.make_app(Isolate()).timeseries
        for service in (world.service, other):
            with pytest.raises(UpstreamError, match="503"):
                await service.fetch_timeseries(world.question(["a"], past(2)))
        assert 1 == len(world.upstream.asked)
        await asyncio.sleep(FAILURE_MS / 1000)
        assert 800 == await asked_in(world, ["a"], past(2))


@pytest.mark.parametrize(
    ("points", "time_range"),
    [
        pytest.param(["b"], past(2), id="another point"),
        pytest.param(["a"], past(2, skipped=2), id="another time"),
        pytest.param(["a"], past(0.1), id="a small part"),
    ],
)
@in_virtual_time
async def test_a_failure_is_of_what_was_asked_for(points: list[str], time_range: Range) -> None:
    """Whoever asks for something else is not refused on account of it."""
    async with World() as world:
        down(world)
        with pytest.raises(UpstreamError):
            await world.ask(["a"], past(2))
        await world.settle()
        world.upstream.failing = lambda *_: False
        assert 800 == await asked_in(world, points, time_range)


@in_virtual_time
async def test_impatience_is_not_shared() -> None:
    """A deadline of half a second says nothing about the upstream to those who have thirty."""
    async with World() as world:
        world.upstream.page_ms = 2000
        hasty = asyncio.ensure_future(world.ask(["a"], past(2), timeout_ms=500))
        await asyncio.sleep(0.1)
        assert await asked_in(world, ["a"], past(2)) <= 3000
        with pytest.raises(UpstreamTimeout):
            await hasty


@in_virtual_time
async def test_a_database_that_fails_while_widening_harms_nobody() -> None:
    """The holder fetches its own gaps then, and lets go of the lease."""
    async with World() as world:
        world.upstream.page_ms = 500
        first = asyncio.ensure_future(world.ask(["a"], past(2)))
        others = [asyncio.ensure_future(world.ask(["a"], past(3 + n))) for n in range(3)]
        await asyncio.sleep(0.02)
        # The fourth attempt at a lease is the one that widens.
        world.database.failures.next("batch")
        for number, task in enumerate([first, *others]):
            assert world.truth(["a"], past(2 + number)) == (await task).samples
        await world.settle()
        assert [] == world.database.look(LEASES)


class _Trouble(Exception):
    """Nobody foresaw it."""


@pytest.mark.parametrize("is_background", [False, True], ids=["person", "job"])
@pytest.mark.parametrize("trouble", [_Trouble(), Unavailable("D1 is down"), KeyError("x")])
@in_virtual_time
async def test_whatever_is_raised_the_lease_is_let_go_of(
    trouble: Exception, *, is_background: bool
) -> None:
    """No way out of a fetch leaves a lease behind."""
    async with World() as world:

        async def during(_: int) -> None:
            raise trouble

        world.upstream.during = during
        filler = world.app.filler_for(world.run_later) if is_background else world.filler
        with pytest.raises(type(trouble)):
            await filler.fill(world.need(["a"], past(2)), [])
        await world.settle()
        assert [] == world.database.look(LEASES)


@in_virtual_time
async def test_a_clock_that_steps_back_does_no_harm() -> None:
    """A second back in the middle of a fetch: it stays one fetch, and all are answered."""
    async with World() as world:
        world.upstream.page_ms = 6000
        found = [asyncio.ensure_future(world.ask(["a"], past(2))) for _ in range(5)]
        await asyncio.sleep(3)
        world.clock.step(-1000)
        answers: list[Got] = await asyncio.gather(*found)
        assert all(world.truth(["a"], past(2)) == got.samples for got in answers)
        assert 1 == len(world.upstream.asked)


@pytest.mark.parametrize("is_background", [False, True], ids=["person", "job"])
@in_virtual_time
async def test_a_clock_set_back_by_minutes_revives_no_dead_holder(*, is_background: bool) -> None:
    """Its lease would last ten minutes more: who comes then fetches at once."""
    async with World() as world:
        world.upstream.page_ms = 2000
        dying = asyncio.ensure_future(world.ask(["a"], past(2)))
        await asyncio.sleep(1)
        await world.die(dying)
        world.clock.step(-600_000)
        began_ms = world.clock.now_ms()
        filler = world.app.filler_for(world.run_later) if is_background else world.filler
        filling = await filler.fill(world.need(["a"], past(2)), [])
        assert 576 == filling.samples_fetched
        assert world.clock.now_ms() - began_ms <= 2500


@in_virtual_time
async def test_a_living_holder_whose_clock_is_set_back_is_heeded_again_from_its_next_beat() -> None:
    """Ten minutes back: a lease of the future is put right, neither lost nor for ever."""
    async with World() as world:
        world.upstream.page_ms = 20_000
        asking = asyncio.ensure_future(world.ask(["a"], past(2)))
        await asyncio.sleep(1)
        world.clock.step(-600_000)
        await asyncio.sleep(4)
        [row] = world.database.look(LEASES)
        left_ms = row["expires_ms"] - world.clock.now_ms()
        assert 0 < left_ms <= world.options.lease_seconds * 1000
        assert world.truth(["a"], past(2)) == (await asking).samples
