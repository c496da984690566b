"""One fetch for many: who fetches, who waits, and what happens when somebody dies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from building_vitals.cache.coverage import gaps_of
from building_vitals.cache.failures import FAILURE_MS
from building_vitals.cache.need import Filling, Progress
from building_vitals.cache.patience import SILENCE_MS, WAIT_MAX_MS
from building_vitals.errors import Unavailable, UpstreamError, UpstreamSiteUnknown
from building_vitals.ranges import Range, merge
from fakes.failures import Fault
from fakes.history import Asking
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, Got, World

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SEGMENTS = "SELECT * FROM cache_segments"
PAST = Range(EPOCH_MS - 10 * DAY_MS, EPOCH_MS - 8 * DAY_MS)
# Twice as long as it was old: what was fetched of it is no longer trusted then, but kept.
TRUST_MS = 16 * DAY_MS


def hours(first: float, last: float) -> Range:
    """Return a part of the past, in hours from its beginning."""
    return Range(PAST.start_ms + round(first * HOUR_MS), PAST.start_ms + round(last * HOUR_MS))


async def fill(world: World, points: list[str], time_range: Range) -> Filling:
    """Have something filled as a request would."""
    need = world.need(points, time_range)
    return await world.filler.fill(need, await world.filler.look_up(need))


def distinct(world: World, asked: list[tuple[list[str], Range]]) -> int:
    """Return how many different samples were asked for."""
    by_point: dict[str, list[Range]] = {}
    for points, time_range in asked:
        for point in points:
            by_point.setdefault(point, []).append(time_range)
    return sum(
        len(world.upstream.times(point, each))
        for point, ranges in by_point.items()
        for each in merge(ranges)
    )


async def ask_all(world: World, asked: list[tuple[list[str], Range]]) -> list[Got]:
    """Ask for all at once; see that every answer is right."""
    found = await asyncio.gather(*(world.ask(points, time_range) for points, time_range in asked))
    for (points, time_range), got in zip(asked, found, strict=True):
        assert world.truth(points, time_range) == got.samples
    await world.settle()
    return found


@pytest.mark.parametrize("page_ms", [0, 20, 3000])
@in_virtual_time
async def test_fifty_identical_misses_cost_what_one_costs(page_ms: int) -> None:
    """One goes upstream, 49 wait for it and are hits; no lease is left."""
    async with World(cache=OBJECTS_ONLY) as world:
        world.upstream.page_ms = page_ms
        found = await ask_all(world, [(["a", "b"], PAST)] * 50)
        assert 1 == len(world.upstream.asked)
        assert distinct(world, [(["a", "b"], PAST)]) == world.upstream.samples_sent
        statuses = [got.report.status for got in found]
        assert (1, 49) == (statuses.count("miss"), statuses.count("hit"))
        assert 1 == len({got.answer_etag for got in found})
        assert [] == world.database.look("SELECT * FROM fetch_leases")
        assert 1 == len(world.objects.infos)


def sliding(number: int) -> tuple[list[str], Range]:
    return ["a", "b"], hours(number / 4, 24 + number / 4)


def shrinking(number: int) -> tuple[list[str], Range]:
    return ["a", "b"], hours(number / 4, 40 - number / 4)


def sharing_points(number: int) -> tuple[list[str], Range]:
    names = (f"p{number % 7}", f"p{(number + 1) % 7}", "p0")
    return list(dict.fromkeys(names)), hours(0, 24)


def scattered(number: int) -> tuple[list[str], Range]:
    dice = random.Random(number)
    first = dice.randint(0, 30)
    return dice.sample("abcde", 2), hours(first, first + dice.randint(6, 18))


@pytest.mark.parametrize("page_ms", [20, 500])
@pytest.mark.parametrize("request_of", [sliding, shrinking, sharing_points, scattered])
@in_virtual_time
async def test_fifty_overlapping_misses_cost_what_one_costs(
    request_of: Callable[[int], tuple[list[str], Range]], page_ms: int
) -> None:
    """Nothing is fetched twice; all have their answers in time."""
    async with World() as world:
        world.upstream.page_ms = page_ms
        asked = [request_of(number) for number in range(50)]
        await ask_all(world, asked)
        assert distinct(world, asked) == world.upstream.samples_sent
        assert [] == world.database.look("SELECT * FROM fetch_leases")


@pytest.mark.parametrize("request_of", [sliding, shrinking])
@in_virtual_time
async def test_overlapping_misses_take_few_rounds(
    request_of: Callable[[int], tuple[list[str], Range]],
) -> None:
    """Fifty ranges that overlap are not fetched sliver by sliver."""
    async with World() as world:
        world.upstream.page_ms = 500
        await ask_all(world, [request_of(number) for number in range(50)])
        assert len(world.upstream.asked) <= 3


@in_virtual_time
async def test_who_shares_nothing_does_not_wait() -> None:
    """Other points, other ranges and other sites are fetched at the same time."""
    async with World() as world:
        world.upstream.page_ms = 1000
        await ask_all(world, [(["a"], hours(0, 10)), (["b"], hours(0, 10)), (["a"], hours(10, 20))])
        assert 3 == len(world.upstream.asked)
        assert 1000 == world.clock.now_ms() - EPOCH_MS


@in_virtual_time
async def test_a_holder_that_dies_delays_the_others_until_it_misses_a_beat() -> None:
    """When an isolate dies with a lease, one who waits takes over, and the others wait for him."""
    async with World() as world:
        world.upstream.page_ms = 5000
        dying = asyncio.ensure_future(world.ask(["a"], PAST))
        await asyncio.sleep(1)
        waiting = [asyncio.ensure_future(world.ask(["a"], PAST)) for _ in "12"]
        await asyncio.sleep(1)
        await world.die(dying)
        lease_ms = world.options.lease_seconds * 1000
        for got in await asyncio.gather(*waiting):
            assert world.truth(["a"], PAST) == got.samples
        assert 2 == len(world.upstream.asked)
        silent_ms = lease_ms // 3 + SILENCE_MS
        assert 0 <= world.upstream.asked[1].at_ms - EPOCH_MS - silent_ms <= WAIT_MAX_MS


@in_virtual_time
async def test_a_holder_that_dies_before_it_has_stored_delays_them_no_longer() -> None:
    """The answer is out but nothing is stored: the next fetches, well before the lease ends."""
    async with World() as world:
        world.crash()
        await world.ask(["a"], PAST)
        await world.die()
        got = await world.ask(["a"], PAST)
        assert world.truth(["a"], PAST) == got.samples
        assert 2 == len(world.upstream.asked)
        lease_ms = world.options.lease_seconds * 1000
        assert world.clock.now_ms() - EPOCH_MS <= lease_ms // 3 + SILENCE_MS + WAIT_MAX_MS


@in_virtual_time
async def test_a_fetch_longer_than_its_lease_keeps_it() -> None:
    """A holder that lives renews its lease: nobody fetches beside it."""
    async with World() as world:
        world.upstream.page_ms = 100_000
        first = asyncio.ensure_future(world.ask(["a"], PAST, timeout_ms=200_000))
        await asyncio.sleep(1)
        second = await world.ask(["a"], PAST, timeout_ms=200_000)
        assert world.truth(["a"], PAST) == (await first).samples == second.samples
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_who_waits_too_long_hears_of_it() -> None:
    """A wait ends at the deadline with a time-out, and the upstream is not asked beside it."""
    async with World() as world:
        world.upstream.page_ms = 60_000
        first = asyncio.ensure_future(world.ask(["a"], PAST, timeout_ms=90_000))
        await asyncio.sleep(1)
        with pytest.raises(UpstreamError) as caught:
            await world.ask(["a"], PAST, timeout_ms=2000)
        assert 504 == caught.value.status
        assert world.clock.now_ms() - EPOCH_MS <= 3000
        assert world.truth(["a"], PAST) == (await first).samples
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_what_came_before_a_failure_is_stored() -> None:
    """Of four fetches three succeed: the fourth alone is missing afterwards."""
    async with World(page_size=250) as world:
        for first in (10, 20, 30):
            await fill(world, ["a"], hours(first, first + 1))
            await world.settle()

        def failing(asking: Asking, _: int) -> bool:
            return asking.time_range == hours(11, 20)

        world.upstream.failing = failing
        stale = await fill(world, ["a"], hours(0, 48))
        assert (True, [hours(11, 20)]) == (stale.is_stale, stale.missing)
        await world.settle()
        need = world.need(["a"], hours(0, 48))
        found = world.filler.cover(need, await world.filler.look_up(need))
        assert {"a": [hours(11, 20)]} == gaps_of(found)
        [failed] = world.database.look("SELECT * FROM fetch_leases")
        assert hours(11, 20) == (failed["start_ms"], failed["end_ms"])


@in_virtual_time
async def test_pages_before_one_that_fails_are_not_fetched_again() -> None:
    """A chart whose ninth page of ten fails is told so; the next one asks for the rest alone."""
    async with World(cache=OBJECTS_ONLY, page_size=58) as world:
        world.upstream.failing = lambda _, page: page == 8
        with pytest.raises(UpstreamError):
            await fill(world, ["a"], PAST)
        await world.settle()
        assert 1 == len(world.objects.infos)
        world.upstream.failing = lambda *_: False
        await asyncio.sleep(FAILURE_MS / 1000)
        filling = await fill(world, ["a"], PAST)
        assert (2, True, 576 - 8 * 58) == (
            filling.upstream_requests,
            filling.had_known,
            filling.samples_fetched,
        )
        assert [Range(world.upstream.asked[1].time_range.start_ms, PAST.end_ms)] == filling.fetched
        assert distinct(world, [(["a"], PAST)]) == world.upstream.samples_sent
        await world.settle()
        got = await world.ask(["a"], PAST)
        assert ("hit", world.truth(["a"], PAST)) == (got.report.status, got.samples)


@in_virtual_time
async def test_what_came_goes_before_what_stands_in_for_the_rest() -> None:
    """A reload that breaks off is answered: fresh as far as it came, expired from there on."""
    async with World(page_size=58) as world:
        await fill(world, ["a"], PAST)
        await world.settle()
        await asyncio.sleep(TRUST_MS / 1000)
        world.upstream.changes = [world.clock.now_ms()]
        world.upstream.failing = lambda _, page: page == 5
        filling = await fill(world, ["a"], PAST)
        [until_ms] = [each.end_ms for each in filling.fetched]
        assert (True, 5 * 58, 6) == (
            filling.is_stale,
            filling.samples_fetched,
            filling.upstream_requests,
        )
        [cover] = filling.covers
        assert [Range(PAST.start_ms, until_ms), Range(until_ms, PAST.end_ms)] == [
            part for _, part in cover.known
        ]
        assert cover.known[0][0].fetched_ms > cover.known[1][0].fetched_ms


@in_virtual_time
async def test_work_that_nobody_waits_for_is_stored_as_it_comes() -> None:
    """A consumer that dies leaves behind what came; the lease was held on to its death."""
    async with World(cache=OBJECTS_ONLY, page_size=58) as world:
        world.upstream.page_ms = 10_000
        works: list[Coroutine[Any, Any, None]] = []
        filler = world.app.filler_for(works.append)
        need = world.need(["a"], PAST, within_ms=200_000)
        dying = asyncio.ensure_future(filler.fill(need, []))
        await asyncio.sleep(75)
        dying.cancel()
        await asyncio.wait([dying])
        # Dead, it lets go of nothing.
        [release] = works
        release.close()
        # Stored at the third page and the sixth.
        assert 2 == len(world.objects.infos)
        assert 1 == len({row["fetched_ms"] for row in world.database.look(SEGMENTS)})
        [lease] = world.database.look("SELECT expires_ms FROM fetch_leases")
        assert lease["expires_ms"] > world.clock.now_ms()
        await asyncio.sleep(60)
        filling = await world.filler.fill(need, await world.filler.look_up(need))
        assert 4 == filling.upstream_requests
        assert 576 + 58 == world.upstream.samples_sent
        assert [] == [each for cover in filling.covers for each in cover.gaps]


@in_virtual_time
async def test_a_filling_holds_what_was_stored_on_the_way() -> None:
    """What a fill returns is whole, its counts and all, whatever has been stored before its end."""
    async with World(cache=OBJECTS_ONLY, page_size=58) as world:
        world.upstream.page_ms = 10_000
        works: list[Coroutine[Any, Any, None]] = []
        need = world.need(["a"], PAST, within_ms=200_000)
        filling = await world.app.filler_for(works.append).fill(need, [])
        assert (10, 576, [PAST], False) == (
            filling.upstream_requests,
            filling.samples_fetched,
            filling.fetched,
            filling.had_known,
        )
        [cover] = filling.covers
        assert [] == cover.gaps
        assert 576 == sum(segment.count for segment, _ in cover.known)
        for work in works:
            await work
        assert 4 == len(world.objects.infos)
        got = await world.ask(["a"], PAST)
        assert ("hit", world.truth(["a"], PAST)) == (got.report.status, got.samples)
        assert [] == world.database.look("SELECT * FROM fetch_leases")


@in_virtual_time
async def test_an_unknown_site_is_not_answered_from_memory() -> None:
    """When the upstream says that there is no such site, old data do not stand in."""
    async with World() as world:
        await fill(world, ["a"], PAST)
        await world.settle()
        await asyncio.sleep(TRUST_MS / 1000)

        async def gone(_: int) -> None:
            raise UpstreamSiteUnknown("the upstream knows no site 'site'", upstream_status=404)

        world.upstream.during = gone
        with pytest.raises(UpstreamSiteUnknown):
            await fill(world, ["a"], PAST)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("call", range(4))
@in_virtual_time
async def test_a_database_that_fails_once_costs_no_data(call: int, fault: Fault) -> None:
    """Whichever call fails, before or after it took effect: the next request is right, in time."""
    async with World() as world:
        left = call

        def chance(_: str) -> Fault | None:
            nonlocal left
            left -= 1
            return fault if left == -1 else None

        world.database.failures.by_chance(chance)
        with suppress(Unavailable):
            await fill(world, ["a"], PAST)
        await world.settle()
        got = await world.ask(["a"], PAST, timeout_ms=60_000)
        assert world.truth(["a"], PAST) == got.samples
        await world.settle()
        got = await world.ask(["a"], PAST)
        assert ("hit", world.truth(["a"], PAST)) == (got.report.status, got.samples)
        assert world.clock.now_ms() - EPOCH_MS <= world.options.lease_seconds * 1000 + 400


@in_virtual_time
async def test_a_purge_during_a_fetch_wins() -> None:
    """What was asked for before a purge is answered, and not stored."""
    async with World() as world:
        world.upstream.page_ms = 1000
        asking = asyncio.ensure_future(world.ask(["a"], PAST))
        await asyncio.sleep(0.5)
        await world.index.purge("site", ["a"], PAST, now_ms=world.clock.now_ms())
        assert world.truth(["a"], PAST) == (await asking).samples
        await world.settle()
        assert [] == world.database.look("SELECT * FROM cache_segments")
        assert "miss" == (await world.ask(["a"], PAST)).report.status


@in_virtual_time
async def test_each_page_is_heard_of() -> None:
    """Progress is told after each page, as a share of all that is needed, known or not."""
    async with World(page_size=48) as world:
        await fill(world, ["a"], hours(0, 24))
        await world.settle()
        heard: list[Progress] = []

        async def on_progress(progress: Progress) -> None:
            heard.append(progress)

        need = world.need(["a"], PAST)
        segments = await world.filler.look_up(need)
        filling = await world.filler.fill(need, segments, on_progress)
        assert [1, 2, 3, 4, 5, 6] == [each.requests for each in heard]
        assert all(
            0 <= each.share - (0.5 + (n + 1) / 12) < 0.01 for n, each in enumerate(heard[:-1])
        )
        assert 1.0 == heard[-1].share
        assert (6, 288) == (filling.upstream_requests, filling.samples_fetched)


@in_virtual_time
async def test_unreadable_samples_are_told_once_and_spoil_nothing() -> None:
    """A fill tells how many it had to leave out; one that finds all known has left out none."""
    async with World(page_size=5000) as world:
        world.upstream.untimed = {"a", "other"}
        first = await fill(world, ["a", "b"], PAST)
        await world.settle()
        again = await fill(world, ["a", "b"], PAST)
        directly = await world.filler.fetch_directly(world.need(["a", "b"], PAST))
        assert (1, 0, 1) == (first.unreadable, again.unreadable, directly.unreadable)
        assert world.truth(["a", "b"], PAST) == (await world.ask(["a", "b"], PAST)).samples


@in_virtual_time
async def test_a_fill_is_one_segment_with_frames_for_trust_to_end_at() -> None:
    """Its frames close at the ages at which what is known of it may end."""
    async with World() as world:
        time_range = Range(EPOCH_MS - DAY_MS, EPOCH_MS)
        filling = await fill(world, ["a"], time_range)
        [cover] = filling.covers
        [(segment, part)] = cover.known
        assert (time_range, segment.range) == (part, time_range)
        assert segment.frames is not None
        # Of a sample each five minutes, those of the last 5, 15 and 60 minutes and 4 and 16 hours.
        assert [96, 144, 36, 9, 2, 1] == [frame.count for frame in segment.frames]
        assert not filling.had_known


@in_virtual_time
async def test_requests_of_one_second_ask_for_the_same() -> None:
    """What has happened is known up to a whole second, so that live charts share a fetch."""
    async with World() as world:
        for delay_s in (0.25, 0.25, 0.25):
            await asyncio.sleep(delay_s)
            now_ms = world.clock.now_ms()
            await world.ask(["a"], Range(EPOCH_MS - HOUR_MS, now_ms))
            await world.settle()
        assert 1 == len(world.upstream.asked)
