"""
Which segments of a point become one although they were fetched at different instants.

A job fetches a year in chunks, each at an instant of its own. What becomes one counts as fetched
when the first of its parts was, the cautious choice: it is trusted no longer than any of them. Two
things must stay as they are. Trust must hardly get shorter (`may_count_as`), and of
overlapping segments the newest still decides: no other one was fetched between the parts. What is
being fetched and is stored later finds a mark (`compaction_table`).

Separate from `joining`, which joins what was fetched at one instant and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from building_vitals.cache.coverage import cover
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.joining import BARE_SAMPLES_MAX, Run, is_small
from building_vitals.cache.need import Need
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range

# Segments in objects that must become one: fewer are not worth the writing.
JOINED_MIN = 3
# Stored bytes of what becomes one: 300 days of a sample in five minutes. A year is no quicker with
# more, and a month, which then has a longer directory, takes half as long again.
JOINED_BYTES_MAX = 393_216
# Of all that becomes one at once, beside an answer that may be large: four copies are held on the
# way.
BYTES_AT_ONCE = 2_097_152

# Of the longest trust, this part may be lost: two days of 90.
LOST_PART = 40

_START = attrgetter("start_ms")


def may_count_as(freshness: Freshness, earliest_ms: int, latest_ms: int, end_ms: int) -> bool:
    """
    Return whether all that was fetched between two instants may count as fetched at the first.

    Then it is trusted for less time, by as much as lies between them: that must be little of the
    longest trust, which all of it must have anyway. Rounds of a follow are judged by when they
    began, so there nothing may.

    Args:
        freshness: The rule of the site.
        earliest_ms: When the first of it was fetched.
        latest_ms: When the last of it was.
        end_ms: Where it ends.
    """
    if earliest_ms == latest_ms:
        return True
    trust_ms = freshness.trust_ratio * (earliest_ms - end_ms - freshness.lateness_ms)
    return (
        freshness.followed is None
        and LOST_PART * (latest_ms - earliest_ms) <= freshness.trust_max_ms <= trust_ms
    )


def fetch_runs(
    segments: Sequence[Segment], chosen: Iterable[Segment], freshness: Freshness
) -> list[Run]:
    """
    Return which segments of one point become one; by kind and time.

    Args:
        segments: All that there are of the point where those lie.
        chosen: Those of them that are known.
        freshness: The rule of the site.
    """
    found: list[Run] = []
    for is_by_point in (False, True):
        together: list[Segment] = []
        for each in sorted(filter(_is_joinable, chosen), key=_START):
            if each.is_by_point != is_by_point:
                continue
            if together and not _are_one([*together, each], segments, freshness):
                found += _run(together)
                together = []
            together.append(each)
        found += _run(together)
    return found


def _is_joinable(segment: Segment) -> bool:
    return is_small(segment) and not segment.is_block and not segment.is_left_out


def _are_one(
    together: Sequence[Segment], segments: Iterable[Segment], freshness: Freshness
) -> bool:
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
    return may_count_as(freshness, earliest_ms, latest_ms, end_ms) and not any(
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


def has_runs(by_point: Iterable[Sequence[Segment]], freshness: Freshness) -> bool:
    """Return whether segments of some point may become one, by all that is at hand."""
    return any(
        len(each) >= JOINED_MIN and are_scattered(each) and fetch_runs(each, each, freshness)
        for each in by_point
    )


def planned_runs(
    need: Need,
    by_point: Mapping[str, Sequence[Segment]],
    freshness: Freshness,
    *,
    now_ms: int,
    most_leveled_bytes: int,
    is_zoomed: bool,
) -> list[Run]:
    """
    Return what becomes one behind an answer, of some points.

    Args:
        need: The request's.
        by_point: All segments there.
        freshness: The rule of the site.
        now_ms: The present.
        most_leveled_bytes: As that of `affordable`.
        is_zoomed: Whether levels are asked for.
    """
    found: list[Run] = []
    for of_point in by_point.values():
        if len(of_point) < JOINED_MIN:
            continue
        known = [
            each
            for each in of_point
            if each.range.clip(need.time_range) is not None and freshness.is_known(each, now_ms)
        ]
        found += fetch_runs(of_point, known, freshness)
    return list(
        affordable(
            found,
            most_bytes=BYTES_AT_ONCE,
            most_leveled_bytes=most_leveled_bytes,
            is_zoomed=is_zoomed,
        )
    )


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


def bare_runs(segments: Sequence[Segment], planned: Sequence[Run], most_bytes: int) -> list[Run]:
    """Return runs of single segments without levels: so many as get some at once, and one more."""
    taken = {id(segment) for run in planned for segment, _ in run.parts}
    found: list[Run] = []
    size = 0
    for each in segments:
        if size < most_bytes and each.lacks_levels and id(each) not in taken:
            size += each.stored_bytes
            found.append(Run(each.point, each.range, each.fetched_ms, [(each, each.range)]))
    return found
