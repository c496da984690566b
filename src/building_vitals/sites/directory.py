"""The upstream's lists of sites and points, kept as datasets because they change seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Annotated, Any

import msgspec

from building_vitals.access.caller import Caller
from building_vitals.ahead import begin_ahead, call_off
from building_vitals.cache.options import CacheOptions
from building_vitals.cache.refetch import MIN_REFETCH_S_MAX
from building_vitals.datasets.cache import R2CacheService
from building_vitals.datasets.dataset import DatasetKey
from building_vitals.errors import AppError, UpstreamSiteUnknown
from building_vitals.fields import Count
from building_vitals.instants import is_recent
from building_vitals.ports import Invocation
from building_vitals.ranges import Range
from building_vitals.upstream.point_names import RECHECK_MS, PointNames
from building_vitals.upstream.port import Items, Listings

_NAME_SCHEMA = {"required": ["name"], "properties": {"name": {"type": "string"}}}
_Item = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=_NAME_SCHEMA)]

FetchList = Callable[[int], Coroutine[Any, Any, Items]]

# Fields of a point, besides its name, that a search looks at; the upstream's tags have the unit.
_SEARCHED = ("unit", "units", "tags", "marker_tags", "kv_tags")

# Names of points have no control characters, so no other dataset has these keys.
_SITES_KEY = DatasetKey("sites", ("\x01sites",), Range(0, 1))
_POINTS_NAME = "\x01points"

# Requests that wait for another one's reading of a list look again after so long: they may not wait
# on one another directly.
POLL_MS = 50
# A reading says so often that it goes on.
BEAT_MS = 500
# What was read so lately is not read again, whatever the options say.
LIST_LEAST_MS = 1_000


class UpstreamList(msgspec.Struct, frozen=True):
    """A page of one of the upstream's lists; items have the fields that the upstream sends."""

    page: Count
    pages: Count
    per_page: Count
    total: Count
    items: list[_Item]


class SiteDirectory:
    """
    Answers which sites and points exist.

    A list is fresh for `default_ttl`; when the upstream fails, an older one serves up to
    `max_cache_age`.
    """

    def __init__(
        self,
        *,
        listings: Listings,
        datasets: R2CacheService,
        names: PointNames,
        options: CacheOptions,
        timeout_ms: int,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            listings: The upstream.
            datasets: Keeps the lists.
            names: Remembers the points' names.
            options: The two ages of a list.
            timeout_ms: Longest time for the upstream.
            invocation: Clock, work after the answer, faults.
        """
        self._listings = listings
        self._datasets = datasets
        self._names = names
        self._clock = invocation.clock
        self._options = options
        self._timeout_ms = timeout_ms
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault

    async def sites(self, caller: Caller) -> UpstreamList:
        """
        Return the sites that the caller may read, as the upstream describes them.

        Raises:
            UpstreamError: no list is kept, and the upstream fails.
        """

        async def fetch(deadline_ms: int) -> Items:
            return await self._listings.list_sites(deadline_ms=deadline_ms)

        items = await self._list(_SITES_KEY, fetch)
        mine = [item for item in items if caller.may_read(item["name"])]
        return _page(mine, page=1, per_page=max(1, len(mine)))

    async def points(
        self, site: str, *, search: str | None, page: int, per_page: int
    ) -> UpstreamList:
        """
        Return a page of a site's points, as the upstream describes them.

        Args:
            site: Its name.
            search: Only points that have all of these words in their name, unit or tags, in upper
                or lower case; None or empty for all.
            page: Counted from 1.
            per_page: Points per page.

        Raises:
            UpstreamSiteUnknown: there is no such site.
            UpstreamError: no list is kept, and the upstream fails.
        """

        async def fetch(deadline_ms: int) -> Items:
            return await self._listings.list_points(site, deadline_ms=deadline_ms)

        items = await self._list(_points_key(site), fetch)
        words = (search or "").casefold().split()
        if words:
            texts = ((item, _searched(item)) for item in items)
            items = [item for item, text in texts if all(word in text for word in words)]
        return _page(items, page=page, per_page=per_page)

    async def forget(self, site: str) -> None:
        """
        Forget a site's list of points; other isolates may remember names for as long as it lived.

        Raises:
            Unavailable: the bucket can't be reached.
        """
        self._names.forget(site)
        await self._datasets.delete(_points_key(site))

    async def own_points(
        self,
        site: str,
        names: Collection[str],
        *,
        deadline_ms: int | None,
        on_ask: Callable[[], None] = lambda: None,
    ) -> frozenset[str]:
        """
        Return those of *names* that are points of the site.

        A kept list that tells is used; else *on_ask* is told, and the upstream's is read.

        Raises:
            UpstreamSiteUnknown: there is no such site.
            UpstreamError: the kept list is missing or too old to tell, and the upstream fails.
        """
        asked = frozenset(names)
        found = self._remembered(site, asked)
        if found is not None:
            return found
        key, now_ms = _points_key(site), self._clock.now_ms()
        kept = await self._kept(key)
        if kept is not None:
            own = frozenset(item["name"] for item in _items(kept["items"]))
            self._remember(site, kept, now_ms)
            if self._is_telling(asked, kept["fetchedMs"], own, now_ms):
                return asked & own
        on_ask()
        return await self._read_names(site, asked, deadline_ms)

    async def _read_names(
        self, site: str, asked: frozenset[str], deadline_ms: int | None
    ) -> frozenset[str]:
        """
        Read the upstream's list, unless another request of this isolate is doing so.

        What comes while this one waits tells, whatever the options say: else those who wait would
        read a list that is never fresh one after the other.
        """
        before = self._names.get(site)
        while self._names.is_being_read(site, self._clock.now_ms()):
            if deadline_ms is not None and self._clock.now_ms() >= deadline_ms:
                break
            await self._clock.sleep(POLL_MS)
            known = self._names.get(site)
            if known is not None and known is not before:
                return asked & known[1]
        now_ms = self._clock.now_ms()
        with self._names.reading(site, now_ms) as beat:
            listing = self._listings.list_points(site, deadline_ms=deadline_ms)
            items = _items(await self._with_beats(listing, beat))
            names = (item["name"] for item in items)
            self._names.put(site, names, now_ms, _intervals_ms(items))
        self._run_later(self._keep(_points_key(site), {"fetchedMs": now_ms, "items": items}))
        return asked.intersection(item["name"] for item in items)

    async def _with_beats(
        self, listing: Coroutine[Any, Any, Items], beat: Callable[[int], None]
    ) -> Items:
        """Wait for a list, and tell now and then that this goes on."""
        reading = begin_ahead(listing)
        try:
            while not reading.done():
                await asyncio.wait([reading], timeout=BEAT_MS / 1000)
                beat(self._clock.now_ms())
            return await reading
        finally:
            await call_off(reading)

    def _remembered(self, site: str, asked: frozenset[str]) -> frozenset[str] | None:
        """Return what this isolate's memory tells; None where it does not."""
        known = self._names.get(site)
        if known is None or not self._is_telling(asked, *known, self._clock.now_ms()):
            return None
        return asked & known[1]

    def _remember(self, site: str, kept: dict[str, Any], now_ms: int) -> None:
        """Remember a kept list, unless a newer one is: others look at it while this one reads."""
        known, read_ms, items = self._names.get(site), kept["fetchedMs"], _items(kept["items"])
        if known is None or not read_ms <= known[0] <= now_ms:
            names = (item["name"] for item in items)
            self._names.put(site, names, read_ms, _intervals_ms(items))

    def _is_telling(
        self, asked: frozenset[str], read_ms: int, names: frozenset[str], now_ms: int
    ) -> bool:
        """Return whether a list that was read at *read_ms* still tells of all that is asked."""
        fresh_ms = self._options.default_ttl * 1000
        if not asked <= names:
            fresh_ms = min(fresh_ms, RECHECK_MS)
        return is_recent(read_ms, now_ms, max(fresh_ms, LIST_LEAST_MS))

    async def _list(self, key: DatasetKey, fetch: FetchList) -> Items:
        now_ms = self._clock.now_ms()
        kept = await self._kept(key)
        if kept is not None and is_recent(
            kept["fetchedMs"], now_ms, self._options.default_ttl * 1000
        ):
            return _items(kept["items"])
        try:
            # Nobody can ask for an item without a name.
            items = _items(await fetch(now_ms + self._timeout_ms))
        except UpstreamSiteUnknown:
            raise
        except AppError as error:
            if kept is None:
                raise
            self._on_fault("site directory", error)
            return _items(kept["items"])
        self._run_later(self._keep(key, {"fetchedMs": now_ms, "items": items}))
        return items

    async def _kept(self, key: DatasetKey) -> dict[str, Any] | None:
        try:
            dataset = await self._datasets.get(key)
        except AppError as error:
            self._on_fault("site directory", error)
            return None
        found: dict[str, Any] | None = None if dataset is None else dataset.json()
        return found

    async def _keep(self, key: DatasetKey, document: dict[str, Any]) -> None:
        try:
            await self._datasets.put(key, document, ttl=self._options.max_cache_age)
        except AppError as error:
            self._on_fault("site directory", error)


def _points_key(site: str) -> DatasetKey:
    return DatasetKey(site, (_POINTS_NAME,), Range(0, 1))


def _items(items: Items) -> Items:
    return [item for item in items if isinstance(item.get("name"), str)]


def _searched(item: dict[str, Any]) -> str:
    """Return what is searched of a point: a line for its name, its unit, and each of its tags."""
    found = [item["name"]]
    for field in _SEARCHED:
        value = item.get(field)
        if isinstance(value, dict):
            found += [f"{name}={each}" for name, each in value.items()]
        elif isinstance(value, list):
            found += map(str, value)
        elif value is not None:
            found.append(str(value))
    return "\n".join(found).casefold()


def _intervals_ms(items: Items) -> dict[str, int]:
    """Return how often samples are collected of the points for which that is often, by name."""
    found = {}
    for item in _items(items):
        interval_s = item.get("collect_interval")
        if not isinstance(interval_s, int | float) or isinstance(interval_s, bool):
            continue
        if 0 < interval_s < MIN_REFETCH_S_MAX:
            found[item["name"]] = round(1000 * interval_s)
    return found


def _page(items: Items, *, page: int, per_page: int) -> UpstreamList:
    """Return some of the items in the form of the upstream's own pages."""
    first = (page - 1) * per_page
    return UpstreamList(
        page=page,
        pages=max(1, -(-len(items) // per_page)),
        per_page=per_page,
        total=len(items),
        items=items[first : first + per_page],
    )
