"""Jobs over most of a site: all that its pages bring is kept, of all points."""

from __future__ import annotations

import pytest

from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from fakes.blocks import block_keys
from fakes.failures import Fault
from fakes.job_world import JobWorld
from fakes.meter import Meter
from fakes.virtual_time import EPOCH_MS, in_virtual_time

SITE = tuple(f"p{n}" for n in range(40))
ASKED, OTHERS = SITE[:30], SITE[30:]
PAST = Range(EPOCH_MS - 9 * DAY_MS, EPOCH_MS - 6 * DAY_MS)


def world_of_a_site(page_size: int = 20_000) -> JobWorld:
    """Return a world whose upstream has pages of the whole site alone."""
    world = JobWorld(page_size=page_size)
    world.upstream.site_points = SITE
    return world


async def check_hit(world: JobWorld, points: list[str], time_range: Range) -> None:
    """Ask an isolate that remembers nothing: the truth, and no request to the upstream."""
    world.service = world.make_app().timeseries
    before = world.upstream.requests
    got = await world.ask(points, time_range, route="cached")
    assert world.truth(points, time_range) == got.samples
    assert ("hit", before) == (got.report.status, world.upstream.requests)


@in_virtual_time
async def test_a_job_keeps_what_nobody_has_asked_for() -> None:
    """One row and one object for each part that was stored, and every chart is a hit."""
    async with world_of_a_site() as world:
        job = await world.run(await world.submit(ASKED, PAST))
        assert "completed" == job.status
        rows = world.database.look("SELECT points, samples, is_once, level FROM site_blocks")
        assert [(40, 40 * 864, 1, 2)] == [tuple(row.values()) for row in rows]
        assert [] == world.database.look("SELECT * FROM cache_segments")
        assert 30 * 864 == job.samples_count
        assert world.truth(ASKED, PAST) == await world.result(job.job_id)
        await check_hit(world, [OTHERS[3], ASKED[5]], PAST)
        await check_hit(world, list(OTHERS), Range(PAST.start_ms + HOUR_MS, PAST.end_ms - HOUR_MS))
        assert [] == world.reported


@in_virtual_time
async def test_a_job_over_a_site_writes_few_rows_however_many_points_it_has() -> None:
    """
    Of 30 points over three days what any number costs, and an object; by point it is more, as of
    all points of a small site.
    """
    counted: list[tuple[int, int]] = []
    for points, asked in ((SITE, ASKED), (SITE, ASKED[:20]), ((), ASKED), (ASKED, ASKED)):
        async with world_of_a_site() as world:
            world.upstream.site_points = points
            meter = Meter(world)
            job = await world.run(await world.submit(asked, PAST))
            assert "completed" == job.status
            _, written, puts, *_ = meter.read()
            counted.append((written, puts))
    most, half, by_point, small = counted
    assert most == half
    # The block, and the result.
    assert 2 == most[1]
    assert most[0] + 3 * len(ASKED) <= by_point[0]
    assert by_point == small


@in_virtual_time
async def test_what_is_known_of_a_point_without_samples_is_that_it_has_none() -> None:
    """A silent point is known; one that the site does not have is told to be unknown."""
    async with world_of_a_site() as world:
        world.upstream.silent = {OTHERS[0], ASKED[0]}
        world.upstream.strangers = {"stranger"}
        await world.run(await world.submit(ASKED, PAST))
        await check_hit(world, [OTHERS[0], ASKED[0]], PAST)
        world.upstream.forget_strangers()
        world.service = world.make_app().timeseries
        question = world.question([OTHERS[1], "stranger"], PAST, route="cached")
        answer = await world.service.fetch_timeseries(question)
        assert answer.report is not None
        covers = world.app.filler.cover(
            world.need([OTHERS[1], "stranger"], PAST),
            await world.app.filler.look_up(world.need([OTHERS[1], "stranger"], PAST)),
        )
        assert [False, True] == [each.is_unknown for each in covers]


@in_virtual_time
async def test_a_fetch_that_fails_keeps_what_all_points_have() -> None:
    """What is complete is known of every point, and the next attempt goes on there."""
    async with world_of_a_site(page_size=5_000) as world:
        failures = iter([3])
        left = next(failures)

        def failing(_asking: object, number: int) -> bool:
            nonlocal left
            if number == left:
                left = -1
                return True
            return False

        world.upstream.failing = failing
        job = await world.run(await world.submit(ASKED, PAST))
        assert "completed" == job.status
        first, second = world.database.look(
            "SELECT start_ms, end_ms FROM site_blocks ORDER BY start_ms"
        )
        assert [*PAST] == [first["start_ms"], second["end_ms"]]
        assert first["end_ms"] == second["start_ms"]
        # Three pages of it.
        assert 0.4 < (first["end_ms"] - PAST.start_ms) / PAST.duration_ms < 0.45
        assert world.truth(ASKED, PAST) == await world.result(job.job_id)
        await check_hit(world, list(OTHERS), PAST)
        asked = world.upstream.asked[-1]
        assert Range(first["end_ms"], PAST.end_ms) == asked.time_range


@pytest.mark.parametrize("operation", ["put", "batch"])
@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.ANSWER_LOST])
def test_what_could_not_be_stored_is_no_hole_that_passes_for_known(
    operation: str, fault: Fault
) -> None:
    """The attempt fails, and the next one fetches it: every point has the truth."""

    @in_virtual_time
    async def run() -> None:
        async with world_of_a_site(page_size=2_000) as world:
            job_id = await world.submit(ASKED, PAST)

            async def fail(_number: int) -> None:
                # When pages come: what they bring cannot be stored.
                world.upstream.during = None
                where = world.objects if operation == "put" else world.database
                where.failures.next(operation, fault=fault)

            world.upstream.during = fail
            job = await world.run(job_id, maintained=True)
            assert "completed" == job.status
            assert world.truth(ASKED, PAST) == await world.result(job.job_id)
            await check_hit(world, list(SITE), PAST)

    run()


@in_virtual_time
async def test_calls_by_point_make_no_blocks() -> None:
    """What an upstream gives of some points alone says nothing of the others."""
    async with JobWorld(page_size=20_000) as world:
        job = await world.run(await world.submit(ASKED, PAST))
        assert "completed" == job.status
        assert [] == block_keys(world)


@in_virtual_time
async def test_merging_lengthens_nobodys_trust() -> None:
    """Days that were fetched a day apart keep their own instants: each is asked for when due."""
    async with world_of_a_site() as world:
        days = 8
        for _ in range(days):
            now_ms = world.clock.now_ms()
            day = Range(now_ms - DAY_MS, now_ms - 5 * MINUTE_MS)
            assert "completed" == (await world.run(await world.submit(ASKED, day))).status
            await world.clock.sleep(DAY_MS)
        last_ms = world.clock.now_ms() - DAY_MS
        asked = Range(last_ms - days * DAY_MS, last_ms)
        need = world.need([*OTHERS[:1], *ASKED[:1]], asked)
        filler = world.make_app().filler
        before = [each.gaps for each in filler.cover(need, await filler.look_up(need))]
        assert before[0] == before[1] != []
        assert 1 == await world.app.merger.merge_due("site", 9)
        filler = world.make_app().filler
        after = [each.gaps for each in filler.cover(need, await filler.look_up(need))]
        assert before == after
