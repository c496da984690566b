"""Levels, case by case."""

from __future__ import annotations

import json
import random

import pytest

from building_vitals.series.frames import frame_text
from building_vitals.series.levels import (
    WIDTHS_MS,
    LevelsBuilder,
    columns_of,
    level_name,
    next_width,
    thin,
)
from building_vitals.series.sample_text import decode_samples
from fakes.brute_levels import DAY_MS, HOUR_MS, MINUTE_MS, Plain, level

START_MS = 1_735_689_600_000


def text_of(plain: list[Plain]) -> bytes:
    return ",".join(f"[{ms},{value}]" for ms, value in plain).encode()


def levels_of(plain: list[Plain], run: int = 576) -> dict[int, list[Plain]]:
    """Return the levels that are kept, their samples read from their frames."""
    builder = LevelsBuilder(len(plain), plain[-1][0] - plain[0][0])
    for first in range(0, len(plain), run):
        builder.add(columns_of(text_of(plain[first : first + run])))
    found = {}
    for width_ms, series in builder.build().kept:
        texts = [
            frame_text(each, series.data[each.offset : each.offset + each.stored_bytes])
            for each in series.frames
        ]
        for each, text in zip(series.frames, texts, strict=True):
            samples = decode_samples(text)
            assert (each.count, each.first_ms, each.last_ms) == (
                len(samples), samples[0][0], samples[-1][0],
            )  # fmt: skip
        samples = decode_samples(b",".join(texts))
        found[width_ms] = [(ms, bytes(raw).decode()) for ms, raw in samples]
    return found


@pytest.mark.parametrize(
    ("width_ms", "name", "following"),
    [
        (0, "raw", "15m"),
        (15 * MINUTE_MS, "15m", "1h"),
        (HOUR_MS, "1h", "4h"),
        (4 * HOUR_MS, "4h", "1d"),
        (DAY_MS, "1d", "7d"),
        (7 * DAY_MS, "7d", "14d"),
        (14 * DAY_MS, "14d", "28d"),
    ],
)
def test_widths_and_their_names(width_ms: int, name: str, following: str) -> None:
    """Answers name the widths as people do; beyond seven days each is the double."""
    assert (name, following) == (level_name(width_ms), level_name(next_width(width_ms)))


def test_buckets_are_aligned_to_the_epoch() -> None:
    """They begin at multiples of their width, before 1970 too, wherever the samples begin."""
    times = [-HOUR_MS - 1, -HOUR_MS, -2, -1, 0, 1, 2, HOUR_MS - 1, HOUR_MS]
    assert [0, 1, 3, 4, 7, 8] == thin(times, [1, 2, 3, 4, 5, 6, 7, 8, 9], HOUR_MS)


@pytest.mark.parametrize("values", [["1", "-0", "2.50"], ["1e999", "7"], ["1", "null", "true"]])
def test_columns_of_a_run(values: list[str]) -> None:
    """Digits stay as they came; a number beyond double is an infinity."""
    plain = [(START_MS + n, value) for n, value in enumerate(values)]
    times, raws, found = columns_of(text_of(plain))
    assert [ms for ms, _ in plain] == times
    assert values == [raw.decode() for raw in raws]
    assert [json.loads(value) for value in values] == found


def test_equal_extremes_are_the_first() -> None:
    """Of equal numbers the first stays, whatever its digits."""
    assert [0, 1, 2, 5] == thin([0, 1, 2, 3, 4, 5], [5, 1, 9.0, 9, 1.0, 5], HOUR_MS)


def test_states_of_a_bucket() -> None:
    """The first of each of four states, also of those that are equal to a number."""
    values = [1, "a", "a", True, None, "b", "c", "d", 1, 0, 7, "a"]
    assert [0, 1, 3, 4, 5, 9, 10, 11] == thin(list(range(12)), values, HOUR_MS)


def test_changes_of_a_bucket() -> None:
    """An outage shows where it begins and where it ends; of many changes the first three do."""
    values = [5, 5, 5, None, None, 5, 5, 5]
    assert [0, 3, 5, 7] == thin(list(range(8)), values, HOUR_MS)
    flapping = ["on", "on", "off", "on", "on", "off", "on", "off", "alarm", "on", "on"]
    assert [0, 2, 3, 5, 8, 10] == thin(list(range(11)), flapping, HOUR_MS)


@pytest.mark.parametrize("minutes", [1, 5])
def test_levels_are_those_by_definition(minutes: int) -> None:
    """Each one that is kept is the level of its width, however the samples come."""
    rng = random.Random(minutes)
    plain = [
        (START_MS + 1234 + MINUTE_MS * minutes * n, f"{rng.gauss(20, 3):.2f}") for n in range(3_000)
    ]
    for n in range(14):
        plain[n * 200] = (plain[n * 200][0], json.dumps(rng.choice([None, True, "],["])))
    for run in (576, 77):
        found = levels_of(plain, run)
        assert found == {width_ms: level(plain, width_ms) for width_ms in found}
        assert set(found) == set(WIDTHS_MS[:4] if minutes == 1 else WIDTHS_MS[1:])


def test_levels_that_save_little_are_left_out() -> None:
    """One is kept where it has half of the samples of the next finer one, or fewer."""
    rng = random.Random(1)
    # Sixteen samples in a burst, then nothing for three hours.
    plain = [
        (START_MS + 3 * HOUR_MS * n + 10_000 * i, str(rng.randint(0, 10**6)))
        for n in range(150)
        for i in range(16)
    ]
    sizes = {width_ms: len(level(plain, width_ms)) for width_ms in WIDTHS_MS}
    found = levels_of(plain)
    assert sizes[15 * MINUTE_MS] == sizes[HOUR_MS]
    assert {HOUR_MS, DAY_MS, 7 * DAY_MS} == set(found)
    assert 2 * sizes[4 * HOUR_MS] > sizes[HOUR_MS]


def test_sparse_samples_have_no_levels() -> None:
    """Where no width can save half, there is none."""
    sparse = [(START_MS + 3 * DAY_MS * n, str(n)) for n in range(1_000)]
    assert {} == levels_of(sparse)
    assert () == LevelsBuilder(0, 0).build().kept


@pytest.mark.parametrize("run", [1, 7, 1_000])
def test_the_least_of_levels_that_save_little(run: int) -> None:
    """It follows from how many samples a bucket has at the most, and holds of each part."""
    rng = random.Random(run)
    plain = [(START_MS + 300_000 * n + rng.randint(0, 20_000), "1") for n in range(2_000)]
    builder = LevelsBuilder(len(plain), plain[-1][0] - plain[0][0])
    for first in range(0, len(plain), run):
        part = plain[first : first + run]
        builder.add(columns_of(",".join(f"[{ms},{value}]" for ms, value in part).encode()))
    # Four of a quarter of an hour at the most, as they do not come on the minute.
    assert {15 * MINUTE_MS: 1_000} == builder.build().least
    for begin, end in ((0, 2_000), (3, 500), (1_000, 1_100)):
        held = level(plain[begin:end], 15 * MINUTE_MS)
        assert (end - begin) / 2 <= len(held)


def test_bursts_say_nothing_of_the_least() -> None:
    """Where a bucket may have any number of samples, two may be all that a level has."""
    burst = [(START_MS + n, "1") for n in range(20)]
    sparse = [(START_MS + DAY_MS * n, "1") for n in range(1, 100)]
    builder = LevelsBuilder(119, 100 * DAY_MS)
    builder.add(columns_of(",".join(f"[{ms},{value}]" for ms, value in burst + sparse).encode()))
    assert {} == builder.build().least
