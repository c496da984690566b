"""Follows carried out: one consumer at a time, whatever gets lost, dies or fails."""

from __future__ import annotations

import asyncio
import random

import pytest

from building_vitals.errors import UpstreamLimited
from building_vitals.follow.follows_table import LEASE_MS
from building_vitals.follow.rounds import backfill_of, state_of
from building_vitals.follow.runner import READ_MS_MAX, FollowRun
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.jobs.model import FollowRef
from building_vitals.ranges import Range
from fakes.follow_world import NAMES, SITE, FollowWorld
from fakes.history import Asking
from fakes.job_world import Death
from fakes.queues import FakeMessage
from fakes.virtual_time import in_virtual_time

SAMPLES_A_DAY = 8 * 288


@in_virtual_time
async def test_three_days_and_then_rounds() -> None:
    """The past takes the fewest pages, then a round comes each 5 minutes; all of it is stored."""
    async with FollowWorld() as world:
        world.upstream.page_ms = 1000
        await world.follow(3 * DAY_MS)
        assert 1 == await world.deliver()
        fewest = -(-3 * SAMPLES_A_DAY // 100)
        assert fewest <= world.upstream.requests <= 1.02 * fewest
        assert ["round"] == [run.outcome for run in world.runs]
        row = await world.row()
        assert (100, 3 * DAY_MS // 1000) == (
            backfill_of(row.follow).progress,
            sum(each.duration_ms for each in row.follow.known) // 1000,
        )
        pages = world.upstream.requests
        await world.pass_time(HOUR_MS, maintained=False)
        assert pages + 12 == world.upstream.requests
        assert 13 == len(world.runs) == sum(run.rounds for run in world.runs)
        # Nothing is asked for twice but the minute in which samples may have come late.
        asked = [each.time_range for each in world.upstream.asked[1:]]
        assert {MINUTE_MS + 300_000} == {each.duration_ms for each in asked[1:]}
        assert "following" == state_of((await world.row()).follow, world.now_ms)
        await world.require_truth()


@in_virtual_time
async def test_a_large_past_is_read_between_rounds() -> None:
    """The newest chunk first, then backwards; no round comes late by more than a page."""
    async with FollowWorld(page_size=10) as world:
        world.upstream.page_ms = 2000
        row = await world.follow(3 * DAY_MS)
        lags: list[int] = []
        while backfill_of((await world.row()).follow).left_ms:
            await world.pass_time(10_000)
            follow = (await world.row()).follow
            if follow.known_until_ms is not None:
                lags.append(world.now_ms - follow.known_until_ms)
        assert max(lags) <= 300_000 + 10 * 2000
        backfilled = [
            each.time_range
            for each in world.upstream.asked
            if each.time_range.end_ms < row.follow.begun_ms
        ]
        ends = [each.end_ms for each in backfilled]
        assert sorted(ends, reverse=True) == ends
        assert len(set(ends)) > 5
        read = sum(each.duration_ms for each in (await world.row()).follow.known)
        fewest = SAMPLES_A_DAY / 10 * read / DAY_MS
        rounds = sum(run.rounds for run in world.runs)
        assert world.upstream.requests <= 1.02 * fewest + 2 * rounds
        await world.require_truth(Range(row.follow.since_ms, row.follow.begun_ms))


@in_virtual_time
async def test_a_reading_goes_on_in_another_invocation() -> None:
    """Its time over, it ends without a request in vain, and the next one begins where it ended."""
    async with FollowWorld() as world:
        world.upstream.page_ms = 10_000
        await world.follow(3 * DAY_MS)
        await world.deliver()
        assert READ_MS_MAX // 10_000 == world.upstream.requests
        assert ["backfill"] == [run.outcome for run in world.runs]
        row = await world.row()
        assert ("backfilling", None) == (
            state_of(row.follow, world.now_ms),
            row.follow.known_until_ms,
        )
        assert 0 < backfill_of(row.follow).progress < 100
        await world.pass_time(READ_MS_MAX * 4)
        assert -(-3 * SAMPLES_A_DAY // 100) == world.upstream.requests
        await world.require_truth()


@in_virtual_time
async def test_two_consumers_never_read_one_site() -> None:
    """A second message does nothing, and is the end of its line."""
    async with FollowWorld() as world:
        world.upstream.page_ms = 1000
        await world.follow(DAY_MS)
        first, second = (FakeMessage(FollowRef(SITE), "low") for _ in range(2))
        again = FakeMessage(FollowRef(SITE), "low", attempts=2)
        consuming = [asyncio.ensure_future(world.consume(each)) for each in (first, second, again)]
        await asyncio.gather(*consuming)
        assert ["claimed", "claimed", "round"] == [run.outcome for run in world.runs]
        assert ["ack", "ack", LEASE_MS // 1000] == [each.verdict for each in (first, second, again)]
        waiting = world.queues.waiting
        # One that comes when all is done: the message of the next round is on its way.
        await world.consume(FakeMessage(FollowRef(SITE), "low"))
        assert FollowRun("nothing") == world.runs[-1]
        assert waiting == world.queues.waiting
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_a_message_of_a_site_that_nobody_follows_is_nothing() -> None:
    """It is acknowledged, and nothing is read."""
    async with FollowWorld() as world:
        await world.consume(FakeMessage(FollowRef("other"), "low"))
        assert [FollowRun("nothing")] == world.runs
        assert [] == world.upstream.asked


@in_virtual_time
async def test_a_message_that_comes_early_comes_again() -> None:
    """The queue's clock is another one: the line must not end there."""
    async with FollowWorld() as world:
        await world.follow(DAY_MS)
        await world.deliver()
        world.queues.clear()
        await asyncio.sleep(299)
        await world.consume(FakeMessage(FollowRef(SITE), "low"))
        assert FollowRun("nothing") == world.runs[-1]
        assert 1 == world.queues.waiting
        await asyncio.sleep(1)
        await world.deliver()
        assert "round" == world.runs[-1].outcome


@in_virtual_time
async def test_a_lost_message_is_sent_again() -> None:
    """By the maintenance run, once it should have come; a paused queue gets ever fewer."""
    async with FollowWorld() as world:
        await world.follow(DAY_MS)
        assert 0 == await world.maintain()
        await world.deliver()
        world.queues.clear()
        await asyncio.sleep(310)
        assert 0 == await world.maintain()
        await asyncio.sleep(10)
        assert 1 == await world.maintain()
        sent = 1
        for _ in range(3 * 24 * 12):
            await asyncio.sleep(300)
            sent += await world.maintain()
        assert 8 < sent < 24
        # An outage of three days: caught up at once, and the line is one again.
        await world.pass_time(20 * MINUTE_MS)
        assert 2 == world.queues.waiting + 1
        assert "following" == state_of((await world.row()).follow, world.now_ms)
        await world.require_truth()


@in_virtual_time
async def test_a_queue_that_is_down_stops_nothing_for_good() -> None:
    """What was read is read, and the maintenance run sends what could not be sent."""
    async with FollowWorld() as world:
        await world.follow(DAY_MS)
        world.queues.failures.always("send")
        await world.deliver()
        assert ["follow: next"] == [where for where, _ in world.reported]
        world.queues.failures.clear()
        await world.pass_time(16 * MINUTE_MS)
        assert sum(run.rounds for run in world.runs) >= 3
        await world.require_truth()


@in_virtual_time
async def test_an_outage_of_the_upstream_is_waited_for() -> None:
    """Tried again later each time; it says why; then what was missed is read, newest first."""
    async with FollowWorld(page_size=10) as world:
        await world.follow(DAY_MS)
        await world.pass_time(10 * MINUTE_MS)
        world.upstream.failing = lambda *_: True
        before = world.upstream.requests
        await world.pass_time(DAY_MS)
        row = await world.row()
        assert ("failing", "upstream answered 503") == (
            state_of(row.follow, world.now_ms),
            row.error,
        )
        assert 280 < world.upstream.requests - before < 300
        assert "failed" == world.runs[-1].outcome
        assert world.runs[-1].lag_ms is not None and world.runs[-1].lag_ms > DAY_MS - HOUR_MS
        world.upstream.failing = lambda *_: False
        back = len(world.upstream.asked)
        await world.pass_time(10 * MINUTE_MS)
        asked = [each.time_range for each in world.upstream.asked[back:]]
        assert asked[0].end_ms > asked[1].end_ms == asked[0].start_ms
        row = await world.row()
        assert ("following", None) == (state_of(row.follow, world.now_ms), row.error)
        await world.require_truth()


@in_virtual_time
async def test_what_came_before_a_failure_is_kept() -> None:
    """The next reading goes on behind it."""
    async with FollowWorld() as world:

        def fails(asking: Asking, page: int) -> bool:
            return len(world.upstream.asked) == 1 and page == 50

        world.upstream.failing = fails
        await world.follow(3 * DAY_MS)
        await world.deliver()
        assert ("failed", 50) == (world.runs[-1].outcome, world.runs[-1].pages - 1)
        [part] = world.kept.known
        await world.pass_time(MINUTE_MS)
        assert part.end_ms == world.upstream.asked[1].time_range.start_ms
        assert 1 + -(-3 * SAMPLES_A_DAY // 100) == world.upstream.requests
        await world.require_truth()


@in_virtual_time
async def test_a_limit_is_no_failure() -> None:
    """Where the quota has nothing left, the follow waits as long as that says."""
    async with FollowWorld() as world:
        row = await world.follow(DAY_MS)

        async def limited(_: int) -> None:
            raise UpstreamLimited("no request may be sent", retryable=True, retry_after_s=90)

        world.upstream.during = limited
        await world.deliver()
        world.upstream.during = None
        row = await world.row()
        assert (0, None, world.now_ms + 90_000) == (
            row.follow.failures,
            row.error,
            row.follow.next_ms,
        )
        await world.pass_time(90_000)
        await world.deliver()
        assert "round" == world.runs[-1].outcome


@in_virtual_time
async def test_what_cannot_be_stored_is_read_again() -> None:
    """Nothing counts as read that was not stored; the failure is told."""
    async with FollowWorld() as world:
        await world.follow(DAY_MS)
        world.kept.failures.next("keep")
        await world.deliver()
        row = await world.row()
        assert () == row.follow.read
        assert row.error is not None and row.error.startswith("R2")
        await world.pass_time(MINUTE_MS)
        await world.require_truth()


@in_virtual_time
async def test_a_failure_that_nobody_foresaw_is_one() -> None:
    """It is logged, told without its text, and tried again."""
    async with FollowWorld() as world:
        await world.follow(DAY_MS)

        async def broken(_: int) -> None:
            raise KeyError("secret")

        world.upstream.during = broken
        await world.deliver()
        assert "unexpected failure: KeyError" == (await world.row()).error
        assert ["secret"] == [each.args[0] for each in world.crashes]
        world.upstream.during = None
        await world.pass_time(MINUTE_MS)
        await world.require_truth()


@in_virtual_time
async def test_points_may_come_and_go() -> None:
    """Whatever turns up in the pages is stored: nobody has to read a list for it."""
    async with FollowWorld() as world:
        world.upstream.site_points = NAMES[:4]
        await world.follow(DAY_MS)
        await world.deliver()
        added_ms = (await world.row()).follow.read[-1].end_ms
        world.upstream.site_points = NAMES[2:]
        await world.pass_time(HOUR_MS)
        end_ms = (await world.row()).follow.known_until_ms
        assert end_ms is not None
        both, after = Range(0, added_ms), Range(added_ms, end_ms)
        for name, known in ((NAMES[0], both), (NAMES[2], Range(0, end_ms)), (NAMES[7], after)):
            part = Range(max(known.start_ms, end_ms - DAY_MS), known.end_ms)
            stored = world.kept.samples(name).items()
            expected = [tuple(each) for each in world.upstream.truth(name, part)]
            assert expected == [(at, v) for at, v in stored if at >= part.start_ms]


@in_virtual_time
async def test_who_no_longer_follows_is_not_read_for() -> None:
    """A reading ends with the next look at its lease, and notes nothing."""
    async with FollowWorld() as world:
        world.upstream.page_ms = 1000
        await world.follow(3 * DAY_MS)
        reading = asyncio.ensure_future(world.deliver())
        await asyncio.sleep(5)
        assert await world.follows.delete(SITE)
        await reading
        assert ["lost"] == [run.outcome for run in world.runs]
        assert world.upstream.requests < 30
        assert None is await world.follows.find(SITE)
        assert 0 == world.queues.waiting


@in_virtual_time
async def test_changes_take_effect_at_once() -> None:
    """An earlier beginning is read behind the rest, a shorter interval counts from now on."""
    async with FollowWorld() as world:
        await world.follow(DAY_MS, HOUR_MS)
        await world.deliver()
        await asyncio.sleep(60)
        await world.follow(2 * DAY_MS, 120_000)
        await world.pass_time(10 * MINUTE_MS + 1_000)
        follow = (await world.row()).follow
        assert (100, 6) == (
            backfill_of(follow).progress,
            len([run for run in world.runs[1:] if run.rounds]),
        )
        await world.require_truth(Range(follow.since_ms, follow.read[-1].end_ms))
        # While somebody reads, too.
        world.upstream.page_ms = 30_000
        reading = asyncio.ensure_future(world.pass_time(100_000))
        await asyncio.sleep(20)
        before = (await world.row()).follow
        await world.follow(3 * DAY_MS, 60_000)
        await reading
        follow = (await world.row()).follow
        assert (before.begun_ms, 60_000) == (follow.begun_ms, follow.every_ms)
        assert follow.next_ms <= world.now_ms + 60_000


@pytest.mark.parametrize("seed", range(6))
@in_virtual_time
async def test_all_is_stored_whatever_dies(seed: int) -> None:
    """Consumers die before and after any call, messages get lost: nothing is missing, or twice."""
    dice = random.Random(seed)
    async with FollowWorld(page_size=40) as world:
        world.upstream.page_ms = 3_000
        world.queues.losing = lambda: dice.random() < 0.2
        await world.follow(2 * DAY_MS)
        for _ in range(40):
            death = Death(dice.randrange(60), is_after=dice.random() < 0.5)
            await world.deliver(death if dice.random() < 0.7 else None)
            await world.pass_time(dice.choice([1_000, 30_000, 300_000]))
        world.queues.losing = lambda: False
        await world.pass_time(3 * HOUR_MS)
        follow = (await world.row()).follow
        assert "following" == state_of(follow, world.now_ms)
        assert [] == world.crashes
        await world.require_truth()
        assert 1 == len(follow.known) == len(world.kept.known)


@in_virtual_time
async def test_a_day_of_rounds_costs_few_rows() -> None:
    """Three rows are written, and one block is stored, a round."""
    async with FollowWorld() as world:
        await world.follow(HOUR_MS)
        await world.deliver()
        before = world.database.connection.total_changes
        stored = len(world.kept.blocks)
        await world.pass_time(DAY_MS + 1_000)
        written = world.database.connection.total_changes - before
        assert 288 == len(world.kept.blocks) - stored
        assert written == 3 * 288
        row = await world.row()
        assert (288, SAMPLES_A_DAY) <= row.a_day(world.now_ms)
