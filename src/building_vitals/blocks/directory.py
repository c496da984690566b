"""
Finds points in a block's directory: which leaves are to be read, and what they say.

Pure: the reader fetches what is named here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from building_vitals.blocks.block import Entry, Foot, Leaf, Stint
from building_vitals.blocks.stint_levels import levels_at
from building_vitals.cache.block_rows import BlockRow, Mark, cut_out
from building_vitals.cache.segments import BlockSegment
from building_vitals.ranges import Range, gaps
from building_vitals.series.splicing import growth

# Bytes between two leaves that are read along rather than asked for twice.
READ_GAP_BYTES_MAX = 65_536
# Bytes of one ranged read.
READ_BYTES_MAX = 2_097_152

_FIRST_HASH = attrgetter("first_hash")


class LeavesRead(NamedTuple):
    """Neighbouring leaves that are read at once, by their numbers: bytes [start, stop)."""

    start: int
    stop: int
    numbers: list[int]


def leaves_with(foot: Foot, hashes: Mapping[str, int]) -> dict[int, list[str]]:
    """
    Return which leaves may have an entry of some points, by number, and of which.

    Points with the same hash may lie in two leaves. *hashes* are those of the points' names.
    """
    found: dict[int, list[str]] = {}
    for point, hashed in hashes.items():
        begin = max(0, bisect_left(foot.leaves, hashed, key=_FIRST_HASH) - 1)
        for number in range(begin, bisect_right(foot.leaves, hashed, key=_FIRST_HASH)):
            found.setdefault(number, []).append(point)
    return found


def leaf_reads(leaves: Sequence[Leaf], numbers: Iterable[int]) -> list[LeavesRead]:
    """Return what is to be read so that each of some leaves lies within one read."""
    found: list[LeavesRead] = []
    for number in sorted(numbers):
        leaf = leaves[number]
        stop = leaf.offset + leaf.stored_bytes
        if (
            found
            and leaf.offset <= found[-1].stop + READ_GAP_BYTES_MAX
            and stop - found[-1].start <= READ_BYTES_MAX
        ):
            last = found[-1]
            found[-1] = LeavesRead(last.start, stop, [*last.numbers, number])
        else:
            found.append(LeavesRead(leaf.offset, stop, [number]))
    return found


def segments_of(
    block: BlockRow,
    foot: Foot,
    point: str,
    entry: Entry | None,
    *,
    marks: Sequence[Mark],
    time_range: Range,
    level_samples: int = 0,
) -> list[BlockSegment]:
    """
    Return what a block knows of a point in a range, as segments; by time, disjoint.

    Args:
        block: The block.
        foot: Its foot.
        point: The name of the point.
        entry: What it has of the point; None where it has no entry.
        marks: What was purged.
        time_range: The range; segments may reach beyond it.
        level_samples: As for `SegmentIndex.find`, but that no directory is left out.
    """
    return [
        _segment(block, point, stint, left, level_samples)
        for stint in (foot.empty_stints() if entry is None else entry.stints)
        for left in gaps(cut_out(marks, point, stint.fetched_ms or block.fetched_ms), stint.range)
        if left.clip(time_range)
    ]


def _segment(
    block: BlockRow, point: str, stint: Stint, left: Range, level_samples: int
) -> BlockSegment:
    last = stint.frames[-1] if stint.frames else None
    count = sum(frame.count for frame in stint.frames)
    is_cut = left != stint.range
    if is_cut and count:
        count = max(1, count * left.duration_ms // stint.range.duration_ms)
    return BlockSegment(
        point=point,
        start_ms=left.start_ms,
        end_ms=left.end_ms,
        fetched_ms=stint.fetched_ms or block.fetched_ms,
        key=block.key if last else "",
        object_etag=block.object_etag if last else "",
        offset=stint.offset,
        stored_bytes=stint.stored_bytes,
        text_bytes=last.raw_end if last else 0,
        count=count,
        crc=last.crc if last else 0,
        crc_growth=last.crc_growth if last else growth(0),
        data_crc=stint.data_crc,
        frames=stint.frames,
        is_cut=is_cut,
        is_once=block.is_once,
        levels=levels_at(stint.offset + stint.stored_bytes, stint.levels, level_samples),
    )
