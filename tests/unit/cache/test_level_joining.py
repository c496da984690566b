"""Levels of segments that become one, case by case."""

from __future__ import annotations

import asyncio
import random

import msgspec

from builders import Samples, stored
from building_vitals.cache.blobs import Blobs
from building_vitals.cache.joining import BARE_SAMPLES_MAX
from building_vitals.cache.level_joining import join_levels, level_pieces
from building_vitals.cache.leveling import with_levels
from building_vitals.cache.segments import Piece, Segment, pieces
from building_vitals.ranges import Range
from building_vitals.series.frames import frame_text
from building_vitals.series.levels import Levels, columns_of
from building_vitals.series.rollups import RollupBuilder
from fakes.brute_levels import DAY_MS, HOUR_MS, MINUTE_MS, level

DAYS = 20
MEET_MS = 10 * DAY_MS + 2 * HOUR_MS + 7 * MINUTE_MS
MANY = Samples(
    (5 * MINUTE_MS * n, f"{random.Random(n).gauss(20, 3):.2f}") for n in range(DAYS * 288)
)
HALVES = (Range(0, MEET_MS), Range(MEET_MS, DAYS * DAY_MS))
JOINED = MANY.series([576] * 10)


class Reads:
    """Reads pieces, and knows which."""

    def __init__(self) -> None:
        self.blobs = Blobs()
        self.read: list[Piece] = []

    def held(self, known: Range, samples: Samples = MANY) -> Segment:
        """Return a segment with levels that is at hand."""
        segment, blob = stored(known, samples, sizes=[576] * 30, key=f"k{known}")
        data, [found] = asyncio.run(with_levels(blob, [segment]))
        self.blobs.add(found.key, 0, data)
        return found

    def piece(self, piece: Piece) -> memoryview:
        """Return the bytes of a piece."""
        self.read.append(piece)
        return self.blobs.piece(piece)


def check(levels: Levels, samples: Samples = MANY) -> None:
    """See that all levels are those of all samples."""
    for width_ms, series in levels.kept:
        texts = [
            frame_text(each, series.data[each.offset : each.offset + each.stored_bytes])
            for each in series.frames
        ]
        assert Samples(level(list(samples), width_ms)).text == b",".join(texts)


def test_only_the_bucket_they_share_is_put_together() -> None:
    """Of two that meet in it the levels give all, and none of their samples is looked at."""
    reads = Reads()
    halves = [(reads.held(each), each) for each in HALVES]
    levels = join_levels(halves, JOINED, reads.piece)
    assert levels is not None
    check(levels)
    assert [HOUR_MS, 4 * HOUR_MS, DAY_MS, 7 * DAY_MS] == [each for each, _ in levels.kept]
    ends = {segment.key: segment.offset + segment.stored_bytes for segment, _ in halves}
    assert reads.read
    assert all(each.offset >= ends[each.key] for each in reads.read)
    # Of three samples in a quarter of an hour two are kept.
    [(width_ms, least)] = levels.least.items()
    assert 15 * MINUTE_MS == width_ms
    assert 0.64 * len(MANY) < least <= 0.97 * 2 / 3 * len(MANY)


def test_rollups_are_joined_hour_by_hour() -> None:
    """They are what the samples of all would give, cut ones and a few without any among them."""
    reads = Reads()
    older, newer = reads.held(Range(0, DAYS * DAY_MS)), reads.held(HALVES[0])
    for parts in (
        [(newer, HALVES[0]), (older, HALVES[1])],
        [(reads.held(each), each) for each in HALVES],
    ):
        levels = join_levels(parts, JOINED, reads.piece)
        builder = RollupBuilder()
        builder.add(columns_of(MANY.text))
        assert levels is not None
        assert levels.rollup is not None
        assert builder.build() == levels.rollup
    # Of one without rollup there are too many samples.
    rest = msgspec.structs.replace(older, levels=(older.levels or ())[1:])
    assert rest.count > BARE_SAMPLES_MAX
    levels = join_levels([(newer, HALVES[0]), (rest, HALVES[1])], JOINED, reads.piece)
    assert levels is not None
    assert levels.rollup is None


def test_a_cut_goes_through_buckets() -> None:
    """Where a newer segment hides a part, the buckets at its edges come from what is left."""
    reads = Reads()
    older, newer = reads.held(Range(0, DAYS * DAY_MS)), reads.held(HALVES[0])
    levels = join_levels([(newer, HALVES[0]), (older, HALVES[1])], JOINED, reads.piece)
    assert levels is not None
    check(levels)


def test_they_are_made_anew_where_there_are_none() -> None:
    """Of many samples without levels, of nothing but such, and of nothing at all."""
    reads = Reads()
    bare, held = (reads.held(each) for each in HALVES)
    bare = msgspec.structs.replace(bare, levels=None)
    assert bare.count > BARE_SAMPLES_MAX
    for parts in ([(bare, bare.range), (held, held.range)], [(bare, bare.range)], []):
        assert join_levels(parts, JOINED, reads.piece) is None
    assert [] == level_pieces(bare)
    assert join_levels([(held, held.range)], Samples().series(), reads.piece) is None


def test_a_few_samples_without_levels_are_put_in() -> None:
    """A day of them meets what has levels."""
    reads = Reads()
    day = Range(DAYS * DAY_MS, (DAYS + 1) * DAY_MS)
    few = Samples((day.start_ms + 5 * MINUTE_MS * n, str(n * n % 37)) for n in range(288))
    segment, blob = stored(day, few, key="few")
    reads.blobs.add("few", 0, blob)
    halves = [(reads.held(each), each) for each in HALVES]
    whole = Samples([*MANY, *few])
    levels = join_levels([*halves, (segment, day)], whole.series([576] * 10), reads.piece)
    assert levels is not None
    check(levels, whole)
    # It is not noted of all how few samples they save.
    assert {} == levels.least
    assert [piece for piece in reads.read if piece.key == "few"]
    assert pieces(segment, day)
