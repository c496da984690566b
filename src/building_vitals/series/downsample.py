"""
Which samples of a point are kept for a chart that has room for very few.

Separate from the buckets of `levels`, of which even one may have more samples than that. Pure: it
works on lists that `thinning` fills and keeps short.

Source: M4 (Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014).
The first, last, minimum and maximum of each bucket draw the same line as all samples do, where a
bucket is as wide as a pixel.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

MAX_POINTS_MIN = 2
SAMPLES_PER_BUCKET = 4
CHANGES_PER_BUCKET = 2

NUMBERS = frozenset({int, float})
_NESTED = frozenset({list, dict})
# Stands for every number where runs of equal states are looked for; equal to nothing but itself.
_NUMBER = object()


def choose(times: list[int], values: list[Any], max_points: int) -> list[int]:
    """
    Return the indices of the samples to keep, ascending, at most *max_points*; fewer are allowed.

    Kept, in this order while the limit allows: the first and the last sample, the smallest and the
    largest number, changes of state, and each bucket's first, last, smallest and largest number.
    Buckets divide the samples' range into equal widths.

    All that is not a number (text, booleans, null, arrays, objects) is a state, and being a number
    is one more. A change is the first sample of a run of one state, so that an outage shows where
    it begins and where it ends. Changes never take more than half of the room from a point's
    numbers. Where there are too many, the rarest states come first.

    Args:
        times: Epoch milliseconds, ascending, one for each sample.
        values: As many.
        max_points: 2 or more.

    Raises:
        ValueError: *max_points* is less than 2.

    Cost: O(n) in C for numbers, plus a few steps of Python for each bucket and each change.
    """
    if max_points < MAX_POINTS_MIN:
        raise ValueError(f"max_points must be at least {MAX_POINTS_MIN}: got {max_points}")
    if len(times) <= max_points:
        return list(range(len(times)))
    numeric, numbers = numbers_in(values)
    kept = set(_outline(len(values), numeric, numbers)[:max_points])
    numeric_kept = sum(type(values[i]) in NUMBERS for i in kept)

    changes = [] if len(numeric) == len(values) else _find_changes(values)
    changes = [i for i in changes if i not in kept]
    room = max_points - len(kept)
    kept.update(_thin_changes(changes, times, values, room - min(room // 2, len(numeric))))

    room = max_points - len(kept)
    if len(numeric) <= room:
        return sorted(kept.union(numeric))
    # Every number of the outline is its bucket's first, last, smallest or largest, too.
    buckets = (room + numeric_kept) // SAMPLES_PER_BUCKET
    number_times = times if len(numeric) == len(times) else [times[i] for i in numeric]
    for lo, hi in _cut(number_times, times[0], times[-1], buckets):
        kept.update(extremes(numeric, numbers, lo, hi))
    return sorted(kept)


def numbers_in(values: list[Any]) -> tuple[Sequence[int], list[Any]]:
    """Return the places of the numbers, and the numbers."""
    if NUMBERS.issuperset(map(type, values)):
        return range(len(values)), values
    numeric = [i for i, value in enumerate(values) if type(value) in NUMBERS]
    return numeric, [values[i] for i in numeric]


def extremes(numeric: Sequence[int], numbers: list[Any], lo: int, hi: int) -> tuple[int, ...]:
    """Return the places of the first, last, smallest and largest of some numbers, not none."""
    part = numbers[lo:hi]
    low, high = lo + part.index(min(part)), lo + part.index(max(part))
    return numeric[lo], numeric[hi - 1], numeric[low], numeric[high]


def _outline(count: int, numeric: Sequence[int], numbers: list[Any]) -> list[int]:
    """Return the indices of the first, last, smallest and largest sample, each once."""
    outline = [0, count - 1]
    if numbers:
        outline += [numeric[numbers.index(min(numbers))], numeric[numbers.index(max(numbers))]]
    return list(dict.fromkeys(outline))


def _find_changes(values: list[Any]) -> list[int]:
    """Return the index of each sample whose state is not that of the sample before."""
    states = states_of(values)
    return [i for i, (before, state) in enumerate(pairwise(states), 1) if before != state]


def states_of(values: list[Any]) -> list[Any]:
    """Return each value's state, hashable: arrays and objects are their text."""
    states = [_NUMBER if type(value) in NUMBERS else value for value in values]
    if not _NESTED.isdisjoint(map(type, values)):
        return [(repr(state),) if type(state) in _NESTED else state for state in states]
    return states


def _thin_changes(changes: list[int], times: list[int], values: list[Any], room: int) -> list[int]:
    """
    Return at most *room* of the changes, from everywhere in the samples' range.

    Each bucket keeps its last change, so that the state it ends with is right, and of its changes
    to another state the rarest: a point that flaps is seen to flap, and a short alarm is seen. Room
    that is left then goes to the rarest of the others, wherever they are.
    """
    if len(changes) <= room:
        return changes
    states = dict(zip(changes, states_of([values[i] for i in changes]), strict=True))
    rarity = Counter(states.values())
    if room < CHANGES_PER_BUCKET:
        return _rarest(changes, states, rarity, room)
    kept: list[int] = []
    change_times = [times[i] for i in changes]
    for lo, hi in _cut(change_times, times[0], times[-1], room // CHANGES_PER_BUCKET):
        last = changes[hi - 1]
        others = [i for i in changes[lo : hi - 1] if states[i] != states[last]]
        kept += [last, *_rarest(others, states, rarity, 1)]
    left = set(changes).difference(kept)
    return kept + _rarest(sorted(left), states, rarity, room - len(kept))


def _rarest(
    changes: list[int], states: Mapping[int, Any] | list[Any], rarity: Counter[Any], room: int
) -> list[int]:
    """Return at most *room* of the changes, those to the rarest states, the earlier of equals."""
    if len(changes) <= room:
        return changes
    return sorted(changes, key=lambda i: rarity[states[i]])[:room]


def _cut(times: list[int], first_ms: int, last_ms: int, buckets: int) -> Iterator[tuple[int, int]]:
    """
    Yield where each bucket that is not empty begins and ends in *times*.

    Args:
        times: Ascending, from *first_ms* to *last_ms*.
        first_ms: Where the first bucket begins.
        last_ms: The last instant in the last bucket.
        buckets: Into how many equal widths the range is cut; none yields nothing.
    """
    width_all = last_ms - first_ms + 1
    lo = 0
    for bucket in range(1, buckets + 1):
        hi = bisect_left(times, first_ms - (-bucket * width_all // buckets), lo)
        if hi > lo:
            yield lo, hi
            lo = hi
