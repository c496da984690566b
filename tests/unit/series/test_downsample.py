"""Which samples of a point are kept for a chart, case by case."""

from __future__ import annotations

import json

import pytest

from building_vitals.series.downsample import choose
from building_vitals.series.sample_text import (
    Samples,
    decode_samples,
    decode_values,
    encode_samples,
)

MINUTE_MS = 60_000


def downsample(samples: Samples, max_points: int) -> Samples:
    """Return the samples that are chosen."""
    values = decode_values([raw for _, raw in samples])
    return [samples[i] for i in choose([ms for ms, _ in samples], values, max_points)]


def run(*values: str) -> bytes:
    """Return a run of samples a minute apart, each value given as JSON text."""
    return ",".join(f"[{MINUTE_MS * i},{value}]" for i, value in enumerate(values)).encode()


def kept(text: bytes, max_points: int) -> list[int]:
    """Return the minutes of the samples kept."""
    return [ms // MINUTE_MS for ms, _ in downsample(decode_samples(text), max_points)]


@pytest.mark.parametrize("max_points", [1, 0, -5])
def test_too_few(max_points: int) -> None:
    """Fewer than the two ends are refused."""
    with pytest.raises(ValueError, match=f"at least 2: got {max_points}"):
        choose([], [], max_points)


@pytest.mark.parametrize("values", [(), ("1",), ("1", "2"), ("1", '"a"', "null", "4", "5")])
def test_few_samples_unchanged(values: tuple[str, ...]) -> None:
    """No more samples than the limit are the answer as they are."""
    samples = decode_samples(run(*values))
    assert samples == downsample(samples, max(2, len(values)))


@pytest.mark.parametrize(
    ("max_points", "minutes"),
    [(2, [0, 9]), (3, [0, 6, 9]), (4, [0, 3, 6, 9]), (5, [0, 3, 6, 9]), (7, [0, 3, 6, 9])],
)
def test_small_limits(max_points: int, minutes: list[int]) -> None:
    """Under eight samples it is the ends, then the smallest, then the largest."""
    assert kept(run("1", "2", "3", "99", "5", "4", "-7.5", "2", "1", "3"), max_points) == minutes


def test_three_when_an_end_is_the_smallest() -> None:
    """A place that the smallest number does not need goes to the largest."""
    assert kept(run("0", "2", "3", "99", "5", "4"), 3) == [0, 3, 5]


def test_buckets() -> None:
    """Each bucket keeps its first, last, smallest and largest, and a peak of one sample stays."""
    values = [str(v) for v in (5, 1, 9, 5, 5, 5, 4, 6, 5, 5, 5, 1000, -1, 5, 5, 5)]
    assert kept(run(*values), 8) == [0, 1, 2, 7, 8, 11, 12, 15]


def test_buckets_are_equally_wide() -> None:
    """Buckets divide time, not the number of samples."""
    dense = [f"[{i},{i % 7}]" for i in range(100)]
    late = [f"[{ms},{v}]" for ms, v in ((900, 3), (910, 8), (920, 1), (999, 3))]
    samples = downsample(decode_samples(",".join(dense + late).encode()), 8)
    assert [ms for ms, _ in samples] == [0, 6, 99, 900, 910, 920, 999]


def test_digits_unchanged() -> None:
    """What is kept is the same text as before."""
    text = run("1.10", "1.0", "1.30", "1e2", "1.50", "1.20")
    assert encode_samples(downsample(decode_samples(text), 4)) == (
        b"[0,1.10],[60000,1.0],[180000,1e2],[300000,1.20]"
    )


def test_numbers_are_compared_by_value() -> None:
    """
    Neither digits, nor exponents, nor sizes beyond 64 bits or floats mislead smallest and largest.
    """
    values = ["5", "9e1", "-1E2", "10" + "0" * 30, "1e400", "5", "5"]
    assert kept(run(*values), 4) == [0, 2, 4, 6]
    assert kept(run(*values[:4], "7", "5", "5"), 4) == [0, 2, 3, 6]


def test_text_keeps_changes() -> None:
    """Of text, the first sample of each run of equal text stays."""
    values = ['"a"'] * 5 + ['"b"'] * 5 + ['"a"'] + ['"c],["'] * 9
    assert kept(run(*values), 5) == [0, 5, 10, 11, 19]


def test_booleans_keep_changes() -> None:
    """Booleans are states: a single true in a row of false stays, and what follows it."""
    assert kept(run(*["false"] * 20, "true", *["false"] * 20), 4) == [0, 20, 21, 40]


def test_true_is_not_one() -> None:
    """A boolean is no number equal to it, nor the text that reads like it."""
    assert kept(run("1", "1", "1", "true", "true", '"true"', "1", "1", "1", "1"), 8) == [
        0,
        3,
        5,
        6,
        9,
    ]


def test_outage_stays() -> None:
    """An outage shows where it begins and where it ends; peaks stay beside it."""
    values = ["20"] * 30 + ["null"] * 10 + ["20"] * 30
    values[60], values[15] = "99", "-99"
    minutes = kept(run(*values), 10)
    assert {0, 15, 30, 40, 60, 69} <= set(minutes)
    assert len(minutes) <= 10


def test_outage_at_the_ends() -> None:
    """First and last sample stay even when they are null."""
    values = ["null"] * 10 + ["5"] * 10 + ["7"] + ["5"] * 10 + ["null"] * 10
    assert kept(run(*values), 8) == [0, 10, 20, 30, 31, 40]


def test_nothing_but_null() -> None:
    """A point that was down all the time keeps its ends."""
    assert kept(run(*["null"] * 50), 10) == [0, 49]


def test_flapping_text() -> None:
    """With more changes than the limit, both states and a rare third one stay visible."""
    values = ['"on"', '"off"'] * 200
    values[251] = '"alarm"'
    samples = downsample(decode_samples(run(*values)), 20)
    assert len(samples) <= 20
    states = [json.loads(bytes(raw)) for _, raw in samples]
    assert {"on", "off", "alarm"} == set(states)
    assert states.count("on") >= 5
    assert states.count("off") >= 5


def test_flapping_outages_leave_room_for_numbers() -> None:
    """Changes of state take at most half of the room from the numbers."""
    values = [v for i in range(500) for v in (str(i % 37), "null")]
    values[500] = "1000"
    samples = [json.loads(bytes(raw)) for _, raw in downsample(decode_samples(run(*values)), 100)]
    assert len(samples) <= 100
    assert 1000 in samples
    assert samples.count(None) >= 20
    assert len([v for v in samples if v is not None]) >= 40


def test_a_few_numbers_among_text() -> None:
    """Numbers that all fit are all kept."""
    values = ['"a"', '"a"', '"b"', '"b"'] * 50
    values[20], values[100], values[101], values[150] = "1", "2", "3", "4"
    assert {20, 100, 101, 150} <= set(kept(run(*values), 40))


def test_arrays_are_states() -> None:
    """Arrays and objects keep their changes, also when there are more of them than fit."""
    values = [*["[1]"] * 5, *['{"a":1}'] * 5, *['"[1]"'] * 5]
    assert kept(run(*values), 6) == [0, 5, 10, 14]
    assert len(kept(run(*["[1]", "{}", '"[1]"'] * 20), 10)) == 10


def test_lone_surrogates() -> None:
    """Text that UTF-8 can not hold is a state like others, and stays as it was written."""
    text = run('"\\ud800"', '"\\ud800"', '"\\ud800"', '"b"', '"b"')
    samples = downsample(decode_samples(text), 3)
    assert encode_samples(samples) == b'[0,"\\ud800"],[180000,"b"],[240000,"b"]'


@pytest.mark.parametrize("max_points", [2, 3, 4, 5, 6])
def test_small_limits_with_states(max_points: int) -> None:
    """
    Small limits hold for mixed values, too, and show the ends, then the smallest, then the largest.
    """
    values = ['"a"', "1", "null", "7", "true", "-3", '"b"', "5", "null", '"c"']
    minutes = kept(run(*values), max_points)
    assert len(minutes) <= max_points
    assert minutes[0] == 0
    assert minutes[-1] == 9
    assert max_points < 3 or 5 in minutes
    assert max_points < 4 or 3 in minutes
