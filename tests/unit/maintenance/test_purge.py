"""What an administrator does with the cache: objects listed, and sites forgotten."""

from __future__ import annotations

import pytest

from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.maintenance.purge import CacheObject
from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days


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
    """All, some points, some time, or both; objects that hold nothing since then go, too."""
    async with World() as world:
        for first in (4, 7):
            await world.ask(["a", "b"], days(first, first - 1))
        await world.settle()
        assert deleted == await world.app.cache_admin.purge("site", points, time_range)
        await world.settle()
        left = world.database.look("SELECT object_key FROM cache_segments")
        known = world.database.look("SELECT object_key FROM cache_metadata")
        assert 4 - deleted == len(left)
        assert (
            {row["object_key"] for row in left}
            == {row["object_key"] for row in known}
            == set(world.objects.infos)
        )


@in_virtual_time
async def test_another_site_is_not_touched() -> None:
    """Names of sites are compared as a whole."""
    async with World() as world:
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
