"""
What compaction takes out of blocks: the series of a chart's points, beside each other.

In a block the points of a chart lie far apart, so that each takes a read of its own, and a long
range lies in several blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from building_vitals.cache.blobs import READ_GAP_BYTES_MAX
from building_vitals.cache.block_trust import may_count_as
from building_vitals.cache.coverage import cover
from building_vitals.cache.joining import Run, is_small
from building_vitals.cache.segments import BlockSegment, Segment
from building_vitals.ranges import Range


def block_reads(segments: Iterable[Segment]) -> int:
    """Return how many reads it takes to get at small segments that lie in blocks."""
    places = sorted(
        (each.key, each.offset, each.offset + each.stored_bytes)
        for each in segments
        if each.is_block and each.count and is_small(each)
    )
    reads, before, stop = 0, "", 0
    for key, offset, end in places:
        if key != before or offset > stop + READ_GAP_BYTES_MAX:
            reads += 1
        before, stop = key, end
    return reads


def block_runs(
    by_point: Mapping[str, Sequence[Segment]],
    time_range: Range,
    most_bytes: int,
    *,
    before_ms: int,
) -> list[Run]:
    """
    Return what is taken out of blocks for a range, some points after the other.

    Parts that follow each other become one, as when blocks are merged: fetched when the last of
    them was, where they may count as that. Where another segment is the newest, nothing is taken,
    nor beyond the range: what there is newer has not been looked up.

    Args:
        by_point: All that there is of each point.
        time_range: The range.
        most_bytes: So many stored bytes, and one point more.
        before_ms: What was fetched later stays apart: a fetch that began between two parts may
            not be stored yet, and what becomes one would hide it.
    """
    found: list[Run] = []
    size = 0
    for point, segments in by_point.items():
        if size >= most_bytes:
            break
        raw = [each for each in segments if not each.is_by_point]
        own: list[Run] = []
        for segment, part in cover(point, raw, time_range).known:
            if not segment.is_block or not is_small(segment):
                continue
            size += segment.stored_bytes
            last = own[-1] if own else None
            latest_ms = max(last.fetched_ms if last else 0, segment.fetched_ms)
            if (
                last
                and last.known.end_ms == part.start_ms
                and _are_alike(last, segment, latest_ms, before_ms)
            ):
                known = Range(last.known.start_ms, part.end_ms)
                own[-1] = Run(point, known, latest_ms, [*last.parts, (segment, part)])
            else:
                own.append(Run(point, part, segment.fetched_ms, [(segment, part)]))
        found += own
    return found


def _are_alike(run: Run, segment: Segment, latest_ms: int, before_ms: int) -> bool:
    """Return whether all parts of a run, and another one, may count as fetched at an instant."""
    if run.fetched_ms != segment.fetched_ms and latest_ms > before_ms:
        return False
    parts = [*(each for each, _ in run.parts), segment]
    return all(may_count_as(each, latest_ms) for each in parts if isinstance(each, BlockSegment))
