"""Few samples and rows of points that lie in blocks: from levels, to the last digit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from building_vitals.blocks.merging import MERGED_MIN
from building_vitals.cache.lease import FETCH_MS_MAX
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from fakes.blocks import block_keys, keep_block
from fakes.brute_levels import finest
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, read_body

POINTS = ["a", "b"]
PART_MS = 16 * HOUR_MS
FIRST_MS = EPOCH_MS - 60 * DAY_MS


async def keep_archive(world: World) -> Range:
    """Store 40 days as one block, then five days, 16 hours, an hour and some rounds."""
    at_ms = FIRST_MS
    for count, length_ms in ((MERGED_MIN**2 + MERGED_MIN, PART_MS), (1, PART_MS)):
        for _ in range(count):
            await keep_block(world, POINTS, Range(at_ms, at_ms + length_ms))
            await world.clock.sleep(1000)
            at_ms += length_ms
    for length_ms in (HOUR_MS, 7 * MINUTE_MS, 5 * MINUTE_MS, 11 * MINUTE_MS):
        await keep_block(world, POINTS, Range(at_ms, at_ms + length_ms))
        await world.clock.sleep(1000)
        at_ms += length_ms
    assert MERGED_MIN + 2 == await world.app.merger.merge_due("site", 99)
    assert 7 == len(block_keys(world))
    return Range(FIRST_MS, at_ms)


def stored_bytes(world: World) -> int:
    """Return the bytes of all blocks that are read."""
    [row] = world.database.look(
        "SELECT sum(stored_bytes) AS size FROM site_blocks WHERE gone_ms IS NULL"
    )
    return int(row["size"])


async def asked(world: World, time_range: Range, **options: Any) -> dict[str, Any]:
    """Return what an isolate answers that remembers nothing, by point."""
    world.app = world.make_app()
    question = world.question(POINTS, time_range, gzip=False, **options)
    answer = await world.app.timeseries.fetch_timeseries(question)
    found = json.loads(await read_body(answer))
    assert "hit" == found["_meta"]["cache"]["status"]
    return dict(found["data"])


@pytest.mark.parametrize("max_points", [120, 300, 1_000])
@pytest.mark.parametrize("cut_ms", [0, 3 * DAY_MS + 7 * MINUTE_MS])
def test_few_samples_of_blocks_are_what_all_would_give(max_points: int, cut_ms: int) -> None:
    """From 40 days, 5 days, 16 hours and what is younger, whole and cut, by few bytes read."""

    @in_virtual_time
    async def run() -> None:
        async with World(interval_ms=5 * MINUTE_MS) as world:
            known = await keep_archive(world)
            time_range = Range(known.start_ms + cut_ms, known.end_ms - 2 * MINUTE_MS)
            requests, before = world.upstream.requests, world.objects.bytes_read
            found = await asked(world, time_range, max_points=max_points)
            read = world.objects.bytes_read - before
            for point, samples in world.truth(POINTS, time_range).items():
                plain = [(at, json.dumps(value)) for at, value in samples]
                expected = finest(plain, max_points)
                assert expected is not None
                got = [(at, json.dumps(value)) for at, value in found[point]["samples"]]
                assert expected[1] == got
                assert expected[0] == found[point]["level"]
            assert requests == world.upstream.requests
            # Beside the level: what is younger than 5 days, and directories.
            assert read < 0.4 * stored_bytes(world)

    run()


@in_virtual_time
async def test_rows_of_days_of_blocks_come_from_sums_of_hours() -> None:
    """Means, counts and sums of days are those of all samples, which hardly any are read of."""
    async with World(interval_ms=5 * MINUTE_MS) as world:
        known = await keep_archive(world)
        time_range = Range(known.start_ms + 5 * DAY_MS, known.end_ms)
        before = world.objects.bytes_read
        rows = await asked(world, time_range, interval="1d", aggregate="count,sum")
        read = world.objects.bytes_read - before
        truth = world.truth(POINTS, time_range)
        for point in POINTS:
            for begin_ms, count, total in rows[point]["samples"]:
                numbers = [
                    value
                    for at, value in truth[point]
                    if begin_ms <= at < begin_ms + DAY_MS and type(value) in (int, float)
                ]
                assert len(numbers) == count
                assert total == pytest.approx(sum(numbers))
        assert read < 0.4 * stored_bytes(world)


@in_virtual_time
async def test_levels_of_blocks_are_carried_into_what_is_copied_out_of_them() -> None:
    """A chart of many blocks is copied with their levels, joined; the next one is the same."""
    async with World(interval_ms=5 * MINUTE_MS) as world:
        known = await keep_archive(world)
        for _ in range(4):
            # Nearby rounds: so many places that a copy is worth it.
            await world.clock.sleep(1000)
            end_ms = known.end_ms + 3 * MINUTE_MS
            await keep_block(world, POINTS, Range(known.end_ms, end_ms))
            known = Range(known.start_ms, end_ms)
        # What is younger stays apart.
        await world.clock.sleep(FETCH_MS_MAX)
        first = await asked(world, known, max_points=300)
        await world.settle()
        copied = world.database.look("SELECT point, levels FROM cache_segments ORDER BY point")
        assert POINTS == [row["point"] for row in copied]
        assert all(row["levels"] for row in copied)
        assert first == await asked(world, known, max_points=300)
        assert [] == world.reported
