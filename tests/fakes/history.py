"""
An upstream in memory whose data can be told from their point, time and version alone.

Separate from the HTTP fakes because the services' tests ask it hundreds of thousands of times.
"""

from __future__ import annotations

import asyncio
import base64
import random
import zlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from building_vitals.errors import UpstreamError, UpstreamTimeout
from building_vitals.instants import DAY_MS, format_instant
from building_vitals.ports import Clock
from building_vitals.ranges import Range
from building_vitals.upstream.port import FetchCount, GoesOn, OnPage, SampleSink
from building_vitals.upstream.profile import Source

MINUTE_MS = 60_000
TRICKY_TEXTS = ('],[17,"', 'occupied "☃"', "[1767225600000,1]", "a,b\\", "")


@lru_cache(maxsize=64)
def _day_text(day: int) -> str:
    return format_instant(day * DAY_MS)[:11]


@lru_cache(maxsize=1 << 17)
def instant_text(at_ms: int) -> str:
    """Return what format_instant does: hundreds of thousands of instants of a few days, quickly."""
    day, ms = divmod(at_ms, DAY_MS)
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{_day_text(day)}{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z"


class PageSample(NamedTuple):
    """One sample as the upstream sends it."""

    name: str
    value: Any
    time: str


class Cost(msgspec.Struct):
    """What a fetch has cost so far."""

    requests: int = 0
    samples_received: int = 0
    is_by_point: bool = False
    strangers: frozenset[str] = frozenset()


class SiteCosts(msgspec.Struct):
    """
    FetchCosts of a site.

    Attributes:
        samples_per_day: Of one point.
        page_size: Samples on a page.
        site_points: All points of the site, where its pages hold them all; else 0.
        page_ms: How long a page takes.
    """

    samples_per_day: float
    page_size: int
    site_points: int
    page_ms: int

    @property
    def pages_per_day(self) -> float | None:
        """Pages of all points of the site."""
        return self.site_points * self.samples_per_day / self.page_size or None

    def requests(self, points_count: int, duration_ms: int) -> int:
        """Return the pages."""
        count = self.site_points or points_count
        samples = count * duration_ms / DAY_MS * self.samples_per_day
        return max(1, -int(-samples // self.page_size))

    def takes_site(self, points_count: int, duration_ms: int) -> bool:
        """Return whether pages hold the whole site."""
        return 0 < points_count <= self.site_points and duration_ms > 0

    def is_all_of_site(self, points_count: int) -> bool:
        """Return whether the site has no more points."""
        return 0 < self.site_points <= points_count

    def fetch_ms(self, points_count: int, duration_ms: int) -> int:
        """Return how long the pages take, one after the other."""
        return self.page_ms * self.requests(points_count, duration_ms)


class Asking(NamedTuple):
    """A fetch that the upstream was asked for."""

    points: tuple[str, ...]
    time_range: Range
    at_ms: int


class History:
    """
    An Upstream.

    Attributes:
        asked: Every fetch.
        samples_sent: Samples in all pages.
        requests: Pages asked for.
        page_ms: How long a page takes.
        believed_page_ms: How long a page is believed to take; None: as long as it does.
        failing: Decides before each page of a fetch (counted from 0) whether that fails.
        during: Awaited before each page.
        silent: Points that have no data.
        untimed: Points of which each page has one more sample, whose time cannot be read.
        changes: Instants at which everything the upstream knows became different.
        site_points: Of an upstream without a filter, all points of a site: every page holds them.
        strangers: Points that the site does not have; that is known once they were asked for.
        gives: Where samples come from, where calls by point give other samples than pages.
    """

    def __init__(self, clock: Clock, *, page_size: int = 1000, interval_ms: int = 300_000) -> None:
        self._clock = clock
        self._page_size = page_size
        self._interval_ms = interval_ms
        self.asked: list[Asking] = []
        self.samples_sent = 0
        self.requests = 0
        self.page_ms = 0
        self.believed_page_ms: int | None = None
        self.failing: Callable[[Asking, int], bool] = lambda *_: False
        self.during: Callable[[int], Awaitable[None]] | None = None
        self.silent: set[str] = set()
        self.untimed: set[str] = set()
        self.changes: list[int] = []
        self.site_points: tuple[str, ...] = ()
        self.strangers: set[str] = set()
        self.gives: Source | None = None
        self._known_strangers: set[str] = set()

    def version(self, at_ms: int) -> int:
        """Return which data the upstream had at an instant."""
        return sum(change_ms <= at_ms for change_ms in self.changes)

    def times(self, point: str, time_range: Range) -> range:
        """Return when a point has samples: every interval, each point a little later."""
        if point in self.silent:
            return range(0)
        phase_ms = zlib.crc32(point.encode()) % self._interval_ms
        first = -(-(time_range.start_ms - phase_ms) // self._interval_ms)
        return range(first * self._interval_ms + phase_ms, time_range.end_ms, self._interval_ms)

    @staticmethod
    @lru_cache(maxsize=1 << 18)
    def value(point: str, at_ms: int, version: int) -> str | float | bool | None:
        """Return a sample's value: mostly numbers as text, now and then something else."""
        seed = zlib.crc32(b"%d" % at_ms, zlib.crc32(point.encode()))
        kind = seed % 64
        if kind == 0:
            return f"{TRICKY_TEXTS[seed // 64 % len(TRICKY_TEXTS)]}{version}"
        if kind == 1:
            return version
        return f"{version + 1}{seed % 10_000:04}.{seed % 97:02}0"

    @classmethod
    @lru_cache(maxsize=1 << 18)
    def sent(cls, point: str, at_ms: int, version: int) -> PageSample:
        """Return a sample as a page has it: most are sent more than once in a run of tests."""
        return PageSample(point, cls.value(point, at_ms, version), instant_text(at_ms))

    @classmethod
    @lru_cache(maxsize=1 << 18)
    def answered(cls, point: str, at_ms: int, version: int) -> str | float | bool | None:
        """Return what an answer must have for a sample."""
        value = cls.value(point, at_ms, version)
        if isinstance(value, str) and value.replace(".", "").isdigit():
            return float(value) if "." in value else int(value)
        return value

    def truth(self, point: str, time_range: Range, version: int = 0) -> list[list[Any]]:
        """Return the samples that an answer must have for a point."""
        return [[at, self.answered(point, at, version)] for at in self.times(point, time_range)]

    async def fetch_samples(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        source: Source | None = None,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """Give the sink all that has happened, by time, a page after the other."""
        await self.check_points(site, points)
        strangers = self.strangers.intersection(points)
        points = [point for point in points if point not in self.strangers]
        cost = Cost(is_by_point=source == "points", strangers=frozenset(strangers))
        options: Any = {"deadline_ms": deadline_ms, "on_page": on_page}
        await self._pages(points, time_range, sink, cost=cost, **options)
        return cost

    async def fetch_site(
        self,
        site: str,
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        goes_on: GoesOn = lambda: True,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """Give the sink all that has happened of all points of the site, as long as it is told."""
        cost = Cost()
        options: Any = {"deadline_ms": deadline_ms, "on_page": on_page, "goes_on": goes_on}
        await self._pages((), time_range, sink, cost=cost, **options)
        return cost

    async def _pages(
        self,
        points: Sequence[str],
        time_range: Range,
        sink: SampleSink,
        *,
        cost: Cost,
        deadline_ms: int | None,
        on_page: OnPage | None,
        goes_on: GoesOn = lambda: True,
    ) -> None:
        now_ms = self._clock.now_ms()
        asking = Asking(tuple(points), time_range, now_ms)
        self.asked.append(asking)
        happened = time_range.clip(Range(min(time_range.start_ms, now_ms - 1), now_ms))
        version = self.version(now_ms)
        found = sorted(
            (at, point)
            for point in dict.fromkeys((*points, *self.site_points))
            for at in (self.times(point, happened) if happened else ())
        )
        for number, start in enumerate(range(0, max(len(found), 1), self._page_size)):
            self.requests += 1
            cost.requests += 1
            try:
                await self._page(asking, number, deadline_ms)
            except UpstreamError as error:
                error.upstream_requests = cost.requests
                raise
            page = [
                self.sent(point, at, version)
                for at, point in found[start : start + self._page_size]
            ]
            self.samples_sent += len(page)
            cost.samples_received += len(page)
            page += [PageSample(point, 1, "soon") for point in points if point in self.untimed]
            sink.add_page(page)
            following = found[start + self._page_size :][:1]
            sink.advance(None, following[0][0] if following else time_range.end_ms)
            if on_page is not None:
                await on_page(cost)
            if following and not goes_on():
                return

    def source(self, site: str, points_count: int, duration_ms: int) -> Source | None:
        """Return where samples come from, as the test has it."""
        return self.gives

    def lateness_ms(self, site: str) -> int | None:
        """Return nothing: it has not been learned."""
        return None

    def unknown_points(self, site: str, points: Collection[str], since_ms: int) -> frozenset[str]:
        """Return the strangers that somebody has asked for before."""
        return frozenset(points) & self._known_strangers

    def forget_strangers(self) -> None:
        """Be of an isolate that has not read the site's list yet."""
        self._known_strangers.clear()

    async def check_points(self, site: str, points: Collection[str]) -> None:
        """Make strangers known."""
        self._known_strangers |= self.strangers.intersection(points)

    async def costs(self, site: str, *, for_job: bool = False) -> SiteCosts:
        """Return what is true, or what is believed."""
        rate = DAY_MS / self._interval_ms
        page_ms = self.page_ms if self.believed_page_ms is None else self.believed_page_ms
        return SiteCosts(rate, self._page_size, len(self.site_points), page_ms)

    async def _page(self, asking: Asking, number: int, deadline_ms: int | None) -> None:
        """Take the time of a page, then give it or fail."""
        if self.during is not None:
            await self.during(number)
        now_ms = self._clock.now_ms()
        if deadline_ms is not None and now_ms + self.page_ms > deadline_ms:
            await asyncio.sleep(max(0, deadline_ms - now_ms) / 1000)
            raise UpstreamTimeout("upstream did not answer within the time allowed", retryable=True)
        await asyncio.sleep(self.page_ms / 1000)
        if self.failing(asking, number):
            raise UpstreamError("upstream answered 503", upstream_status=503, retryable=True)


class LongTexts(History):
    """Few samples, of much text that hardly shrinks."""

    @staticmethod
    @lru_cache(maxsize=4096)
    def value(point: str, at_ms: int, version: int) -> str:
        """Return a text of six thousand letters."""
        noise = random.Random(f"{point}{at_ms}{version}").randbytes(4_500)
        return f"x{base64.b64encode(noise).decode()}"

    @classmethod
    @lru_cache(maxsize=1 << 18)
    def sent(cls, point: str, at_ms: int, version: int) -> PageSample:
        """Return a sample as a page has it: most are sent more than once in a run of tests."""
        return PageSample(point, cls.value(point, at_ms, version), instant_text(at_ms))

    @classmethod
    @lru_cache(maxsize=4096)
    def answered(cls, point: str, at_ms: int, version: int) -> str:
        """Return the text as it is."""
        return cls.value(point, at_ms, version)
