"""What an administrator does with the cache: objects listed, and sites forgotten."""

from __future__ import annotations

import pytest

from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.maintenance.purge import CacheObject
from building_vitals.ranges import Range
from building_vitals.upkeep import OBJECT_GRACE_MS
from fakes.history import LongTexts
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, World, days, read_json


@in_virtual_time
async def test_objects_say_what_they_hold() -> None:
    """Counts come from the object's own metadata; where that is not ours they are null."""
    async with World() as world:
        await world.objects.put(
            "x/1", b"abc", content_type="t", metadata={"points": "2", "samples": "7"}
        )
        await world.objects.put(
            "x/2", b"", content_type="t", metadata={"points": "-1", "samples": "many"}
        )
        await world.objects.put("y", b"", content_type="t")
        found = await world.app.cache_admin.list_objects(prefix="x/", limit=1, cursor=None)
        uploaded = "2026-01-01T00:00:00.000Z"
        assert [CacheObject("x/1", 3, uploaded, 2, 7)] == found.objects
        rest = await world.app.cache_admin.list_objects(
            prefix="x/", limit=9, cursor=found.next_cursor
        )
        assert [("x/2", None, None)] == [
            (each.key, each.points, each.samples) for each in rest.objects
        ]
        assert None is rest.next_cursor


@pytest.mark.parametrize(
    ("points", "time_range", "deleted"),
    [
        pytest.param(None, None, 4, id="a site"),
        pytest.param(["a"], None, 2, id="a point"),
        pytest.param(None, Range(EPOCH_MS - 4 * DAY_MS, EPOCH_MS - 3 * DAY_MS), 2, id="a range"),
        pytest.param(["b"], Range(EPOCH_MS - DAY_MS, EPOCH_MS), 0, id="nothing"),
        pytest.param([], None, 0, id="no points"),
    ],
)
@in_virtual_time
async def test_a_purge_takes_what_it_names(
    points: list[str] | None, time_range: Range | None, deleted: int
) -> None:
    """All, some points, some time, or both; what held it is left to the clean-up."""
    async with World(cache=OBJECTS_ONLY) as world:
        for first in (4, 7):
            await world.ask(["a", "b"], days(first, first - 1))
        await world.settle()
        assert deleted == await world.app.cache_admin.purge("site", points, time_range)
        await world.settle()
        left = world.database.look("SELECT object_key FROM cache_segments")
        known = world.database.look("SELECT object_key, orphaned_ms FROM cache_metadata")
        assert 4 - deleted == len(left)
        assert {row["object_key"] for row in known} == {
            key for key in world.objects.infos if key.startswith("timeseries/")
        }
        held = {row["object_key"] for row in known if row["orphaned_ms"] is None}
        assert {row["object_key"] for row in left} == held
        # What waits for the clean-up is neither listed nor counted.
        listed = await world.app.cache_admin.list_objects(
            prefix="timeseries/", limit=100, cursor=None
        )
        assert held == {each.key for each in listed.objects}
        assert len(held) == (await world.app.statistics.read()).cache.total_objects


@in_virtual_time
async def test_an_answer_goes_on_while_its_data_are_purged() -> None:
    """A slow download of 45 objects is whole, whatever is purged, compacted and cleaned up."""
    async with World(history=LongTexts, interval_ms=3_600_000) as world:
        for day in range(60, 15, -1):
            await world.ask(["a"], days(day, day - 1))
        await world.settle()
        await world.clock.sleep(10_000)
        need = world.need(["a"], days(60, 15))
        answer = await world.service.fetch_timeseries(world.question(need.points, need.time_range))
        assert answer.rest is not None
        body, reads = bytes(answer.first), 0
        harms = {
            1: world.compactor.compact(need),
            2: world.app.cache_admin.purge("site", ["a"], None),
            3: world.app.cache_admin.purge("site", None, None),
        }
        async for chunk in answer.rest:
            body += chunk
            reads += 1
            if reads in harms:
                await harms.pop(reads)
            await world.clock.sleep(10 * MINUTE_MS)
            await world.app.maintenance.run()
        assert {} == harms
        assert 45 * 24 == len(read_json(answer, body, is_gzip=True).samples["a"])
        # For everybody else it has gone, at once; the bytes go when nobody can read them.
        await world.clock.sleep(OBJECT_GRACE_MS)
        await world.app.maintenance.run()
        assert [] == [key for key in world.objects.infos if key.startswith("timeseries/")]
        assert [] == world.database.look("SELECT 1 FROM cache_metadata")


@in_virtual_time
async def test_another_site_is_not_touched() -> None:
    """Names of sites are compared as a whole."""
    async with World(cache=OBJECTS_ONLY) as world:
        await world.ask(["a"], days(4, 3))
        await world.settle()
        assert 0 == await world.app.cache_admin.purge("sit", None, None)
        assert 1 == len(world.objects.infos)


@in_virtual_time
async def test_a_bucket_that_is_down_keeps_no_samples() -> None:
    """What is known is forgotten; that the list of points could not be is told."""
    async with World() as world:
        await world.ask(["a"], days(4, 3))
        await world.settle()
        world.objects.failures.always("delete")
        with pytest.raises(Unavailable):
            await world.app.cache_admin.purge("site", None, None)
        await world.settle()
        assert 0 == world.database.look("SELECT count(*) AS n FROM cache_segments")[0]["n"]
