"""
Which segments of a point become one although they were fetched at different instants.

A job fetches a year in chunks, each at an instant of its own. What becomes one counts as fetched
when the first of its parts was, the cautious choice: it is trusted no longer than any of them. Two
things must stay as they are. Trust must hardly get shorter (`Freshness.may_count_as`), and of
overlapping segments the newest still decides: no other one was fetched between the parts. What is
being fetched and is stored later finds a mark (`compaction_table`).

Separate from `joining`, which joins what was fetched at one instant and asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter

from building_vitals.cache.coverage import cover
from building_vitals.cache.joining import BARE_SAMPLES_MAX, Run, is_small
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range

# Segments in objects that must become one: fewer are not worth the writing.
JOINED_MIN = 3
# Stored bytes of what becomes one: a year and a half of a sample in five minutes.
JOINED_BYTES_MAX = 1_048_576

# Says of the first and the last instant of a fetch, and of the end of what was fetched, whether it
# may all count as fetched at the first.
MayCount = Callable[[int, int, int], bool]

_START = attrgetter("start_ms")


def fetch_runs(
    segments: Sequence[Segment], chosen: Iterable[Segment], may_count: MayCount
) -> list[Run]:
    """
    Return which segments of one point become one; by kind and time.

    Args:
        segments: All that there are of the point where those lie.
        chosen: Those of them that are known.
        may_count: The rule.
    """
    found: list[Run] = []
    for is_by_point in (False, True):
        together: list[Segment] = []
        for each in sorted(filter(_is_joinable, chosen), key=_START):
            if each.is_by_point != is_by_point:
                continue
            if together and not _are_one([*together, each], segments, may_count):
                found += _run(together)
                together = []
            together.append(each)
        found += _run(together)
    return found


def _is_joinable(segment: Segment) -> bool:
    return is_small(segment) and not segment.is_block and not segment.is_left_out


def _are_one(together: Sequence[Segment], segments: Iterable[Segment], may_count: MayCount) -> bool:
    """Return whether the last one may join the others, which are one already."""
    *before, last = together
    start_ms, end_ms = before[0].start_ms, max(each.end_ms for each in before)
    if last.start_ms > end_ms:
        return False
    if sum(each.stored_bytes for each in together) > JOINED_BYTES_MAX:
        return False
    end_ms = max(end_ms, last.end_ms)
    earliest_ms = min(each.fetched_ms for each in together)
    latest_ms = max(each.fetched_ms for each in together)
    own = set(map(id, together))
    return may_count(earliest_ms, latest_ms, end_ms) and not any(
        each.start_ms < end_ms
        and each.end_ms > start_ms
        and earliest_ms <= each.fetched_ms <= latest_ms
        and id(each) not in own
        for each in segments
    )


def are_scattered(segments: Iterable[Segment]) -> bool:
    """Return whether so many segments of a point lie in objects that joining may be worth it."""
    return sum(map(_is_in_object, segments)) >= JOINED_MIN


def _is_in_object(segment: Segment) -> bool:
    return segment.count > 0 and not segment.is_sliver and _is_joinable(segment)


def _run(together: Sequence[Segment]) -> list[Run]:
    """Return segments as a run, if it is worth the writing."""
    if not are_scattered(together):
        return []
    known = Range(together[0].start_ms, max(each.end_ms for each in together))
    point, earliest_ms = together[0].point, min(each.fetched_ms for each in together)
    return [Run(point, known, earliest_ms, cover(point, together, known).known)]


def affordable(
    runs: Sequence[Run], *, most_bytes: int, most_leveled_bytes: int, is_zoomed: bool
) -> Iterator[Run]:
    """
    Yield those that are stored at once; the first in any case.

    Levels of parts that all have some are joined; of others they are made of all samples. Where
    nobody asks for levels, those are not stored beside each other: what is stored with levels is
    all given some.

    Args:
        runs: What may be joined.
        most_bytes: Stored bytes of samples.
        most_leveled_bytes: Of those that levels are made of.
        is_zoomed: Whether levels are asked for.
    """
    left, left_leveled = most_bytes, most_leveled_bytes
    is_first_bare = bool(runs) and _is_bare(runs[0])
    for run in runs:
        size = sum(segment.stored_bytes for segment, _ in run.parts)
        is_bare = _is_bare(run)
        if left <= 0 or (is_zoomed and is_bare and left_leveled <= 0):
            continue
        if not is_zoomed and is_bare != is_first_bare:
            continue
        left -= size
        left_leveled -= size if is_bare else 0
        yield run


def _is_bare(run: Run) -> bool:
    """Return whether levels of a run would have to be made of its samples."""
    bare = sum(segment.count for segment, _ in run.parts if segment.levels is None)
    return bare > BARE_SAMPLES_MAX
