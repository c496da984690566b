"""
Joined segments against the plain samples of their parts, and their life against that of the parts.
"""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Samples, Stored, every, stored
from building_vitals.cache.compaction_table import move_statements
from building_vitals.cache.coverage import cover
from building_vitals.cache.fetch_runs import fetch_runs
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.joining import Run, join, runs
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.frames import Frame, frame_text
from fakes.database import FakeDatabase

WORLD = Range(0, 4000)
TRUTH = [every(1, WORLD), every(3, WORLD, seed=1), every(400, WORLD, seed=2), Samples()]


class Blobs:
    """Gives the bytes of frames."""

    def __init__(self, held: list[Stored]) -> None:
        self._blobs = {each.segment.key: each.blob for each in held}

    def read(self, segment: Segment, frame: Frame) -> memoryview:
        """Return the bytes of a frame."""
        start = segment.offset + frame.offset
        return memoryview(self._blobs[segment.key])[start : start + frame.stored_bytes]


def draw_range(rng: random.Random, limit: int) -> Range:
    """Return a range below *limit*, more often short than long."""
    length = min(rng.choice((1, 5, 40, 500, 1500, 3000)), limit - 1)
    start_ms = rng.randrange(limit - length)
    return Range(start_ms, start_ms + length)


def draw_sizes(rng: random.Random) -> list[int]:
    """Return sizes of frames, small and large."""
    return [rng.choice((1, 3, 90, 511, 512, 700)) for _ in range(rng.randrange(8))]


@settings(deadline=None, max_examples=80)
@given(st.randoms(use_true_random=False), st.sampled_from(TRUTH))
def test_joined_parts_have_the_same_samples(rng: random.Random, truth: Samples) -> None:
    """Whatever segments a run is made of, the whole has their samples, in frames that are right."""
    held = [
        stored(draw_range(rng, WORLD.end_ms), truth, sizes=draw_sizes(rng), key=str(i))
        for i in range(rng.randrange(1, 7))
    ]
    segments = [each.segment for each in held]
    for known in merge(each.range for each in segments):
        fold = join("p", known, cover("p", segments, known).known, Blobs(held).read)

        inside = truth.within(known)
        series = fold.series
        assert (known, len(inside)) == (fold.known, series.count)
        texts = [
            frame_text(each, series.data[each.offset : each.offset + each.stored_bytes])
            for each in series.frames
        ]
        assert inside.text == b",".join(texts)
        start = 0
        for frame in series.frames:
            part = inside[start : start + frame.count]
            assert (frame.first_ms, frame.last_ms) == (part[0][0], part[-1][0])
            start += frame.count


@settings(deadline=None, max_examples=200)
@given(st.randoms(use_true_random=False))
def test_joining_changes_nobody_s_life(rng: random.Random) -> None:
    """Only what was fetched at one instant is joined, so that all is known as long as before."""
    segments: list[Segment] = []
    for number in range(rng.randrange(2, 12)):
        fetched_ms = rng.randrange(3) + WORLD.end_ms
        time_range = draw_range(rng, fetched_ms)
        segments.append(stored(time_range, fetched_ms=fetched_ms, key=str(number)).segment)

    for known, fetched_ms, parts in runs(segments):
        fold = join("p", known, parts, Blobs([]).read)
        assert len(parts) > 1
        assert known == fold.known
        assert {fetched_ms} == {segment.fetched_ms for segment, _ in parts}
        assert [] == gaps([part for _, part in parts], known)


# All that was fetched from BEGIN_MS on is old enough by then, and little lies between.
RULE = Freshness(trust_ratio=1_000, trust_max_ms=10**6, lateness_ms=0, grace_ms=1, max_age_ms=1)
BEGIN_MS, LAST_MS = 10_000, 40


class Life:
    """
    One point whose fetches come late, whose ranges are purged, and whose segments are joined.

    The value of a sample is the instant of its fetch.
    """

    def __init__(self, rng: random.Random, database: FakeDatabase) -> None:
        self.rng, self.database = rng, database
        self.index = SegmentIndex(database)
        self.now_ms = BEGIN_MS
        self.under_way: list[tuple[int, Range]] = []
        self.planned: list[Run] = []
        self.values: dict[str, dict[int, int]] = {"": {}}
        self.truth: dict[int, int] = {}
        self.purges: list[tuple[int, Range]] = []

    def drawn(self) -> Range:
        """Return a range."""
        start_ms = self.rng.randrange(LAST_MS)
        return Range(start_ms, min(LAST_MS, start_ms + self.rng.choice((5, 10, 20))))

    def made(self, known: Range, fetched_ms: int, values: dict[int, int]) -> Segment:
        """Return a new segment."""
        key = f"k{len(self.values)}"
        self.values[key] = values
        return stored(known, every(1, known), key=key, fetched_ms=fetched_ms).segment

    async def found(self) -> list[Segment]:
        """Return all segments."""
        return await self.index.find("hq", ["p"], Range(0, LAST_MS))

    async def shown(self) -> dict[int, int]:
        """Return what an answer shows."""
        found = cover("p", await self.found(), Range(0, LAST_MS)).known
        return {ms: self.values[each.key][ms] for each, part in found for ms in range(*part)}

    async def step(self) -> None:
        """Do one thing."""
        self.now_ms += 1
        match self.rng.choice(("begin", "begin", "store", "store", "purge", "plan", "join")):
            case "begin":
                self.under_way.append((self.now_ms, self.drawn()))
            case "store" if self.under_way:
                place = self.rng.choice((0, -1))
                await self.store(*self.under_way.pop(place))
            case "purge" if self.rng.random() < 0.4:
                time_range = self.drawn()
                points = self.rng.choice((None, ["p"]))
                self.purges.append((self.now_ms, time_range))
                await self.index.purge("hq", points, time_range, now_ms=self.now_ms)
                for ms in range(*time_range):
                    self.truth.pop(ms, None)
            case "plan":
                held = await self.found()
                self.planned = fetch_runs(held, held, RULE)
            case "join":
                await self.join()

    async def store(self, fetched_ms: int, known: Range) -> None:
        """Store what was fetched, be it long ago."""
        segment = self.made(known, fetched_ms, dict.fromkeys(range(*known), fetched_ms))
        await self.database.batch(
            SegmentIndex.insert_statements("hq", [segment], [10**9], [], now_ms=self.now_ms)
        )
        for ms in range(*known):
            is_purged = any(
                fetched_ms <= purged_ms and each.start_ms <= ms < each.end_ms
                for purged_ms, each in self.purges
            )
            if not is_purged:
                self.truth[ms] = max(fetched_ms, self.truth.get(ms, 0))

    async def join(self) -> None:
        """Put in place what was planned, be it long ago."""
        moves = []
        for run in self.planned:
            values = {
                ms: self.values[each.key][ms] for each, part in run.parts for ms in range(*part)
            }
            made = self.made(run.known, run.fetched_ms, values)
            moves.append((made, 10**9, [each for each, _ in run.parts]))
        await self.database.batch(move_statements("hq", moves, now_ms=self.now_ms))


@settings(deadline=None, max_examples=150)
@given(st.randoms(use_true_random=False))
def test_what_is_joined_never_hides_what_is_newer(rng: random.Random) -> None:
    """
    Fetched at different instants, stored late, purged, joined: nothing is lost, nothing purged
    comes back, and no instant is ever shown as it was before.
    """

    async def live() -> None:
        with FakeDatabase() as database:
            life, before = Life(rng, database), dict[int, int]()
            for _ in range(60):
                await life.step()
                shown = await life.shown()
                assert set(life.truth) == set(shown)
                assert all(value <= life.truth[ms] for ms, value in shown.items())
                assert all(value >= before.get(ms, 0) for ms, value in shown.items())
                before = shown

    asyncio.run(live())
