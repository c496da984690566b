"""Fewer samples are a part of all samples, and hold what was promised, whatever the samples are."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.series.downsample import choose
from building_vitals.series.sample_text import Samples, decode_values

TIMES = st.lists(st.integers(-(10**6), 10**13), min_size=1, max_size=120, unique=True).map(sorted)
CLOSE_TIMES = st.lists(st.integers(0, 400), min_size=1, max_size=120, unique=True).map(sorted)
NUMBERS = (st.integers(-50, 50) | st.floats(-50, 50, width=16)).map(json.dumps)
STATES = st.sampled_from(["null", "true", "false", '"on"', '"off"', '"],["', '"1"'])
LIMITS = st.integers(2, 60)


def downsample(samples: Samples, max_points: int) -> Samples:
    """Return the samples that are chosen."""
    values = decode_values([raw for _, raw in samples])
    return [samples[i] for i in choose([ms for ms, _ in samples], values, max_points)]


@st.composite
def points(draw: st.DrawFn, values: st.SearchStrategy[str]) -> list[tuple[int, msgspec.Raw]]:
    """Draw the samples of a point."""
    times = draw(TIMES | CLOSE_TIMES)
    return [(time_ms, msgspec.Raw(draw(values).encode())) for time_ms in times]


def value_of(raw: msgspec.Raw) -> Any:
    return json.loads(bytes(raw))


def state_of(raw: msgspec.Raw) -> str:
    """Return the JSON text of a state, and one word for all numbers."""
    value = value_of(raw)
    return "number" if type(value) in (int, float) else json.dumps(value)


def is_number(raw: msgspec.Raw) -> bool:
    return state_of(raw) == "number"


@given(points(NUMBERS) | points(STATES) | points(NUMBERS | STATES), LIMITS)
def test_part_of_the_samples(samples: list[tuple[int, msgspec.Raw]], max_points: int) -> None:
    """At most the limit, a subsequence, with both ends; and all of it when there is no more."""
    kept = downsample(samples, max_points)
    assert len(kept) <= max_points
    assert kept[0] == samples[0]
    assert kept[-1] == samples[-1]
    times = [time_ms for time_ms, _ in kept]
    assert times == sorted(set(times))
    places = dict(zip((time_ms for time_ms, _ in samples), samples, strict=True))
    assert all(places[sample[0]] == sample for sample in kept)
    if len(samples) <= max_points:
        assert kept == samples


@given(points(NUMBERS) | points(NUMBERS | STATES), st.integers(4, 60))
def test_peaks_stay(samples: list[tuple[int, msgspec.Raw]], max_points: int) -> None:
    """From four samples on, the smallest and the largest number are there."""
    before = [value_of(raw) for _, raw in samples if is_number(raw)]
    after = [value_of(raw) for _, raw in downsample(samples, max_points) if is_number(raw)]
    if before:
        assert (min(before), max(before)) == (min(after), max(after))


@given(points(NUMBERS), st.integers(4, 60))
def test_numbers_are_those_of_the_buckets(
    samples: list[tuple[int, msgspec.Raw]], max_points: int
) -> None:
    """
    What is kept of numbers is each bucket's first, last, smallest and largest, the first of equals.
    """
    if len(samples) <= max_points:
        return
    first_ms, width = samples[0][0], samples[-1][0] - samples[0][0] + 1
    count = max_points // 4
    buckets: dict[int, list[int]] = {}
    for i, (time_ms, _) in enumerate(samples):
        buckets.setdefault(int(Fraction(time_ms - first_ms, width) * count), []).append(i)
    expected = set()
    for members in buckets.values():
        by_value = lambda i: (value_of(samples[i][1]), i)  # noqa: E731
        high = max(members, key=lambda i: (value_of(samples[i][1]), -i))
        expected |= {members[0], members[-1], min(members, key=by_value), high}
    assert downsample(samples, max_points) == [samples[i] for i in sorted(expected)]


@given(points(NUMBERS | STATES) | points(STATES), LIMITS)
def test_changes_stay(samples: list[tuple[int, msgspec.Raw]], max_points: int) -> None:
    """
    As many changes as fit beside the outline (half of the room where there are numbers) all stay.
    """
    changes = [
        after for before, after in pairwise(samples) if state_of(before[1]) != state_of(after[1])
    ]
    has_numbers = any(is_number(raw) for _, raw in samples)
    room = (max_points - 4) // 2 if has_numbers else max_points - 2
    kept = {time_ms for time_ms, _ in downsample(samples, max_points)}
    if len(changes) <= room:
        assert {time_ms for time_ms, _ in changes} <= kept


@given(points(STATES), st.integers(4, 60))
def test_thinned_changes_end_right(samples: list[tuple[int, msgspec.Raw]], max_points: int) -> None:
    """With too many changes, the latest one stays, so that the point's present state is shown."""
    changes = [
        after for before, after in pairwise(samples) if state_of(before[1]) != state_of(after[1])
    ]
    if changes:
        assert changes[-1] in downsample(samples, max_points)
