"""Two kinds of samples: those of calls by point and those of pages, never mixed for one point."""

from __future__ import annotations

from typing import Literal

import pytest

from building_vitals.cache.coverage import gaps_of
from building_vitals.cache.need import Filling
from building_vitals.ranges import Range
from building_vitals.upstream.profile import Source
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

HOUR_MS = 3_600_000
START_MS = EPOCH_MS - 240 * HOUR_MS


def hours(first: int, last: int) -> Range:
    """Return a part of the past, in hours from its beginning."""
    return Range(START_MS + first * HOUR_MS, START_MS + last * HOUR_MS)


async def fill(world: World, source: Source | None, points: list[str], part: Range) -> Filling:
    """Have something filled from a source, and stored."""
    world.upstream.gives = source
    need = world.need(points, part)
    filling = await world.filler.fill(need, await world.filler.look_up(need))
    await world.settle()
    return filling


def kinds(filling: Filling) -> dict[str, set[bool]]:
    """Return of each point whether its samples came of calls by point; both where mixed."""
    return {
        each.point: {segment.is_by_point for segment, _ in each.known} for each in filling.covers
    }


@pytest.mark.parametrize(
    ("source", "resolution"), [(None, None), ("points", "5min"), ("pages", "raw")]
)
@in_virtual_time
async def test_resolution_is_that_of_the_samples(
    source: Source | None, resolution: Literal["5min", "raw"] | None
) -> None:
    """None where the upstream gives the same either way; the same fetched and found, and direct."""
    async with World() as world:
        fetched = await fill(world, source, ["a", "b"], hours(0, 24))
        known = await fill(world, source, ["a", "b"], hours(0, 24))
        direct = await world.filler.fetch_directly(world.need(["a"], hours(0, 24)))

        assert (resolution, resolution) == (fetched.resolution, known.resolution)
        assert resolution == direct.resolution
        assert [] == known.fetched
        answer = await world.ask(["a"], hours(0, 24))
        assert resolution == answer.meta.get("resolution")


@in_virtual_time
async def test_raw_samples_are_taken_where_they_are_all_known() -> None:
    """They are the better ones: a chart that would go by point needs no fetch then."""
    async with World() as world:
        await fill(world, "pages", ["a"], hours(0, 24))
        filling = await fill(world, "points", ["a"], hours(6, 12))

        assert ([], "raw", {"a": {False}}) == (
            filling.fetched,
            filling.resolution,
            kinds(filling),
        )


@pytest.mark.parametrize(("first", "then"), [("pages", "points"), ("points", "pages")])
@in_virtual_time
async def test_one_point_never_has_both_kinds(first: Source, then: Source) -> None:
    """What is known of the other kind is no part of the answer: all is fetched from one source."""
    async with World() as world:
        await fill(world, first, ["a"], hours(0, 12))
        filling = await fill(world, then, ["a", "b"], hours(0, 24))

        is_by_point = then == "points"
        assert {"a": {is_by_point}, "b": {is_by_point}} == kinds(filling)
        assert [hours(0, 24)] == filling.fetched
        again = await fill(world, then, ["a", "b"], hours(0, 24))
        assert ([], kinds(filling)) == (again.fetched, kinds(again))
        assert (
            world.truth(["a", "b"], hours(0, 24))
            == (await world.ask(["a", "b"], hours(0, 24))).samples
        )


@in_virtual_time
async def test_a_finding_in_the_middle_of_a_fetch_leaves_nothing_out() -> None:
    """Where samples turn out to differ meanwhile, what was known of the wrong kind is fetched."""
    async with World() as world:
        await fill(world, "points", ["a"], hours(0, 12))

        async def find_out(_: int) -> None:
            world.upstream.gives = "pages"

        world.upstream.during = find_out
        filling = await fill(world, None, ["a", "b"], hours(0, 12))
        assert {} == gaps_of(filling.covers)
        assert {"a": {False}, "b": {False}} == kinds(filling)
        assert [("a",), ("b",), ("a",)] == [each.points for each in world.upstream.asked]


@in_virtual_time
async def test_points_of_one_answer_may_differ() -> None:
    """Raw samples of one that is known so, 5-minute values of the other: the answer says so."""
    async with World() as world:
        await fill(world, "pages", ["a"], hours(0, 24))
        filling = await fill(world, "points", ["a", "b"], hours(0, 24))

        assert {"a": {False}, "b": {True}} == kinds(filling)
        assert "5min" == filling.resolution
        assert [("a",), ("b",)] == [each.points for each in world.upstream.asked]


@in_virtual_time
async def test_results_take_either_kind() -> None:
    """What a job has stored is its result, whatever a chart would be filled from today."""
    async with JobWorld() as world:
        world.upstream.gives = "points"
        job = await world.run(await world.submit(["a"], hours(0, 24)))
        world.upstream.gives = "pages"
        need = world.need(["a"], hours(0, 24))
        segments = await world.filler.look_up(need)
        assert {} != gaps_of(world.filler.cover(need, segments))
        assert {} == gaps_of(world.filler.cover(need, segments, is_result=True))
        assert world.truth(["a"], hours(0, 24)) == await world.result(job.job_id)


@in_virtual_time
async def test_direct_answer_has_strangers_and_no_segments() -> None:
    """Everything is fetched but strangers, which are told; nothing is stored."""
    async with World() as world:
        world.upstream.strangers, world.upstream.gives = {"x"}, "points"
        filling = await world.filler.fetch_directly(world.need(["a", "x"], hours(0, 24)))
        await world.settle()

        assert [False, True] == [each.is_unknown for each in filling.covers]
        assert {"a": {True}, "x": set()} == kinds(filling)
        assert (288, "5min") == (filling.samples_fetched, filling.resolution)
        assert [("a",)] == [each.points for each in world.upstream.asked]
        assert [] == world.database.look("SELECT * FROM cache_segments")
