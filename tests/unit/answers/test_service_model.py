"""
Whatever happens to the cache, an answer holds the upstream's data, or there is none.

Each run is a sequence of overlapping requests, while time passes, the upstream's data change, parts
are purged, R2, D1 and the upstream fail, isolates die, and objects are deleted, overwritten and
spoilt, and so are slivers. `CACHE_MODEL_SEEDS=1000-1999` runs other sequences than the usual ones.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import UNSET

from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.formats.registry import Format
from building_vitals.answers.question import Question, Route
from building_vitals.cache.failures import FAILURE_MS
from building_vitals.cache.freshness import LATENESS_MS
from building_vitals.cache.options import SLIVER_BYTES, CacheOptions
from building_vitals.errors import Unavailable, UpstreamError
from building_vitals.instants import parse_iso
from building_vitals.maintenance.purge import EVER
from building_vitals.ranges import Range
from fakes.failures import Fault
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, read_body, read_json

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# How long a request may take, and so a fetch that others wait for.
TIMEOUT_MS = 30_000
POINTS = ("a", "b/Zone 1", "c,d", "é ☃ 😀", 'quote " \\', "silent", "g")
REQUESTS = 300
OPTIONS = CacheOptions(lease_seconds=5)
# Most bytes of a sliver in one run after the other: none, some that soon add up, and the usual.
SLIVERS_BYTES = (0, 128, SLIVER_BYTES)
SLIVERS = "SELECT point, end_ms, start_ms, data FROM cache_segments WHERE data IS NOT NULL"
SPOILING = "UPDATE cache_segments SET data = ?1 WHERE"
FORMATS: tuple[tuple[Format, bool], ...] = (
    ("json", True),
    ("json", True),
    ("json", False),
    ("ndjson", True),
)


class Purge(NamedTuple):
    """A purge that has happened."""

    points: tuple[str, ...] | None
    time_range: Range
    at_ms: int

    def names(self, point: str) -> bool:
        """Return whether samples of a point were to be forgotten."""
        return self.points is None or point in self.points

    def holds(self, at_ms: int) -> bool:
        """Return whether samples of an instant were to be forgotten."""
        return self.time_range.start_ms <= at_ms < self.time_range.end_ms


class Model:
    """What may be answered, and the dice."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.purges: list[Purge] = []
        self.latest: tuple[tuple[str, ...], Range] | None = None
        self.is_failing = False
        self.excused_until_ms = 0
        self.answered = 0
        self.failed = 0
        self.statuses: dict[str, int] = {}
        self.asked_samples = 0

    async def step(self) -> int:
        """Let something happen; return how many requests it was."""
        dice = self.dice
        if self.is_failing and dice.random() < 0.3:
            self.mend()
        kind = dice.random()
        if kind < 0.50:
            count = dice.choice((1, 1, 1, 2, 3, 6))
            others = [self.purge()] if dice.random() < 0.05 else []
            await asyncio.gather(*others, *(self.request() for _ in range(count)))
            if dice.random() < 0.8:
                await self.world.settle()
            return count
        if kind < 0.55:
            return await self.reload()
        if kind < 0.75:
            await self.pass_time()
        elif kind < 0.80:
            self.world.upstream.changes.append(self.world.clock.now_ms())
        elif kind < 0.84:
            await self.purge()
        elif kind < 0.91:
            self.meddle()
        elif kind < 0.97:
            self.fail()
        else:
            await self.world.die()
            self.excuse(OPTIONS.lease_seconds * 1000)
        return 0

    async def reload(self) -> int:
        """Reload a chart every few minutes; return how often."""
        dice, count = self.dice, self.dice.randint(5, 14)
        points = tuple(dice.sample(POINTS, 3))
        span_ms, step_ms = dice.choice((HOUR_MS, DAY_MS)), dice.randint(MINUTE_MS, HOUR_MS // 2)
        end_ms = self.world.clock.now_ms() - dice.choice((0, 2 * DAY_MS))
        for _ in range(count):
            await self.request(points, Range(end_ms - span_ms, end_ms))
            await self.world.settle()
            await asyncio.sleep(step_ms / 1000)
            end_ms += step_ms
        return count

    async def pass_time(self) -> None:
        """Let seconds pass, or days."""
        delay_ms = self.dice.choice(
            (300, 5000, MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, DAY_MS)
        )
        await asyncio.sleep(self.dice.uniform(0.1, 1) * delay_ms / 1000)

    async def purge(self) -> None:
        """Have something forgotten, for good once it has been said to be."""
        dice = self.dice
        points = None if dice.random() < 0.3 else tuple(dice.sample(POINTS, dice.randint(1, 3)))
        time_range = EVER if dice.random() < 0.3 else self.time_range()
        at_ms = self.world.clock.now_ms()
        try:
            await self.world.index.purge("site", points, time_range, now_ms=at_ms)
        except Unavailable:
            return
        self.purges.append(Purge(points, time_range, at_ms))

    def meddle(self) -> None:
        """Do something to objects and slivers behind the cache's back."""
        objects, dice = self.world.objects, self.dice
        for key in dice.sample(sorted(objects.infos), min(len(objects.infos), dice.randint(1, 5))):
            if dice.random() < 0.4:
                objects.lose(key)
            elif dice.random() < 0.5:
                objects.overwrite(key, dice.randbytes(dice.choice((1, 100, 5000))))
            else:
                objects.spoil(key, dice.randrange(100_000))
        look = self.world.database.look
        rows = look(f"{SLIVERS} ORDER BY point, end_ms, start_ms")
        for row in dice.sample(rows, min(len(rows), dice.randint(0, 2))):
            data = dice.choice((None, "", "AAAA", row["data"][:-4], row["data"][::-1]))
            values = (data, row["point"], row["end_ms"], row["start_ms"])
            look(f"{SPOILING} point = ?2 AND end_ms = ?3 AND start_ms = ?4", *values)

    def fail(self) -> None:
        """Let some part fail from now on, more or less often."""
        dice, world = self.dice, self.world
        share = dice.choice((0.1, 0.5, 1.0))

        def chance(_: object) -> Fault | None:
            return dice.choice(list(Fault)) if dice.random() < share else None

        part = dice.choice(("R2", "D1", "upstream"))
        if part == "R2":
            world.objects.failures.by_chance(chance)
        elif part == "D1":
            world.database.failures.by_chance(chance)
        else:
            world.upstream.failing = lambda *_: dice.random() < share
        self.is_failing, self.excused_until_ms = True, 2**60

    def mend(self) -> None:
        """Let all parts work again."""
        self.world.objects.failures.clear()
        self.world.database.failures.clear()
        self.world.upstream.failing = lambda *_: False
        self.is_failing, self.excused_until_ms = False, 0
        self.excuse(max(OPTIONS.lease_seconds * 1000, FAILURE_MS))

    def excuse(self, delay_ms: int) -> None:
        """Let requests fail for a while: a lease may have nobody behind it."""
        until_ms = self.world.clock.now_ms() + delay_ms
        self.excused_until_ms = max(self.excused_until_ms, until_ms)

    def time_range(self) -> Range:
        """Return a range such as charts ask for, or any other."""
        dice, now_ms = self.dice, self.world.clock.now_ms()
        kind = dice.random()
        if kind < 0.35:
            return Range(now_ms - dice.choice((HOUR_MS, 6 * HOUR_MS, DAY_MS, 5 * DAY_MS)), now_ms)
        if kind < 0.45:
            return Range(now_ms - dice.randint(1, 2 * DAY_MS), now_ms + dice.randint(1, DAY_MS))
        if kind < 0.65:
            first = dice.randint(1, 7)
            start_ms = EPOCH_MS - first * DAY_MS
            return Range(start_ms, start_ms + dice.randint(1, first) * DAY_MS)
        start_ms = EPOCH_MS - dice.randint(0, 6 * DAY_MS)
        return Range(start_ms, start_ms + dice.randint(1, 4 * DAY_MS))

    async def request(
        self, points: tuple[str, ...] | None = None, time_range: Range | None = None
    ) -> None:
        """Ask for something, and see that the answer is right."""
        dice, world = self.dice, self.world
        if points is None or time_range is None:
            is_repeated = dice.random() < 0.3 and self.latest is not None
            points, time_range = (self.latest if is_repeated else None) or (
                tuple(dice.sample(POINTS, dice.randint(1, 4))),
                self.time_range(),
            )
        self.latest = points, time_range
        format, is_gzip = dice.choice(FORMATS)
        route: Route = "direct" if dice.random() < 0.05 else "cached"
        asked = world.question(points, time_range, route=route, format=format, gzip=is_gzip)
        since = len(self.purges)
        try:
            answer = await world.service.fetch_timeseries(asked)
            body = await read_body(answer)
        except (UpstreamError, Unavailable) as error:
            assert self.excused_until_ms >= asked.started_ms, f"without a cause: {error!r}"
            self.failed += 1
            return
        samples = self.read(asked, answer, body)
        assert list(points) == list(samples)
        self.check_report(asked, answer, samples)
        for point in points:
            self.check(asked, answer, point, samples[point], self.purges[:since])
        self.answered += 1

    @staticmethod
    def read(asked: Question, answer: TimeseriesAnswer, body: bytes) -> dict[str, list[list[Any]]]:
        """Return the samples in a body."""
        if asked.format == "json":
            return read_json(answer, body, is_gzip=asked.gzip).samples
        samples: dict[str, list[list[Any]]] = {point: [] for point in asked.request.points}
        for line in gzip.decompress(body).splitlines():
            row = json.loads(line)
            samples[row["point"]].append([parse_iso(row["time"]), row["value"]])
        return samples

    def check_report(
        self, asked: Question, answer: TimeseriesAnswer, samples: dict[str, list[list[Any]]]
    ) -> None:
        """See that what is said of the cache fits the answer."""
        report, count = answer.report, sum(map(len, samples.values()))
        self.statuses[report.status] = self.statuses.get(report.status, 0) + 1
        self.asked_samples += count
        assert 0 <= report.samples_from_cache <= count
        assert count <= report.samples_from_cache + report.samples_fetched
        if report.status == "hit":
            assert count == report.samples_from_cache
            assert ([], 0, 0) == (report.fetched, report.samples_fetched, report.upstream_requests)
        if report.status in ("miss", "bypass"):
            assert 0 == report.samples_from_cache
        if report.status in ("miss", "bypass", "partial"):
            assert report.fetched
        assert answer.samples == count
        assert (answer.answer_etag is None) == (report.status in ("bypass", "stale"))

    def check(
        self,
        asked: Question,
        answer: TimeseriesAnswer,
        point: str,
        samples: list[list[Any]],
        purges: list[Purge],
    ) -> None:
        """See that samples are all there, and as new as they have to be."""
        upstream, time_range = self.world.upstream, asked.request.time_range
        now_ms = self.world.clock.now_ms()
        as_of_ms = asked.started_ms - asked.started_ms % 1000
        times = [at_ms for at_ms, _ in samples]
        lacking = [] if answer.report.missing is UNSET else answer.report.missing
        possible = [
            at_ms
            for at_ms in upstream.times(point, time_range)
            if not any(at_ms in range(*each) for each in lacking) or at_ms in times
        ]
        assert possible[: len(times)] == times
        missing = possible[len(times) :]
        assert not missing or missing[0] >= as_of_ms
        assert not times or times[-1] < now_ms
        newest = upstream.version(now_ms)
        grace_ms = OPTIONS.stale_grace * 1000 if answer.report.status == "stale" else 0
        ratio, then_ms = OPTIONS.trust_ratio, asked.started_ms - grace_ms
        purges = [each for each in purges if each.names(point)]
        for at_ms, value in samples:
            if value == upstream.answered(point, at_ms, newest):
                continue
            # now - fetched <= ratio * (fetched - at - lateness), solved for the fetch.
            trusted_ms = (then_ms + ratio * (at_ms + LATENESS_MS)) / (1 + ratio)
            trusted_ms = max(trusted_ms, then_ms - OPTIONS.trust_max * 1000)
            # Who waits for a fetch takes it as it comes, though it began before.
            since_ms = min(int(trusted_ms), then_ms) - TIMEOUT_MS
            purged_ms = max((each.at_ms for each in purges if each.holds(at_ms)), default=0)
            oldest = upstream.version(max(since_ms, purged_ms))
            allowed = [
                upstream.answered(point, at_ms, version) for version in range(oldest, newest + 1)
            ]
            assert value in allowed, (point, at_ms, answer.report, purged_ms)


def seeds() -> range:
    """Return the sequences to run."""
    first, _, last = os.environ.get("CACHE_MODEL_SEEDS", "0-7").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", seeds())
@in_virtual_time
async def test_answers_are_right_whatever_happens(seed: int) -> None:
    """300 requests are answered with what the upstream had lately, or fail for a reason."""
    # Frames close after 512 samples: some runs have many in a segment, the others are fast.
    interval_ms = 5 * MINUTE_MS if seed % 8 == 7 else 20 * MINUTE_MS
    sliver_bytes = SLIVERS_BYTES[seed % len(SLIVERS_BYTES)]
    options = msgspec.structs.replace(OPTIONS, sliver_bytes=sliver_bytes)
    async with World(cache=options, page_size=1000, interval_ms=interval_ms) as world:
        world.upstream.silent.add("silent")
        world.upstream.page_ms = 80
        model = Model(world, seed)
        requests = 0
        while requests < REQUESTS:
            requests += await model.step()
        model.mend()
        await world.settle()
        assert model.answered > REQUESTS / 3
        assert {"hit", "miss", "partial", "bypass"} <= set(model.statuses)
        # The usual ones are few enough to stay where they are.
        assert world.started["Compactor.compact"] or sliver_bytes == SLIVER_BYTES
        assert world.upstream.samples_sent < model.asked_samples
