"""Rows from stored sums of hours: the same as those of all samples."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.answers import rolling
from building_vitals.cache.need import ROLLUPS_ALONE
from building_vitals.ranges import Range
from building_vitals.series.rollups import Rollup
from fakes.virtual_time import in_virtual_time
from fakes.world import World, days
from unit.answers.test_buckets import rows_of

PAST = days(16, 2)
POINTS = ("b", "a, x", "=c")
NAMES = "mean,count,sum"


class Counted(Rollup):
    """Counts what is read."""

    read = 0

    def __init__(self, text: bytes) -> None:
        Counted.read += 1
        super().__init__(text)


async def compare(
    world: World, time_range: Range, wishes: dict[str, Any], **options: Any
) -> tuple[int, Any]:
    """See that rows are those of samples; return how many frames were read, and the report."""
    _, expected, _ = await rows_of(
        world, POINTS, time_range, wishes={**wishes, "aggregate": f"{NAMES},first"}
    )
    Counted.read = 0
    answer, rows, _ = await rows_of(
        world, POINTS, time_range, wishes={**wishes, "aggregate": NAMES}, **options
    )
    assert {point: [row[:-1] for row in of_point] for point, of_point in expected.items()} == rows
    assert any(rows.values())
    return Counted.read, answer.report


async def keep(world: World, time_range: Range) -> None:
    """Have samples stored, and their rollups made behind an answer that wants them."""
    await rows_of(world, POINTS, time_range, wishes={"interval": "1d", "aggregate": NAMES})
    await world.settle()


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "Rollup", Counted)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("interval", ["1h", "1d", "1w"])
def test_rows_are_those_of_samples(zone: str, interval: str) -> None:
    """To the last digit, of whole hours and of cut ones, and all of it is known."""

    @in_virtual_time
    async def compared() -> None:
        async with World() as world:
            await keep(world, PAST)
            for time_range in (PAST, days(15.51, 3.77)):
                wishes = {"interval": interval, "tz": zone}
                read, report = await compare(world, time_range, wishes)
                if zone != "Asia/Kolkata":
                    assert read > 0
                elif interval != "1w":
                    # Of so few days, half of the samples lie in frames that a bound cuts.
                    assert 0 == read
                assert report.is_hit
                assert report.samples_from_cache > 0
                assert 0 == report.samples_fetched

    compared()


@in_virtual_time
async def test_segments_that_meet_in_an_hour_are_one_row() -> None:
    """Each has its part of it; what had to be fetched is counted as such."""
    async with World() as world:
        await keep(world, days(16, 9.013))
        await keep(world, days(9.013, 4.004))
        wishes = {"interval": "1d", "aggregate": NAMES}
        answer, rows, _ = await rows_of(world, POINTS, PAST, wishes=wishes)
        assert Counted.read >= 2
        assert "partial" == answer.report.status
        assert answer.report.samples_fetched > 0
        assert answer.report.samples_from_cache > 0
        await world.settle()
        again, same, _ = await rows_of(world, POINTS, PAST, wishes=wishes)
        assert (rows, 0) == (same, again.report.samples_fetched)
        await compare(world, PAST, {"interval": "1d"})


@in_virtual_time
async def test_one_read_of_an_object() -> None:
    """Rollups lie together, and whole hours need nothing else."""
    async with World() as world:
        await keep(world, PAST)
        world.objects.failures.calls.clear()
        wishes = {"interval": "6h", "aggregate": NAMES}
        await rows_of(world, POINTS, PAST, wishes=wishes)
        assert 1 == world.objects.failures.calls["get"]


@in_virtual_time
async def test_what_was_purged_does_not_show() -> None:
    """What is left of hours comes from samples; the rest is fetched anew."""
    async with World() as world:
        await keep(world, PAST)
        await world.index.purge("site", None, days(9.01, 8.02), now_ms=world.clock.now_ms())
        read, _ = await compare(world, days(16, 9.01), {"interval": "1d"})
        assert read > 0
        await world.settle()
        await compare(world, PAST, {"interval": "1d"})


@in_virtual_time
async def test_a_spoilt_rollup_is_fetched_again() -> None:
    """As samples are."""
    async with World() as world:
        await keep(world, PAST)
        segments = await world.index.find("site", POINTS, PAST, level_samples=ROLLUPS_ALONE)
        key = segments[0].key
        [rollup] = segments[0].levels or ()
        spoilt = bytearray(world.objects.contents[key])
        spoilt[rollup.offset + rollup.stored_bytes // 2] ^= 0xFF
        world.objects.contents[key] = bytes(spoilt)
        wishes = {"interval": "1d", "aggregate": NAMES}
        answer, _, _ = await rows_of(world, POINTS, PAST, wishes=wishes)
        assert 0 == answer.report.samples_from_cache
        assert ["lost objects"] == [where for where, _ in world.reported]
        await world.settle()
        await compare(world, PAST, {"interval": "1d"})


@in_virtual_time
async def test_cuts_at_full_hours_need_no_directories() -> None:
    """One statement finds all that rows of hours are made of, and no frame of samples with it."""
    async with World() as world:
        await keep(world, PAST)
        wishes = {"interval": "1d", "tz": "Europe/Berlin"}
        cut = days(15.5, 3.75)
        known = world.app.freshness_of("site"), world.clock.now_ms()
        found = await world.index.find("site", POINTS, cut, known, ROLLUPS_ALONE)
        assert {None} == {each.frames for each in found}
        read, report = await compare(world, cut, wishes)
        assert read > 0
        assert report.is_hit


@in_virtual_time
async def test_directories_come_where_rollups_are_not_enough() -> None:
    """A newer copy that cuts one within an hour has them looked up again."""
    async with World() as world:
        await keep(world, PAST)
        await world.index.purge("site", None, days(9.01, 4), now_ms=world.clock.now_ms())
        await world.ask(POINTS, days(9.01, 4))
        await world.settle()
        for time_range in (days(12, 3), days(9.25, 4.5), PAST):
            await compare(world, time_range, {"interval": "1d"})
            await world.settle()
