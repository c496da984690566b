"""The clean-up of the cache: what is over goes, nothing in use does, dying runs harm nobody."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from building_vitals.cache import upkeep as cache_upkeep
from building_vitals.cache.upkeep_table import CacheUpkeep
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.upkeep import OBJECT_GRACE_MS, STREAM_MS_MAX
from fakes.failures import Fault
from fakes.upkeep import FRESHNESS, HOUR_MS, LIFE_MS, NOW_MS, UpkeepBench, key
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, World

POINTS_LEFT = "SELECT point FROM cache_segments ORDER BY 1"


async def test_expired_segments_go_and_others_stay() -> None:
    """A segment goes when its life and grace are over, not before."""
    bench = UpkeepBench()
    bench.segment(key(1), NOW_MS - LIFE_MS - 1, point="over")
    bench.segment(key(2), NOW_MS - LIFE_MS, point="just not")
    bench.segment(key(3), NOW_MS - HOUR_MS, point="fresh")
    assert 1 == await cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS).run(NOW_MS)
    assert ["fresh", "just not"] == [
        row["point"] for row in bench.database.look("SELECT point FROM cache_segments ORDER BY 1")
    ]


async def test_a_longer_life_takes_effect_at_once() -> None:
    """What was filed under a shorter life is filed again, and hides nothing that is over."""
    bench = UpkeepBench()
    longer = msgspec.structs.replace(FRESHNESS, max_age_ms=80 * DAY_MS)
    for n in range(cache_upkeep.SEGMENTS_AT_ONCE + 5):
        bench.segment(key(n), NOW_MS - 20 * DAY_MS + n, point=f"{n:05}")
    bench.segment(key("old"), NOW_MS - 31 * DAY_MS - 1, point="over", ends_ms=20)
    step = cache_upkeep.ExpiredSegments(bench.upkeep, longer)
    assert 1 == await step.run(NOW_MS)
    assert 0 == await step.run(NOW_MS)
    assert cache_upkeep.SEGMENTS_AT_ONCE + 5 == bench.count("cache_segments")
    assert 0 == bench.count(f"cache_segments WHERE expires_ms < {NOW_MS}")


async def test_young_segments_live_shorter() -> None:
    """Twice their age, a grace, and not a day longer: readers let go of them then."""
    bench = UpkeepBench()
    fetched_ms = NOW_MS - 2 * HOUR_MS - FRESHNESS.grace_ms - 1
    for point, lasts_ms in (("young", HOUR_MS), ("older", HOUR_MS + 1)):
        bench.segment(key(1), fetched_ms, point=point, ends_ms=fetched_ms, lasts_ms=lasts_ms)
    bench.database.look("UPDATE cache_segments SET expires_ms = ?1", NOW_MS - 1)
    assert 1 == await cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS).run(NOW_MS)
    assert [{"point": "older"}] == bench.database.look("SELECT point FROM cache_segments")
    # It was filed again under the very instant.
    assert 0 == await cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS).run(NOW_MS + 1)
    assert 1 == await cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS).run(NOW_MS + 2)


async def test_what_is_read_lives_on() -> None:
    """Its age counts from the last access of its object, as long as it is trusted."""
    bench = UpkeepBench()
    fetched_ms = NOW_MS - LIFE_MS - 1
    for n, read_ms in enumerate((fetched_ms, fetched_ms + DAY_MS, NOW_MS)):
        await bench.object(key(n), fetched_ms)
        bench.segment(key(n), fetched_ms, point=str(n))
        bench.database.look(
            "UPDATE cache_metadata SET last_access_ms = ?1 WHERE object_key = ?2", read_ms, key(n)
        )
    step = cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS)
    assert 1 == await step.run(NOW_MS)
    assert ["1", "2"] == [row["point"] for row in bench.database.look(POINTS_LEFT)]
    assert 1 == await step.run(NOW_MS + DAY_MS)
    assert 0 == await step.run(fetched_ms + 31 * DAY_MS)
    assert 1 == await step.run(fetched_ms + 31 * DAY_MS + 1)


async def test_a_copy_that_nobody_reads_stays_while_it_hides_an_older_one() -> None:
    """Else what an answer shows would go back in time."""
    bench = UpkeepBench()
    fetched_ms = NOW_MS - LIFE_MS - 1
    await bench.object(key("old"), fetched_ms - 5)
    bench.database.look("UPDATE cache_metadata SET last_access_ms = ?1", NOW_MS)
    bench.segment(key("old"), fetched_ms - 5, ends_ms=1000, lasts_ms=1000)
    bench.segment(key("new"), fetched_ms, ends_ms=500, lasts_ms=100)
    bench.segment(key("new"), fetched_ms, point="q", ends_ms=500, lasts_ms=100)
    step = cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS)
    assert 1 == await step.run(NOW_MS)
    assert [{"point": "p"}, {"point": "p"}] == bench.database.look(POINTS_LEFT)
    assert 0 == bench.count(f"cache_segments WHERE expires_ms < {NOW_MS}")
    # When neither is trusted nor kept, both go.
    assert 2 == await step.run(fetched_ms + 31 * DAY_MS + 1)


def follow(bench: UpkeepBench, site: str, fetched_ms: int) -> None:
    """Have a site followed that has a block of all its samples."""
    bench.database.look(
        "INSERT INTO site_follows (site, since_ms, every_ms, every, begun_ms, next_ms, message_ms)"
        " VALUES (?1, 0, 1, '5m', 0, 1, 1)",
        site,
    )
    bench.database.look(
        "INSERT INTO site_blocks (site, start_ms, end_ms, object_key, object_etag, level,"
        " fetched_ms, points, samples, stored_bytes, directory_offset, foot_offset, foot_bytes,"
        " foot_crc) VALUES (?1, 0, 1000, 'b', 'e', 0, ?2, 1, 1, 1, 0, 0, 0, 0)",
        *(site, fetched_ms),
    )


async def test_on_a_followed_site_trust_does_not_end() -> None:
    """What is read goes when nobody has read it for long: else an older block would be shown."""
    bench = UpkeepBench()
    fetched_ms = NOW_MS - 31 * DAY_MS - 1
    await bench.object(key("read"), fetched_ms)
    await bench.object(key("unread"), fetched_ms)
    read = "UPDATE cache_metadata SET last_access_ms = ?1 WHERE object_key = ?2"
    bench.database.look(read, NOW_MS - DAY_MS, key("read"))
    for name in ("read", "unread"):
        bench.segment(key(name), fetched_ms, point=name, ends_ms=500, lasts_ms=100)
    bench.segment(key("read"), fetched_ms, point="beyond", ends_ms=2000, lasts_ms=1000)
    step = cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS)
    follow(bench, "hq", fetched_ms - 5)
    follow(bench, "other", fetched_ms - 5)
    assert 2 == await step.run(NOW_MS)
    assert [{"point": "read"}] == bench.database.look(POINTS_LEFT)
    assert 0 == bench.count(f"cache_segments WHERE expires_ms < {NOW_MS}")
    assert 0 == await step.run(NOW_MS - DAY_MS + LIFE_MS)
    assert 1 == await step.run(NOW_MS - DAY_MS + LIFE_MS + 1)


async def test_what_has_no_object_stays_while_it_hides_an_older_block() -> None:
    """Nobody notes when that was read last; it goes when a newer block hides it, or the follow."""
    bench = UpkeepBench()
    fetched_ms = NOW_MS - 31 * DAY_MS - 1
    for point in ("sliver", "empty"):
        bench.segment(key(point), fetched_ms, point=point, ends_ms=500, lasts_ms=100)
    bench.database.look("UPDATE cache_segments SET object_etag = ''")
    step = cache_upkeep.ExpiredSegments(bench.upkeep, FRESHNESS)
    follow(bench, "hq", fetched_ms - 5)
    assert 0 == await step.run(NOW_MS)
    assert 0 == bench.count(f"cache_segments WHERE expires_ms < {NOW_MS}")
    bench.database.look("UPDATE site_blocks SET fetched_ms = ?1", fetched_ms)
    assert 2 == await step.run(NOW_MS + 2 * DAY_MS)


async def test_an_object_goes_after_its_last_segment() -> None:
    """While anything is known of an object it stays; after that it and its row go."""
    bench = UpkeepBench()
    await bench.object(key(1), NOW_MS - 20 * DAY_MS)
    await bench.object(key(2), NOW_MS - 20 * DAY_MS)
    bench.segment(key(1), NOW_MS - HOUR_MS)
    step = cache_upkeep.ExpiredObjects(bench.upkeep, bench.objects)
    assert 0 == await step.run(NOW_MS)
    assert 1 == await step.run(NOW_MS + OBJECT_GRACE_MS + 1)
    assert {key(1)} == set(bench.objects.infos)
    assert [{"object_key": key(1), "expires_ms": NOW_MS - HOUR_MS + LIFE_MS}] == (
        bench.database.look("SELECT object_key, expires_ms FROM cache_metadata")
    )


async def test_an_object_stays_for_those_who_read_it() -> None:
    """The object outlives its last segment by longer than any answer is read, however old it is."""
    bench = UpkeepBench()
    await bench.object(key(1), NOW_MS - 90 * DAY_MS)
    step = cache_upkeep.ExpiredObjects(bench.upkeep, bench.objects)
    assert STREAM_MS_MAX < OBJECT_GRACE_MS
    for later_ms in (0, 1, STREAM_MS_MAX, OBJECT_GRACE_MS):
        assert 0 == await step.run(NOW_MS + later_ms)
    assert 1 == await step.run(NOW_MS + OBJECT_GRACE_MS + 1)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("operation", ["delete", "batch"])
async def test_a_run_that_dies_is_made_good_by_the_next(operation: str, fault: Fault) -> None:
    """Wherever the run breaks off, no row is left without its object going too, nor the reverse."""
    bench = UpkeepBench()
    await bench.object(key(1), NOW_MS - 29 * DAY_MS)
    step = cache_upkeep.ExpiredObjects(bench.upkeep, bench.objects)
    await step.run(NOW_MS - OBJECT_GRACE_MS - 1)
    failures = bench.objects.failures if operation == "delete" else bench.database.failures
    failures.next(operation, fault=fault)
    if operation == "batch":
        # The first batch finds the objects; the second drops their rows.
        failures.clear()
        calls = iter([None, fault])
        failures.by_chance(lambda name: next(calls, None) if name == "batch" else None)
    with pytest.raises(Unavailable):
        await step.run(NOW_MS)
    failures.clear()
    await step.run(NOW_MS)
    assert (set(), 0) == (set(bench.objects.infos), bench.count("cache_metadata"))


async def test_objects_nobody_knows_of_go_after_an_hour() -> None:
    """An object without a row may be about to get one; after an hour it is an orphan."""
    bench = UpkeepBench()
    await bench.object(key("orphan"), NOW_MS - HOUR_MS - 1, is_known=False)
    await bench.object(key("young"), NOW_MS - HOUR_MS + 1, is_known=False)
    await bench.object("datasets/other", NOW_MS - 9 * DAY_MS, is_known=False)
    await bench.object(key("known"), NOW_MS - 9 * DAY_MS)
    bench.segment(key("known"), NOW_MS - HOUR_MS)
    await bench.object(key("rowless"), NOW_MS - 9 * DAY_MS, is_known=False)
    bench.segment(key("rowless"), NOW_MS - HOUR_MS, point="q")
    step = cache_upkeep.OrphanObjects(bench.upkeep, bench.objects)
    assert 1 == await step.run(NOW_MS)
    assert {key("young"), key("known"), key("rowless"), "datasets/other"} == set(
        bench.objects.infos
    )


async def test_replaced_objects_go_before_they_expire() -> None:
    """An object whose segments were all replaced goes when no answer can be read from it."""
    bench = UpkeepBench()
    await bench.object(key("replaced"), NOW_MS - 2 * HOUR_MS)
    await bench.object(key("in use"), NOW_MS - 2 * HOUR_MS)
    bench.segment(key("in use"), NOW_MS - 2 * HOUR_MS)
    walk = cache_upkeep.OrphanObjects(bench.upkeep, bench.objects)
    deleting = cache_upkeep.ExpiredObjects(bench.upkeep, bench.objects)
    assert 0 == await walk.run(NOW_MS)
    assert 0 == await deleting.run(NOW_MS + OBJECT_GRACE_MS)
    assert 1 == await deleting.run(NOW_MS + OBJECT_GRACE_MS + 1)
    assert {key("in use")} == set(bench.objects.infos)
    assert 1 == bench.count("cache_metadata")


@in_virtual_time
async def test_a_slow_download_is_not_cut_by_compaction_and_clean_up() -> None:
    """Its objects stay although everything that lay in them was brought together elsewhere."""
    async with World() as world:
        points = ["a"]
        whole = Range(EPOCH_MS - 400 * DAY_MS, EPOCH_MS - 40 * DAY_MS)
        for day in range(400, 40, -30):
            await world.ask(points, Range(EPOCH_MS - day * DAY_MS, EPOCH_MS - (day - 30) * DAY_MS))
            await world.settle()
        question = world.question(points, whole, format="csv", gzip=False)
        answer = await world.service.fetch_timeseries(question)
        assert answer.rest is not None
        await world.settle()
        assert 1 == world.started["Compactor.compact"]
        body = bytes(answer.first)
        until_ms = world.clock.now_ms() + STREAM_MS_MAX
        async for chunk in answer.rest:
            body += chunk
            await world.app.maintenance.run()
            # However many chunks there are, the last is read when time is almost over.
            await world.clock.sleep(max(0, until_ms - world.clock.now_ms()) // 4)
        assert len(body.splitlines()) == 1 + sum(map(len, world.truth(points, whole).values()))
        for _ in range(2):
            await world.app.maintenance.run()
            await world.clock.sleep(OBJECT_GRACE_MS + 1)
        assert 1 == sum(key.startswith("timeseries/") for key in world.objects.infos)


async def test_the_walk_through_the_bucket_goes_on_where_it_stopped() -> None:
    """Each run looks at some pages; in the end all have been seen, and the walk begins again."""
    bench = UpkeepBench()
    bench.objects.page_objects_max = 3
    for n in range(40):
        await bench.object(key(f"{n:02}"), NOW_MS - 9 * DAY_MS, is_known=n % 2 == 0)
        if n % 2 == 0:
            bench.segment(key(f"{n:02}"), NOW_MS - HOUR_MS, point=str(n))
    step = cache_upkeep.OrphanObjects(bench.upkeep, bench.objects)
    found = [await step.run(NOW_MS) for _ in range(3)]
    assert 20 == sum(found)
    assert all(found)
    assert 20 == len(bench.objects.infos)
    assert None is await bench.upkeep.place(step.name)
    assert cache_upkeep.PAGES_MAX * 3 >= bench.objects.failures.calls["list"]


async def test_a_place_that_cannot_be_gone_on_from_is_forgotten() -> None:
    """A cursor the bucket refuses costs one run; the next begins at the beginning."""
    bench = UpkeepBench()
    await bench.object(key("orphan"), NOW_MS - 9 * DAY_MS, is_known=False)
    step = cache_upkeep.OrphanObjects(bench.upkeep, bench.objects)
    await bench.upkeep.keep_place(step.name, "no cursor at all", now_ms=NOW_MS)
    with pytest.raises(Unavailable):
        await step.run(NOW_MS)
    assert 1 == await step.run(NOW_MS)


async def test_leases_and_purges_go() -> None:
    """Leases go a minute after their end, marks of purges after an hour."""
    bench = UpkeepBench()
    for n, expires_ms in enumerate(
        (NOW_MS - cache_upkeep.LEASE_AGE_MS - 1, NOW_MS - 1, NOW_MS + 5)
    ):
        bench.database.look(
            "INSERT INTO fetch_leases VALUES (?1, 'hq', '[]', 0, 1, ?2, 0, 0, 0, NULL)",
            str(n),
            expires_ms,
        )
    for n, purged_ms in enumerate((NOW_MS - HOUR_MS - 1, NOW_MS - HOUR_MS)):
        bench.database.look(
            "INSERT INTO cache_purges VALUES ('hq', ?1, 0, 1, ?2)", str(n), purged_ms
        )
    assert 2 == await cache_upkeep.OldMarks(bench.upkeep).run(NOW_MS)
    assert (2, 1) == (bench.count("fetch_leases"), bench.count("cache_purges"))


async def test_totals_are_counted_anew_once_a_day() -> None:
    """What was changed by hand is put right."""
    bench = UpkeepBench()
    await bench.object(key(1), NOW_MS)
    step = cache_upkeep.Recount(bench.upkeep)
    assert 1 == await step.run(NOW_MS)
    await bench.object(key(2), NOW_MS)
    assert 0 == await step.run(NOW_MS + DAY_MS - 1)
    assert [(1, 1, 5, 30, 10, NOW_MS)] == [
        tuple(row.values()) for row in bench.database.look("SELECT * FROM cache_totals")
    ]
    assert 1 == await step.run(NOW_MS + DAY_MS)
    assert [{"objects": 2, "stored_bytes": 20}] == bench.database.look(
        "SELECT objects, stored_bytes FROM cache_totals"
    )


@in_virtual_time
async def test_totals_go_with_what_is_stored_replaced_and_purged() -> None:
    """After fills, compactions, purges and clean-up the totals are those of the rows."""
    async with World(cache=OBJECTS_ONLY) as world:
        upkeep = CacheUpkeep(world.database, world.index)

        def totals() -> list[dict[str, Any]]:
            return world.database.look(
                "SELECT objects, samples, text_bytes, stored_bytes FROM cache_totals"
            )

        def sums() -> list[dict[str, Any]]:
            return world.database.look(
                "SELECT count(*) AS objects, coalesce(sum(samples), 0) AS samples,"
                " coalesce(sum(text_bytes), 0) AS text_bytes,"
                " coalesce(sum(stored_bytes), 0) AS stored_bytes FROM cache_metadata"
            )

        for n in range(12):
            start_ms = EPOCH_MS - (30 - n) * DAY_MS
            await world.ask(["a", "b"], Range(start_ms, start_ms + DAY_MS))
            await world.settle()
            assert sums() == totals()
        assert 12 == sums()[0]["objects"]
        await world.ask(["a", "b"], Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 18 * DAY_MS))
        await world.settle()
        assert sums() == totals()
        await world.clock.sleep(40 * DAY_MS)
        for step in (
            cache_upkeep.ExpiredSegments(upkeep, world.freshness),
            cache_upkeep.ExpiredObjects(upkeep, world.objects),
        ):
            await step.run(world.clock.now_ms())
            assert await step.run(world.clock.now_ms() + OBJECT_GRACE_MS + 1) >= 0
        assert sums() == totals()
        assert ({}, 0) == (world.objects.infos, totals()[0]["objects"])
        truth = world.truth(["a"], Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 29 * DAY_MS))
        again = await world.ask(["a"], Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 29 * DAY_MS))
        assert ("miss", truth) == (again.report.status, again.samples)


@in_virtual_time
async def test_cleaning_up_while_it_is_read_harms_no_answer() -> None:
    """Objects that go between look-up and read are gaps: answers stay exact."""
    async with World() as world:
        time_range = Range(EPOCH_MS - 30 * DAY_MS, EPOCH_MS - 29 * DAY_MS)
        await world.ask(["a"], time_range)
        await world.settle()
        await world.objects.delete(list(world.objects.infos))
        got = await world.ask(["a"], time_range)
        assert world.truth(["a"], time_range) == got.samples
