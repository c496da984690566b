"""Reloading charts: what scatters over many objects comes together again, and stays right."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec
import pytest

from builders import every, stored
from building_vitals.cache.compactor import GATHERED_MIN, OBJECTS_MAX, Compactor, gathered
from building_vitals.cache.coverage import Cover
from building_vitals.cache.freshness import STRETCHES
from building_vitals.cache.joining import SEGMENT_BYTES_MAX
from building_vitals.cache.segments import Segment
from building_vitals.cache.store import LostObjects
from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
STEP_MS = 5 * MINUTE_MS


class Cost(NamedTuple):
    """
    What a chart's reloads have cost.

    Attributes:
        gets_max, rows_max: Ranged gets, and index rows of a point, at the most of any request.
        fetched, distinct: Samples fetched, and different ones asked for.
    """

    gets_max: int
    rows_max: int
    fetched: int
    distinct: int


async def reload(world: World, points: list[str], first: Range, count: int, wait_ms: int) -> Cost:
    """Ask for a range that slides by five minutes, as often as *count*; see each answer right."""
    gets = rows = 0
    time_range = first
    for number in range(count):
        time_range = Range(first.start_ms + number * STEP_MS, first.end_ms + number * STEP_MS)
        world.objects.failures.calls.clear()
        got = await world.ask(points, time_range)
        gets = max(gets, world.objects.failures.calls["get"])
        found = world.database.look(
            "SELECT count(*) AS n FROM cache_segments WHERE end_ms > ?1 AND start_ms < ?2 "
            "GROUP BY point",
            *time_range,
        )
        rows = max(rows, *(row["n"] for row in found), 0)
        if number % 10 == 0:
            assert world.truth(points, time_range) == got.samples
        else:
            truth = {point: len(world.upstream.times(point, time_range)) for point in points}
            assert truth == {point: len(samples) for point, samples in got.samples.items()}
        await world.settle()
        await asyncio.sleep(wait_ms / 1000)
    everything = Range(first.start_ms, time_range.end_ms)
    distinct = sum(len(world.upstream.times(point, everything)) for point in points)
    return Cost(gets, rows, world.upstream.samples_sent, distinct)


@in_virtual_time
async def test_reloads_of_the_past_stay_cheap() -> None:
    """500 reloads of a day of some points: few reads, few rows, nothing fetched twice."""
    async with World() as world:
        points = ["a", "b", "c", "d"]
        start_ms = EPOCH_MS - 30 * DAY_MS
        cost = await reload(world, points, Range(start_ms, start_ms + DAY_MS), 500, 1000)
        assert cost.gets_max <= 10
        assert cost.rows_max <= 20
        assert cost.fetched <= 1.05 * cost.distinct
        assert [] == world.reported


@in_virtual_time
async def test_reloads_of_the_present_stay_cheap() -> None:
    """500 reloads of the last day, as time goes by: few reads, and only new data fetched again."""
    async with World() as world:
        cost = await reload(
            world, ["a", "b", "c"], Range(EPOCH_MS - DAY_MS, EPOCH_MS), 500, STEP_MS
        )
        assert cost.gets_max <= 10
        # A row for each of the stretches that the two kinds of data live through, and slivers.
        assert cost.rows_max <= 60
        # Each sample when it is new, after an hour, and once more when it has settled.
        assert cost.fetched <= 3.3 * cost.distinct
        assert world.started["Compactor.compact"] < 100
        assert [] == world.reported


async def scatter(world: World, points: list[str], parts: list[Range]) -> Range:
    """Have the parts of a range fetched one after the other, and return it."""
    for each in parts:
        await world.ask(points, each)
        await world.settle()
        await asyncio.sleep(1)
    return Range(parts[0].start_ms, parts[-1].end_ms)


def pieces_of(range_ms: Range, count: int) -> list[Range]:
    """Cut a range into parts of one length."""
    step_ms = range_ms.duration_ms // count
    starts = [range_ms.start_ms + n * step_ms for n in range(count)]
    return [Range(start_ms, start_ms + step_ms) for start_ms in starts]


PAST = Range(EPOCH_MS - 90 * DAY_MS, EPOCH_MS - 50 * DAY_MS)


@in_virtual_time
async def test_an_answer_of_many_objects_is_stored_as_one() -> None:
    """After an answer from ten objects there is one, with the same samples; the rows are gone."""
    async with World() as world:
        time_range = await scatter(world, ["a", "b/☃"], pieces_of(PAST, 10))
        world.objects.failures.calls.clear()
        before = await world.ask(["a", "b/☃"], time_range)
        assert 10 == world.objects.failures.calls["get"]
        await world.settle()
        await asyncio.sleep(1)
        world.objects.failures.calls.clear()
        after = await world.ask(["a", "b/☃"], time_range)
        assert 1 == world.objects.failures.calls["get"]
        assert world.truth(["a", "b/☃"], time_range) == before.samples == after.samples
        assert ("hit", "hit") == (before.report.status, after.report.status)
        rows = world.database.look("SELECT * FROM cache_segments ORDER BY point")
        assert [("a", *time_range), ("b/☃", *time_range)] == [
            (row["point"], row["start_ms"], row["end_ms"]) for row in rows
        ]
        assert {EPOCH_MS} == {row["fetched_ms"] for row in rows}
        assert {"Compactor.compact": 1} == {
            name: count for name, count in world.started.items() if "compact" in name
        }


@in_virtual_time
async def test_what_is_spoilt_is_not_stored_again() -> None:
    """A spoilt frame that would be copied as it is is noticed, and its object alone forgotten."""
    async with World() as world:
        time_range = await scatter(world, ["a"], pieces_of(PAST, 10))
        spoilt = sorted(world.objects.infos)[3]
        need = world.need(["a"], time_range)
        world.objects.spoil(spoilt, 700)
        await world.compactor.compact(need)
        [(where, error)] = world.reported
        assert "lost objects" == where
        assert isinstance(error, LostObjects)
        assert [spoilt] == error.keys
        got = await world.ask(["a"], time_range)
        assert world.truth(["a"], time_range) == got.samples
        assert [pieces_of(PAST, 10)[3]] == got.report.fetched


@in_virtual_time
async def test_a_lost_object_is_forgotten() -> None:
    """An object that is gone stops a compaction and is a gap from then on."""
    async with World() as world:
        time_range = await scatter(world, ["a"], pieces_of(PAST, 10))
        world.objects.lose(sorted(world.objects.infos)[0])
        await world.compactor.compact(world.need(["a"], time_range))
        got = await world.ask(["a"], time_range)
        assert world.truth(["a"], time_range) == got.samples
        assert [pieces_of(PAST, 10)[0]] == got.report.fetched


@pytest.mark.parametrize("part", ["rows", "get", "put", "batch"])
@in_virtual_time
async def test_a_compaction_that_fails_changes_nothing(part: str) -> None:
    """Whatever fails, what is known stays known."""
    async with World() as world:
        time_range = await scatter(world, ["a"], pieces_of(PAST, 10))
        before = world.database.look("SELECT * FROM cache_segments")
        for failures in (world.objects.failures, world.database.failures):
            failures.next(part)
        await world.compactor.compact(world.need(["a"], time_range))
        assert before == world.database.look("SELECT * FROM cache_segments")
        assert ["compaction"] == [where for where, _ in world.reported]
        world.objects.failures.clear()
        world.database.failures.clear()
        got = await world.ask(["a"], time_range)
        assert world.truth(["a"], time_range) == got.samples
        assert "hit" == got.report.status


@in_virtual_time
async def test_a_purge_while_a_compaction_runs_wins() -> None:
    """What was purged while it was being joined is not brought back."""
    async with World() as world:
        time_range = await scatter(world, ["a"], pieces_of(PAST, 10))

        async def purge(operation: str) -> None:
            if operation == "put":
                world.objects.failures.before = None
                await world.index.purge("site", None, time_range, now_ms=world.clock.now_ms())

        world.objects.failures.before = purge
        await world.compactor.compact(world.need(["a"], time_range))
        assert [] == world.database.look("SELECT * FROM cache_segments")


@in_virtual_time
async def test_what_is_fetched_while_a_compaction_runs_stays() -> None:
    """A row that took the place of a joined one in the meantime is newer, and stays."""
    async with World() as world:
        time_range = await scatter(world, ["a"], pieces_of(PAST, 10))
        part = pieces_of(PAST, 10)[4]

        async def fetch_again(operation: str) -> None:
            if operation == "put":
                world.objects.failures.before = None
                await world.index.purge("site", None, part, now_ms=world.clock.now_ms() - 500)
                await world.ask(["a"], part)
                await world.settle()

        await asyncio.sleep(10)
        world.objects.failures.before = fetch_again
        world.upstream.changes.append(world.clock.now_ms())
        need = world.need(["a"], time_range)
        await world.compactor.compact(need)
        got = await world.ask(["a"], part)
        assert world.truth(["a"], part, 1) == got.samples
        assert "hit" == got.report.status


@in_virtual_time
async def test_expired_segments_go_once_they_are_known_again() -> None:
    """What is known again in whole goes with a compaction; of the rest, stale data stay."""
    async with World() as world:
        parts = pieces_of(PAST, 10)
        await scatter(world, ["a"], [parts[0], Range(parts[1].start_ms, parts[4].end_ms)])
        await asyncio.sleep(DAY_MS / 1000)
        await scatter(world, ["a"], [parts[0], parts[1], parts[2]])
        need = world.need(["a"], Range(parts[0].start_ms, parts[2].end_ms))
        await world.compactor.compact(need)
        rows = world.database.look("SELECT start_ms, end_ms FROM cache_segments ORDER BY end_ms")
        assert [
            (parts[0].start_ms, parts[2].end_ms),
            (parts[1].start_ms, parts[4].end_ms),
        ] == [(row["start_ms"], row["end_ms"]) for row in rows]
        world.upstream.failing = lambda *_: True
        time_range = Range(parts[0].start_ms, parts[4].end_ms)
        stale = await world.ask(["a"], time_range)
        assert ("stale", world.truth(["a"], time_range)) == (stale.report.status, stale.samples)


@in_virtual_time
async def test_settled_segments_stay_settled_when_they_are_joined() -> None:
    """Brought together, each lives as long as it would have."""
    async with World() as world:
        start_ms = EPOCH_MS - DAY_MS
        for hour in range(10):
            # Each is settled up to the line when it is fetched, and no further.
            await world.ask(["a"], Range(start_ms, world.clock.now_ms() - 2 * HOUR_MS))
            await world.settle()
            assert hour + 1 == len(world.upstream.asked)
            await asyncio.sleep(HOUR_MS / 1000)
        time_range = Range(start_ms, EPOCH_MS + 7 * HOUR_MS)
        await world.ask(["a"], time_range)
        await world.settle()
        assert 1 == world.started["Compactor.compact"]
        await asyncio.sleep(5 * HOUR_MS / 1000)
        assert "hit" == (await world.ask(["a"], time_range)).report.status
        await asyncio.sleep(9 * HOUR_MS / 1000)
        again = await world.ask(["a"], time_range)
        assert [Range(start_ms, EPOCH_MS - 2 * HOUR_MS)] == again.report.fetched


@in_virtual_time
async def test_what_was_fetched_late_lives_on_when_it_is_brought_together() -> None:
    """Days fetched 23 hours after a sliver: when a day has passed since, the sliver alone goes."""
    async with World() as world:
        parts = pieces_of(PAST, 10)
        await scatter(world, ["a"], parts[:1])
        await asyncio.sleep(23 * HOUR_MS / 1000)
        whole = await scatter(world, ["a"], parts[1:])
        whole = Range(parts[0].start_ms, whole.end_ms)
        await world.ask(["a"], whole)
        await world.settle()
        assert 1 == world.started["Compactor.compact"]
        assert 1 == len(
            {
                row["object_key"]
                for row in world.database.look("SELECT object_key FROM cache_segments")
            }
        )
        await asyncio.sleep(1.5 * HOUR_MS / 1000)
        got = await world.ask(["a"], whole)
        assert (parts[:1], world.truth(["a"], whole)) == (got.report.fetched, got.samples)


@in_virtual_time
async def test_objects_of_many_points_become_one() -> None:
    """Twelve points in twelve objects: after one compaction there is no other."""
    async with World() as world:
        points = [f"p{n}" for n in range(12)]
        for point in points:
            await world.ask([point], days(10, 9))
            await world.settle()
        for _ in range(5):
            got = await world.ask(points, days(10, 9))
            assert ("hit", world.truth(points, days(10, 9))) == (got.report.status, got.samples)
            await world.settle()
            await asyncio.sleep(2)
        assert 1 == world.started["Compactor.compact"]
        world.objects.failures.calls.clear()
        await world.ask(points, Range(days(10, 9).start_ms, days(10, 9).end_ms - 1))
        assert 1 == world.objects.failures.calls["get"]


def held(key: str, stored_bytes: int, point: str = "p") -> Segment:
    """Return a segment of so many bytes in an object."""
    made = stored("0-10", every(1, Range(0, 10)), key=key, point=point).segment
    return msgspec.structs.replace(made, stored_bytes=stored_bytes)


def test_nothing_is_gathered_that_would_be_of_no_use() -> None:
    """Large segments stay, and so do a few small ones; what is too much comes in parts."""
    small = [held(f"s{n}", 1000 + n) for n in range(GATHERED_MIN)]
    large = [held(f"l{n}", SEGMENT_BYTES_MAX + 1) for n in range(20)]
    assert {each.key for each in small} == gathered([*large, *small])
    assert frozenset() == gathered([*large, *small[1:]])
    assert frozenset() == gathered([])
    full = [held(f"f{n // 33}", SEGMENT_BYTES_MAX, str(n)) for n in range(33 * 12)]
    assert frozenset() == gathered(full)
    assert {each.key for each in small} == gathered([*full, *small])
    covers = [Cover("p", [(each, each.range)], []) for each in (*large, *small)]
    assert Compactor.is_due(covers)
    assert not Compactor.is_due(covers[:20])
    assert not Compactor.is_due(covers[-OBJECTS_MAX:][-GATHERED_MIN:])


async def fill(world: World, first: float, last: float, by: float) -> None:
    """Have days before the tests' present fetched, so many at a time."""
    while first > last:
        await world.ask(["a"], days(first, max(last, first - by)))
        await world.settle()
        await world.clock.sleep(1000)
        first -= by


@in_virtual_time
async def test_what_was_fetched_before_midnight_is_known_after_it() -> None:
    """92 days and the hours up to now, fetched at 23:30 and joined: a hit at 00:10."""
    async with World() as world:
        await world.clock.sleep(23 * HOUR_MS + 30 * MINUTE_MS)
        await fill(world, 92, 0, 8)
        now_ms = world.clock.now_ms()
        whole = Range(EPOCH_MS - 92 * DAY_MS, now_ms - now_ms % STEP_MS)
        await world.ask(["a"], whole)
        await world.settle()
        await world.compactor.compact(world.need(["a"], whole))
        asked = len(world.upstream.asked)
        await world.clock.sleep(40 * MINUTE_MS)
        got = await world.ask(["a"], whole)
        assert ("hit", []) == (got.report.status, got.report.fetched)
        assert (asked, world.truth(["a"], whole)) == (len(world.upstream.asked), got.samples)


@in_virtual_time
async def test_joining_takes_a_stretch_of_a_life_at_the_most() -> None:
    """Of days fetched at noon and at night, joined, those of the night live on after noon."""
    async with World() as world:
        for hour, first in ((12, 92), (23, 46)):
            await world.clock.sleep(EPOCH_MS + hour * HOUR_MS - world.clock.now_ms())
            await fill(world, first, first - 46, 5)
        whole = days(92, 0)
        await world.compactor.compact(world.need(["a"], whole))
        rows = world.database.look("SELECT count(*) AS n FROM cache_segments")
        assert 2 == rows[0]["n"]
        for instant_h, fetched in (
            (36.0 - 24 // STRETCHES, []),
            (36.1, [days(92, 46)]),
            (47 - 24 // STRETCHES, []),
            (47.1, [days(46, 0)]),
        ):
            await world.clock.sleep(EPOCH_MS + int(instant_h * HOUR_MS) - world.clock.now_ms())
            got = await world.ask(["a"], whole)
            await world.settle()
            assert fetched == got.report.fetched, instant_h
