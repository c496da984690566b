"""Charts that reload faster than their points are collected."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.cache.coverage import Cover
from building_vitals.cache.followed import Followed
from building_vitals.cache.options import CacheOptions
from building_vitals.cache.refetch import Refetch, is_all_there_is, refetch_pause_ms
from building_vitals.cache.segments import Segment
from building_vitals.isolate import Isolate
from building_vitals.ranges import Range
from building_vitals.upstream.profile import Source
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import Got, World, read_body, read_json

MINUTE_MS = 60_000
NOW_MS = 100_000


def segment(
    start_ms: int = 0,
    end_ms: int = 98_000,
    fetched_ms: int = 98_000,
    point: str = "a",
    *,
    is_by_point: bool = False,
) -> Segment:
    """Return a segment."""
    place = ("key", "tag", 0, 1, 1, 1, 0, 0, 0)
    return Segment(point, start_ms, end_ms, fetched_ms, *place, is_by_point=is_by_point)


@pytest.mark.parametrize(
    ("interval_ms", "expected"), [(None, 5000), (300_000, 5000), (1000, 1000), (0, 0)]
)
def test_a_pause_is_the_shorter_of_interval_and_bound(
    interval_ms: int | None, expected: int
) -> None:
    """What can come sooner is asked for sooner, and nothing later than the bound says."""
    assert expected == refetch_pause_ms(interval_ms, 5000)
    assert 0 == refetch_pause_ms(interval_ms, 0)


@pytest.mark.parametrize(
    ("end_ms", "fetched_ms", "expected"),
    [
        (98_000, 98_000, True),
        (98_000, 98_999, True),
        # Not up to its present: what is newer was not asked for.
        (90_000, 99_000, True),
        (95_001, 95_001, True),
        (95_000, 95_000, False),
        # Of a clock that was set back, nothing is known of the future.
        (101_000, 101_000, False),
    ],
)
def test_what_was_fetched_a_moment_ago_is_all_there_is(
    end_ms: int, fetched_ms: int, *, expected: bool
) -> None:
    """Until the pause is over, up to wherever it was fetched."""
    found = segment(end_ms=end_ms, fetched_ms=fetched_ms)
    assert expected == is_all_there_is(found, NOW_MS, 5000)


def applied(
    cover: Cover, segments: list[Segment], source: Source | None = None, bound_ms: int = 5000
) -> Cover:
    """Return a cover of a minute without what is too young to be asked for."""
    rule = Refetch(bound_ms, lambda _: {"often": 1000})
    needed = Range(40_000, NOW_MS)
    [found] = rule.applied("site", [cover], segments, needed, now_ms=NOW_MS, source=source)
    return found


def test_the_gap_at_the_present_is_left_alone() -> None:
    """Whether freshness trusts the young segment to its end, or only a part of it, or nothing."""
    young, old = segment(50_000), segment(0, 60_000, 60_000)
    known = [(young, Range(50_000, 98_000))]
    before = Cover("a", known, [Range(40_000, 50_000), Range(98_000, NOW_MS)])
    assert Cover("a", known, [Range(40_000, 50_000)]) == applied(before, [young])
    known = [(old, Range(40_000, 55_000))]
    cover = Cover("a", known, [Range(55_000, NOW_MS)])
    filled = [*known, (young, Range(55_000, 98_000))]
    assert Cover("a", filled, []) == applied(cover, [young, old])


def test_what_is_asked_for_anyway_is_asked_for_whole() -> None:
    """A part of the past tells nothing of what followed: one request then brings all of the gap."""
    young = segment(0, 70_000, 99_000)
    cover = Cover("a", [(young, Range(40_000, 60_000))], [Range(60_000, NOW_MS)])
    assert cover == applied(cover, [young])


def test_of_two_the_one_fetched_last_counts() -> None:
    """However they come from the index."""
    older, newer = segment(40_000, 97_000, 97_000), segment(45_000, 98_000, 98_000)
    cover = Cover("a", [(older, Range(40_000, 50_000))], [Range(50_000, NOW_MS)])
    for segments in ([older, newer], [newer, older]):
        assert (newer, Range(50_000, 98_000)) == applied(cover, segments).known[-1]


@pytest.mark.parametrize(
    ("cover", "found", "source"),
    [
        pytest.param(Cover("a", [], [Range(40_000, 60_000)]), segment(60_000), None, id="not last"),
        pytest.param(Cover("a", [], [Range(40_000, NOW_MS)]), segment(41_000), None, id="earlier"),
        pytest.param(Cover("a", [], [Range(99_000, NOW_MS)]), segment(), None, id="a hole"),
        pytest.param(Cover("b", [], [Range(98_000, NOW_MS)]), segment(), None, id="another point"),
        pytest.param(Cover("a", [], [Range(98_000, NOW_MS)]), segment(), "points", id="a kind"),
        pytest.param(Cover("a", [], [Range(98_000, NOW_MS)]), segment(), "either", id="a result"),
        pytest.param(
            Cover("often", [], [Range(98_000, NOW_MS)]), segment(point="often"), None, id="often"
        ),
        pytest.param(Cover("a", [], []), segment(), None, id="no gap"),
    ],
)
def test_other_gaps_stay(cover: Cover, found: Segment, source: Source | None) -> None:
    """Those that reach further back, lie elsewhere, or may have something by now."""
    assert cover == applied(cover, [found], source)


def test_without_a_bound_every_gap_stays() -> None:
    """`MIN_REFETCH=0`, and jobs."""
    cover = Cover("a", [], [Range(98_000, NOW_MS)])
    assert cover == applied(cover, [segment()], bound_ms=0)
    assert [cover] == Refetch().applied(
        "site", [cover], [segment()], Range(40_000, NOW_MS), now_ms=NOW_MS, source=None
    )


class Wall:
    """
    A chart of the last minute on a wall.

    Attributes:
        isolate: That it asks.
    """

    def __init__(self, world: World) -> None:
        self.isolate = Isolate()
        self._world = world

    async def reload(self) -> Got:
        """Return the chart as it is now."""
        now_ms = self._world.clock.now_ms()
        question = self._world.question(["a"], Range(now_ms - MINUTE_MS, now_ms))
        service = self._world.make_app(self.isolate).timeseries
        answer = await service.fetch_timeseries(question)
        got = read_json(answer, await read_body(answer), is_gzip=question.gzip)
        await self._world.settle()
        return got


@pytest.mark.parametrize(
    ("bound_s", "interval_ms", "expected_s"), [(5, None, 5), (0, None, 1), (10, 3000, 3)]
)
def test_a_wall_asks_as_often_as_something_can_have_come(
    bound_s: int, interval_ms: int | None, expected_s: int
) -> None:
    """Reloaded each second, a chart asks every few; what it shows is never older than that."""

    @in_virtual_time
    async def asked() -> None:
        options = CacheOptions(min_refetch=bound_s)
        async with World(cache=options, interval_ms=700) as world:
            wall, shown_ms = Wall(world), EPOCH_MS - 1000
            if interval_ms is not None:
                wall.isolate.point_names.put("site", ["a"], EPOCH_MS, {"a": interval_ms})
            for _ in range(21):
                got = (await wall.reload()).samples["a"]
                newest_ms = got[-1][0]
                assert newest_ms >= max(shown_ms, world.clock.now_ms() - 1000 * expected_s - 700)
                assert world.truth(["a"], Range(got[0][0], newest_ms + 1))["a"] == got
                shown_ms = newest_ms
                await asyncio.sleep(1)
            times = [each.at_ms for each in world.upstream.asked]
            assert [EPOCH_MS + 1000 * n for n in range(0, 21, expected_s)] == times

    asked()


@in_virtual_time
async def test_a_range_with_a_fixed_end_is_asked_for_again_when_it_may_have_changed() -> None:
    """What the isolate remembers of an answer does not outlive the pause by much."""
    async with World(interval_ms=700) as world:
        isolate, time_range = Isolate(), Range(EPOCH_MS - MINUTE_MS, EPOCH_MS + 8000)
        times = []
        for _ in range(60):
            await asyncio.sleep(0.2)
            question = world.question(["a"], time_range)
            answer = await world.make_app(isolate).timeseries.fetch_timeseries(question)
            await world.settle()
            times.append(answer.report.status)
        assert 12_000 == world.clock.now_ms() - EPOCH_MS
        assert [0.2, 5.2, 10.2] == [
            round((each.at_ms - EPOCH_MS) / 1000, 1) for each in world.upstream.asked
        ]


def test_what_is_younger_than_a_round_is_left_to_the_next() -> None:
    """Unless it is wanted now; of a site that nobody follows, it is asked for."""
    followed = Followed(0, 300_000, (Range(0, 90_000),), 90_000)
    rule = Refetch(0, followed=lambda site: followed if site == "site" else None)
    covers = [Cover("a", [], [Range(40_000, 50_000), Range(80_000, NOW_MS)])]
    needed = Range(40_000, NOW_MS)

    def gaps(site: str, *, is_fresh: bool = False) -> list[Range]:
        [found] = rule.applied(
            site, covers, [], needed, now_ms=NOW_MS, source=None, is_fresh=is_fresh
        )
        return found.gaps

    assert [Range(40_000, 50_000), Range(80_000, 90_000)] == gaps("site")
    assert covers[0].gaps == gaps("site", is_fresh=True) == gaps("other")
