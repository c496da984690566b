"""Reloading charts: what scatters over many objects comes together again, and stays right."""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

import msgspec
import pytest

from builders import sized, stored
from building_vitals.cache.compactor import OBJECTS_MAX, REST_MS
from building_vitals.cache.coverage import Cover, gaps_of
from building_vitals.cache.freshness import CLOSING_STEP_MS
from building_vitals.cache.gathering import GATHERED_MIN
from building_vitals.cache.joining import SEGMENT_BYTES_MAX
from building_vitals.cache.store import LostObjects
from building_vitals.ranges import Range
from building_vitals.series.rollups import ROLLUP_MS
from fakes.brute_levels import finest, level
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, World, days

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
    """320 reloads of a day of some points: few reads, nothing fetched twice."""
    async with World() as world:
        points = ["a", "b"]
        start_ms = EPOCH_MS - 30 * DAY_MS
        cost = await reload(world, points, Range(start_ms, start_ms + DAY_MS), 320, 1000)
        assert cost.gets_max <= 10
        # A row for each step within the range, and one at each end.
        assert cost.rows_max <= DAY_MS // STEP_MS + 2
        assert cost.fetched <= 1.05 * cost.distinct
        assert [] == world.reported


@in_virtual_time
async def test_reloads_of_the_present_stay_cheap() -> None:
    """300 reloads of the last day, as time goes by: few reads, and only new data fetched again."""
    async with World() as world:
        cost = await reload(
            world, ["a", "b", "c"], Range(EPOCH_MS - DAY_MS, EPOCH_MS), 300, STEP_MS
        )
        assert cost.gets_max <= 10
        # What is fetched again takes the place of slivers: all that are left are in use.
        assert cost.rows_max <= 60
        # Each sample when it is new, and again at three times its age.
        assert cost.fetched <= 6 * cost.distinct
        assert world.started["Compactor.compact"] < 60
        assert [] == world.reported


@in_virtual_time
async def test_reloads_every_five_seconds_leave_few_rows() -> None:
    """Those within half a minute take each other's place: 20 minutes leave some twenty rows."""
    async with World() as world:
        rows = 0
        for number in range(240):
            end_ms = EPOCH_MS + number * 5_000
            got = await world.ask(["a"], Range(end_ms - DAY_MS, end_ms))
            assert world.truth(["a"], Range(end_ms - DAY_MS, end_ms)) == got.samples
            await world.settle()
            rows = max(rows, len(world.database.look("SELECT 1 FROM cache_segments")))
            await asyncio.sleep(5)
        assert rows <= 24
        assert [] == world.reported


async def scatter(world: World, points: list[str], parts: list[Range]) -> Range:
    """Have the parts of a range fetched at one instant, one after the other, and return it."""
    for each in parts:
        await world.ask(points, each)
        await world.settle()
    return Range(parts[0].start_ms, parts[-1].end_ms)


def pieces_of(range_ms: Range, count: int) -> list[Range]:
    """Cut a range into parts of one length."""
    step_ms = range_ms.duration_ms // count
    starts = [range_ms.start_ms + n * step_ms for n in range(count)]
    return [Range(start_ms, start_ms + step_ms) for start_ms in starts]


OBJECTS = "SELECT object_key FROM cache_segments"
PAST = Range(EPOCH_MS - 90 * DAY_MS, EPOCH_MS - 50 * DAY_MS)


@in_virtual_time
async def test_an_answer_of_many_objects_is_stored_as_one() -> None:
    """After an answer from ten objects there is one, with the same samples; the rows are gone."""
    async with World(cache=OBJECTS_ONLY) as world:
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
async def test_levels_are_brought_together_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of all samples, and are not made of them again."""
    async with World(cache=OBJECTS_ONLY) as world:
        time_range = await scatter(world, ["a"], pieces_of(PAST, 10))
        for each in pieces_of(PAST, 10):
            await world.compactor.compact(world.need(["a"], each), is_zoomed=True)
        found = await world.index.find("site", ["a"], time_range, level_samples=1)
        assert 10 == len(found)
        assert all(any(level.is_kept for level in each.levels or ()) for each in found)

        def refused(*_: object) -> None:
            raise LookupError("made again")

        monkeypatch.setattr("building_vitals.cache.leveling.LevelsBuilder", refused)
        await world.ask(["a"], time_range)
        await world.settle()
        [joined] = await world.index.find("site", ["a"], time_range, level_samples=1)
        truth = [(ms, json.dumps(value)) for ms, value in world.truth(["a"], time_range)["a"]]
        rollup, *levels = (each for each in joined.levels or () if each.is_kept)
        assert ROLLUP_MS == rollup.width_ms
        widths = {each.width_ms: each.count for each in levels}
        assert [HOUR_MS, 4 * HOUR_MS, DAY_MS, 7 * DAY_MS] == list(widths)
        assert widths == {each: len(level(truth, each)) for each in widths}
        got = await world.ask(["a"], time_range, max_points=500)
        assert (finest(truth, 500) or ("", []))[1] == [
            (ms, json.dumps(value)) for ms, value in got.samples["a"]
        ]
        assert [] == world.reported


@in_virtual_time
async def test_what_a_chart_needs_levels_of_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored without gets some at a time behind answers of few samples, and no others."""
    async with World(cache=OBJECTS_ONLY) as world:
        points = ["a", "b", "c"]
        await world.ask(points, PAST)
        await world.settle()

        async def leveled() -> set[str]:
            found = await world.index.find("site", points, PAST, level_samples=1)
            return {each.point for each in found if not each.lacks_levels}

        await world.ask(points, PAST)
        await world.settle()
        assert set() == await leveled()
        assert 0 == world.started["Compactor.compact"]
        monkeypatch.setattr("building_vitals.cache.compactor.LEVELED_BYTES_MAX", 1)
        truth = [(ms, json.dumps(value)) for ms, value in world.truth(["a"], PAST)["a"]]
        expected = (finest(truth, 500) or ("", []))[1]
        for count in (1, 2, 3, 3):
            got = await world.ask(points, PAST, max_points=500)
            assert "hit" == got.report.status
            assert expected == [(ms, json.dumps(value)) for ms, value in got.samples["a"]]
            await world.settle()
            assert count == len(await leveled())
            # The isolate remembers an answer's plan for a second.
            await asyncio.sleep(2)
        assert 3 == world.started["Compactor.compact"]
        assert {key: world.truth([key], PAST)[key] for key in points} == (
            await world.ask(points, PAST)
        ).samples
        assert [] == world.reported


@in_virtual_time
async def test_levels_lie_in_an_object_whatever_their_size() -> None:
    """What would fit a row goes into an object, or it would have no levels."""
    async with World(cache=OBJECTS_ONLY) as world:
        await world.ask(["a"], PAST)
        await world.settle()
        world.store.sliver_bytes = 10**9
        await world.compactor.compact(world.need(["a"], PAST), is_zoomed=True)
        [found] = await world.index.find("site", ["a"], PAST, level_samples=1)
        assert (True, False) == (bool(found.levels), found.is_sliver)


@in_virtual_time
async def test_levels_are_made_for_one_request_at_a_time() -> None:
    """Many at once find them made when it is their turn; one that was killed makes way."""
    async with World(cache=OBJECTS_ONLY) as world:
        await world.ask(["a"], PAST)
        await world.settle()
        need = world.need(["a"], PAST)
        before = len(world.objects.contents)
        await asyncio.gather(*(world.compactor.compact(need, is_zoomed=True) for _ in range(5)))
        assert before + 1 == len(world.objects.contents)
        assert {} == world.app.isolate.leveling
        await world.ask(["b"], PAST)
        await world.settle()
        world.app.isolate.leveling["site"] = world.clock.now_ms() + 20_000
        other = world.need(["b"], PAST)
        await world.compactor.compact(other, is_zoomed=True)
        assert before + 2 == len(world.objects.contents)
        await world.compactor.compact(other, is_zoomed=True)
        assert before + 3 == len(world.objects.contents)
        assert [] == world.reported


@in_virtual_time
async def test_what_is_spoilt_is_not_stored_again() -> None:
    """A spoilt frame that would be copied as it is is noticed, and its object alone forgotten."""
    async with World(cache=OBJECTS_ONLY) as world:
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
    async with World(cache=OBJECTS_ONLY) as world:
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
    async with World(cache=OBJECTS_ONLY) as world:
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
async def test_segments_go_once_newer_ones_hold_all_of_theirs() -> None:
    """What newer copies hold in whole goes with a compaction; the rest still stands in."""
    async with World(cache=OBJECTS_ONLY) as world:
        parts = pieces_of(PAST, 10)
        old = [Range(parts[0].start_ms, parts[1].end_ms), Range(parts[2].start_ms, parts[4].end_ms)]
        await scatter(world, ["a"], old)
        # No longer trusted, but kept.
        await asyncio.sleep(90.5 * DAY_MS / 1000)
        await scatter(world, ["a"], parts[:3])
        need = world.need(["a"], Range(parts[0].start_ms, parts[2].end_ms))
        await world.compactor.compact(need)
        rows = world.database.look("SELECT start_ms, end_ms FROM cache_segments ORDER BY end_ms")
        assert [
            (parts[0].start_ms, parts[2].end_ms),
            (parts[2].start_ms, parts[4].end_ms),
        ] == [(row["start_ms"], row["end_ms"]) for row in rows]
        world.upstream.failing = lambda *_: True
        time_range = Range(parts[0].start_ms, parts[4].end_ms)
        stale = await world.ask(["a"], time_range)
        assert ("stale", world.truth(["a"], time_range)) == (stale.report.status, stale.samples)


@in_virtual_time
async def test_being_brought_together_changes_nobody_s_life() -> None:
    """Parts fetched days apart in one object: each is known exactly as long as if left alone."""
    async with World(cache=OBJECTS_ONLY) as world:
        parts = pieces_of(Range(EPOCH_MS - 2 * DAY_MS, EPOCH_MS - HOUR_MS), 12)
        for each in parts:
            await world.ask(["a"], each)
            await world.settle()
            await asyncio.sleep(20 * MINUTE_MS / 1000)
        whole = Range(parts[0].start_ms, parts[-1].end_ms)
        need = world.need(["a"], whole)

        async def unknown() -> list[dict[str, list[Range]]]:
            segments = await world.filler.look_up(need)
            hours = range(0, 110, 2)
            later = (
                msgspec.structs.replace(need, now_ms=need.now_ms + hour * HOUR_MS) for hour in hours
            )
            return [gaps_of(world.filler.cover(each, segments)) for each in later]

        before = await unknown()
        await world.compactor.compact(need)
        assert 1 == len({row["object_key"] for row in world.database.look(OBJECTS)})
        assert before == await unknown()
        assert {} == before[0] != before[-1] == {"a": [whole]}


@in_virtual_time
async def test_objects_of_many_points_become_one() -> None:
    """Twelve points in twelve objects: after one compaction there is no other."""
    async with World(cache=OBJECTS_ONLY) as world:
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


@in_virtual_time
async def test_compaction_is_due_where_small_segments_lie_in_many_objects() -> None:
    """Large ones stay where they are, and so do a few small ones."""
    small = [sized(f"s{n}", 1000 + n) for n in range(GATHERED_MIN)]
    large = [sized(f"l{n}", SEGMENT_BYTES_MAX + 1) for n in range(20)]
    covers = [Cover("p", [(each, each.range)], []) for each in (*large, *small)]
    async with World() as world:
        assert world.compactor.is_due("site", covers)
        assert not world.compactor.is_due("site", covers[:20])
        assert not world.compactor.is_due("site", covers[-OBJECTS_MAX:][-GATHERED_MIN:])


async def fill(world: World, first: float, last: float, by: float) -> None:
    """Have days before the tests' present fetched, so many at a time."""
    while first > last:
        await world.ask(["a"], days(first, max(last, first - by)))
        await world.settle()
        await world.clock.sleep(1000)
        first -= by


@in_virtual_time
async def test_what_was_fetched_before_midnight_is_known_after_it() -> None:
    """92 days and the hours up to now, fetched at 23:30 and joined, asked for again at 00:10."""
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
        # The last hour, which was young when it was fetched, and nothing else.
        [again] = got.report.fetched
        hour_ms = now_ms - HOUR_MS
        assert (hour_ms - hour_ms % CLOSING_STEP_MS, whole.end_ms) == again
        assert (asked + 1, world.truth(["a"], whole)) == (len(world.upstream.asked), got.samples)


LONG_AGO = Range(EPOCH_MS - 480 * DAY_MS, EPOCH_MS - 60 * DAY_MS)


async def fetch_chunks(world: World, points: list[str], time_range: Range, count: int) -> Range:
    """Have parts of a range fetched as a job does: one after the other."""
    for each in pieces_of(time_range, count):
        await world.ask(points, each)
        await world.settle()
        await asyncio.sleep(100)
    return time_range


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all that the tests fetch in chunks become one segment of a point."""
    monkeypatch.setattr("building_vitals.cache.fetch_runs.JOINED_BYTES_MAX", 1_048_576)


@pytest.mark.usefixtures("roomy")
@in_virtual_time
async def test_what_a_job_fetched_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Behind charts of a year that lies in chunks, some points at a time: a segment each, with levels
    and the same samples, fetched when the first of them was.
    """
    async with World(cache=OBJECTS_ONLY) as world:
        points = ["a", "b"]
        whole = await fetch_chunks(world, points, LONG_AGO, 7)
        monkeypatch.setattr("building_vitals.cache.compactor.LEVELED_BYTES_MAX", 1)
        # Not the whole of the first chunk and the last one: they are joined all the same.
        year = Range(whole.start_ms + DAY_MS, whole.end_ms - DAY_MS)
        truth = [(ms, json.dumps(value)) for ms, value in world.truth(["a"], year)["a"]]
        expected = (finest(truth, 2_000) or ("", []))[1]
        for left in (8, 2, 2):
            got = await world.ask(points, year, max_points=2_000)
            assert expected == [(ms, json.dumps(value)) for ms, value in got.samples["a"]]
            await world.settle()
            await asyncio.sleep(2)
            found = await world.index.find("site", points, year, level_samples=1)
            assert left == len(found)
        assert {(*whole, EPOCH_MS)} == {(*each.range, each.fetched_ms) for each in found}
        assert not any(each.lacks_levels for each in found)
        assert 2 == world.started["Compactor.compact"]
        got = await world.ask(points, whole)
        assert ("hit", world.truth(points, whole)) == (got.report.status, got.samples)
        assert [] == world.reported


@pytest.mark.usefixtures("roomy")
@in_virtual_time
async def test_levels_of_chunks_are_joined_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of which each has levels, fetched one after the other: their levels are joined."""
    async with World(cache=OBJECTS_ONLY) as world:
        chunks = pieces_of(LONG_AGO, 7)
        await fetch_chunks(world, ["a"], LONG_AGO, 7)
        for each in chunks:
            await world.compactor.compact(world.need(["a"], each), is_zoomed=True)

        def refused(*_: object) -> None:
            raise LookupError("made again")

        monkeypatch.setattr("building_vitals.cache.leveling.LevelsBuilder", refused)
        await world.ask(["a"], LONG_AGO)
        await world.settle()
        [joined] = await world.index.find("site", ["a"], LONG_AGO, level_samples=1)
        truth = [(ms, json.dumps(value)) for ms, value in world.truth(["a"], LONG_AGO)["a"]]
        widths = {
            each.width_ms: each.count
            for each in joined.levels or ()
            if each.is_kept and each.width_ms > 0
        }
        assert widths == {each: len(level(truth, each)) for each in widths}
        assert len(widths) > 2
        assert [] == world.reported


@in_virtual_time
async def test_young_chunks_stay_apart() -> None:
    """What is not trusted for the longest time keeps the instant of its own fetch."""
    async with World(cache=OBJECTS_ONLY) as world:
        await fetch_chunks(world, ["a"], days(40, 2), 5)
        await world.ask(["a"], days(40, 2))
        await world.settle()
        assert 5 == len(await world.index.find("site", ["a"], days(40, 2)))
        assert 0 == world.started["Compactor.compact"]


@pytest.mark.usefixtures("roomy")
@in_virtual_time
async def test_what_can_not_be_joined_is_not_tried_all_the_time() -> None:
    """Where something else was stored meanwhile, the site rests; later it is joined."""
    async with World(cache=OBJECTS_ONLY) as world:
        await fetch_chunks(world, ["a"], LONG_AGO, 7)
        between = stored(Range(0, LONG_AGO.end_ms), fetched_ms=EPOCH_MS + 1, point="a", key="")

        async def store(operation: str) -> None:
            if operation == "put":
                world.objects.failures.before = None
                await world.database.batch(
                    world.index.insert_statements("site", [between.segment], [1], [], now_ms=1)
                )

        world.objects.failures.before = store
        before = len(world.objects.contents)
        for _ in range(3):
            await world.ask(["a"], LONG_AGO)
            await world.settle()
            await asyncio.sleep(2)
        # One in vain, and one in which they lie beside each other.
        assert before + 2 == len(world.objects.contents)
        await world.index.remove("site", [between.segment])
        await asyncio.sleep(REST_MS / 1000)
        await world.ask(["a"], LONG_AGO)
        await world.settle()
        assert 1 == len(await world.index.find("site", ["a"], LONG_AGO))
        assert [] == world.reported


@in_virtual_time
async def test_of_many_points_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of thousands does not fit the memory: each second it is the turn of others."""
    monkeypatch.setattr("building_vitals.cache.compactor.POINTS_AT_ONCE", 2)
    async with World(cache=OBJECTS_ONLY) as world:
        points = ["a", "b", "c"]
        await world.ask(points, PAST)
        await world.settle()
        seen: set[str] = set()
        for _ in range(2):
            before = set(seen)
            await world.compactor.compact(world.need(points, PAST), is_zoomed=True)
            found = await world.index.find("site", points, PAST, level_samples=1)
            seen = {each.point for each in found if not each.lacks_levels}
            assert 1 <= len(seen - before) <= 2
            await asyncio.sleep(1)
        assert {*points} == seen
