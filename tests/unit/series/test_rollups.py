"""Rollups: hours as packed sums, exact whatever the numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.series.frames import Series, frame_text
from building_vitals.series.levels import Columns, columns_of
from building_vitals.series.rollups import (
    FRAME_HOURS,
    HOUR_NUMBERS_MIN,
    PARTED_ENTRIES_MIN,
    Places,
    Rollup,
    RollupBuilder,
    Sums,
    rollup_text,
)
from building_vitals.series.splicing import fragment


def columns(values: list[str], step_ms: int = 10 * MINUTE_MS, first_ms: int = 0) -> Columns:
    """Return samples that follow each other by *step_ms*."""
    pairs = (f"[{first_ms + n * step_ms},{value}]" for n, value in enumerate(values))
    return columns_of(",".join(pairs).encode())


def built(*runs: Columns) -> Series | None:
    """Return the rollup of some runs."""
    builder = RollupBuilder()
    for each in runs:
        builder.add(each)
    return builder.build()


def frames_of(series: Series | None) -> list[tuple[int, Rollup]]:
    """Return where the frames of a rollup begin, and what is in them."""
    assert series is not None
    return [
        (
            frame.first_ms,
            Rollup(frame_text(frame, series.data[frame.offset :][: frame.stored_bytes])),
        )
        for frame in series.frames
    ]


def total(sums: Sums, n: int = 0) -> Fraction:
    """Return one of the sums."""
    return Fraction(sums.totals[n], 1 << sums.bits)


def test_sums_are_those_of_the_doubles() -> None:
    """Not of the decimals: 0.1 ten times is a little more than 1."""
    [(first_ms, rollup)] = frames_of(built(columns(["0.1"] * 12 + ["23.45", "-7", "0.3"] * 4)))
    assert (0, 4) == (first_ms, rollup.hours)
    hours = rollup.sums(Places.of(range(5)))
    assert [6, 6, 6, 6] == hours.counts
    assert [6 * Fraction(0.1)] * 2 == [total(hours, 0), total(hours, 1)]
    mixed = 2 * (Fraction(23.45) - 7 + Fraction(0.3))
    assert [mixed, mixed] == [total(hours, 2), total(hours, 3)]
    assert 12 * Fraction(0.1) + 2 * mixed == total(rollup.sums(Places.of([0, 4])))


def test_integers_stay_integers() -> None:
    """It is told of each hour whether all of its numbers were integers."""
    [(_, rollup)] = frames_of(built(columns(["4"] * 6 + ["4.0"] * 6 + ["4", "4.5"] * 3)))
    assert [False, True, True] == [each > 0 for each in rollup.sums(Places.of(range(4))).fractions]
    [(_, rollup)] = frames_of(built(columns(["4"] * 12)))
    assert ([0, 0], [24, 24], 0) == rollup.sums(Places.of(range(3)))[1:]


@pytest.mark.parametrize("bits", [0, 1, 40])
@pytest.mark.parametrize("usual", [0, 8_000, -8_000])
def test_what_sums_rise_by_is_left_out(usual: int, bits: int) -> None:
    """It takes no column of its own, and any stretch of hours has its sum all the same."""
    totals = [((usual + n * 7_919 % 401) << bits) + n % 2 * (bits > 0) for n in range(1_000)]
    sums = Sums([4] * 1_000, [4 * (bits > 0)] * 1_000, totals, bits)
    text = rollup_text(sums)
    assert text is not None
    rollup = Rollup(text)
    assert sums == rollup.sums(Places.of(range(1_001)))
    places = [0, 1, 17, 18, 500, 999, 1_000]
    found = rollup.sums(Places.of(places))
    assert [sum(totals[lo:hi]) for lo, hi in pairwise(places)] == found.totals
    shifted = rollup_text(sums._replace(totals=[each + (1_000 << bits) for each in totals]))
    assert shifted is not None
    # A rise of any height takes the same bytes; where there was none, it is 8 of the header.
    assert abs(len(shifted) - len(text)) <= 8


def test_a_rise_that_saves_nothing() -> None:
    """Of few numbers among many zeros the sums are the same for long, which takes few bytes."""
    sums = Sums([4] * 100, [0] * 100, [0] * 50 + [700] + [0] * 49, 0)
    text = rollup_text(sums)
    assert text is not None
    assert 12 + 2 * 101 == len(text)
    assert sums == Rollup(text).sums(Places.of(range(101)))


@pytest.mark.parametrize(
    ("stored", "sums"),
    [
        (
            "0400000201020101000000000004080a0e00c88ff4ea00000101010001020203",
            Sums([4, 4, 2, 4], [4, 4, 2, 4], [801, 797, 404, -39], 2),
        ),
        ("030000000002000002000000002c598300010203", Sums([2] * 3, [0] * 3, [300, 301, 298], 0)),
    ],
)
def test_what_earlier_versions_stored(stored: str, sums: Sums) -> None:
    """It has no rise, and is read as it was."""
    rollup = Rollup(bytes.fromhex(stored))
    assert sums == rollup.sums(Places.of(range(rollup.hours + 1)))


def test_only_numbers_count() -> None:
    """States and what no double holds are passed over; an hour without numbers has none."""
    values = ["1", "null", '"on"', "2", "true", "3", *['"off"'] * 6, *["1e999", "5"] * 3]
    [(_, rollup)] = frames_of(built(columns(values), columns(["1"] * 18, first_ms=3 * HOUR_MS)))
    hours = rollup.sums(Places.of(range(7)))
    assert [3, 0, 3, 6, 6, 6] == hours.counts
    assert [6, 0, 15, 6, 6, 6] == [total(hours, n) for n in range(6)]


def test_runs_may_end_within_an_hour() -> None:
    """The same samples are the same bytes, however they come."""
    values = [f"{n * 7919 % 401}.{n % 10}" for n in range(600)]
    whole = columns(values)
    assert built(whole) == built(whole.part(0, 100), whole.part(100, 101), whole.part(101))


def test_hours_are_heritage_of() -> None:
    """What is joined from hours is what comes of the samples."""
    whole = columns([f"{n * 7919 % 401}.{n % 10}" for n in range(600)])
    [(first_ms, rollup)] = frames_of(built(whole.part(0, 303)))
    builder = RollupBuilder()
    builder.add_hours(first_ms, rollup.sums(Places.of(range(rollup.hours + 1))))
    builder.add(whole.part(303))
    assert built(whole) == builder.build()


def test_long_series_are_several_frames() -> None:
    """A frame has half a year at the most, and none reaches over a longer gap."""
    long = columns(["1.5"] * 6 * (FRAME_HOURS + 2))
    late = columns(["2.5"] * 12, first_ms=3 * FRAME_HOURS * HOUR_MS)
    found = frames_of(built(long, late))
    assert [(0, FRAME_HOURS), (FRAME_HOURS, 2), (3 * FRAME_HOURS, 2)] == [
        (first_ms // HOUR_MS, rollup.hours) for first_ms, rollup in found
    ]
    assert 30 == total(found[2][1].sums(Places.of([0, 2])))


@pytest.mark.parametrize("values", [["1e300"], ["1e-300", "1e10"], [str(2**97)]])
def test_what_does_not_fit_has_none(values: list[str]) -> None:
    """Numbers that are too far from each other, or too large."""
    assert built(columns(["1"] * 60), columns(values * 60, first_ms=10 * HOUR_MS)) is None


def test_few_numbers_have_none() -> None:
    """There is nothing to save."""
    few = columns(["1.5"] * 60, HOUR_MS // HOUR_NUMBERS_MIN + MINUTE_MS)
    assert built(few) is None
    assert built(columns(["1.5"] * 60, HOUR_MS // HOUR_NUMBERS_MIN)) is not None
    assert built() is None


@pytest.mark.parametrize("cut", [lambda text: text[:5], lambda text: text[:-1], lambda _: b""])
def test_other_bytes_are_no_rollup(cut: object) -> None:
    """They are refused."""
    text = rollup_text(Sums([1, 2], [1, 1], [5, 7], 1))
    assert text is not None
    assert callable(cut)
    with pytest.raises(ValueError, match="not a rollup"):
        Rollup(cut(text))


def test_noise_is_not_deflated() -> None:
    """It lies in the frame as it is, beside what gets smaller; of few hours all is deflated."""
    values = [f"{n * 7919 % 4_001}.{n % 10}" for n in range(6 * 2_000)]
    for hours, is_parted in ((2_000, True), (PARTED_ENTRIES_MIN - 2, False)):
        series = built(columns(values[: 6 * hours]))
        assert series is not None
        [frame] = series.frames
        text = frame_text(frame, series.data)
        places = range(frame.text_bytes % (hours + 1), frame.text_bytes, hours + 1)
        parts = [text[at : at + hours + 1] for at in places]
        assert is_parted == (parts[0] in series.data)
        assert is_parted == any(part in series.data for part in parts[1:])
        assert not all(part in series.data for part in parts)
        assert len(series.data) < 1.05 * len(fragment(text))
