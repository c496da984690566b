"""The bytes of a block."""

from __future__ import annotations

import random

import pytest

from builders import Samples, samples
from building_vitals.blocks.block import (
    LEAF_ENTRIES_MAX,
    BlockBuilder,
    Entry,
    Foot,
    Known,
    entries_of,
    foot_of,
    place_in_order,
)
from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.series.frames import Series, frame_text

KNOWN = Range(0, 1000)
EMPTY = Series((), b"")


def built(points: dict[str, list[Known]]) -> tuple[bytes, Foot]:
    """Return the bytes of a block of some points, and its foot."""
    builder = BlockBuilder([KNOWN])
    for point in sorted(points, key=place_in_order):
        builder.add(point, points[point])
    place = builder.end()
    data = builder.take()
    assert builder.stored_bytes == len(data) == place.foot_offset + place.foot_bytes
    return data, foot_of(data[place.foot_offset :], place.foot_crc)


def entries_in(data: bytes, foot: Foot) -> list[Entry]:
    """Return all entries of a block."""
    return [
        entry
        for leaf in foot.leaves
        for entry in entries_of(leaf, data[leaf.offset : leaf.offset + leaf.stored_bytes])
    ]


def text_of(data: bytes, entry: Entry) -> bytes:
    """Return the samples of an entry as text."""
    return b",".join(
        frame_text(
            frame,
            data[stint.offset + frame.offset : stint.offset + frame.offset + frame.stored_bytes],
        )
        for stint in entry.stints
        for frame in stint.frames
    )


def test_what_was_added_is_there() -> None:
    """Each point has its stints with their samples; one without samples has no entry."""
    held = samples('10:1 20:"on" 500:null')
    whole = [Known(KNOWN, held.series([2]))]
    parts = [Known(each, held.within(each).series()) for each in (Range(0, 400), Range(600, 1000))]
    data, foot = built({"a": whole, "b": parts, "none": [Known(KNOWN, EMPTY)]})
    found = {each.point: each for each in entries_in(data, foot)}
    assert {"a", "b"} == set(found)
    assert held.text == text_of(data, found["a"])
    assert held.within(Range(0, 400)).text == text_of(data, found["b"])
    assert [Range(0, 400), Range(600, 1000)] == [each.range for each in found["b"].stints]
    assert ((0, 1000),) == foot.ranges


def test_an_empty_block_knows_its_range() -> None:
    """Without any samples there are no leaves, and the foot says what is known."""
    data, foot = built({"a": [Known(KNOWN, EMPTY)]})
    assert ((KNOWN,), ()) == (foot.ranges, foot.leaves)
    assert [] == entries_in(data, foot)


def test_leaves_hold_a_bounded_number_of_entries() -> None:
    """Many small entries go into several leaves, in the order of the names' hashes."""
    series = samples("10:1").series()
    names = [f"point {n}" for n in range(3 * LEAF_ENTRIES_MAX + 1)]
    data, foot = built({name: [Known(KNOWN, series)] for name in names})
    assert [LEAF_ENTRIES_MAX] * 3 + [1] == [leaf.entries for leaf in foot.leaves]
    ordered = [each.point for each in entries_in(data, foot)]
    assert sorted(names, key=place_in_order) == ordered
    assert [place_in_order(ordered[n * LEAF_ENTRIES_MAX])[0] for n in range(4)] == [
        leaf.first_hash for leaf in foot.leaves
    ]


def test_points_come_in_order() -> None:
    """A point behind which another one was added would never be found."""
    builder = BlockBuilder([KNOWN])
    first, second = sorted(["a", "b"], key=place_in_order)
    builder.add(second, [Known(KNOWN, EMPTY)])
    with pytest.raises(ValueError, match="out of order"):
        builder.add(first, [Known(KNOWN, EMPTY)])
    with pytest.raises(ValueError, match="out of order"):
        builder.add(second, [Known(KNOWN, EMPTY)])


def test_a_spoilt_directory_is_noticed() -> None:
    """One other byte anywhere in a leaf or the foot, and nothing is read from it."""
    builder = BlockBuilder([KNOWN])
    builder.add("a", [Known(KNOWN, samples("10:1 20:2").series())])
    place = builder.end()
    data = builder.take()
    foot = data[place.foot_offset :]
    leaf = foot_of(foot, place.foot_crc).leaves[0]
    own = data[leaf.offset : leaf.offset + leaf.stored_bytes]
    for n in range(len(foot)):
        with pytest.raises(ValueError, match="stored"):
            foot_of(foot[:n] + bytes([foot[n] ^ 1]) + foot[n + 1 :], place.foot_crc)
    for n in range(len(own)):
        with pytest.raises(ValueError, match="stored"):
            entries_of(leaf, own[:n] + bytes([own[n] ^ 1]) + own[n + 1 :])


def test_the_directory_of_a_month_is_small() -> None:
    """Of 30 days of 5-minute data, at most 15 % of the bytes say where the samples are."""
    month = Range(0, 30 * DAY_MS)
    builder = BlockBuilder([month])
    names = [f"building/ahu_{n}/supply_air_temperature" for n in range(20)]
    for n, point in enumerate(sorted(names, key=place_in_order)):
        rng = random.Random(n)
        value, held = 20.0, []
        for at_ms in range(0, month.end_ms, 5 * MINUTE_MS):
            value += rng.uniform(-0.3, 0.3)
            held.append((at_ms, f"{value:.2f}"))
        builder.add(point, [Known(month, Samples(held).series([576] * 15))])
    of_series = builder.stored_bytes
    builder.end()
    assert 20 * 8640 == builder.samples
    assert builder.stored_bytes - of_series < 0.15 * builder.stored_bytes
