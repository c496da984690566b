"""Jobs over a site whose data lie in blocks: the upstream is asked for what was never read."""

from __future__ import annotations

from building_vitals.ranges import merge
from fakes.blocks import block_keys, keep_block
from fakes.job_world import SMALL, JobWorld
from fakes.virtual_time import in_virtual_time
from fakes.world import days

NAMES = [f"p{n}" for n in range(7)]


@in_virtual_time
async def test_a_job_of_what_blocks_know_asks_for_nothing() -> None:
    """All of it comes from the blocks, merged or not, and is exact."""
    async with JobWorld(jobs=SMALL) as world:
        for first in range(12, 4, -1):
            await keep_block(world, NAMES, days(first, first - 1))
        asked = world.upstream.requests
        truth = world.truth(NAMES, days(12, 4))
        for merges in (0, 1):
            assert merges == await world.app.merger.merge_due("site", merges)
            job_id = await world.submit(NAMES, days(12, 4), priority="high" if merges else "low")
            job = await world.run(job_id)
            assert ("completed", sum(map(len, truth.values()))) == (job.status, job.samples_count)
            assert truth == await world.result(job_id)
        assert asked == world.upstream.requests
        assert [] == world.reported


@in_virtual_time
async def test_a_job_asks_for_the_rest_alone() -> None:
    """Before, between and behind blocks; a block that is lost before the end is fetched again."""
    async with JobWorld(jobs=SMALL) as world:
        await keep_block(world, NAMES, days(12, 8))
        await keep_block(world, NAMES, days(7, 4))
        world.upstream.asked.clear()
        job_id = await world.submit(NAMES, days(13, 3))
        await world.run(job_id)
        assert [days(13, 12), days(8, 7), days(4, 3)] == merge(
            {each.time_range for each in world.upstream.asked}
        )
        assert world.truth(NAMES, days(13, 3)) == await world.result(job_id)
        world.objects.lose(block_keys(world)[0])
        again = await world.submit(NAMES, days(12.5, 3))
        assert "completed" == (await world.run(again)).status
        assert world.truth(NAMES, days(12.5, 3)) == await world.result(again)
