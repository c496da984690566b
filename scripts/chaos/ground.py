"""
The sites of a run and their data, in the fake upstream and in the truth alike.

A value holds the number of the change that made it, so that an answer shows which one it saw.
"""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Mapping
from threading import Lock

from chaos.oracle import ABSENT, Absence, PointHistory, Truth, Value, settle
from chaos.workload import DAY_MS, HOUR_MS, MINUTE_MS, SiteShape
from fakes.upstream import FakeUpstream

# 2025-01-01.
START_MS = 1_735_689_600_000
LIVE_INTERVAL_MS = 10_000
LIVE_BEFORE_MS = 30 * MINUTE_MS
# The newest samples come to the upstream so much later than their time, some much later.
LIVE_LAG_MS = 3_000
ABANDONED = "cancels"
STATES = ("off", "on", "alarm", "", "a,b", "=1+1")


def now_ms() -> int:
    """Return the present moment; see oracle.CLOCK_MS."""
    return time.time_ns() // 1_000_000


def shape(name: str, points: int, days: int, interval_ms: int) -> SiteShape:
    """Return a site with names of all kinds: blanks, slashes, dots, a comma."""
    names = tuple(
        f"{name}/10.0.{number}.2-{number}/Zone {number}.{'Temp' if number % 2 else 'State, raw'}"
        for number in range(points)
    )
    return SiteShape(name, names, START_MS, START_MS + days * DAY_MS, interval_ms)


ALPHA = shape("alpha", 8, 4, 15 * MINUTE_MS)
BETA = shape("beta", 12, 2, 10 * MINUTE_MS)
JOBS = shape("jobs", 8, 20, HOUR_MS)
LIVE = shape("live", 3, 0, LIVE_INTERVAL_MS)


class Ground:
    """
    Changes the upstream's data, and notes in the truth when.

    Args:
        upstream: The fake.
        truth: Empty.
        seed: Of the samples.
    """

    def __init__(self, upstream: FakeUpstream, truth: Truth, seed: int) -> None:
        self._upstream, self._truth = upstream, truth
        self._lock = Lock()
        self._changes = 0
        self._grown_ms = now_ms() - LIVE_BEFORE_MS
        for site in (ALPHA, BETA, JOBS):
            self._fill(site, random.Random(f"{seed}/{site.name}"))
        upstream.set_points(LIVE.name, dict.fromkeys(LIVE.points, ()))
        for name in LIVE.points:
            self._list(LIVE.name, name)
        self.advance(everything=True)
        upstream.add_generated(
            ABANDONED, start_ms=START_MS, end_ms=START_MS + 20 * DAY_MS, points=12
        )
        upstream.latency_ms[ABANDONED] = 60

    def _fill(self, site: SiteShape, chance: random.Random) -> None:
        """Give a site's points samples with gaps; the last point has none."""
        points: dict[str, dict[int, Value]] = {}
        for number, name in enumerate(site.points):
            times = range(site.start_ms + number % 4 * 1_000, site.end_ms, site.interval_ms)
            points[name] = {ms: new_value(name, ms, 0) for ms in times if chance.random() > 0.08}
        points[site.points[-1]] = {}
        for name, samples in points.items():
            self._list(site.name, name)
            self._truth.points[site.name][name].begin(samples)
        self._upstream.set_points(site.name, {name: sent(each) for name, each in points.items()})

    def _list(self, site: str, name: str) -> None:
        self._truth.points.setdefault(site, {})[name] = PointHistory()
        existence = self._truth.existence[site, name] = PointHistory()
        existence.begin({0: "yes"})

    def change(self, site: str, changes: Mapping[str, Mapping[int, Value]]) -> None:
        """Give samples of a site's points other values, ABSENT to take them away."""
        with self._lock:
            began_ms = now_ms()
            versions = [
                self._truth.history(site, name).change(ms, value, began_ms=began_ms)
                for name, samples in changes.items()
                for ms, value in samples.items()
            ]
            self._upstream.set_points(
                site, {name: sent(self._truth.history(site, name).newest()) for name in changes}
            )
            settle(versions, now_ms())

    def correct(self, site: str, points: tuple[str, ...], start_ms: int, end_ms: int) -> None:
        """Change the value of the samples in a range; every seventh vanishes."""
        self._changes += 1
        changes = {}
        for name in points:
            newest = self._truth.history(site, name).newest()
            times = sorted(ms for ms in newest if start_ms <= ms < end_ms)
            changes[name] = {
                ms: ABSENT if at % 7 == 6 else new_value(name, ms, self._changes)
                for at, ms in enumerate(times)
            }
        self.change(site, {name: each for name, each in changes.items() if each})

    def has(self, site: str, name: str) -> bool:
        """Return whether a site has a point now."""
        existence = self._truth.existence.get((site, name))
        return existence is not None and bool(existence.newest())

    def add_late(self, site: str, points: tuple[str, ...], at_ms: int) -> None:
        """Add a few samples that come late, between the others, to points that the site has."""
        self._changes += 1
        points = tuple(name for name in points if self.has(site, name))
        times = [at_ms + offset for offset in (7_000, 7_001, 67_000)]
        # Never of the future: a question that ends at the present would not find them at first.
        times = [ms for ms in times if ms < now_ms()]
        self.change(
            site,
            {name: {ms: new_value(name, ms, self._changes) for ms in times} for name in points},
        )

    def advance(self, *, everything: bool = False) -> None:
        """Let the samples of the last moments arrive at the living site, but for some late ones."""
        until_ms = now_ms() - LIVE_LAG_MS
        first = -(-self._grown_ms // LIVE_INTERVAL_MS) * LIVE_INTERVAL_MS
        times = range(first, until_ms, LIVE_INTERVAL_MS)
        self._grown_ms = max(self._grown_ms, until_ms)
        changes = {
            name: {
                ms: new_value(name, ms, 0)
                for ms in times
                if everything or zlib.crc32(b"%d" % ms) % 5
            }
            for name in LIVE.points
        }
        if times:
            self.change(LIVE.name, changes)

    def appear(self, site: str, name: str) -> None:
        """Add a point with samples to a site, or bring back one that vanished."""
        self._changes += 1
        times = range(START_MS, START_MS + DAY_MS, HOUR_MS)
        with self._lock:
            if (site, name) not in self._truth.existence:
                self._truth.points[site][name] = PointHistory()
                self._truth.existence[site, name] = PointHistory()
            listed = self._truth.existence[site, name].change(0, "yes", began_ms=now_ms())
        self.change(site, {name: {ms: new_value(name, ms, self._changes) for ms in times}})
        settle([listed], now_ms())

    def vanish(self, site: str, name: str) -> None:
        """Take a point away from a site, with all its samples."""
        with self._lock:
            history, began_ms = self._truth.history(site, name), now_ms()
            gone = [history.change(ms, ABSENT, began_ms=began_ms) for ms in history.newest()]
            gone.append(self._truth.existence[site, name].change(0, ABSENT, began_ms=began_ms))
            self._upstream.remove_points(site, [name])
            settle(gone, now_ms())


def new_value(name: str, ms: int, change: int) -> Value:
    """Return the value that a change gives a sample: mostly a number, no other change has it."""
    seed = zlib.crc32(b"%d" % ms, zlib.crc32(name.encode()))
    if seed % 50 == 0:
        return None if change == 0 else f"{STATES[seed // 50 % len(STATES)]}#{change}"
    if ", raw" in name and seed % 3:
        return f"{STATES[seed // 3 % len(STATES)]}#{change}"
    return f"{change + 1}{seed % 10_000:04}.{seed % 97:02}0"


def sent(samples: Mapping[int, Value]) -> list[tuple[int, str | None]]:
    """Return samples as the fake upstream takes them."""
    return [(ms, value) for ms, value in sorted(samples.items()) if not isinstance(value, Absence)]
