"""What the clean-up finds in the cache's tables."""

from __future__ import annotations

import pytest

from fakes.upkeep import NOW_MS, UpkeepBench, key


async def test_objects_are_known_by_their_row_or_a_segment() -> None:
    """Of those that have a row and no segment, the first look is noted, and stays."""
    bench = UpkeepBench()
    for name in ("orphan", "held"):
        await bench.object(key(name), 5)
    for name in ("held", "rowless"):
        bench.segment(key(name), 5, point=name)
    names = [key(name) for name in ("orphan", "held", "rowless", "unknown")]
    for now_ms in (10, 20):
        assert {*names[:3]} == await bench.upkeep.known_objects(names, now_ms=now_ms)
    assert {key("orphan"): 10, key("held"): None} == {
        row["object_key"]: row["orphaned_ms"]
        for row in bench.database.look("SELECT * FROM cache_metadata")
    }
    assert set() == await bench.upkeep.known_objects([], now_ms=10)


@pytest.mark.parametrize(
    ("place", "expected"),
    [pytest.param("here", "here", id="a place"), pytest.param(None, None, id="the beginning")],
)
async def test_a_step_goes_on_where_it_stopped(place: str | None, expected: str | None) -> None:
    """Each step has a place of its own, and none before it has run."""
    upkeep = UpkeepBench().upkeep
    assert None is await upkeep.place("walk")
    await upkeep.keep_place("walk", "earlier", now_ms=NOW_MS)
    await upkeep.keep_place("walk", place, now_ms=NOW_MS)
    assert (expected, None) == (await upkeep.place("walk"), await upkeep.place("other"))


async def test_totals_were_never_counted_before_the_first_time() -> None:
    """0 stands for never, so that the first run counts."""
    upkeep = UpkeepBench().upkeep
    assert 0 == await upkeep.counted_ms()
    await upkeep.recount(now_ms=NOW_MS)
    assert NOW_MS == await upkeep.counted_ms()
