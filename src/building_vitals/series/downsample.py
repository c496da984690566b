"""
Fewer samples of a point for a chart, chosen so that what matters stays visible.

Separate because it is the only place where samples are left out of an answer on purpose.

Source: M4 (Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014).
The first, last, minimum and maximum of each bucket draw the same line as all samples do, where a
bucket is as wide as a pixel.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from building_vitals.series.sample_text import Samples, decode_values

MAX_POINTS_MIN = 2
SAMPLES_PER_BUCKET = 4
CHANGES_PER_BUCKET = 2

_NUMBERS = frozenset({int, float})
_NESTED = frozenset({list, dict})
# Stands for every number where runs of equal states are looked for; equal to nothing but itself.
_NUMBER = object()


def downsample(samples: Samples, max_points: int) -> Samples:
    """
    Return at most *max_points* of the samples, in their order; all of them when there are no more.

    Kept, in this order while the limit allows: the first and the last sample, the smallest and the
    largest number, changes of state, and each bucket's first, last, smallest and largest number.
    Buckets divide the samples' range into equal widths.

    All that is not a number (text, booleans, null, arrays, objects) is a state, and being a number
    is one more. A change is the first sample of a run of one state, so that an outage shows where
    it begins and where it ends. Changes never take more than half of the room from a point's
    numbers.

    Args:
        samples: Times ascending, one sample each.
        max_points: 2 or more.

    Raises:
        ValueError: *max_points* is less than 2.

    Cost: O(n) in C for numbers, plus a few steps of Python for each bucket and each change.
    """
    if max_points < MAX_POINTS_MIN:
        raise ValueError(f"max_points must be at least {MAX_POINTS_MIN}: got {max_points}")
    if len(samples) <= max_points:
        return samples
    times = [time_ms for time_ms, _ in samples]
    values = decode_values([raw for _, raw in samples])
    return [samples[i] for i in sorted(_choose(times, values, max_points))]


def _choose(times: list[int], values: list[Any], max_points: int) -> set[int]:
    """Return the indices of the samples to keep; fewer than all of them are allowed."""
    if _NUMBERS.issuperset(map(type, values)):
        numeric: Sequence[int] = range(len(values))
        numbers, number_times = values, times
    else:
        numeric = [i for i, value in enumerate(values) if type(value) in _NUMBERS]
        numbers, number_times = [values[i] for i in numeric], [times[i] for i in numeric]
    kept = set(_outline(len(values), numeric, numbers)[:max_points])
    numeric_kept = sum(type(values[i]) in _NUMBERS for i in kept)

    changes = [] if len(numeric) == len(values) else _find_changes(values)
    changes = [i for i in changes if i not in kept]
    room = max_points - len(kept)
    kept.update(_thin_changes(changes, times, values, room - min(room // 2, len(numeric))))

    room = max_points - len(kept)
    if len(numeric) <= room:
        return kept.union(numeric)
    # Every number of the outline is its bucket's first, last, smallest or largest, too.
    buckets = (room + numeric_kept) // SAMPLES_PER_BUCKET
    for lo, hi in _cut(number_times, times[0], times[-1], buckets):
        part = numbers[lo:hi]
        low, high = lo + part.index(min(part)), lo + part.index(max(part))
        kept.update((numeric[lo], numeric[hi - 1], numeric[low], numeric[high]))
    return kept


def _outline(count: int, numeric: Sequence[int], numbers: list[Any]) -> list[int]:
    """Return the indices of the first, last, smallest and largest sample, each once."""
    outline = [0, count - 1]
    if numbers:
        outline += [numeric[numbers.index(min(numbers))], numeric[numbers.index(max(numbers))]]
    return list(dict.fromkeys(outline))


def _find_changes(values: list[Any]) -> list[int]:
    """Return the index of each sample whose state is not that of the sample before."""
    states = _states(values)
    return [i for i, (before, state) in enumerate(pairwise(states), 1) if before != state]


def _states(values: list[Any]) -> list[Any]:
    """Return each value's state, hashable: arrays and objects are their text."""
    states = [_NUMBER if type(value) in _NUMBERS else value for value in values]
    if not _NESTED.isdisjoint(map(type, values)):
        return [(repr(state),) if type(state) in _NESTED else state for state in states]
    return states


def _thin_changes(
    changes: list[int], times: list[int], values: list[Any], room: int
) -> Iterable[int]:
    """
    Return at most *room* of the changes, from everywhere in the samples' range.

    Each bucket keeps its last change, so that the state it ends with is right, and of its changes
    to another state the rarest: a point that flaps is seen to flap, and a short alarm is seen.
    """
    if len(changes) <= room:
        return changes
    if room < CHANGES_PER_BUCKET:
        return changes[len(changes) - room :]
    states = _states([values[i] for i in changes])
    rarity = Counter(states)
    kept: list[int] = []
    change_times = [times[i] for i in changes]
    for lo, hi in _cut(change_times, times[0], times[-1], room // CHANGES_PER_BUCKET):
        kept.append(changes[hi - 1])
        others = [k for k in range(lo, hi - 1) if states[k] != states[hi - 1]]
        if others:
            kept.append(changes[min(others, key=lambda k: rarity[states[k]])])
    return kept


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
