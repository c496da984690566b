"""Finding points in a block."""

from __future__ import annotations

import pytest

from builders import samples
from building_vitals.blocks.block import (
    VERSION,
    BlockBuilder,
    Entry,
    Foot,
    Known,
    Leaf,
    Stint,
    entries_of,
    foot_of,
    name_hash,
    place_in_order,
)
from building_vitals.blocks.directory import (
    READ_GAP_BYTES_MAX,
    leaf_reads,
    leaves_with,
    segments_of,
)
from building_vitals.blocks.stint_levels import laid_out
from building_vitals.cache.block_rows import BlockRow, Mark, cut_out
from building_vitals.cache.segments import Level
from building_vitals.instants import HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.levels import Levels, LevelSeries

KNOWN = Range(0, 1000)
BLOCK = BlockRow("blocks/k", "etag", 0, 1000, 1000, 0, 0, 0, 0)


def foot_with(*hashes: int) -> Foot:
    """Return a foot whose leaves begin with these hashes."""
    return Foot(VERSION, (KNOWN,), tuple(Leaf(each, 0, 1, 1, 0, 1) for each in hashes))


def test_a_point_is_looked_for_where_its_hash_lies() -> None:
    """Bisection names one leaf; none where the block is empty."""
    hashed = name_hash("a")
    assert {1: ["a"]} == leaves_with(foot_with(0, hashed - 1, hashed + 1), {"a": hashed})
    assert {} == leaves_with(foot_with(), {"a": hashed})


def test_names_with_one_hash_may_lie_in_two_leaves() -> None:
    """Where a leaf begins with the hash, the one before it may end with it."""
    hashed = name_hash("a")
    assert {0: ["a"], 1: ["a"], 2: ["a"]} == leaves_with(
        foot_with(5, hashed, hashed), {"a": hashed}
    )
    assert {0: ["a"]} == leaves_with(foot_with(hashed), {"a": hashed})


def test_every_point_is_found() -> None:
    """Of thousands of points each lies in a leaf that is named."""
    builder = BlockBuilder([KNOWN])
    names = [f"p{n}" for n in range(1000)]
    series = samples("10:1").series()
    for name in sorted(names, key=place_in_order):
        builder.add(name, [Known(KNOWN, series)])
    place = builder.end()
    data = builder.take()
    foot = foot_of(data[place.foot_offset :], place.foot_crc)
    found = set()
    for number, points in leaves_with(
        foot, {name: name_hash(name) for name in [*names, "stranger"]}
    ).items():
        leaf = foot.leaves[number]
        own = data[leaf.offset : leaf.offset + leaf.stored_bytes]
        found |= {each.point for each in entries_of(leaf, own, points)}
    assert set(names) == found


def test_neighbouring_leaves_are_read_together() -> None:
    """A read reaches over small gaps, and no further."""
    leaves = [
        Leaf(0, 100, 10, 0, 0, 1),
        Leaf(1, 110, 10, 0, 0, 1),
        Leaf(2, 120, 10, 0, 0, 1),
        Leaf(3, 131 + READ_GAP_BYTES_MAX, 10, 0, 0, 1),
    ]
    assert [(100, 130, [0, 2]), (leaves[3].offset, leaves[3].offset + 10, [3])] == leaf_reads(
        leaves, {3, 2, 0}
    )


def stint(known: Range, text: str) -> Stint:
    """Return a stint with samples."""
    series = samples(text).series()
    return Stint(*known, 7, len(series.data), 1, series.frames)


def test_a_point_without_an_entry_is_known_to_be_empty() -> None:
    """Over all that the block knows, within the range asked for."""
    foot = Foot(VERSION, (Range(0, 400), Range(600, 1000)), ())
    found = segments_of(BLOCK, foot, "a", None, marks=[], time_range=Range(500, 700))
    assert [("a", Range(600, 1000), 0, "", "", 1000)] == [
        (each.point, each.range, each.count, each.key, each.object_etag, each.fetched_ms)
        for each in found
    ]
    assert found[0].is_block


def test_what_was_purged_is_cut_out() -> None:
    """A stint's rest is known on both sides, cut, with about its share of the samples."""
    entry = Entry("a", (stint(KNOWN, "10:1 300:2 700:3 900:4"),))
    found = segments_of(
        BLOCK, foot_with(), "a", entry, marks=[Mark("a", 200, 600, 1000)], time_range=KNOWN
    )
    assert [(Range(0, 200), True, 1), (Range(600, 1000), True, 1)] == [
        (each.range, each.is_cut, each.count) for each in found
    ]
    whole = segments_of(BLOCK, foot_with(), "a", entry, marks=[], time_range=KNOWN)
    assert [(KNOWN, False, 4, "blocks/k", 7)] == [
        (each.range, each.is_cut, each.count, each.key, each.offset) for each in whole
    ]


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        pytest.param(Mark("", 5, 9, 1000), [Range(5, 9)], id="of the site, after the fetch"),
        pytest.param(Mark("a", 5, 9, 1001), [Range(5, 9)], id="of the point"),
        pytest.param(Mark("b", 5, 9, 1001), [], id="of another point"),
        pytest.param(Mark("", 5, 9, 999), [], id="before the fetch"),
    ],
)
def test_a_purge_concerns_what_was_fetched_before(mark: Mark, expected: list[Range]) -> None:
    """Data that were fetched after a purge stay."""
    assert expected == cut_out([mark], "a", 1000)


def test_levels_come_where_they_are_asked_for() -> None:
    """Behind the series of their stint; a cut leaves them, for they are told by their frames."""
    series, level = samples("10:1 20:2").series(), samples("10:1").series()
    laid = laid_out(Levels((LevelSeries(HOUR_MS, level),), {}))
    size = len(series.data)
    entry = Entry("a", (Stint(*KNOWN, 7, size, 0, series.frames, 0, laid.levels),))
    marks = [Mark("a", 0, 15, 5_000)]
    for asked, expected in (
        (0, None),
        (5, (Level.of(HOUR_MS, 7 + size, len(level.data), 1, level.frames),)),
        (-1, ()),
    ):
        for cuts in ([], marks):
            [found] = segments_of(
                *(BLOCK, foot_with(), "a", entry),
                marks=cuts,
                time_range=KNOWN,
                level_samples=asked,
            )
            assert (expected, bool(cuts)) == (found.levels, found.is_cut)
