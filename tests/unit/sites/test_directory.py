"""Lists of sites and points: kept for a while, cut to what a caller may see, given in pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.cache.options import CacheOptions
from building_vitals.datasets.cache import R2CacheService
from building_vitals.errors import UpstreamError, UpstreamSiteUnknown
from building_vitals.sites.directory import LIST_LEAST_MS, POLL_MS, SiteDirectory, UpstreamList
from building_vitals.upstream.point_names import READING_MS_MAX, RECHECK_MS, PointNames
from fakes.invocation import invocation
from fakes.object_store import FakeObjectStore
from fakes.virtual_time import LoopClock, in_virtual_time

HOUR_MS = 3_600_000
SITES: list[dict[str, Any]] = [{"name": "hq"}, {"name": "lab"}, {"id": 3}, {"name": None}]


class Desk:
    """
    A directory over lists in memory.

    Attributes:
        points: Names of every site's points.
        failure: Raised in place of a list.
        intervals: How often samples are collected, by name, as the lists say.
        takes_s: How long a list takes.
        asked: Lists asked for, with their deadlines counted from the call.
    """

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.objects = FakeObjectStore(self.clock.now_ms)
        self.points = ["AHU 1/Temp", "ahu 2/flow", "Zone"]
        self.intervals: dict[str, object] = {}
        self.tagged: dict[str, dict[str, Any]] = {}
        self.failure: UpstreamError | None = None
        self.takes_s = 0.0
        self.asked: list[tuple[str, int | None]] = []
        self.reported: list[str] = []
        self._works: list[Any] = []
        self.names_known = PointNames()
        self.directory = self.directory_of(default_ttl=3600)

    def directory_of(self, *, default_ttl: int, names: PointNames | None = None) -> SiteDirectory:
        """Return a directory over the same bucket."""
        return SiteDirectory(
            listings=self,
            datasets=R2CacheService(self.objects, self.clock),
            names=self.names_known if names is None else names,
            options=CacheOptions(default_ttl=default_ttl, max_cache_age=86_400),
            timeout_ms=30_000,
            invocation=invocation(
                self.clock,
                run_later=self._works.append,
                on_fault=lambda where, error: self.reported.append(where),
            ),
        )

    async def list_sites(self, *, deadline_ms: int | None = None) -> list[dict[str, Any]]:
        """Return the sites."""
        return await self._list("sites", SITES, deadline_ms)

    async def list_points(
        self, site: str, *, deadline_ms: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the points of a site."""
        items: list[dict[str, Any]] = [
            {"name": name, "site": site} | self.tagged.get(name, {}) for name in self.points
        ]
        for item in items:
            if item["name"] in self.intervals:
                item["collect_interval"] = self.intervals[item["name"]]
        return await self._list(site, items, deadline_ms)

    async def _list(
        self, name: str, items: list[dict[str, Any]], deadline_ms: int | None
    ) -> list[dict[str, Any]]:
        self.asked.append((name, deadline_ms and deadline_ms - self.clock.now_ms()))
        failure = self.failure
        await asyncio.sleep(self.takes_s)
        if failure is not None:
            raise failure
        return items

    async def settle(self) -> None:
        """Do what is left for after the answer."""
        while self._works:
            await self._works.pop()

    async def names(
        self, search: str | None = None, page: int = 1, per_page: int = 10
    ) -> list[str]:
        """Return the points of a page of `hq`, and settle."""
        found = await self.directory.points("hq", search=search, page=page, per_page=per_page)
        await self.settle()
        return [item["name"] for item in found.items]


@in_virtual_time
async def test_callers_see_their_own_sites() -> None:
    """On one page, in the upstream's words; what has no name is nobody's."""
    desk = Desk()
    found = await desk.directory.sites(ANYBODY)
    assert UpstreamList(page=1, pages=1, per_page=2, total=2, items=SITES[:2]) == found
    reader = Caller(key_id="k", is_admin=False, sites=frozenset({"lab"}))
    assert [{"name": "lab"}] == (await desk.directory.sites(reader)).items
    nobody = Caller(key_id="k", is_admin=False, sites=frozenset())
    assert UpstreamList(page=1, pages=1, per_page=1, total=0, items=[]) == (
        await desk.directory.sites(nobody)
    )
    await desk.settle()


@in_virtual_time
async def test_pages_of_points() -> None:
    """Pages follow each other, the last one is short, one beyond is empty."""
    desk = Desk()
    assert ["AHU 1/Temp", "ahu 2/flow"] == await desk.names(per_page=2)
    assert ["Zone"] == await desk.names(page=2, per_page=2)
    assert [] == await desk.names(page=3, per_page=2)
    found = await desk.directory.points("hq", search="ahu", page=1, per_page=1)
    assert (2, 2, 1, 1) == (found.total, found.pages, found.page, found.per_page)


@in_virtual_time
async def test_searches_take_no_notice_of_case() -> None:
    """Any part of the name will do; an empty search finds all."""
    desk = Desk()
    assert ["AHU 1/Temp", "ahu 2/flow"] == await desk.names("AhU")
    assert [] == await desk.names("ahu3")
    assert 3 == len(await desk.names(""))


@in_virtual_time
async def test_all_words_of_a_search_are_found() -> None:
    """In any order, in the name, the unit or the tags; none goes over the end of one."""
    desk = Desk()
    desk.tagged = {
        "AHU 1/Supply Temp": {"kv_tags": {"unit": "°F", "kind": "Number"}},
        "AHU 1/Return Temp": {"marker_tags": ["sensor", "discharge"], "unit": "°C"},
        "Zone": {"marker_tags": None, "kv_tags": {"floor": 3, "odd": None}, "tags": "x"},
    }
    desk.points = list(desk.tagged)
    assert ["AHU 1/Supply Temp", "AHU 1/Return Temp"] == await desk.names(" temp  AHU ")
    assert ["AHU 1/Supply Temp"] == await desk.names("ahu number °f")
    assert ["AHU 1/Return Temp"] == await desk.names("SENSOR °c return")
    assert ["Zone"] == await desk.names("floor=3 x")
    assert [] == await desk.names("ahu zone")
    assert [] == await desk.names("sensordischarge")


@in_virtual_time
async def test_a_list_is_read_again_when_it_is_old() -> None:
    """For an hour one request serves all; the upstream has as long as configured."""
    desk = Desk()
    await desk.names()
    await desk.clock.sleep(HOUR_MS - 1)
    await desk.names()
    assert [("hq", 30_000)] == desk.asked
    await desk.clock.sleep(1)
    desk.points = ["new"]
    assert ["new"] == await desk.names()
    assert 2 == len(desk.asked)


@in_virtual_time
async def test_an_old_list_stands_in_when_the_upstream_fails() -> None:
    """It is reported; after a day, or for a site that is unknown by now, the failure is told."""
    desk = Desk()
    await desk.names()
    await desk.clock.sleep(2 * HOUR_MS)
    desk.failure = UpstreamError("upstream answered 503")
    assert 3 == len(await desk.names())
    assert ["site directory"] == desk.reported
    desk.failure = UpstreamSiteUnknown("no such site")
    with pytest.raises(UpstreamSiteUnknown):
        await desk.names()
    desk.failure = UpstreamError("upstream answered 503")
    await desk.clock.sleep(24 * HOUR_MS)
    with pytest.raises(UpstreamError):
        await desk.names()


@pytest.mark.parametrize("operation", ["get", "put"])
@in_virtual_time
async def test_a_bucket_that_is_down_costs_no_answer(operation: str) -> None:
    """Lists come from the upstream then, each time."""
    desk = Desk()
    desk.objects.failures.always(operation, "head")
    assert 3 == len(await desk.names())
    assert 3 == len(await desk.names())
    assert 2 == len(desk.asked)
    assert {"site directory"} == set(desk.reported)


@pytest.mark.parametrize(
    ("age_ms", "names", "requests"),
    [
        pytest.param(HOUR_MS - 1, {"Zone"}, 1, id="known ones from a fresh list"),
        pytest.param(HOUR_MS, {"Zone"}, 2, id="known ones from an old list"),
        pytest.param(RECHECK_MS - 1, {"Zone", "new"}, 1, id="a missing one just after"),
        pytest.param(RECHECK_MS, {"Zone", "new"}, 2, id="a missing one a minute after"),
    ],
)
@in_virtual_time
async def test_own_points(age_ms: int, names: set[str], requests: int) -> None:
    """Points are added: a list that lacks one is not believed for as long."""
    desk = Desk()
    await desk.names()
    desk.points.append("new")
    await desk.clock.sleep(age_ms)
    found = await desk.directory.own_points("hq", names, deadline_ms=None)
    await desk.settle()
    assert requests == len(desk.asked)
    assert (names if requests == 2 else {"Zone"}) == found


@in_virtual_time
async def test_names_are_remembered_by_the_isolate() -> None:
    """The bucket is read once for all fetches of an isolate; another one reads it itself."""
    desk = Desk()
    await desk.names()
    before = desk.objects.failures.calls["get"]
    for _ in range(3):
        assert {"Zone"} == await desk.directory.own_points("hq", {"Zone"}, deadline_ms=None)
    reads = desk.objects.failures.calls["get"]
    desk.objects.failures.always("get", "head")

    assert {"Zone"} == await desk.directory.own_points("hq", {"Zone"}, deadline_ms=None)
    assert (1, [("hq", 30_000)]) == (reads - before, desk.asked)
    assert frozenset({"x"}) == desk.names_known.unknown("hq", ["x"], desk.clock.now_ms())


@in_virtual_time
async def test_names_of_a_kept_list_have_its_age() -> None:
    """An isolate that reads an old list does not take it for a new one."""
    desk = Desk()
    await desk.names()
    await desk.clock.sleep(RECHECK_MS + 1)
    names = PointNames()
    other = desk.directory_of(default_ttl=3600, names=names)
    assert {"Zone"} == await other.own_points("hq", {"Zone"}, deadline_ms=None)

    assert frozenset() == names.unknown("hq", ["x"], desk.clock.now_ms())
    assert frozenset() == await other.own_points("hq", {"x"}, deadline_ms=None)
    await desk.settle()
    assert 2 == len(desk.asked)
    assert frozenset({"x"}) == names.unknown("hq", ["x"], desk.clock.now_ms())


@in_virtual_time
async def test_an_older_list_in_the_bucket_takes_nothing_from_memory() -> None:
    """While one reads it again, others still know from memory which points the site lacks."""
    desk = Desk()
    directory = desk.directory_of(default_ttl=1)
    await directory.own_points("hq", ["Zone"], deadline_ms=None)
    await desk.settle()
    await asyncio.sleep(2 * RECHECK_MS / 1000)
    desk.objects.failures.always("put")
    await directory.own_points("hq", ["Zone"], deadline_ms=None)
    await desk.settle()
    await asyncio.sleep(2)
    desk.takes_s = 5
    reading = asyncio.ensure_future(directory.own_points("hq", ["nobody"], deadline_ms=None))
    await asyncio.sleep(1)
    assert {"nobody"} == desk.names_known.unknown("hq", ["nobody"], desk.clock.now_ms())
    assert frozenset() == await reading
    await desk.settle()


@in_virtual_time
async def test_lists_that_are_never_fresh_are_read_once_a_second() -> None:
    """Fetches of one chart, and those who wait for them, share one reading whatever the options."""
    desk = Desk()
    directory = desk.directory_of(default_ttl=0)
    for wait_ms in (0, LIST_LEAST_MS - 1, 1):
        await desk.clock.sleep(wait_ms)
        assert {"Zone"} == await directory.own_points("hq", {"Zone", "x"}, deadline_ms=None)
        await desk.settle()

    assert 2 == len(desk.asked)


ASKED = ["Zone", "attic"]


async def own_points(desk: Desk, directory: SiteDirectory, within_ms: int) -> Any:
    """Return the own points among two names and when that was known, or the failure."""
    deadline_ms = desk.clock.now_ms() + within_ms
    try:
        found = await directory.own_points("hq", ASKED, deadline_ms=deadline_ms)
    except UpstreamError as failure:
        return failure
    return found, asyncio.get_running_loop().time()


@pytest.mark.parametrize("default_ttl", [3600, 0])
@in_virtual_time
async def test_fifty_requests_read_a_new_list_once(default_ttl: int) -> None:
    """Each has a directory of its own, and all have the names when the first has read them."""
    desk = Desk()
    desk.takes_s = 5.0
    works = [
        own_points(desk, desk.directory_of(default_ttl=default_ttl), 30_000) for _ in range(50)
    ]
    found = await asyncio.gather(*works)
    await desk.settle()

    assert [("hq", 30_000)] == desk.asked
    assert {frozenset({"Zone"})} == {names for names, _ in found}
    assert [pytest.approx(5.0, abs=2 * POLL_MS / 1000)] * 50 == [at for _, at in found]


@in_virtual_time
async def test_reader_that_fails_lets_the_next_one_try() -> None:
    """It alone is told of its failure; one of those who waited reads in its place, for all."""
    desk = Desk()
    desk.takes_s, desk.failure = 1.0, UpstreamError("down", upstream_status=503)
    works = [asyncio.ensure_future(own_points(desk, desk.directory, 30_000)) for _ in range(10)]
    await asyncio.sleep(0.5)
    desk.failure = None
    found = await asyncio.gather(*works)
    await desk.settle()

    failed = [each for each in found if isinstance(each, UpstreamError)]
    assert (1, 2) == (len(failed), len(desk.asked))
    assert 9 == sum(each[0] == {"Zone"} for each in found if each not in failed)


@in_virtual_time
async def test_reader_that_dies_is_waited_for_so_long_and_no_longer() -> None:
    """An isolate's request may end without a word; the next one reads after READING_MS_MAX."""
    desk = Desk()
    dead = desk.names_known.reading("hq", desk.clock.now_ms())
    dead.__enter__()
    names, at = await own_points(desk, desk.directory, 60_000)
    await desk.settle()

    assert frozenset({"Zone"}) == names
    assert READING_MS_MAX / 1000 <= at <= READING_MS_MAX / 1000 + 0.1
    assert 1 == len(desk.asked)


@in_virtual_time
async def test_reader_that_is_slow_is_not_taken_for_dead() -> None:
    """It says that it goes on: those who wait get its list, and nobody reads another one."""
    desk = Desk()
    desk.takes_s = 4 * READING_MS_MAX / 1000
    asking = [desk.directory.own_points("hq", ["Zone"], deadline_ms=None) for _ in range(3)]
    assert [frozenset({"Zone"})] * 3 == await asyncio.gather(*asking)
    assert 1 == len(desk.asked)
    await desk.settle()


@in_virtual_time
async def test_reader_whose_client_goes_ends_its_reading() -> None:
    """A cancelled reader asks for nothing more, and the next one begins at once."""
    desk = Desk()
    desk.takes_s = 10
    first = asyncio.ensure_future(desk.directory.own_points("hq", ["Zone"], deadline_ms=None))
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert {asyncio.current_task()} == asyncio.all_tasks()
    desk.takes_s = 1
    began_ms = desk.clock.now_ms()
    await desk.directory.own_points("hq", ["Zone"], deadline_ms=None)
    assert 1_000 == desk.clock.now_ms() - began_ms
    await desk.settle()


@in_virtual_time
async def test_who_waits_for_a_reader_goes_by_its_own_deadline() -> None:
    """Then it asks by itself, and the upstream's client says that there is no time left."""
    desk = Desk()
    desk.takes_s = 15.0
    slow = asyncio.ensure_future(own_points(desk, desk.directory, 60_000))
    await asyncio.sleep(1)
    desk.takes_s, desk.failure = 0.0, UpstreamError("no time left")
    hasty = await own_points(desk, desk.directory, 2_000)
    desk.failure = None

    assert isinstance(hasty, UpstreamError)
    assert pytest.approx(3.0, abs=0.1) == asyncio.get_running_loop().time()
    assert 0 >= (desk.asked[1][1] or 0)
    assert frozenset({"Zone"}) == (await slow)[0]
    await desk.settle()


@in_virtual_time
async def test_upstream_is_told_of_before_it_is_asked_alone() -> None:
    """Neither memory nor a kept list is a request; a wait for another one's is."""
    desk = Desk()
    told: list[int] = []

    async def look(*names: str, memory: PointNames | None = None) -> None:
        directory = desk.directory_of(default_ttl=3600, names=memory)
        await directory.own_points(
            "hq", names, deadline_ms=None, on_ask=lambda: told.append(len(desk.asked))
        )
        await desk.settle()

    await look("Zone")
    assert [0] == told
    await look("Zone")
    await look("Zone", memory=PointNames())
    assert ([0], 1) == (told, len(desk.asked))
    await asyncio.sleep(RECHECK_MS / 1000 + 1)
    await look("attic", memory=PointNames())
    assert ([0, 1], 2) == (told, len(desk.asked))


@in_virtual_time
async def test_a_list_that_was_forgotten_is_read_again() -> None:
    """From the bucket and from memory; that of another site is kept."""
    desk = Desk()
    for site in ("hq", "lab"):
        await desk.directory.own_points(site, {"Zone", "new, point"}, deadline_ms=None)
        await desk.settle()
    desk.points.append("new, point")
    await desk.directory.forget("hq")
    await desk.directory.forget("nobody")
    found = await desk.directory.own_points("hq", {"Zone", "new, point"}, deadline_ms=None)
    other = await desk.directory.own_points("lab", {"Zone", "new, point"}, deadline_ms=None)
    assert [{"Zone", "new, point"}, {"Zone"}] == [set(found), set(other)]
    assert ["hq", "lab", "hq"] == [name for name, _ in desk.asked]
    await desk.settle()


HARMS: dict[str, Callable[[FakeObjectStore, str], None]] = {
    "lose": lambda objects, key: objects.lose(key),
    "spoil first": lambda objects, key: objects.spoil(key, 0),
    "spoil middle": lambda objects, key: objects.spoil(key, 40),
    "spoil last": lambda objects, key: objects.spoil(key, -1),
    "overwrite": lambda objects, key: objects.overwrite(key, b'{"items": []}'),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("reader", ["sites", "points", "own points"])
@in_virtual_time
async def test_a_list_that_is_lost_or_spoilt_is_read_again(reader: str, harm: str) -> None:
    """Whoever asks gets the whole list of the upstream, and the one after that the kept one."""
    desk = Desk()

    async def read() -> set[str]:
        # Each time in an isolate that remembers nothing.
        directory = desk.directory_of(default_ttl=3600, names=PointNames())
        if reader == "own points":
            return {*await directory.own_points("hq", desk.points, deadline_ms=None)}
        if reader == "sites":
            found = await directory.sites(ANYBODY)
        else:
            found = await directory.points("hq", search=None, page=1, per_page=100)
        return {item["name"] for item in found.items}

    whole = {"hq", "lab"} if reader == "sites" else {*desk.points}
    assert whole == await read()
    await desk.settle()
    [key] = desk.objects.infos
    HARMS[harm](desk.objects, key)
    for _ in range(2):
        assert whole == await read()
        await desk.settle()
    assert 2 == len(desk.asked)


@in_virtual_time
async def test_points_that_are_collected_often_are_remembered() -> None:
    """In seconds as the list has them; whether it was just read or is kept."""
    desk = Desk()
    desk.points = [f"p{n}" for n in range(8)]
    values: list[object] = [1, 2.5, 59, 60, 300, 0, True, "5"]
    desk.intervals = dict(zip(desk.points, values, strict=True))
    await desk.directory.own_points("hq", {"p0"}, deadline_ms=None)
    await desk.settle()
    expected = {"p0": 1000, "p1": 2500, "p2": 59_000}
    assert expected == desk.names_known.intervals_ms("hq")
    names = PointNames()
    await desk.directory_of(default_ttl=3600, names=names).own_points(
        "hq", {"p0"}, deadline_ms=None
    )
    assert expected == names.intervals_ms("hq")
    assert 1 == len(desk.asked)
