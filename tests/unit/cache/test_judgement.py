"""What is known of a need, by what is known of its site."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from building_vitals.cache.followed import Followed
from building_vitals.cache.judgement import Judgement
from building_vitals.cache.need import Need
from building_vitals.cache.refetch import Refetch
from building_vitals.errors import UpstreamError
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range
from fakes.history import History
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

DAY = Range(EPOCH_MS - DAY_MS, EPOCH_MS)
FOLLOWED = Followed(EPOCH_MS - 9 * DAY_MS, 300_000, (Range(0, EPOCH_MS),), EPOCH_MS)


class CheckedHistory(History):
    """
    An upstream that notes whose names are checked.

    Attributes:
        checked: Points, in order.
        is_down: Whether the list cannot be read.
    """

    checked: list[str]
    is_down = False

    async def check_points(self, site: str, points: Sequence[str]) -> None:  # type: ignore[override]
        """Note the points."""
        self.checked += points
        if self.is_down:
            raise UpstreamError("the list is down")
        await super().check_points(site, points)


def judgement(world: World, followed: Followed | None, told: list[bool]) -> Judgement:
    """Return a judgement of a site, followed or not."""

    async def know(_: str, has_blocks: bool) -> None:
        told.append(has_blocks)

    rule = msgspec.structs.replace(world.freshness, followed=followed)
    return Judgement(
        upstream=world.upstream,
        index=world.index,
        freshness_of=lambda _: rule,
        refetch=Refetch(0, followed=lambda _: followed),
        know_follows=know,
        invocation=world.invocation,
    )


@in_virtual_time
async def test_points_without_samples_are_looked_up_where_nothing_is_missing() -> None:
    """Of a followed site, blocks say that a point has nothing, be it that nobody knows it."""
    async with World(history=CheckedHistory) as world:
        upstream = world.upstream
        assert isinstance(upstream, CheckedHistory)
        upstream.checked = []
        await world.ask(["a"], DAY)
        await world.settle()
        upstream.checked = []
        need, told = world.need(["a", "b"], DAY), list[bool]()
        assert 1 == len(await judgement(world, FOLLOWED, told).look_up(need))
        assert (["b"], [False]) == (upstream.checked, told)
        await judgement(world, None, told).look_up(need)
        assert ["b"] == upstream.checked
        upstream.is_down = True
        await judgement(world, FOLLOWED, told).look_up(need)
        assert ["points"] == [where for where, _ in world.reported]


@in_virtual_time
async def test_what_rounds_hold_is_taken_from_pages() -> None:
    """Where calls by point give other samples: nothing else is read then."""
    async with World() as world:
        world.upstream.gives = "points"
        need = world.need(["a"], DAY)
        older = world.need(["a"], Range(EPOCH_MS - DAY_MS, EPOCH_MS + HOUR_MS))
        late = msgspec.structs.replace(older, now_ms=EPOCH_MS + HOUR_MS)
        sources = [
            judgement(world, followed, [])._source(each)
            for followed, each in (
                (FOLLOWED, need),
                (FOLLOWED, msgspec.structs.replace(need, source="points")),
                (FOLLOWED, late),
                (None, need),
            )
        ]
        assert ["pages", "points", "points", "points"] == sources
        world.upstream.gives = None
        assert None is judgement(world, FOLLOWED, [])._source(need)


@in_virtual_time
async def test_a_need_may_want_what_is_younger_than_a_round() -> None:
    """By default it is left to the next one."""
    async with World() as world:
        followed = Followed(0, 300_000, (Range(0, EPOCH_MS - HOUR_MS // 12),), EPOCH_MS - 300_000)
        need = world.need(["a"], Range(EPOCH_MS - 200_000, EPOCH_MS))
        fresh: Need = msgspec.structs.replace(need, is_fresh=True)
        judged = judgement(world, followed, [])
        gaps = [judged.cover(each, [])[0].gaps for each in (need, fresh)]
        assert [[], [need.time_range]] == gaps
