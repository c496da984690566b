"""What compaction takes out of blocks."""

from __future__ import annotations

import msgspec

from builders import every, stored
from building_vitals.cache.blobs import READ_GAP_BYTES_MAX
from building_vitals.cache.block_runs import block_reads, block_runs
from building_vitals.cache.joining import SEGMENT_BYTES_MAX, Run
from building_vitals.cache.segments import BlockSegment, Segment
from building_vitals.ranges import Range


def of_block(known: Range, fetched_ms: int, key: str = "blocks/k") -> BlockSegment:
    """Return a segment of a block with a sample every ten milliseconds."""
    found = stored(known, every(10, known), fetched_ms=fetched_ms, key=key).segment
    return BlockSegment(*msgspec.structs.astuple(found))


def shown(runs: list[Run]) -> list[tuple[Range, int, list[Range]]]:
    """Return the ranges and instants of runs, and of their parts."""
    return [(run.known, run.fetched_ms, [part for _, part in run.parts]) for run in runs]


def test_reads_are_counted_by_place() -> None:
    """What lies close together in a block is one read; small segments of blocks alone count."""
    one = of_block(Range(0, 100), 500)
    close = msgspec.structs.replace(one, offset=one.offset + one.stored_bytes + READ_GAP_BYTES_MAX)
    far = msgspec.structs.replace(one, offset=close.offset + 2 * READ_GAP_BYTES_MAX)
    other = msgspec.structs.replace(one, key="blocks/other")
    large = msgspec.structs.replace(
        one, offset=10 * READ_GAP_BYTES_MAX, stored_bytes=SEGMENT_BYTES_MAX + 1
    )
    usual = stored(Range(0, 100), every(10, Range(0, 100))).segment
    assert 1 == block_reads([close, one])
    assert 3 == block_reads([far, one, other, close, large, usual])
    assert 0 == block_reads([large, usual])


def test_parts_that_follow_each_other_become_one() -> None:
    """Fetched when the last was; the newest decides, and what lies beyond the range is left."""
    first, second = of_block(Range(0, 110), 500), of_block(Range(100, 200), 600)
    apart = of_block(Range(300, 400), 550)
    runs = block_runs({"p": [apart, second, first]}, Range(50, 350), 10**6, before_ms=600)
    assert [
        (Range(50, 200), 600, [Range(50, 100), Range(100, 200)]),
        (Range(300, 350), 550, [Range(300, 350)]),
    ] == shown(runs)


def test_what_was_fetched_lately_stays_apart() -> None:
    """Or a fetch that began between two parts, and is stored later, would be hidden."""
    first, second = of_block(Range(0, 100), 500), of_block(Range(100, 200), 600)
    third, same = of_block(Range(200, 300), 601), of_block(Range(300, 400), 601, "blocks/other")
    runs = block_runs({"p": [first, second, third, same]}, Range(0, 400), 10**6, before_ms=600)
    assert [
        (Range(0, 200), 600, [Range(0, 100), Range(100, 200)]),
        (Range(200, 400), 601, [Range(200, 300), Range(300, 400)]),
    ] == shown(runs)


def test_nothing_is_taken_where_another_segment_is_newer() -> None:
    """Or the copy, which counts as fetched last, would hide it."""
    first, second = of_block(Range(0, 100), 500), of_block(Range(100, 200), 600)
    newer: Segment = stored(Range(40, 60), fetched_ms=550).segment
    older = stored(Range(150, 180), fetched_ms=550).segment
    runs = block_runs({"p": [first, second, newer, older]}, Range(0, 200), 10**6, before_ms=600)
    assert [
        (Range(0, 40), 500, [Range(0, 40)]),
        (Range(60, 200), 600, [Range(60, 100), Range(100, 200)]),
    ] == shown(runs)
    by_point = msgspec.structs.replace(newer, is_by_point=True)
    assert 1 == len(block_runs({"p": [first, by_point]}, Range(0, 100), 10**6, before_ms=600))


def test_so_many_bytes_are_taken_at_once() -> None:
    """And one point more: the others come the next time."""
    of_points = {name: [of_block(Range(0, 100), 500)] for name in "abc"}
    size = of_points["a"][0].stored_bytes
    assert ["a", "b"] == [
        each.point for each in block_runs(of_points, Range(0, 9), size + 1, before_ms=600)
    ]
    assert ["a"] == [each.point for each in block_runs(of_points, Range(0, 9), size, before_ms=600)]


def test_what_was_fetched_once_is_trusted_no_longer_than_before() -> None:
    """It becomes one with what was fetched much later only if it was old itself by then."""
    once = [
        msgspec.structs.replace(of_block(Range(n * 100, n * 100 + 100), at), is_once=True)
        for n, at in ((0, 1_100), (1, 1_190), (2, 1_350))
    ]
    runs = block_runs({"p": once}, Range(0, 300), 10**6, before_ms=10**6)
    assert [
        (Range(0, 200), 1_190, [Range(0, 100), Range(100, 200)]),
        (Range(200, 300), 1_350, [Range(200, 300)]),
    ] == shown(runs)
