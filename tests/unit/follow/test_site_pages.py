"""All points of a site over a range, stored as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from building_vitals.errors import AppError, Unavailable, UpstreamError
from building_vitals.follow.site_pages import HELD_MS_MAX, SitePages, SiteReading
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.upstream.port import FetchCount, SampleSink
from fakes.follow_world import NAMES, FollowWorld
from fakes.history import Cost, PageSample, instant_text
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY = Range(EPOCH_MS - DAY_MS, EPOCH_MS)
SAMPLES = 8 * 288


class Reader:
    """Readings of a world's site, with what was told of them."""

    def __init__(self, world: FollowWorld, upstream: Any = None, held_max: int = 250_000) -> None:
        self.told: list[tuple[int, int]] = []
        self._pages = SitePages(
            upstream=upstream or world.upstream,
            keeper=world.kept,
            clock=world.clock,
            held_samples_max=held_max,
        )
        self._clock = world.clock

    async def read(self, **options: Any) -> SiteReading:
        """Read a day."""
        wishes = {"goes_on": lambda: True, "deadline_ms": self._clock.now_ms() + DAY_MS, **options}
        return await self._pages.read("site", DAY, on_kept=self._kept, **wishes)

    async def _kept(self, outcome: SiteReading) -> None:
        self.told.append((outcome.until_ms, outcome.samples))


@asynccontextmanager
async def reader(**options: Any) -> AsyncIterator[tuple[FollowWorld, Reader]]:
    """Give a reader of a world."""
    async with FollowWorld() as world:
        yield world, Reader(world, **options)


@in_virtual_time
async def test_a_day_is_one_block() -> None:
    """All that came is stored at the end, with when it was begun; points may be silent."""
    async with reader() as (world, reading):
        world.upstream.page_ms = 1_000
        world.upstream.silent = {NAMES[0]}
        outcome = await reading.read()
        newest = max(world.upstream.times(name, DAY)[-1] for name in NAMES[1:])
        samples = SAMPLES * 7 // 8
        pages = -(-samples // 100)
        assert SiteReading(DAY.end_ms, pages, samples, 0, newest) == outcome
        [block] = world.kept.blocks
        assert (DAY, EPOCH_MS, 7) == (block.known, block.fetched_ms, len(block.series))
        # It is told by the outcome.
        assert [] == reading.told


@in_virtual_time
async def test_what_is_held_is_bounded() -> None:
    """By samples, and by time: who dies loses little, and memory holds little."""
    async with reader(held_max=500) as (world, reading):
        outcome = await reading.read()
        sizes = [sum(each.series.count for each in block.series) for block in world.kept.blocks]
        assert (SAMPLES, SAMPLES) == (sum(sizes), outcome.samples)
        assert max(sizes) <= 600 and len(sizes) == len(reading.told) + 1 > 3
        assert [DAY] == world.kept.known
    async with reader() as (world, reading):
        world.upstream.page_ms = 10_000
        await reading.read()
        moments = [block.at_ms for block in world.kept.blocks]
        assert [EPOCH_MS + HELD_MS_MAX, EPOCH_MS + 230_000 + 10_000][:1] == moments[:1]
        assert 2 == len(moments)


@in_virtual_time
async def test_an_end_keeps_what_is_complete() -> None:
    """And is no failure."""
    async with reader() as (world, reading):
        outcome = await reading.read(goes_on=lambda: False)
        assert (1, None) == (outcome.pages, outcome.failure)
        assert DAY.start_ms < outcome.until_ms < DAY.end_ms
        assert [Range(DAY.start_ms, outcome.until_ms)] == world.kept.known


@in_virtual_time
async def test_a_failure_keeps_what_is_complete() -> None:
    """And is told, with all requests."""
    async with reader() as (world, reading):
        world.upstream.failing = lambda _, page: page == 3
        outcome = await reading.read()
        assert isinstance(outcome.failure, UpstreamError)
        assert 4 == outcome.pages
        assert [Range(DAY.start_ms, outcome.until_ms)] == world.kept.known
    async with reader() as (world, reading):
        world.upstream.failing = lambda *_: True
        outcome = await reading.read()
        assert (1, DAY.start_ms, []) == (outcome.pages, outcome.until_ms, world.kept.blocks)


@in_virtual_time
async def test_what_cannot_be_stored_is_no_failure_of_the_upstream() -> None:
    """It is raised, be it stored at the end or on the way."""
    for held_max in (500, 250_000):
        async with reader(held_max=held_max) as (world, reading):
            world.kept.failures.next("keep")
            with pytest.raises(Unavailable):
                await reading.read()
            assert ([], []) == (world.kept.blocks, reading.told)


class Scripted:
    """
    An upstream whose pages are given, each with an end of what is complete.

    Attributes:
        wanted: After each page, whether another one was.
    """

    def __init__(self, *pages: tuple[Sequence[PageSample], int]) -> None:
        self.wanted: list[bool] = []
        self._pages = pages

    async def fetch_site(
        self, _: str, __: Range, sink: SampleSink, *, on_page: Any, goes_on: Any, **___: Any
    ) -> FetchCount:
        """Give the pages."""
        cost = Cost()
        for samples, until_ms in self._pages:
            cost.requests += 1
            sink.add_page(samples)
            sink.advance(None, until_ms)
            await on_page(cost)
            self.wanted.append(goes_on())
            await asyncio.sleep(HELD_MS_MAX / 1000)
        return cost


def sample(name: str, after_ms: int, value: Any = "1") -> PageSample:
    """Return a sample of an instant of the day."""
    return PageSample(name, value, instant_text(DAY.start_ms + after_ms))


@in_virtual_time
async def test_nothing_ends_before_something_is_complete() -> None:
    """Else the next reading would ask for the same, and the one after that."""
    upstream = Scripted(
        ([sample("p", 1)], DAY.start_ms), ([], DAY.start_ms + 1), ([], DAY.start_ms + 2)
    )
    async with FollowWorld() as world:
        await Reader(world, upstream).read(goes_on=lambda: False)
        assert [True, False, False] == upstream.wanted


@in_virtual_time
async def test_samples_that_make_no_sense_are_counted() -> None:
    """Those without a name are nobody's; an unreadable time is left out of its point."""
    upstream = Scripted(
        (
            [sample("p", 1), PageSample("", "1", "x"), PageSample("p", "1", "soon")],
            DAY.end_ms,
        )
    )
    async with FollowWorld() as world:
        outcome = await Reader(world, upstream).read()
        assert (1, 1) == (outcome.samples, outcome.unreadable)
        assert {DAY.start_ms + 1: 1} == world.kept.samples("p")
        assert {} == world.kept.samples("")


@in_virtual_time
async def test_a_sample_of_a_time_that_is_stored_is_the_upstream_s_fault() -> None:
    """What was stored stays, and the failure is told: it is tried again."""
    upstream = Scripted(
        ([sample("p", 1)], DAY.start_ms + 10),
        ([sample("p", 20)], DAY.start_ms + 30),
        ([sample("q", 5)], DAY.start_ms + 40),
    )
    async with FollowWorld() as world:
        outcome = await Reader(world, upstream).read()
        assert isinstance(outcome.failure, AppError)
        assert "a time it had passed" in outcome.failure.detail
        assert DAY.start_ms + 30 == outcome.until_ms
        assert {DAY.start_ms + 1: 1, DAY.start_ms + 20: 1} == world.kept.samples("p")
