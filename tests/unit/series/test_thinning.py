"""Fewer samples of a point of any length, few of them held."""

from __future__ import annotations

import json
import random

import pytest

from building_vitals.series.sample_text import decode_samples, encode_samples
from building_vitals.series.thinning import PointThinning
from fakes.brute_levels import finest, level

MINUTE_MS = 60_000
WEEK_MS = 7 * 86_400_000
START_MS = 1_735_689_600_000
RUN = 1_000


def chosen(values: list[str], max_points: int) -> tuple[str, list[tuple[int, str]]]:
    """Return the level, and the places and values of the samples that are left, a minute apart."""
    thinning = PointThinning(max_points)
    for first in range(0, len(values), RUN):
        part = enumerate(values[first : first + RUN], first)
        thinning.add(",".join(f"[{START_MS + MINUTE_MS * n},{v}]" for n, v in part).encode())
        assert len(thinning.times) <= max_points + 10
    count = thinning.choose()
    runs = list(thinning.texts())
    found = decode_samples(b",".join(text for _, text in runs))
    assert count == len(found) == sum(count for count, _ in runs) <= max_points
    places = [((ms - START_MS) // MINUTE_MS, bytes(raw).decode()) for ms, raw in found]
    return thinning.level, places


@pytest.mark.parametrize("max_points", [20, 100, 999, 3_999, 4_000])
def test_the_finest_level_that_fits(max_points: int) -> None:
    """What is left of a long series is one level, by its definition, and no finer one would fit."""
    rng = random.Random(max_points)
    values = [f"{rng.uniform(10, 90):.2f}" for _ in range(4_000)]
    values[2_345], values[3_234], values[1_000] = "-5.00", "1e3", '"fault"'
    plain = [(START_MS + MINUTE_MS * n, value) for n, value in enumerate(values)]
    found = finest(plain, max_points)
    name, places = chosen(values, max_points)
    assert found == (name, [(START_MS + MINUTE_MS * n, value) for n, value in places])


@pytest.mark.parametrize("max_points", [4, 5, 100, 5_000, 20_000])
def test_what_is_promised_stays_in_long_series(max_points: int) -> None:
    """First, last, smallest and largest are there, each sample is a true one, and room is used."""
    rng = random.Random(max_points)
    values = [f"{rng.uniform(10, 90):.2f}" for _ in range(60_000)]
    values[12_345], values[51_234] = "-5.00", "1e3"
    _, found = chosen(values, max_points)
    assert {0, 12_345, 51_234, 59_999} <= {n for n, _ in found}
    assert all(values[n] == value for n, value in found)
    # The next wider level has a seventh of the samples at the least.
    assert len(found) > max_points / 7


@pytest.mark.parametrize(("max_points", "name"), [(20, "14d"), (12, "28d")])
def test_wider_buckets_where_need_be(max_points: int, name: str) -> None:
    """Beyond seven days the width doubles until the samples fit."""
    values = [str(n * 7919 % 4_001) for n in range(44_000)]
    plain = [(START_MS + MINUTE_MS * n, value) for n, value in enumerate(values)]
    assert finest(plain, max_points) is None
    found, places = chosen(values, max_points)
    assert name == found
    assert level(plain, int(name[:-1]) * WEEK_MS // 7) == [
        (START_MS + MINUTE_MS * n, value) for n, value in places
    ]


def test_two_buckets_of_which_a_wider_one_is_made() -> None:
    """However short the samples are, they may lie in two buckets of a day, and in one of a week."""
    begin_ms = START_MS - 600 * MINUTE_MS
    plain = [(begin_ms + MINUTE_MS * n, str(n * 7919 % 4_001)) for n in range(1_200)]
    week = level(plain, WEEK_MS)
    assert len(level(plain, WEEK_MS // 7)) > 5 >= len(week)
    thinning = PointThinning(5)
    thinning.add(",".join(f"[{ms},{value}]" for ms, value in plain).encode())
    assert (len(week), "7d") == (thinning.choose(), thinning.level)


@pytest.mark.parametrize("max_points", [2, 3, 4])
def test_buckets_on_both_sides_of_1970(max_points: int) -> None:
    """No bucket goes across it, however wide: what does not fit then is chosen from, as ever."""
    times = [-3_000, -2_000, -1_000, -500, 0, 500, 1_000, 2_000]
    values = [3, 9, -4, 5, 6, 20, -8, 7]
    thinning = PointThinning(max_points)
    for ms, value in zip(times, values, strict=True):
        thinning.add(b"[%d,%d]" % (ms, value))
    assert 2 <= thinning.choose() <= max_points
    assert (-3_000, 2_000) == (thinning.times[0], thinning.times[-1])
    if max_points == 4:
        assert [-3_000, 500, 1_000, 2_000] == thinning.times


@pytest.mark.parametrize("max_points", [2, 3, 4, 5, 6, 7])
def test_the_outline_where_no_bucket_fits(max_points: int) -> None:
    """Ends, smallest and largest are there as far as they fit, whatever states there are."""
    values = [
        json.dumps(f"state {n % 6}") if n % 3 else str(n * 7919 % 4_001) for n in range(5_000)
    ]
    numbers = {n: int(value) for n, value in enumerate(values) if value[0] != '"'}
    low, high = min(numbers, key=lambda n: numbers[n]), max(numbers, key=lambda n: numbers[n])
    _, places = chosen(values, max_points)
    wanted = [0, len(values) - 1, low, high][:max_points]
    assert set(wanted) <= {n for n, _ in places}
    assert len(places) <= max_points


@pytest.mark.parametrize("state", ['"fault"', "null", "true"])
@pytest.mark.parametrize("count", [1_000, 30_000])
def test_a_lone_state_shows_where_there_is_room(state: str, count: int) -> None:
    """One among many numbers, and where it ends."""
    values = [str(50 + (n + 7) * 7919 % 4_001) for n in range(count)]
    lone = count * 3 // 4
    values[lone] = state
    for max_points in (5, 50, 500):
        assert (lone, state) in chosen(values, max_points)[1]


def test_rare_states_survive_flapping() -> None:
    """A long series that flaps at each sample shows its one alarm, and how it ends."""
    values = ['"on"', '"off"'] * 25_000
    values[30_001] = '"alarm"'
    values[-1] = '"end"'
    found = dict(chosen(values, 50)[1])
    assert '"alarm"' == found[30_001]
    assert '"end"' == found[49_999]


def test_no_samples() -> None:
    """A point that has none gives none, which are all there are."""
    thinning = PointThinning(5)
    assert (0, [], "raw") == (thinning.choose(), list(thinning.texts()), thinning.level)


def test_samples_of_a_level_may_go_on_from_it() -> None:
    """What comes of a finer level gives the same as all samples do."""
    rng = random.Random(3)
    plain = [(START_MS + MINUTE_MS * n, str(rng.randint(0, 500))) for n in range(9_000)]
    finer = level(plain, 60 * MINUTE_MS)
    thinning = PointThinning(90, 60 * MINUTE_MS)
    for first in range(0, len(finer), 700):
        part = finer[first : first + 700]
        thinning.add(",".join(f"[{ms},{value}]" for ms, value in part).encode())
    thinning.choose()
    name, expected = finest(plain, 90) or ("", [])
    assert name == thinning.level
    assert expected == [
        (ms, bytes(raw).decode())
        for _, text in thinning.texts()
        for ms, raw in decode_samples(text)
    ]


def test_digits_and_odd_values_stay() -> None:
    """What is chosen is the same text as before, whatever it holds."""
    text = b'[1,1.10],[2,"],["],[3,{"a":[1]}],[4,"\\ud800"],[5,1e400],[6,[1,[2]]]'
    thinning = PointThinning(10)
    thinning.add(text)
    assert 6 == thinning.choose()
    assert [(6, text)] == list(thinning.texts())
    assert text == encode_samples(decode_samples(text))
