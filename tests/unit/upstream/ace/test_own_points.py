"""Tests of what keeps points of other sites away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from building_vitals.cache.options import CacheOptions
from building_vitals.datasets.cache import R2CacheService
from building_vitals.errors import UpstreamError, UpstreamSiteUnknown
from building_vitals.ranges import Range
from building_vitals.series.folding import Folder
from building_vitals.sites.directory import RECHECK_MS, SiteDirectory
from building_vitals.upstream.ace.calls import FetchReport
from building_vitals.upstream.ace.own_points import OwnPoints
from building_vitals.upstream.port import FetchCount, SampleSink
from fakes.clock import VirtualClock
from fakes.invocation import invocation
from fakes.object_store import FakeObjectStore

WANTED = Range(0, 1000)


@dataclass
class ParameterReader:
    """An upstream that notes what it is asked, and lists of points that may fail."""

    names: dict[str, list[str]]
    failure: UpstreamError | None = None
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)

    async def fetch_samples(
        self, site: str, points: Sequence[str], time_range: Range, sink: SampleSink, **_: Any
    ) -> FetchCount:
        """Note the points."""
        self.asked.append((site, list(points)))
        return FetchReport(requests=1)

    async def list_points(
        self, site: str, *, deadline_ms: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the points of a site."""
        self.listed.append(site)
        if self.failure is not None:
            raise self.failure
        if site not in self.names:
            raise UpstreamSiteUnknown(f"unknown: {site}")
        return [{"name": name} for name in self.names[site]]

    async def list_sites(self, *, deadline_ms: int | None = None) -> list[dict[str, Any]]:
        """Return no sites."""
        return []


class World:
    """The guard with a directory that keeps its lists."""

    def __init__(self, **names: list[str]) -> None:
        self.clock = VirtualClock(10_000_000)
        self.source = ParameterReader(names)
        self._running: list[Any] = []
        self.directory = SiteDirectory(
            listings=self.source,
            datasets=R2CacheService(FakeObjectStore(), self.clock),
            invocation=invocation(
                self.clock, run_later=self._running.append, on_fault=lambda *_: None
            ),
            options=CacheOptions(),
            timeout_ms=1000,
        )
        self.guard = OwnPoints(self.source, self.directory)

    async def fetch(self, site: str, *points: str) -> list[str]:
        """
        Fetch, let what runs behind come to its end, and return the points that were passed on.
        """
        await self.guard.fetch_samples(site, points, WANTED, Folder(points, WANTED))
        while self._running:
            await self._running.pop()
        return self.source.asked[-1][1]


async def test_names_that_fit_a_filter_are_passed_on_unlisted() -> None:
    """The site's own call takes them, so nobody has to ask whose they are."""
    world = World(a=[])
    assert ["p", "q"] == await world.fetch("a", "p", "q")
    assert [] == world.source.listed


async def test_points_of_other_sites_are_left_out() -> None:
    """
    Of names with commas or blanks at an end only the site's own are passed on, in their order.
    """
    world = World(a=["x, own", " y"], b=["x, other"])
    assert [" y", "p", "x, own"] == await world.fetch("a", " y", "x, other", "p", "x, own")
    assert ["x, other"] == await world.fetch("b", "x, other", "x, own")


async def test_lists_are_kept_and_read_anew_when_a_point_is_missing() -> None:
    """One list serves an hour; a name that it lacks has it read again, once a minute at most."""
    world = World(a=["x, 1"])
    for _ in range(3):
        assert ["x, 1"] == await world.fetch("a", "x, 1")
    assert 1 == len(world.source.listed)
    world.source.names["a"].append("x, 2")
    assert [] == await world.fetch("a", "x, 2")
    assert 1 == len(world.source.listed)
    await world.clock.sleep(RECHECK_MS)
    assert ["x, 2"] == await world.fetch("a", "x, 2")
    assert ["x, 1"] == await world.fetch("a", "x, 1")
    assert 2 == len(world.source.listed)
    await world.clock.sleep(CacheOptions().default_ttl * 1000)
    assert ["x, 1"] == await world.fetch("a", "x, 1")
    assert 3 == len(world.source.listed)


async def test_what_cannot_be_settled_fails() -> None:
    """Without a list that says so, no point counts as absent: the fetch fails instead."""
    world = World(a=["x, 1"])
    await world.fetch("a", "x, 1")
    await world.clock.sleep(RECHECK_MS)
    world.source.failure = UpstreamError("down", upstream_status=503)
    assert ["x, 1"] == await world.fetch("a", "x, 1")
    with pytest.raises(UpstreamError, match="down"):
        await world.fetch("a", "x, 2")
    world.source.failure = None
    with pytest.raises(UpstreamSiteUnknown):
        await world.fetch("nowhere", "x, 1")
