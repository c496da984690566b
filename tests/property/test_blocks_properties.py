"""
Blocks against a dictionary: whatever is kept, merged, purged and fetched, reading is right.

A fetch begins at one moment and is stored at a later one: what was fetched last decides, not what
was stored last.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders import samples
from building_vitals.blocks.block import (
    BlockBuilder,
    Entry,
    Known,
    entries_of,
    foot_of,
    name_hash,
    place_in_order,
)
from building_vitals.blocks.directory import leaves_with
from building_vitals.blocks.merging import MERGED_MIN
from building_vitals.cache.lease import FETCH_MS_MAX
from building_vitals.cache.segments import Segment
from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range, merge
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import frame_text
from building_vitals.series.sample_text import decode_samples
from fakes.blocks import keep_block, series_of
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

POINTS = ["a", "b", "c"]
ALL = Range(EPOCH_MS - 2000 * HOUR_MS, EPOCH_MS - 1976 * HOUR_MS)
STEP_MS = 10 * MINUTE_MS

places = st.integers(0, ALL.duration_ms // MINUTE_MS)
ranges = (
    st.tuples(places, places)
    .map(sorted)
    .filter(lambda pair: pair[0] < pair[1])
    .map(lambda pair: Range(*(ALL.start_ms + each * MINUTE_MS for each in pair)))
)
# Of the smallest level: enough of them are merged.
short_ranges = st.tuples(st.integers(0, 600), st.integers(10, 119)).map(
    lambda pair: Range(
        ALL.start_ms + pair[0] * MINUTE_MS, ALL.start_ms + (pair[0] + pair[1]) * MINUTE_MS
    )
)
mixed_ranges = st.lists(short_ranges | ranges, min_size=MERGED_MIN, max_size=MERGED_MIN + 3)
some_points = st.lists(st.sampled_from(POINTS), min_size=1, max_size=2, unique=True)
operations = st.one_of(
    st.tuples(st.just("keep"), st.lists(ranges, min_size=1, max_size=MERGED_MIN), st.none()),
    st.tuples(st.just("keep"), mixed_ranges, st.none()),
    st.tuples(st.just("keep"), mixed_ranges, st.none()),
    st.tuples(st.just("merge"), st.just([ALL]), st.none()),
    st.tuples(st.just("purge"), st.lists(ranges, min_size=1, max_size=2), some_points),
    st.tuples(st.just("purge"), st.lists(ranges, min_size=1, max_size=1), st.none()),
    st.tuples(st.just("ask"), st.lists(ranges, min_size=1, max_size=1), some_points),
    # Of some points, as a chart's; of all, as a round.
    st.tuples(
        st.just("begin"), st.lists(short_ranges, min_size=1, max_size=2), some_points | st.none()
    ),
    st.tuples(st.just("store"), st.just([ALL]), st.none()),
)
Operation: TypeAlias = tuple[str, list[Range], list[str] | None]


class Held(NamedTuple):
    """A fetch that has begun and is not stored yet; *points* is None for all of the site."""

    points: list[str] | None
    time_range: Range
    series: list[PointSeries]
    fetched_ms: int
    version: int


class Model:
    """
    Which version of each sample is known, as a dictionary.

    Attributes:
        held: Fetches that are not stored yet.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[tuple[str, int], tuple[int, int]] = {}
        self._purged: dict[tuple[str, int], int] = {}
        self.held: list[Held] = []

    def keep(
        self, points: list[str], time_range: Range, version: int, fetched_ms: int | None = None
    ) -> None:
        """Know a version from now on that was fetched at an instant; left out, just now."""
        fetched_ms = self._world.clock.now_ms() if fetched_ms is None else fetched_ms
        for point in points:
            for at in self._world.upstream.times(point, time_range):
                purged_ms = self._purged.get((point, at), -1)
                known_ms, _ = self._known.get((point, at), (-1, 0))
                if fetched_ms > purged_ms and fetched_ms >= known_ms:
                    self._known[point, at] = fetched_ms, version

    def purge(self, points: list[str], time_range: Range) -> None:
        """Know nothing of a range, nor of what was fetched up to now."""
        for point in points:
            for at in self._world.upstream.times(point, time_range):
                self._purged[point, at] = self._world.clock.now_ms()
                self._known.pop((point, at), None)

    def samples(self, points: list[str], time_range: Range) -> dict[str, list[list[object]]]:
        """Return what an answer must have; all of it is known."""
        upstream = self._world.upstream
        return {
            point: [
                [at, upstream.answered(point, at, self._known[point, at][1])]
                for at in upstream.times(point, time_range)
            ]
            for point in points
        }

    def missing(self, points: list[str], time_range: Range) -> set[tuple[str, int]]:
        """Return what is not known."""
        return {
            (point, at)
            for point in points
            for at in self._world.upstream.times(point, time_range)
            if (point, at) not in self._known
        }


async def check(world: World, model: Model, points: list[str], time_range: Range) -> None:
    """Ask for a range: all that is known comes as it is known, and the rest is fetched."""
    upstream = world.upstream
    version = upstream.version(world.clock.now_ms())
    missing = model.missing(points, time_range)
    upstream.asked.clear()
    # Another isolate each time: nothing is remembered.
    world.app = world.make_app()
    world.service = world.app.timeseries
    got = await world.ask(points, time_range)
    for each in upstream.asked:
        model.keep(list(each.points), each.time_range, version)
    assert set() == model.missing(points, time_range)
    assert bool(missing) <= bool(upstream.asked)
    assert model.samples(points, time_range) == got.samples
    await world.settle()


async def carry_out(world: World, model: Model, operation: Operation) -> None:
    """Do one thing to the blocks of a world."""
    name, of_ranges, points = operation
    for each in of_ranges:
        await world.clock.sleep(2_000)
        # Everything is different each time: nothing old passes for new.
        world.upstream.changes.append(world.clock.now_ms())
        version = world.upstream.version(world.clock.now_ms())
        if name == "keep":
            await keep_block(world, POINTS, each)
            model.keep(POINTS, each, version)
        elif name == "merge":
            await wait(world, model, FETCH_MS_MAX // 2 + 1)
            before_ms = world.clock.now_ms() - FETCH_MS_MAX
            await world.app.merger.merge_due("site", 9, before_ms=before_ms)
        elif name == "purge":
            await world.index.purge("site", points, each, now_ms=world.clock.now_ms())
            model.purge(points or POINTS, each)
        elif name == "begin":
            series = await series_of(world, points or POINTS, each)
            model.held.append(Held(points, each, series, world.clock.now_ms(), version))
        elif name == "store":
            await store(world, model, len(model.held))
        else:
            await check(world, model, points or POINTS, each)


async def wait(world: World, model: Model, duration_ms: int) -> None:
    """Let time pass; a fetch that would last too long is stored before."""
    until_ms = world.clock.now_ms() + duration_ms
    await store(
        world, model, sum(each.fetched_ms + FETCH_MS_MAX <= until_ms for each in model.held)
    )
    await world.clock.sleep(duration_ms)


async def store(world: World, model: Model, count: int) -> None:
    """Store the first of the fetches that have begun."""
    now_ms = world.clock.now_ms()
    for each in model.held[:count]:
        if each.points is None:
            await world.app.blocks.keep(
                "site", each.time_range, each.series, fetched_ms=each.fetched_ms
            )
        else:
            made = world.store.made("site", each.series, fetched_ms=each.fetched_ms)
            await world.store.commit([await world.store.put(made)], now_ms=now_ms)
        model.keep(each.points or POINTS, each.time_range, each.version, each.fetched_ms)
    del model.held[:count]


# Rounds, with a longer block fetched between them that is newer than some and older than others.
ROUNDS = [Range(ALL.start_ms + n * HOUR_MS, ALL.start_ms + (n + 1) * HOUR_MS) for n in range(8)]
BETWEEN: list[Operation] = [
    ("keep", [*ROUNDS[:4], Range(ALL.start_ms, ALL.start_ms + 20 * HOUR_MS), *ROUNDS[4:]], None)
]

# A chart that is copied out of blocks, of which one goes on where another is newer.
BEYOND: list[Operation] = [
    ("keep", [Range(ALL.start_ms + 8 * HOUR_MS, ALL.start_ms + 12 * HOUR_MS)], None),
    ("keep", [Range(ALL.start_ms + 9 * HOUR_MS, ALL.start_ms + 10 * HOUR_MS)], None),
    ("keep", [*ROUNDS, *ROUNDS[:4]], None),
    ("ask", [Range(ALL.start_ms, ALL.start_ms + 8 * HOUR_MS + 30 * MINUTE_MS)], ["a"]),
]

# Fetches that begin between two rounds, and are stored after these have been merged, or copied.
LATE: list[Operation] = [
    ("keep", ROUNDS[:4], None),
    ("begin", [Range(ALL.start_ms, ALL.start_ms + 2 * HOUR_MS)], None),
    ("begin", [Range(ALL.start_ms + HOUR_MS, ALL.start_ms + 3 * HOUR_MS)], ["b"]),
    ("keep", ROUNDS[4:], None),
    ("merge", [ALL], None),
    ("store", [ALL], None),
    ("merge", [ALL], None),
    ("merge", [ALL], None),
]
LATE_COPIES: list[Operation] = [
    *LATE[:4],
    (
        "keep",
        [Range(ALL.start_ms + n * HOUR_MS, ALL.start_ms + (n + 1) * HOUR_MS) for n in (8, 9)],
        None,
    ),
    ("ask", [Range(ALL.start_ms, ALL.start_ms + 10 * HOUR_MS)], POINTS),
    ("store", [ALL], None),
]


@settings(max_examples=20, deadline=None)
@example(BETWEEN)
@example(BEYOND)
@example(LATE)
@example(LATE_COPIES)
@given(st.lists(operations, min_size=3, max_size=8))
def test_reading_is_what_a_dictionary_says(done: list[Operation]) -> None:
    """After any operations, merging or not, every point has of each instant what came last."""

    @in_virtual_time
    async def run() -> None:
        async with World(interval_ms=STEP_MS) as world:
            model = Model(world)
            for each in done:
                await carry_out(world, model, each)
            await wait(world, model, FETCH_MS_MAX + 1)
            found = await world.make_app().index.find("site", POINTS, ALL)
            before = world.upstream.requests
            before_ms = world.clock.now_ms() - FETCH_MS_MAX
            await world.app.merger.merge_due("site", 99, before_ms=before_ms)
            again = await world.make_app().index.find("site", POINTS, ALL)
            assert known_of(found) == known_of(again)
            assert before == world.upstream.requests
            await check(world, model, POINTS, ALL)
            assert [] == world.reported
            assert [] == world.crashes

    run()


def known_of(segments: list[Segment]) -> dict[str, list[Range]]:
    """Return which ranges some segments know, by point."""
    by_point: dict[str, list[Range]] = {}
    for each in segments:
        by_point.setdefault(each.point, []).append(each.range)
    return {point: merge(known) for point, known in by_point.items()}


names = st.text(min_size=1, max_size=40)
contents = st.dictionaries(names, st.lists(st.integers(0, 999), unique=True), max_size=150)


@settings(deadline=None)
@given(contents, st.lists(names, max_size=5))
def test_every_point_is_found_with_its_samples(
    held: dict[str, list[int]], strangers: list[str]
) -> None:
    """Bisection finds each point that has samples, and none that has not."""
    known = Range(0, 1000)
    builder = BlockBuilder([known])
    written = b""
    for point in sorted(held, key=place_in_order):
        text = " ".join(f"{at}:{at}" for at in sorted(held[point]))
        builder.add(point, [Known(known, samples(text).series([7]))])
        written += builder.take()
    place = builder.end()
    data = written + builder.take()
    assert builder.stored_bytes == len(data)
    foot = foot_of(data[place.foot_offset :], place.foot_crc)
    found: dict[str, Entry] = {}
    for number, asked in leaves_with(
        foot, {each: name_hash(each) for each in [*held, *strangers]}
    ).items():
        leaf = foot.leaves[number]
        own = data[leaf.offset : leaf.offset + leaf.stored_bytes]
        of_leaf = entries_of(leaf, own)
        assert [name_hash(each.point) for each in of_leaf] == sorted(
            name_hash(each.point) for each in of_leaf
        )
        named = entries_of(leaf, own, asked)
        assert [each for each in of_leaf if each.point in asked] == named
        found |= {each.point: each for each in named}
    assert {point for point, times in held.items() if times} == set(found)
    for point, entry in found.items():
        [stint] = entry.stints
        own = data[stint.offset : stint.offset + stint.stored_bytes]
        assert stint.data_crc == zlib.crc32(own)
        texts = [
            frame_text(each, own[each.offset : each.offset + each.stored_bytes])
            for each in stint.frames
        ]
        assert sorted(held[point]) == [at for text in texts for at, _ in decode_samples(text)]
