"""Plans of fetches carried out: some side by side, and none begun after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.fetcher import (
    FETCHES_MAX,
    HELD_MS_MAX,
    HELD_SAMPLES_MAX,
    SITE_ROWS_MAX,
    FetchOutcome,
    GapFetcher,
)
from building_vitals.cache.need import Need, Progress
from building_vitals.errors import Unavailable, UpstreamError
from building_vitals.instants import format_instant
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.folding import PointSeries
from building_vitals.upstream.port import FetchCount
from fakes.history import Cost, History, PageSample
from fakes.kept_site import KeptSite
from fakes.virtual_time import EPOCH_MS, LoopClock, in_virtual_time

HOUR_MS = 3_600_000
HOUR = Range(EPOCH_MS - HOUR_MS, EPOCH_MS)
NEED = Need("site", ("p0",), HOUR, now_ms=EPOCH_MS, deadline_ms=EPOCH_MS + 30_000)


PATIENT = msgspec.structs.replace(NEED, deadline_ms=EPOCH_MS + 10 * HOUR_MS)
# Twelve points with a sample each five minutes: 1,200 samples.
TEN_PAGES = UpstreamQuery(
    tuple(f"p{n}" for n in range(12)), Range(EPOCH_MS - 500 * 60_000, EPOCH_MS)
)


def fetcher_of(upstream: Any) -> GapFetcher:
    """Return a fetcher of an upstream."""
    return GapFetcher(upstream, LoopClock())


def queries(count: int) -> list[UpstreamQuery]:
    """Return queries for an hour of a point each."""
    return [UpstreamQuery((f"p{n}",), HOUR) for n in range(count)]


@in_virtual_time
async def test_some_fetches_run_side_by_side() -> None:
    """Four at once, so nine of a second each take three; all of them are counted."""
    upstream = History(LoopClock())
    upstream.page_ms = 1000
    fetched = await fetcher_of(upstream).fetch(NEED, queries(9), EPOCH_MS)
    begun = [each.at_ms - EPOCH_MS for each in upstream.asked]
    assert [0] * FETCHES_MAX + [1000] * FETCHES_MAX + [2000] == begun
    assert (9, None, EPOCH_MS) == (fetched.requests, fetched.failure, fetched.fetched_ms)
    assert 9 * 12 == fetched.samples
    assert {f"p{n}" for n in range(9)} == {each.point for each in fetched.point_series}


@in_virtual_time
async def test_after_a_failure_no_fetch_is_begun() -> None:
    """Those under way end by themselves, what they bring is kept, the first failure is told."""
    upstream = History(LoopClock())
    upstream.page_ms = 1000
    upstream.failing = lambda asking, _: asking.points[0] in ("p1", "p2")
    fetched = await fetcher_of(upstream).fetch(NEED, queries(9), EPOCH_MS)
    asked = sorted(each.points[0] for each in upstream.asked)
    assert ["p0", "p1", "p2", "p3"] == asked
    assert "upstream answered 503" == str(fetched.failure)
    assert {"p0", "p3"} == {each.point for each in fetched.point_series}
    assert 4 == fetched.requests


@in_virtual_time
async def test_samples_that_cannot_be_read_are_counted() -> None:
    """Over all fetches; what came with them is there."""
    upstream = History(LoopClock())
    upstream.untimed = {"p0", "p2"}
    fetched = await fetcher_of(upstream).fetch(NEED, queries(3), EPOCH_MS)
    assert (2, 3 * 12) == (fetched.unreadable, fetched.samples)


@in_virtual_time
async def test_strangers_are_dropped_by_the_word_of_the_fetch() -> None:
    """Not even as known to be empty, also where the isolate has forgotten the site's points."""

    class Forgetful(History):
        def unknown_points(
            self, site: str, points: Collection[str], since_ms: int
        ) -> frozenset[str]:
            return frozenset()

    upstream = Forgetful(LoopClock())
    upstream.strangers = {"p1"}
    fetched = await fetcher_of(upstream).fetch(NEED, queries(3), EPOCH_MS)

    assert {"p0", "p2"} == {each.point for each in fetched.point_series}


@in_virtual_time
async def test_other_exceptions_pass() -> None:
    """A fault of ours is not taken for one of the upstream."""

    class Broken:
        async def fetch_samples(self, *_: Any, **__: Any) -> Any:
            raise LookupError("ours")

    with pytest.raises(LookupError):
        await fetcher_of(Broken()).fetch(NEED, queries(1), EPOCH_MS)


@in_virtual_time
async def test_the_need_goes_along() -> None:
    """Site and deadline reach the upstream as they are."""
    heard: list[dict[str, Any]] = []

    class Ear:
        async def fetch_samples(self, site: str, *_: Any, **options: Any) -> Any:
            heard.append({"site": site, "deadline_ms": options["deadline_ms"]})
            raise UpstreamError("enough")

    await fetcher_of(Ear()).fetch(NEED, queries(1), EPOCH_MS)
    assert [{"site": "site", "deadline_ms": NEED.deadline_ms}] == heard


def left_of(query: UpstreamQuery, outcome: FetchOutcome) -> dict[str, list[Range]]:
    """Return what an outcome leaves of a query."""
    known: dict[str, list[Range]] = {point: [] for point in query.points}
    for each in outcome.point_series:
        known[each.point].append(each.known)
    return {point: gaps(merge(ranges), query.time_range) for point, ranges in known.items()}


@in_virtual_time
async def test_what_came_before_a_failure_is_kept() -> None:
    """
    Of ten pages the ninth fails: eight are kept, with all requests that were told of, and what is
    left is the rest alone.
    """
    upstream = History(LoopClock(), page_size=120)
    upstream.failing = lambda _, page: page == 8
    fetched = await fetcher_of(upstream).fetch(NEED, [TEN_PAGES], EPOCH_MS)
    assert "upstream answered 503" == str(fetched.failure)
    assert (8 * 120, 9) == (fetched.samples, fetched.requests)
    [until_ms] = {ranges[0].start_ms for ranges in left_of(TEN_PAGES, fetched).values()}
    assert {point: [Range(until_ms, EPOCH_MS)] for point in TEN_PAGES.points} == left_of(
        TEN_PAGES, fetched
    )
    assert [Range(TEN_PAGES.time_range.start_ms, until_ms)] == fetched.fetched
    upstream.failing = lambda *_: False
    rest = UpstreamQuery(TEN_PAGES.points, Range(until_ms, EPOCH_MS))
    again = await fetcher_of(upstream).fetch(NEED, [rest], EPOCH_MS)
    assert (2 * 120, 2, None) == (again.samples, again.requests, again.failure)


@in_virtual_time
async def test_progress_is_by_time_also_on_pages_of_the_whole_site() -> None:
    """However much else the pages bring, a share is that of the time that has come."""
    upstream = History(LoopClock(), page_size=120)
    upstream.site_points = tuple(f"p{n}" for n in range(120))
    heard: list[Progress] = []

    async def on_progress(progress: Progress) -> None:
        heard.append(progress)

    fetches = [TEN_PAGES, UpstreamQuery(("q",), TEN_PAGES.time_range)]
    fetched = await fetcher_of(upstream).fetch(NEED, fetches, EPOCH_MS, on_progress=on_progress)
    # 120 points have 12,000 samples on 100 pages, those with the other one 12,100 on 101.
    assert 201 == len(heard) == fetched.requests == heard[-1].requests
    assert sorted(each.share for each in heard) == [each.share for each in heard]
    assert all(abs(each.share - (n + 1) / 201) < 0.02 for n, each in enumerate(heard))
    assert 1.0 == heard[-1].share
    assert {0.0} == {each.stored_share for each in heard}
    assert 1300 == fetched.samples


class Watched(History):
    """
    An upstream that notes how many samples its sink holds after each page.

    Attributes:
        held: After each page.
    """

    def __init__(self) -> None:
        super().__init__(LoopClock(), page_size=300, interval_ms=1000)
        self.held: list[int] = []

    async def fetch_samples(
        self, site: str, points: Sequence[str], time_range: Range, sink: Any, **options: Any
    ) -> FetchCount:
        """Fetch, and note."""
        add_page = sink.add_page

        def added(page: Any) -> None:
            add_page(page)
            self.held.append(sink._folder.held)

        sink.add_page = added
        return await super().fetch_samples(site, points, time_range, sink, **options)


@in_virtual_time
async def test_memory_is_bounded_by_what_is_seen() -> None:
    """What came is stored when it is enough, so that a page more is the most ever held."""
    assert 250_000 == HELD_SAMPLES_MAX
    upstream = Watched()
    fetcher = GapFetcher(upstream, LoopClock(), held_samples_max=2500)
    stored: list[list[PointSeries]] = []

    async def store(point_series: list[PointSeries]) -> None:
        stored.append(point_series)

    query = UpstreamQuery(("a", "b"), Range(EPOCH_MS - 4_500_000, EPOCH_MS))
    fetched = await fetcher.fetch(NEED, [query], EPOCH_MS, store=store)
    assert 2500 <= max(upstream.held) < 2500 + 300
    assert 3 == len(stored)
    assert 9000 == fetched.samples
    parts = [each for series in [*stored, fetched.point_series] for each in series]
    assert 9000 == sum(each.series.count for each in parts)
    for point in query.points:
        known = [each.known for each in parts if each.point == point]
        assert all(one.end_ms == other.start_ms for one, other in pairwise(known))
        assert [query.time_range] == merge(known)


@in_virtual_time
async def test_fetches_that_have_ended_count_as_held() -> None:
    """Twelve fetches of twelve samples, of which 50 may be held: what came is stored twice."""
    stored: list[int] = []

    async def store(point_series: list[PointSeries]) -> None:
        stored.append(sum(each.series.count for each in point_series))

    fetcher = GapFetcher(History(LoopClock()), LoopClock(), held_samples_max=50)
    fetched = await fetcher.fetch(NEED, queries(12), EPOCH_MS, store=store)
    assert [60, 60] == stored
    assert 12 * 12 == fetched.samples
    assert 24 == sum(each.series.count for each in fetched.point_series)


@in_virtual_time
async def test_a_fetch_that_returns_is_complete() -> None:
    """Also for points of which the upstream had nothing to say."""

    class Silent:
        async def fetch_samples(self, *_: Any, **__: Any) -> Any:
            return Cost(1, 0)

    fetched = await fetcher_of(Silent()).fetch(NEED, queries(1), EPOCH_MS)
    assert {"p0": []} == left_of(queries(1)[0], fetched)
    assert (1, [HOUR]) == (fetched.requests, fetched.fetched)


@in_virtual_time
async def test_what_came_is_stored_twice_a_minute() -> None:
    """Slow pages are stored after 30 s, also those of fetches that have ended by then."""
    upstream = History(LoopClock(), page_size=12)
    upstream.page_ms = 7000
    stored: list[int] = []
    shares: list[float] = []

    async def store(point_series: list[PointSeries]) -> None:
        stored.append(sum(each.series.count for each in point_series))

    async def on_progress(progress: Progress) -> None:
        shares.append(progress.stored_share)

    long = UpstreamQuery(("a",), Range(EPOCH_MS - 10 * HOUR_MS, EPOCH_MS))
    fetched = await fetcher_of(upstream).fetch(
        PATIENT, [*queries(1), long], EPOCH_MS, on_progress=on_progress, store=store
    )
    # Pages of an hour come each 7 s: five of them and the other fetch in 35 s, then five more.
    assert [12 + 60, 60] == stored
    before, between, after = sorted(set(shares))
    assert (0.0, True, 1.0) == (before, 6 / 11 <= between < 6.1 / 11, after)
    assert ([], 132) == (fetched.point_series, fetched.samples)


@in_virtual_time
async def test_what_can_not_be_stored_is_kept_for_the_end() -> None:
    """A store that fails ends the fetch, and nothing that came is lost by it."""
    upstream = History(LoopClock(), page_size=12)
    upstream.page_ms = HELD_MS_MAX

    async def store(_: list[PointSeries]) -> None:
        raise Unavailable("R2 is down")

    fetched = await fetcher_of(upstream).fetch(PATIENT, [TEN_PAGES], EPOCH_MS, store=store)
    assert "R2 is down" == str(fetched.failure)
    assert 12 == sum(each.series.count for each in fetched.point_series) == fetched.samples


@in_virtual_time
async def test_a_sample_of_a_time_that_was_stored_is_the_upstreams_fault() -> None:
    """It can't be merged, and is not dropped in silence; what came before stays."""

    class Backward:
        async def fetch_samples(self, *args: Any, on_page: Any, **_: Any) -> Any:
            _, _, _, sink = args
            for at_ms in (HOUR.start_ms + 1000, HOUR.start_ms):
                sink.add_page([PageSample("p0", 1, format_instant(at_ms))])
                sink.advance(None, HOUR.start_ms + 2000)
                await on_page(Cost(1, 1))
                await asyncio.sleep(HELD_MS_MAX / 1000)
                await on_page(Cost(1, 1))

    stored: list[PointSeries] = []

    async def store(point_series: list[PointSeries]) -> None:
        stored.extend(point_series)

    fetched = await fetcher_of(Backward()).fetch(PATIENT, queries(1), EPOCH_MS, store=store)
    assert isinstance(fetched.failure, UpstreamError)
    assert "a time it had passed: a sample of 2025-12-31T23:00:00" in str(fetched.failure)
    assert fetched.failure.retryable
    assert [(Range(HOUR.start_ms, HOUR.start_ms + 2000), 1)] == [
        (each.known, each.series.count) for each in stored
    ]


def site_of(points: int) -> History:
    """Return an upstream with pages of a whole site, of a sample of each point."""
    upstream = History(LoopClock(), page_size=points)
    upstream.site_points = tuple(f"p{n}" for n in range(points))
    return upstream


async def fetched_whole(upstream: History, kept: KeptSite) -> FetchOutcome:
    """Fetch some points by pages of the whole site, and have all stored."""

    async def refuse(_: object) -> None:
        raise AssertionError("nothing is stored by point")

    fetcher = GapFetcher(upstream, LoopClock(), held_samples_max=200, keep_site=kept)
    costs = await upstream.costs("site")
    return await fetcher.fetch(PATIENT, [TEN_PAGES], EPOCH_MS, costs=costs, store=refuse)


@in_virtual_time
async def test_of_pages_of_the_whole_site_everything_is_stored() -> None:
    """A part after the other, of all points; those asked for are what the fetch is told by."""
    kept = KeptSite()
    outcome = await fetched_whole(site_of(20), kept)
    assert 4 < len(kept.kept) < 8
    assert TEN_PAGES.time_range == Range(kept.kept[0][0].start_ms, kept.kept[-1][0].end_ms)
    assert all(one[0].end_ms == other[0].start_ms for one, other in pairwise(kept.kept))
    assert 20 * 100 == sum(sum(counts.values()) for _, counts in kept.kept)
    assert (12 * 100, [TEN_PAGES.time_range], None, []) == (
        *(outcome.samples, outcome.fetched, outcome.failure, outcome.point_series),
    )
    assert 12 * 100 == sum(each.count for each in outcome.segments)


@in_virtual_time
async def test_a_small_site_that_is_asked_for_whole_is_stored_by_point() -> None:
    """Its pages bring nothing else; of one point more, or of many points, they are kept whole."""
    few, many = SITE_ROWS_MAX, SITE_ROWS_MAX + 1
    for site_points, asked, is_kept in ((few, few, False), (many, few, True), (many, many, True)):
        upstream, kept, stored = site_of(site_points), KeptSite(), list[PointSeries]()

        async def store(found: Sequence[PointSeries], stored: list[PointSeries] = stored) -> None:
            stored += found

        fetcher = GapFetcher(upstream, LoopClock(), held_samples_max=9_000, keep_site=kept)
        costs = await upstream.costs("site")
        query = UpstreamQuery(tuple(f"p{n}" for n in range(asked)), TEN_PAGES.time_range)
        outcome = await fetcher.fetch(PATIENT, [query], EPOCH_MS, costs=costs, store=store)
        assert asked * 100 == outcome.samples
        assert (is_kept, not is_kept) == (bool(kept.kept), bool(stored))


@in_virtual_time
async def test_a_part_of_a_site_that_is_refused_ends_the_fetch() -> None:
    """What was stored before stays known, and nothing after it, however little was refused."""
    kept = KeptSite(taken=2, refused=1)
    outcome = await fetched_whole(site_of(20), kept)
    assert isinstance(outcome.failure, Unavailable)
    assert 2 == len(kept.kept)
    assert outcome.fetched == [Range(TEN_PAGES.time_range.start_ms, kept.kept[1][0].end_ms)]


@in_virtual_time
async def test_where_calls_by_point_are_wanted_no_site_is_stored() -> None:
    """Nor of points that take fewer calls than the site has pages."""
    upstream, kept = site_of(20), KeptSite()
    fetcher = GapFetcher(upstream, LoopClock(), keep_site=kept)
    costs = await upstream.costs("site")
    outcome = await fetcher.fetch(PATIENT, [TEN_PAGES], EPOCH_MS, costs=costs, source="points")
    assert 12 * 100 == outcome.samples
    upstream.site_points = ()
    costs = await upstream.costs("site")
    outcome = await fetcher.fetch(PATIENT, [TEN_PAGES], EPOCH_MS, costs=costs)
    assert (12 * 100, []) == (outcome.samples, kept.kept)
