"""Blocks of a world: what following a site would store."""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.cache.freshness import closings
from building_vitals.ranges import Range
from building_vitals.series.folding import Folder, PointSeries
from fakes.world import World


async def series_of(world: World, points: Sequence[str], time_range: Range) -> list[PointSeries]:
    """Return what the upstream of a world says of a site over a range, as following has it."""
    folder = Folder(points, time_range, closings(time_range, world.clock.now_ms()))
    await world.upstream.fetch_samples("site", points, time_range, folder)
    return folder.finish()


async def keep_block(
    world: World, points: Sequence[str], time_range: Range, *, is_once: bool = False
) -> None:
    """Fetch a range of all points of a site, and store it as a block, as a job *is_once*."""
    fetched_ms = world.clock.now_ms()
    series = await series_of(world, points, time_range)
    await world.app.blocks.keep("site", time_range, series, fetched_ms=fetched_ms, is_once=is_once)


def block_keys(world: World) -> list[str]:
    """Return the keys of the blocks that are read, by their ends."""
    return [
        str(row["object_key"])
        for row in world.database.look(
            "SELECT object_key FROM site_blocks WHERE gone_ms IS NULL ORDER BY end_ms, start_ms"
        )
    ]
