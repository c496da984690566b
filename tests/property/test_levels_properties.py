"""Levels hold what was promised, whatever the samples are and however they come."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from building_vitals.series.levels import WIDTHS_MS, Columns, LevelsBuilder, columns_of, thin
from building_vitals.series.sample_text import decode_samples
from building_vitals.series.thinning import PointThinning
from fakes.brute_levels import MINUTE_MS, Plain, finest, is_number, level

TIMES = st.lists(st.integers(-(10**6), 3 * 10**9), min_size=1, max_size=150, unique=True)
CLOSE_TIMES = st.lists(st.integers(0, 400), min_size=1, max_size=150, unique=True).map(
    lambda times: [MINUTE_MS * each for each in times]
)
NUMBERS = (st.integers(-9, 9) | st.floats(-50, 50, width=16)).map(json.dumps)
STATES = st.sampled_from(["null", "true", "false", '"on"', '"off"', '"],["', '"1"', "[1]"])
WIDTHS = st.sampled_from(WIDTHS_MS)


@st.composite
def points(draw: st.DrawFn) -> list[Plain]:
    """Draw the samples of a point."""
    values = draw(st.sampled_from([NUMBERS, STATES, NUMBERS | STATES]))
    return [(ms, draw(values)) for ms in sorted(draw(TIMES | CLOSE_TIMES))]


def columns(plain: list[Plain]) -> Columns:
    return columns_of(",".join(f"[{ms},{value}]" for ms, value in plain).encode())


def thinned(plain: list[Plain], width_ms: int) -> list[Plain]:
    times, _, values = columns(plain)
    return [plain[i] for i in thin(times, values, width_ms)]


@given(points(), WIDTHS)
def test_a_level_is_what_its_definition_says(plain: list[Plain], width_ms: int) -> None:
    """Extremes, ends and changes of state of each bucket are kept, and nothing else."""
    assert level(plain, width_ms) == thinned(plain, width_ms)


@given(points(), st.integers(0, 3), st.integers(1, 4))
def test_a_level_of_a_level_is_a_level(plain: list[Plain], finer: int, steps: int) -> None:
    """Thinned again to a wider width, it is what it would have been at once."""
    wide = WIDTHS_MS[min(finer + steps, len(WIDTHS_MS) - 1)]
    assert thinned(plain, wide) == thinned(thinned(plain, WIDTHS_MS[finer]), wide)


@given(points(), WIDTHS, st.integers(0, 150))
def test_parts_that_meet_inside_a_bucket(plain: list[Plain], width_ms: int, cut: int) -> None:
    """The levels of two parts, wherever they meet, together make the level of the whole."""
    parts = [part for part in (plain[:cut], plain[cut:]) if part]
    joined = [sample for part in parts for sample in thinned(part, width_ms)]
    assert thinned(plain, width_ms) == thinned(joined, width_ms)


@given(points(), st.integers(1, 60))
def test_levels_made_upwards(plain: list[Plain], run: int) -> None:
    """Made from one another as samples come, each is the level of its width."""
    builder = LevelsBuilder(len(plain), 1)
    for first in range(0, len(plain), run):
        builder.add(columns(plain[first : first + run]))
    finer = len(plain)
    for width_ms, series in builder.build().kept:
        expected = level(plain, width_ms)
        assert len(expected) == series.count <= finer / 2
        finer = series.count
        # Of so few samples there is one frame.
        [frame] = series.frames
        assert (expected[0][0], expected[-1][0]) == (frame.first_ms, frame.last_ms)


@given(points(), st.integers(2, 60), st.integers(1, 60))
def test_at_most_as_many_as_are_wanted(plain: list[Plain], max_points: int, run: int) -> None:
    """Of the levels it is the finest that fits; the ends and the extremes are always there."""
    thinning = PointThinning(max_points)
    for first in range(0, len(plain), run):
        thinning.add(",".join(f"[{ms},{v}]" for ms, v in plain[first : first + run]).encode())
    assert len(plain[:1]) <= thinning.choose() <= max_points
    kept = [
        (ms, bytes(raw).decode())
        for _, text in thinning.texts()
        for ms, raw in decode_samples(text)
    ]
    assert set(kept) <= set(plain)
    assert kept == sorted(kept)
    found = finest(plain, max_points)
    if found is not None:
        assert found == (thinning.level, kept)
    assert (plain[0], plain[-1]) == (kept[0], kept[-1])
    numbers = [json.loads(value) for _, value in plain if is_number(value)]
    if numbers and max_points >= 4:
        left = [json.loads(value) for _, value in kept if is_number(value)]
        assert (min(numbers), max(numbers)) == (min(left), max(left))
