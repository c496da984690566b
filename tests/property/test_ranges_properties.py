"""Ranges against sets of instants, in a world of 40 milliseconds."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.ranges import Range, gaps, merge, split_evenly

RANGES = st.tuples(st.integers(0, 39), st.integers(1, 40)).map(
    lambda ends: Range(min(ends[0], ends[1] - 1), max(ends[0] + 1, ends[1]))
)
LISTS = st.lists(RANGES, max_size=8)
BEGIN_MS = 1_735_689_600_000


def instants(ranges: Iterable[Range]) -> set[int]:
    """Return all instants of the ranges."""
    return {instant_ms for each in ranges for instant_ms in range(*each)}


def assert_tidy(ranges: list[Range]) -> None:
    """Sorted, not empty, disjoint and with something between them."""
    assert all(each.start_ms < each.end_ms for each in ranges)
    assert all(before.end_ms < after.start_ms for before, after in pairwise(ranges))


@settings(deadline=None)
@given(LISTS, RANGES)
def test_gaps_are_what_is_not_known(haves: list[Range], need: Range) -> None:
    """Gaps and what is known make up the need, and share no instant."""
    missing = gaps(sorted(haves), need)

    assert_tidy(missing)
    assert instants([need]) - instants(haves) == instants(missing)


@settings(deadline=None)
@given(LISTS, st.randoms())
def test_merge_keeps_instants(ranges: list[Range], rng: random.Random) -> None:
    """Merging keeps the instants, whatever the order, and merging again changes nothing."""
    merged = merge(ranges)
    shuffled = list(ranges)
    rng.shuffle(shuffled)

    assert_tidy(merged)
    assert instants(ranges) == instants(merged)
    assert merged == merge(shuffled) == merge(merged)


@settings(deadline=None)
@given(RANGES, RANGES)
def test_clip_is_the_intersection(one: Range, other: Range) -> None:
    """What two ranges share is the intersection of their instants."""
    shared = one.clip(other)

    assert instants([one]) & instants([other]) == instants([shared] if shared else [])


@given(st.integers(1, 10**6), st.integers(1, 50))
def test_parts_of_a_range_are_the_range(duration_ms: int, count: int) -> None:
    """Parts are neighbours, not empty, about equally long, and together the range."""
    time_range = Range(BEGIN_MS, BEGIN_MS + duration_ms)
    parts = split_evenly(time_range, count)
    lengths = [part.duration_ms for part in parts]

    assert time_range == Range(parts[0].start_ms, parts[-1].end_ms)
    assert all(a.end_ms == b.start_ms for a, b in pairwise(parts))
    assert len(parts) == min(count, duration_ms)
    assert max(lengths) - min(lengths) <= 1 <= min(lengths)
