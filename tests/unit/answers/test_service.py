"""The cached route: what is fetched, what is not, and what the answer says of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from building_vitals.cache.failures import FAILURE_MS
from building_vitals.cache.lease import Lease
from building_vitals.cache.options import CacheOptions
from building_vitals.cache.segment_object import SegmentObject
from building_vitals.cache.segments import pieces
from building_vitals.errors import Unavailable, UpstreamError
from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, World, days, read_body, read_json

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@in_virtual_time
async def test_what_was_fetched_is_not_fetched_again() -> None:
    """The first request is a miss, the same again a hit with the same samples and tag."""
    async with World() as world:
        time_range = days(10, 3)
        miss = await world.ask(["a", "b"], time_range)
        await world.settle()
        hits = [await world.ask(["a", "b"], time_range) for _ in range(3)]
        assert world.truth(["a", "b"], time_range) == miss.samples
        assert "miss" == miss.report.status
        count = sum(map(len, miss.samples.values()))
        assert (0, count, [time_range]) == (
            miss.report.samples_from_cache,
            miss.report.samples_fetched,
            miss.report.fetched,
        )
        assert -(-count // 1000) == miss.report.upstream_requests
        for hit in hits:
            assert miss.samples == hit.samples
            assert miss.answer_etag == hit.answer_etag is not None
            assert ("hit", count, 0, 0, []) == (
                hit.report.status,
                hit.report.samples_from_cache,
                hit.report.samples_fetched,
                hit.report.upstream_requests,
                hit.report.fetched,
            )
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_a_hit_costs_one_query_and_one_read() -> None:
    """The first hit asks database and bucket once; later ones the database, once a second."""
    async with World() as world:
        time_range = days(10, 3)
        await world.ask(["a", "b", "c"], time_range)
        await world.settle()
        for queries, reads, wait_s in ((1, 1, 0.5), (0, 0, 0.5), (1, 0, 0)):
            world.database.failures.calls.clear()
            world.objects.failures.calls.clear()
            got = await world.ask(["a", "b", "c"], time_range)
            assert world.truth(["a", "b", "c"], time_range) == got.samples
            assert "hit" == got.report.status
            assert {"rows": queries} == {"rows": 0, **world.database.failures.calls}
            assert reads == world.objects.failures.calls["get"]
            await asyncio.sleep(wait_s)


@in_virtual_time
async def test_a_purge_is_heeded_at_once() -> None:
    """What was purged is fetched again, though it was answered a moment ago."""
    async with World() as world:
        for _ in range(3):
            assert "miss" == (await world.ask(["a"], days(4, 3))).report.status
            await world.settle()
            assert "hit" == (await world.ask(["a"], days(4, 3))).report.status
            await asyncio.sleep(0.002)
            assert 1 == await world.index.purge(
                "site", None, days(4, 3), now_ms=world.clock.now_ms()
            )
            await asyncio.sleep(0.002)


@in_virtual_time
async def test_a_purge_in_the_middle_of_an_answer_is_heeded_by_the_next() -> None:
    """An answer that was planned before a purge and sent after it is not given again."""
    async with World(cache=OBJECTS_ONLY) as world:
        await world.ask(["a"], days(4, 3))
        await world.settle()
        await asyncio.sleep(0.01)

        async def purge(_: str) -> None:
            world.objects.failures.before = None
            await world.index.purge("site", None, days(4, 3), now_ms=world.clock.now_ms())

        world.objects.failures.before = purge
        assert "hit" == (await world.ask(["a"], days(4, 3))).report.status
        assert "miss" == (await world.ask(["a"], days(4, 3))).report.status


@in_virtual_time
async def test_an_answer_in_the_middle_of_a_purge_is_not_given_again() -> None:
    """What was looked up while a purge was on its way to the database is not believed after it."""
    async with World() as world:
        await world.ask(["a"], days(4, 3))
        await world.settle()
        await asyncio.sleep(0.01)

        async def ask(operation: str) -> None:
            if operation == "batch":
                world.database.failures.before = None
                assert "hit" == (await world.ask(["a"], days(4, 3))).report.status

        world.database.failures.before = ask
        await world.index.purge("site", None, days(4, 3), now_ms=world.clock.now_ms())
        assert "miss" == (await world.ask(["a"], days(4, 3))).report.status


@in_virtual_time
async def test_only_gaps_are_fetched() -> None:
    """A longer range and one more point fetch what is new, and say how much came from where."""
    async with World() as world:
        await world.ask(["a", "b"], days(10, 5))
        await world.settle()
        longer = await world.ask(["a", "b"], days(12, 4))
        await world.settle()
        assert world.truth(["a", "b"], days(12, 4)) == longer.samples
        known = sum(map(len, world.truth(["a", "b"], days(10, 5)).values()))
        everything = sum(map(len, longer.samples.values()))
        report = longer.report
        assert ("partial", known) == (report.status, report.samples_from_cache)
        assert everything - known == report.samples_fetched
        assert [days(12, 10), days(5, 4)] == report.fetched
        more = await world.ask(["b", "new", "a"], days(12, 4))
        assert ["b", "new", "a"] == list(more.samples)
        assert world.truth(["b", "new", "a"], days(12, 4)) == more.samples
        assert (("new",), days(12, 4)) == world.upstream.asked[-1][:2]
        assert everything == more.report.samples_from_cache


@in_virtual_time
async def test_a_part_of_what_is_known_is_a_hit() -> None:
    """A range within a known one, cut anywhere, needs nobody."""
    async with World() as world:
        await world.ask(["a"], days(10, 3))
        await world.settle()
        time_range = Range(days(9, 4).start_ms + 12_345, days(9, 4).end_ms - 54_321)
        inside = await world.ask(["a"], time_range)
        assert world.truth(["a"], time_range) == inside.samples
        assert "hit" == inside.report.status
        assert len(inside.samples["a"]) == inside.report.samples_from_cache
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_nothing_is_known_too() -> None:
    """A range without samples is answered by count 0, and is not asked for again."""
    async with World() as world:
        world.upstream.silent |= {"silent", "still"}
        for status in ("miss", "hit", "hit", "hit"):
            got = await world.ask(["silent", "still"], days(10, 3))
            await world.settle()
            assert {"silent": [], "still": []} == got.samples
            assert status == got.report.status
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_the_future_is_not_known() -> None:
    """A range that reaches into the future is known up to now, and asked again as time passes."""
    async with World() as world:
        time_range = Range(EPOCH_MS - HOUR_MS, EPOCH_MS + DAY_MS)
        await world.ask(["a"], time_range)
        await world.settle()
        await asyncio.sleep(1800)
        later = await world.ask(["a"], time_range)
        now_ms = EPOCH_MS + 1_800_000
        assert world.truth(["a"], Range(time_range.start_ms, now_ms)) == later.samples
        # And the youngest of what was known, which is trusted for less than half an hour.
        assert [Range(EPOCH_MS - HOUR_MS, now_ms)] == later.report.fetched
        future = await world.ask(["a"], Range(now_ms + HOUR_MS, now_ms + DAY_MS))
        assert ("hit", {"a": []}) == (future.report.status, future.samples)


@pytest.mark.parametrize(
    ("later_s", "fetched_s"),
    [
        pytest.param(1, 0, id="of the same moment"),
        pytest.param(2, 300, id="the youngest"),
        pytest.param(480, 300, id="eight minutes later"),
        pytest.param(481, 900, id="no longer"),
        pytest.param(3600, 3600, id="an hour later"),
        pytest.param(7 * 3600, 4 * 3600, id="hours later"),
        pytest.param(24 * 3600, 16 * 3600, id="a day later"),
        pytest.param(40 * 3600, 24 * 3600, id="two days later"),
    ],
)
@in_virtual_time
async def test_young_data_are_trusted_shortly_and_old_ones_long(
    later_s: int, fetched_s: int
) -> None:
    """Each is fetched again at about three times the age that it was fetched at."""
    async with World(cache=CacheOptions(min_refetch=0)) as world:
        time_range = Range(EPOCH_MS - DAY_MS, EPOCH_MS)
        await world.ask(["a"], time_range)
        await world.settle()
        await asyncio.sleep(later_s)
        again = await world.ask(["a"], time_range)
        await world.settle()
        ranges = [Range(EPOCH_MS - fetched_s * 1000, EPOCH_MS)] if fetched_s else []
        assert ranges == again.report.fetched
        assert world.truth(["a"], time_range) == again.samples
        # A chart that reads what was joined of both looks into no frame.
        found = await world.filler.look_up(world.need(["a"], time_range))
        [cover] = world.filler.cover(world.need(["a"], time_range), found)
        assert all(piece.frame is None for each in cover.known for piece in pieces(*each))


@in_virtual_time
async def test_the_newest_copy_stands_in_and_an_answer_never_goes_back_in_time() -> None:
    """An older copy of more does not come up again when both are no longer trusted."""
    async with World() as world:
        whole, part = days(5, 1), days(3, 2)
        await world.ask(["a"], whole)
        await world.settle()
        world.upstream.changes.append(world.clock.now_ms() + 1)
        await asyncio.sleep(6 * DAY_MS / 1000)
        await world.ask(["a"], part)
        await world.settle()
        await asyncio.sleep(60)
        world.upstream.failing = lambda *_: True
        stale = await world.ask(["a"], whole)
        assert "stale" == stale.report.status
        newer, older = world.truth(["a"], part, 1)["a"], world.truth(["a"], whole, 0)["a"]
        found = dict(stale.samples["a"])
        assert newer == [each for each in stale.samples["a"] if each[0] in dict(newer)]
        kept = [each for each in older if each[0] in found and each[0] not in dict(newer)]
        assert kept == [each for each in stale.samples["a"] if each[0] not in dict(newer)]
        # Of the rest, all that is not there is told.
        missing = stale.meta["cache"]["missing"]
        for at_ms, _ in older:
            is_missing = any(start <= at_ms < end for start, end in missing)
            assert is_missing == (at_ms not in found)


@in_virtual_time
async def test_what_is_missing_of_a_live_chart_is_told() -> None:
    """All but the last second is known: it is answered, with the range that could not be had."""
    async with World(cache=CacheOptions(min_refetch=0)) as world:
        await world.ask(["a", "b"], Range(EPOCH_MS - DAY_MS, EPOCH_MS))
        await world.settle()
        await asyncio.sleep(1.5)
        world.upstream.failing = lambda *_: True
        time_range = Range(EPOCH_MS - DAY_MS, EPOCH_MS + 1500)
        stale = await world.ask(["a", "b"], time_range)
        assert ("stale", [Range(EPOCH_MS, EPOCH_MS + 1000)]) == (
            stale.report.status,
            stale.report.missing,
        )
        assert world.truth(["a", "b"], time_range) == stale.samples
        assert [[EPOCH_MS, EPOCH_MS + 1000]] == stale.meta["cache"]["missing"]
        with pytest.raises(UpstreamError):
            await world.ask(["a"], days(5, 4))


@pytest.mark.parametrize("route", ["direct", "cached"])
@in_virtual_time
async def test_what_lies_in_the_future_is_on_no_route(route: str) -> None:
    """The upstream may have samples of the future; every route answers up to the present."""
    async with World() as world:
        time_range = Range(EPOCH_MS - HOUR_MS, EPOCH_MS + HOUR_MS)
        got = await world.ask(["a"], time_range, route=route)
        assert world.truth(["a"], Range(time_range.start_ms, EPOCH_MS)) == got.samples
        assert [time_range.end_ms - HOUR_MS] == [
            each.time_range.end_ms for each in world.upstream.asked
        ]
        future = Range(EPOCH_MS + HOUR_MS, EPOCH_MS + DAY_MS)
        assert {"a": []} == (await world.ask(["a"], future, route=route)).samples
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_changed_data_are_seen_once_the_old_have_expired() -> None:
    """An answer is as old as trust allows, and no older."""
    async with World() as world:
        time_range = days(5, 1)
        await world.ask(["a"], time_range)
        await world.settle()
        await asyncio.sleep(10)
        world.upstream.changes.append(world.clock.now_ms())
        assert world.truth(["a"], time_range, 0) == (await world.ask(["a"], time_range)).samples
        await asyncio.sleep(12 * DAY_MS / 1000)
        assert world.truth(["a"], time_range, 1) == (await world.ask(["a"], time_range)).samples


@in_virtual_time
async def test_expired_data_stand_in_when_the_upstream_fails() -> None:
    """What is kept is served for the grace period and has no tag; after it, the failure is."""
    async with World() as world:
        time_range = days(5, 1)
        await world.ask(["a"], time_range)
        await world.settle()
        world.upstream.failing = lambda *_: True
        # Twice the age of the youngest.
        await asyncio.sleep(2 * DAY_MS / 1000)
        stale = await world.ask(["a"], time_range)
        await world.settle()
        assert world.truth(["a"], time_range) == stale.samples
        assert ("stale", None) == (stale.report.status, stale.answer_etag)
        assert stale.meta["cacheHit"] is True
        assert [] == stale.meta["cache"]["missing"]
        await asyncio.sleep(4.5 * DAY_MS / 1000)
        with pytest.raises(UpstreamError, match="503"):
            await world.ask(["a"], time_range)


@in_virtual_time
async def test_what_came_before_a_failure_is_kept() -> None:
    """Of two fetches one fails: the answer is stale, and the next one needs only the other."""
    async with World() as world:
        await world.ask(["a"], days(8, 6))
        await world.settle()
        world.upstream.failing = lambda asking, _: asking.time_range == days(6, 2)
        stale = await world.ask(["a"], days(12, 2))
        assert ("stale", [days(6, 2)]) == (stale.report.status, stale.report.missing)
        assert world.truth(["a"], days(12, 6)) == stale.samples
        await world.settle()
        world.upstream.failing = lambda *_: False
        await asyncio.sleep(FAILURE_MS / 1000)
        rest = await world.ask(["a"], days(12, 2))
        assert world.truth(["a"], days(12, 2)) == rest.samples
        assert [days(6, 2)] == rest.report.fetched


@in_virtual_time
async def test_lost_objects_are_fetched_again() -> None:
    """An object that is gone, overwritten or spoilt is a gap; the answer is as if it were."""
    async with World() as world:
        time_range = days(10, 3)
        for harm in ("lose", "overwrite", "spoil"):
            first = await world.ask([harm, "b"], time_range)
            await world.settle()
            [key] = {
                row["object_key"]
                for row in world.database.look(
                    "SELECT object_key FROM cache_segments WHERE point = ?1", harm
                )
            }
            if harm == "lose":
                world.objects.lose(key)
            elif harm == "overwrite":
                world.objects.overwrite(key, world.objects.contents[key][::-1])
            else:
                world.objects.spoil(key, 1000)
            asked = len(world.upstream.asked)
            again = await world.ask([harm, "b"], time_range)
            await world.settle()
            assert first.samples == again.samples
            assert world.truth([harm, "b"], time_range) == again.samples
            assert again.report.status in ("miss", "partial")
            assert asked + 1 == len(world.upstream.asked)
            count = sum(map(len, again.samples.values()))
            assert count == again.report.samples_from_cache + again.report.samples_fetched
            assert "hit" == (await world.ask([harm, "b"], time_range)).report.status
        assert 3 == sum(where == "lost objects" for where, _ in world.reported)


@pytest.mark.parametrize("operation", ["rows", "batch"])
@in_virtual_time
async def test_without_the_database_the_upstream_answers(operation: str) -> None:
    """D1 down at the look-up, or at the lease: the answer is right, and says `bypass`."""
    async with World() as world:
        time_range = days(4, 3)
        world.database.failures.always(operation)
        got = await world.ask(["a"], time_range)
        await world.settle()
        assert world.truth(["a"], time_range) == got.samples
        assert ("bypass", None) == (got.report.status, got.answer_etag)
        assert [time_range] == got.report.fetched
        assert {} == world.objects.infos


@in_virtual_time
async def test_without_the_bucket_the_upstream_answers() -> None:
    """R2 down when known data are read: `bypass`; when new data are stored: they still answer."""
    async with World(cache=OBJECTS_ONLY) as world:
        await world.ask(["a"], days(4, 3))
        await world.settle()
        world.objects.failures.always("*")
        known = await world.ask(["a"], days(4, 3))
        fresh = await world.ask(["b"], days(4, 3))
        await world.settle()
        assert world.truth(["a"], days(4, 3)) == known.samples
        assert world.truth(["b"], days(4, 3)) == fresh.samples
        assert ("bypass", "miss") == (known.report.status, fresh.report.status)
        assert [] == world.database.look("SELECT * FROM fetch_leases")
        world.objects.failures.clear()
        assert "hit" == (await world.ask(["a"], days(4, 3))).report.status
        assert "miss" == (await world.ask(["b"], days(4, 3))).report.status


@in_virtual_time
async def test_a_look_up_that_takes_too_long_is_given_up() -> None:
    """A database slower than `cache_timeout` is gone around."""
    async with World() as world:

        async def dawdle(operation: str) -> None:
            await asyncio.sleep(3600)

        world.database.failures.before = dawdle
        got = await world.ask(["a"], days(4, 3))
        assert world.truth(["a"], days(4, 3)) == got.samples
        assert "bypass" == got.report.status
        assert world.settings.routing.cache_timeout == world.clock.now_ms() - EPOCH_MS


@in_virtual_time
async def test_without_anything_there_is_no_answer() -> None:
    """The database and the upstream down: the upstream's failure is what the caller hears."""
    async with World() as world:
        world.database.failures.always("*")
        world.upstream.failing = lambda *_: True
        with pytest.raises(UpstreamError):
            await world.ask(["a"], days(4, 3))


@in_virtual_time
async def test_the_direct_route_stores_nothing() -> None:
    """A direct answer is right and leaves no trace."""
    async with World() as world:
        got = await world.ask(["a", "b"], days(4, 3), route="direct")
        await world.settle()
        assert world.truth(["a", "b"], days(4, 3)) == got.samples
        assert "bypass" == got.report.status
        assert {} == world.objects.infos
        assert {} == world.database.failures.calls


@in_virtual_time
async def test_a_known_answer_needs_no_body() -> None:
    """Who has the answer already gets none, and nothing is read for it."""
    async with World() as world:
        time_range = days(4, 3)
        first = await world.ask(["a"], time_range)
        await world.settle()
        world.objects.failures.calls.clear()
        asked = world.question(
            ["a"], time_range, matches=lambda answer_etag: answer_etag == first.answer_etag
        )
        answer = await world.service.fetch_timeseries(asked)
        assert (first.answer_etag, b"") == (answer.answer_etag, await read_body(answer))
        assert 0 == world.objects.failures.calls["get"]


@in_virtual_time
async def test_tags_differ_where_answers_do() -> None:
    """Other samples, points, formats and order have other tags; new data get a new one."""
    async with World() as world:
        time_range = Range(EPOCH_MS - HOUR_MS, EPOCH_MS)
        requests: list[tuple[tuple[str, ...], dict[str, Any]]] = [
            (("a",), {}),
            (("a", "b"), {}),
            (("b", "a"), {}),
            (("a",), {"gzip": False}),
            (("a",), {"max_points": 5}),
        ]
        tags = [
            (await world.ask(points, time_range, **options)).answer_etag
            for points, options in requests
        ]
        await world.settle()
        again = [
            (await world.ask(points, time_range, **options)).answer_etag
            for points, options in requests
        ]
        assert len(requests) == len({*tags})
        assert tags == again
        await asyncio.sleep(3600)
        assert (await world.ask(["a"], time_range)).answer_etag not in tags


@in_virtual_time
async def test_answers_over_a_batch_are_streamed() -> None:
    """A large answer comes in parts, and is the same."""
    async with World(page_size=50_000, interval_ms=10_000) as world:
        points = [f"p{n}" for n in range(18)]
        time_range = days(4, 1)
        await world.ask(points, time_range)
        await world.settle()
        answer = await world.service.fetch_timeseries(world.question(points, time_range))
        assert answer.rest is not None
        got = read_json(answer, await read_body(answer), is_gzip=True)
        for point in points[::6]:
            assert world.truth([point], time_range)[point] == got.samples[point]
        assert "hit" == got.report.status
        assert sum(map(len, got.samples.values())) == got.report.samples_from_cache


@in_virtual_time
async def test_a_segment_replaced_while_it_is_looked_at_is_planned_again() -> None:
    """Overlapping segments need their directories; one that vanished before they came is a gap."""
    async with World() as world:
        for time_range in (days(8, 3), days(10, 5)):
            now_ms = world.clock.now_ms()
            need = world.need(["a"], time_range)
            filling = await world.filler.fetch_directly(need)
            segments = [segment for segment, _ in filling.covers[0].known]
            [(key, data)] = filling.fresh.items()
            stored = await world.store.put(SegmentObject("site", key, data, segments))
            await world.store.commit([stored], now_ms=now_ms)
            await asyncio.sleep(1)
        queries = 0

        async def purge_before_directories(operation: str) -> None:
            nonlocal queries
            queries += operation == "rows"
            if queries == 2:
                world.database.failures.before = None
                await world.index.purge("site", None, days(4, 3), now_ms=world.clock.now_ms())
                await asyncio.sleep(1)

        world.database.failures.before = purge_before_directories
        got = await world.ask(["a"], days(10, 3))
        assert world.truth(["a"], days(10, 3)) == got.samples
        assert ("partial", [days(4, 3)]) == (got.report.status, got.report.fetched)


@in_virtual_time
async def test_known_answers_are_given_without_the_upstream() -> None:
    """`answer_known` answers what is all known, at the moment it is judged at, and nothing else."""
    async with World() as world:
        asked = world.question(["a"], days(10, 3))
        assert await world.service.answer_known(asked) is None
        await world.ask(["a"], days(10, 3))
        await world.settle()
        answer = await world.service.answer_known(asked)
        assert answer is not None
        assert "hit" == answer.report.status
        assert await world.service.answer_known(world.question(["a"], days(10, 2))) is None
        # Twice as long as the youngest of it was old, and some more.
        await asyncio.sleep(6 * DAY_MS / 1000)
        assert await world.service.answer_known(asked) is None
        assert await world.service.answer_known(asked, as_of_ms=EPOCH_MS) is not None
        assert 1 == len(world.upstream.asked)


@in_virtual_time
async def test_a_database_that_dies_on_the_way_is_gone_around() -> None:
    """Whatever call fails, the answer is right."""
    for count in range(6):
        async with World() as world:
            time_range = days(4, 3)
            left = count

            async def die(_: str) -> None:
                nonlocal left
                if left == 0:
                    raise Unavailable("D1 refused: gone")
                left -= 1

            world.database.failures.before = die
            got = await world.ask(["a"], time_range)
            await world.settle()
            assert world.truth(["a"], time_range) == got.samples


@in_virtual_time
async def test_no_time_left_is_a_time_out() -> None:
    """When others' fetch has used up the time, the upstream is not asked in vain."""
    async with World() as world:
        world.upstream.page_ms = 20_000
        lease = Lease(
            *("other", "site", ("a",), days(4, 3), EPOCH_MS + 10_000),
            begun_ms=EPOCH_MS,
            ends_ms=EPOCH_MS + 20_000,
        )
        await world.database.batch(
            [world.leases.take_statement(lease, now_ms=world.clock.now_ms())]
        )
        with pytest.raises(UpstreamError) as caught:
            await world.ask(["a"], days(4, 3), timeout_ms=2000)
        assert 504 == caught.value.status
        assert [] == world.upstream.asked


@in_virtual_time
async def test_what_a_long_fetch_stores_meanwhile_was_not_known() -> None:
    """Parts of one's own fetch that are stored before its end count as fetched alone."""
    async with World() as world:
        world.upstream.page_ms = 1_800
        got = await world.ask(["a", "b"], days(30, 10))
        await world.settle()
        stored = world.database.look("SELECT count(*) AS n FROM cache_metadata")
        assert stored[0]["n"] > 1
        total = sum(map(len, world.truth(["a", "b"], days(30, 10)).values()))
        assert (0, total) == (got.report.samples_from_cache, got.report.samples_fetched)


@in_virtual_time
async def test_failed_requests_count() -> None:
    """A stale answer says what was sent for it in vain; samples are those that it has."""
    async with World() as world:
        await world.ask(("a",), days(10, 9))
        await world.settle()
        world.upstream.failing = lambda *_: True
        before = world.upstream.requests
        got = await world.ask(("a",), days(10, 8))
        assert "stale" == got.report.status
        assert world.upstream.requests - before == got.report.upstream_requests > 0
        assert (288, 0) == (got.report.samples_from_cache, got.report.samples_fetched)
