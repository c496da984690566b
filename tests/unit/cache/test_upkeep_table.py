"""What the clean-up finds in the cache's tables."""

from __future__ import annotations

import pytest

from fakes.upkeep import NOW_MS, UpkeepBench, key


async def test_objects_are_kept_for_any_of_three_reasons() -> None:
    """A segment lies in them, or they were made or read since an instant; unknown ones are not."""
    bench = UpkeepBench()
    for name, made_ms in (("old", 5), ("young", 10), ("held", 5), ("read", 5)):
        await bench.object(key(name), made_ms)
    bench.segment(key("held"), 5)
    bench.database.look(
        "UPDATE cache_metadata SET last_access_ms = 10 WHERE object_key = ?1", key("read")
    )
    names = [key(name) for name in ("old", "young", "held", "read", "unknown")]
    kept = await bench.upkeep.kept_objects(names, since_ms=10)
    assert {key("young"), key("held"), key("read")} == kept
    assert set() == await bench.upkeep.kept_objects([], since_ms=10)


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
