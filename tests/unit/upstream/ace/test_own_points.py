"""Tests of what keeps points of other sites away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import pytest

from building_vitals.errors import AppError, UpstreamError, UpstreamSiteUnknown
from building_vitals.instants import DAY_MS
from building_vitals.ports import HttpAnswer
from building_vitals.ranges import Range
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.own_points import LIST_MS_MAX, OwnPoints
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.point_names import PointNames
from building_vitals.upstream.port import FetchCount
from building_vitals.upstream.profile import SiteProfile
from building_vitals.upstream.profiles import ProfileMemory, SiteProfiles
from fakes.ace import BASE_URL, FILTER_HEEDED, FakeAce, Sink, Triple
from fakes.http import ScriptedHttp, SentRequest
from fakes.invocation import invocation
from fakes.profiles import RememberedProfiles
from fakes.virtual_time import EPOCH_MS, LoopClock, in_virtual_time

TIME_RANGE = Range(EPOCH_MS - DAY_MS, EPOCH_MS)
TIME = "2025-12-31T12:00:00Z"
ROWS: list[Triple] = [(name, "1", TIME) for name in ("own", "own, too", "stranger", "its, too")]
DOWN = UpstreamError("the list is down", upstream_status=503)
KEPT_OR_ASKED = pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "asked for"])


class Lists:
    """
    Lists of points that take a while.

    Attributes:
        delay_s: How long a list takes.
        is_kept: Whether it comes from the bucket, so that the upstream is not asked.
        failure: Raised in place of a list.
        asked: Sites asked for.
        deadlines: Of each question, in milliseconds from then.
    """

    def __init__(self, names: PointNames, clock: LoopClock, points: Collection[str]) -> None:
        self.delay_s = 0.0
        self.is_kept = True
        self.failure: AppError | None = None
        self.asked: list[str] = []
        self.deadlines: list[int | None] = []
        self._names = names
        self._clock = clock
        self._points = points

    async def own_points(
        self,
        site: str,
        names: Collection[str],
        *,
        deadline_ms: int | None,
        on_ask: Callable[[], None] = lambda: None,
    ) -> frozenset[str]:
        """Return the points of the site, and remember them as the directory does."""
        self.asked.append(site)
        self.deadlines.append(deadline_ms and deadline_ms - self._clock.now_ms())
        if not self.is_kept:
            on_ask()
        await asyncio.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        self._names.put(site, self._points, self._clock.now_ms())
        return frozenset(names) & frozenset(self._points)


class World:
    """The guard, over a client of an upstream that answers any point the token may read."""

    def __init__(
        self,
        profile: SiteProfile | None = None,
        *,
        calls: Any = "auto",
        fake: FakeAce | None = None,
        takes_s: float = 0.0,
    ) -> None:
        self.clock = LoopClock()
        self.names = PointNames()
        self.lists = Lists(self.names, self.clock, ["own", "own, too"])
        self.table = RememberedProfiles(BASE_URL)
        self.table.put("hq", profile or SiteProfile())
        fake = fake or FakeAce("hq", ROWS)

        async def upstream(sent: SentRequest) -> HttpAnswer:
            await asyncio.sleep(takes_s)
            return fake(sent)

        self.http = ScriptedHttp(otherwise=upstream)
        profiles = SiteProfiles(
            table=self.table,
            memory=ProfileMemory(),
            invocation=invocation(self.clock, run_later=lambda work: work.close()),
        )
        settings = UpstreamSettings(base_url=BASE_URL, token=None, calls=calls)
        self.client = AceClient(self.http, self.clock, settings, profiles=profiles)
        self.guard = OwnPoints(self.client, self.lists, self.names, self.clock)
        self.sink = Sink()
        self.heard: list[tuple[float, int]] = []

    async def on_page(self, count: FetchCount) -> None:
        """Note when a page was told, and how much was complete by then."""
        self.heard.append((asyncio.get_running_loop().time(), len(self.sink.advances)))

    async def fetch(self, *points: str) -> list[str]:
        """Fetch; return the names of the samples that came. Nothing is left running."""
        try:
            await self.guard.fetch_samples(
                "hq", points, TIME_RANGE, self.sink, on_page=self.on_page
            )
        finally:
            assert {asyncio.current_task()} == asyncio.all_tasks()
        return [name for name, _, _ in self.sink.samples]


@in_virtual_time
async def test_nothing_is_asked_for_strangers_where_the_list_is_kept() -> None:
    """The site's own points in their order; without any, no request."""
    world = World()
    assert ["own", "own, too"] == await world.fetch("own, too", "its, too", "stranger", "own")
    assert 1 == len(world.http.requests)
    assert b"stranger" not in (world.http.requests[0].body or b"")
    await world.fetch("stranger")

    assert 1 == len(world.http.requests)
    assert ["hq", "hq"] == world.lists.asked


@in_virtual_time
async def test_list_that_takes_long_is_read_beside_the_first_call() -> None:
    """A chart does not wait for both; nothing is told of the call before the list is there."""
    world = World(takes_s=1.0)
    world.lists.is_kept, world.lists.delay_s = False, 5.0
    found = await world.fetch("own", "stranger")

    assert ["own", "stranger"] == found
    assert [(5.0, 1)] == world.heard
    assert frozenset({"stranger"}) == world.guard.unknown_points("hq", found, EPOCH_MS)
    assert pytest.approx(5.0) == asyncio.get_running_loop().time()


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "late"])
@pytest.mark.parametrize(
    "names",
    [("own", "stranger"), ("stranger",), ("own, too", "its, too"), ("its, too", "own")],
    ids=["some", "all", "names with commas", "one with a comma"],
)
@in_virtual_time
async def test_fetch_tells_its_strangers(names: tuple[str, ...], is_kept: bool) -> None:
    """The word does not depend on what is remembered of the site afterwards."""
    world = World(takes_s=1.0)
    world.lists.is_kept, world.lists.delay_s = is_kept, 5.0
    told: list[frozenset[str]] = []

    async def on_page(count: FetchCount) -> None:
        told.append(count.strangers)

    cost = await world.guard.fetch_samples("hq", names, TIME_RANGE, world.sink, on_page=on_page)

    # What was not asked for, for the list did not have it yet, is not known to be empty.
    strangers = frozenset(name for name in names if not name.startswith("own"))
    assert {strangers} == {cost.strangers, *told}


@in_virtual_time
async def test_kept_list_is_waited_for() -> None:
    """However long the bucket takes: strangers are left out, and nothing is sent before."""
    world = World()
    world.lists.delay_s = 5.0
    fetching = asyncio.ensure_future(
        world.guard.fetch_samples("hq", ["stranger", "own"], TIME_RANGE, world.sink)
    )
    await asyncio.sleep(4.9)
    assert [] == world.http.requests
    await fetching

    assert ["own"] == [name for name, _, _ in world.sink.samples]
    assert 1 == len(world.http.requests)


@KEPT_OR_ASKED
@in_virtual_time
async def test_calls_by_point_need_the_list(is_kept: bool) -> None:
    """Without it nothing says whose the samples are: the fetch fails, and nothing is complete."""
    world = World()
    world.lists.is_kept, world.lists.delay_s, world.lists.failure = is_kept, 5.0, DOWN
    with pytest.raises(UpstreamError, match="the list is down"):
        await world.fetch("own", "stranger")

    assert [] == world.sink.advances
    assert [] == world.heard
    assert (0 if is_kept else 1) == len(world.http.requests)


@KEPT_OR_ASKED
@pytest.mark.parametrize(
    ("profile", "calls"),
    [(SiteProfile(), "site"), (SiteProfile(points=2), "auto"), (FILTER_HEEDED, "auto")],
)
@in_virtual_time
async def test_pages_of_the_site_do_not_need_the_list(
    profile: SiteProfile, calls: str, is_kept: bool
) -> None:
    """They hold the site's own points alone."""
    rows = [row for row in ROWS if row[0] == "own"]
    world = World(profile, calls=calls, fake=FakeAce("hq", rows))
    world.lists.is_kept, world.lists.delay_s, world.lists.failure = is_kept, 5.0, DOWN

    assert ["own"] == await world.fetch("own", "stranger")
    assert 1 == len(world.heard)
    assert 0 < len(world.sink.advances)


@KEPT_OR_ASKED
@in_virtual_time
async def test_names_that_no_filter_takes_need_the_list(is_kept: bool) -> None:
    """Beside filtered pages they go by a call by point, which knows no sites."""
    world = World(FILTER_HEEDED)
    world.lists.is_kept, world.lists.delay_s, world.lists.failure = is_kept, 5.0, DOWN
    with pytest.raises(UpstreamError, match="the list is down"):
        await world.fetch("own", "its, too")

    assert [] == world.sink.advances
    assert [] == world.heard


@in_virtual_time
async def test_filter_that_turns_out_to_be_ignored_needs_the_list() -> None:
    """What began with pages may go on by point: then the list counts."""
    world = World(FILTER_HEEDED, fake=FakeAce("hq", ROWS, heeds_filter=False), takes_s=1.0)
    world.lists.is_kept, world.lists.delay_s, world.lists.failure = False, 5.0, DOWN
    with pytest.raises(UpstreamError, match="the list is down"):
        await world.fetch("own")

    assert [] == world.sink.advances


@KEPT_OR_ASKED
@pytest.mark.parametrize("calls", ["points", "site"])
@in_virtual_time
async def test_unknown_site_is_an_error_whatever_the_way(calls: str, is_kept: bool) -> None:
    """The list says so, though calls by point would answer."""
    world = World(calls=calls)
    world.lists.is_kept, world.lists.delay_s, world.lists.failure = (
        is_kept,
        5.0,
        UpstreamSiteUnknown("no such site"),
    )
    with pytest.raises(UpstreamSiteUnknown):
        await world.fetch("own")

    assert [] == world.sink.advances


@in_virtual_time
async def test_fetch_without_a_page_waits_for_the_list_too() -> None:
    """Nothing is complete before the list is there, where nothing was found either."""
    world = World(calls="site", fake=FakeAce("hq", []))
    world.lists.is_kept, world.lists.delay_s = False, 5.0
    await world.fetch("own")

    assert [(None, TIME_RANGE.end_ms)] == world.sink.advances
    assert pytest.approx(5.0) == asyncio.get_running_loop().time()


@in_virtual_time
async def test_failing_fetch_ends_the_reading_of_the_list() -> None:
    """The error of the fetch is the one that is told, at once."""
    world = World(fake=FakeAce("hq", ROWS, names_max=0))
    world.lists.is_kept, world.lists.delay_s = False, 5.0
    with pytest.raises(UpstreamError, match="answered 400"):
        await world.fetch("own")

    assert asyncio.get_running_loop().time() < 1.0


@in_virtual_time
async def test_size_of_the_site_is_learned_from_its_list() -> None:
    """Each fetch tells the planner how many points there are."""
    world = World()
    await world.fetch("own")

    assert 2 == (await world.guard.costs("hq")).profile.points


@in_virtual_time
async def test_costs_of_a_site_that_nobody_has_asked_for() -> None:
    """The list is read only where that is allowed, and only where nothing is known."""
    world = World()
    assert 0 == (await world.guard.costs("hq")).profile.points
    assert [] == world.lists.asked
    assert 2 == (await world.guard.costs("hq", for_job=True)).profile.points
    assert 2 == (await world.guard.costs("hq", for_job=True)).profile.points
    assert ["hq"] == world.lists.asked


@pytest.mark.parametrize("failure", [DOWN, UpstreamSiteUnknown("no such site")])
@in_virtual_time
async def test_costs_never_fail(failure: AppError) -> None:
    """The fetch will say what is wrong."""
    world = World()
    world.lists.failure = failure

    assert 1 == (await world.guard.costs("hq", for_job=True)).requests(1, DAY_MS)


@in_virtual_time
async def test_points_are_checked_by_the_list() -> None:
    """Which are unknown is known then; a list that fails is told."""
    world = World()
    assert frozenset() == world.guard.unknown_points("hq", ["stranger"], EPOCH_MS)
    await world.guard.check_points("hq", ["stranger"])
    assert frozenset({"stranger"}) == world.guard.unknown_points("hq", ["stranger"], EPOCH_MS)
    world.lists.failure = DOWN
    with pytest.raises(UpstreamError, match="the list is down"):
        await world.guard.check_points("hq", ["stranger"])


@in_virtual_time
async def test_lists_that_are_read_for_their_own_sake_have_a_deadline() -> None:
    """An upstream that hangs holds up neither a plan nor a look at names; a fetch has its own."""
    world = World()
    await world.guard.costs("hq", for_job=True)
    await asyncio.sleep(3)
    await world.guard.check_points("hq", ["own"])
    await world.fetch("own")
    deadline_ms = world.clock.now_ms() + 7_000
    await world.guard.fetch_samples("hq", ["own"], TIME_RANGE, world.sink, deadline_ms=deadline_ms)

    assert [LIST_MS_MAX, LIST_MS_MAX, None, 7_000] == world.lists.deadlines


@in_virtual_time
async def test_pages_of_a_site_need_no_list() -> None:
    """They hold its own points alone, whatever they are called; the port is passed on whole."""
    world = World()
    count = await world.guard.fetch_site(
        "hq", TIME_RANGE, world.sink, goes_on=lambda: False, on_page=world.on_page
    )
    assert ROWS[:3] == world.sink.samples
    assert (1, 1, []) == (count.requests, len(world.heard), world.lists.asked)
    failing = World(fake=FakeAce("another", ROWS))
    with pytest.raises(UpstreamSiteUnknown):
        await failing.guard.fetch_site("hq", TIME_RANGE, failing.sink)
