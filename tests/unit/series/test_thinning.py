"""Fewer samples of a point of any length, few of them held."""

from __future__ import annotations

import json
import random

import pytest

from building_vitals.series.sample_text import decode_samples, encode_samples
from building_vitals.series.thinning import HELD_MIN, PointThinning

MINUTE_MS = 60_000
START_MS = 1_735_689_600_000
RUN = 1_000


def chosen(values: list[str], max_points: int) -> list[tuple[int, str]]:
    """Return the places and values of the samples that are chosen, a minute apart."""
    thinning = PointThinning(max_points)
    for first in range(0, len(values), RUN):
        part = enumerate(values[first : first + RUN], first)
        thinning.add(",".join(f"[{START_MS + MINUTE_MS * n},{v}]" for n, v in part).encode())
        held = len(thinning._times)
        assert held <= max(HELD_MIN, 1.5 * max_points)
    count = thinning.choose()
    found = decode_samples(b",".join(thinning.texts()))
    assert count == len(found) <= max_points
    return [((ms - START_MS) // MINUTE_MS, bytes(raw).decode()) for ms, raw in found]


@pytest.mark.parametrize("max_points", [4, 5, 100, 5_000, 20_000])
def test_what_is_promised_stays_in_long_series(max_points: int) -> None:
    """First, last, smallest and largest are there, each sample is a true one, and room is used."""
    rng = random.Random(max_points)
    values = [f"{rng.uniform(10, 90):.2f}" for _ in range(60_000)]
    values[12_345], values[51_234] = "-5.00", "1e3"
    found = chosen(values, max_points)
    assert {0, 12_345, 51_234, 59_999} <= {n for n, _ in found}
    assert all(values[n] == value for n, value in found)
    assert len(found) >= max_points * 2 // 5


def test_peaks_of_every_stretch_stay() -> None:
    """In each stretch as wide as two buckets of the result, smallest and largest are as before."""
    rng = random.Random(1)
    values = [f"{rng.gauss(50, 9):.3f}" for _ in range(100_000)]
    found = chosen(values, 400)
    width = 2 * len(values) // (400 // 4)
    for start in range(0, len(values), width):
        before = [float(v) for v in values[start : start + width]]
        near = [float(v) for n, v in found if start - width // 2 <= n < start + width + width // 2]
        assert min(near) <= min(before)
        assert max(near) >= max(before)


@pytest.mark.parametrize("state", ['"fault"', "null", "true"])
@pytest.mark.parametrize("count", [1_000, 30_000])
def test_a_lone_state_shows_where_there_is_room(state: str, count: int) -> None:
    """One among many numbers: with five places the outline leaves one, and it is not wasted."""
    values = [str(50 + (n + 7) * 7919 % 4_001) for n in range(count)]
    low, high = values.index(min(values, key=float)), values.index(max(values, key=float))
    lone = next(n for n in range(count // 2, count) if n not in (low, high))
    values[lone] = state
    low, high = (
        min(range(count), key=lambda n: (sign * float(values[n]) if n != lone else 1e9, n))
        for sign in (1, -1)
    )
    found = dict(chosen(values, 5))
    assert {0, low, high, count - 1, lone} == set(found)
    assert {0, low, high, count - 1} == set(dict(chosen(values, 4)))
    assert lone + 1 in dict(chosen(values, 8))


@pytest.mark.parametrize("state", ['"fault"', "null"])
def test_a_lone_state_shows_where_an_end_is_an_extreme(state: str) -> None:
    """Of a ramp the ends are the extremes: four places have room for the state."""
    values = [str(n) for n in range(1_000)]
    values[500] = state
    assert {0, 500, 999} <= set(dict(chosen(values, 4)))
    assert {0, 500, 999} <= set(dict(chosen(values, 3)))


def test_several_lone_states_of_one_stretch_all_show() -> None:
    """Room that the buckets of changes leave goes to the rarest of the others."""
    values = [str(n % 50) for n in range(1_000)]
    for n in range(6):
        values[500 + 2 * n] = json.dumps(f"fault {n}")
    found = [value for _, value in chosen(values, 24)]
    assert {json.dumps(f"fault {n}") for n in range(6)} <= set(found)


def test_rare_states_survive_flapping() -> None:
    """A long series that flaps at each sample shows its one alarm, and how it ends."""
    values = ['"on"', '"off"'] * 25_000
    values[30_001] = '"alarm"'
    values[-1] = '"end"'
    found = dict(chosen(values, 50))
    assert '"alarm"' == found[30_001]
    assert '"end"' == found[49_999]


def test_no_samples() -> None:
    """A point that has none gives none."""
    thinning = PointThinning(5)
    assert (0, []) == (thinning.choose(), list(thinning.texts()))


def test_digits_and_odd_values_stay() -> None:
    """What is chosen is the same text as before, whatever it holds."""
    text = b'[1,1.10],[2,"],["],[3,{"a":[1]}],[4,"\\ud800"],[5,1e400],[6,[1,[2]]]'
    thinning = PointThinning(10)
    thinning.add(text)
    assert 6 == thinning.choose()
    assert text == b",".join(thinning.texts()) == encode_samples(decode_samples(text))
