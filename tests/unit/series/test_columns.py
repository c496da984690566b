"""Tests of pages as columns: what is done by many at once gives what one by one would give."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import VALUES, Sent
from building_vitals.instants import parse_iso
from building_vitals.series.columns import are_plain, columns, head_text, instants_of, woven_text
from building_vitals.series.values import value_text
from spellings import UNREADABLE_TIMES, spelled_instants

NAMES = ("p", "q", "r", "other")
POINTS = dict.fromkeys(("p", "q", "r", "none"))


@st.composite
def pages(draw: st.DrawFn) -> list[Sent]:
    """
    Draw a page in rows, as points that are sampled together make it, or with some of it changed.
    """
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    rows, rest = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    page = [
        Sent(name, f"{row}{name}", str(row))
        for row in range(rows + 1)
        for name in (names if row < rows else names[:rest])
    ]
    for _ in range(draw(st.integers(0, 2)) if page else 0):
        index = draw(st.integers(0, len(page) - 1))
        page[index] = draw(
            st.sampled_from([page[index]._replace(time="x"), page[index]._replace(name="q")])
        )
    return page


@settings(deadline=None, max_examples=500)
@given(pages())
def test_columns_hold_every_sample_of_their_points(page: list[Sent]) -> None:
    """Each point's samples come in the order they were sent, those of other points not at all."""
    found: dict[str, list[tuple[str, Any]]] = {}
    named: list[Collection[str]] = []
    for column in columns(page, POINTS, named.append):
        assert [{sample.name for sample in page}] == named
        assert column.times
        found.setdefault(column.point, []).extend(zip(column.times, column.values, strict=True))

    expected: dict[str, list[tuple[str, Any]]] = {}
    for sample in page:
        if sample.name in POINTS:
            expected.setdefault(sample.name, []).append((sample.time, sample.value))
    assert expected == found
    assert {sample.name for sample in page} == set().union(*named)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["1", "-0.50", "1e5"]), max_size=4),
    st.text() | st.none() | st.sampled_from(["0", "0e5", "1e-999", "1e999", f"-0.{'0' * 350}1"]),
)
def test_plain_values_are_their_own_json_text(values: list[Any], one: str | None) -> None:
    """Values count as plain only when each is, as it stands, the JSON text that it becomes."""
    values.append(one)
    if are_plain(values):
        assert values == [value_text(value) for value in values]
    assert are_plain(values[:-1]) == bool(values[:-1])


@pytest.mark.parametrize(
    "value", ["1,2", " 1", "1 ", "01", "", "NaN", "null", "1]", "\ud800", 1, "1e-999"]
)
def test_what_needs_a_closer_look_is_not_plain(value: Any) -> None:
    """A value that is not surely a number makes none of them plain."""
    assert not are_plain(["1", value, "2"])
    assert not are_plain([value])


def test_frames_are_woven_from_beginnings_and_values() -> None:
    """The text of a frame is that of its samples, one after the other."""
    times = range(-1, len(VALUES) - 1)
    expected = ",".join(f"[{at},{value}]" for at, value in zip(times, VALUES, strict=True))

    assert expected.encode() == woven_text(list(map(head_text, times)), VALUES)


# Arabic-Indic three: Python takes it for a digit, ISO 8601 does not.
STRANGE_DIGIT = "\u0663"
YEARS = (*map(str, range(1960, 1980)), "2025", "9999", "0001", "0000")
MONTHS, DAYS_OF_MONTH = (*range(4), *range(10, 14)), (*range(3), *range(20, 40))
HOURS, MINUTES = (*range(10), *range(20, 25)), range(70)
LISTS_EACH = 150


def loose_time(chance: random.Random) -> str:
    """Return a time in any form, or something that only looks like one."""

    def two_digits(numbers: Sequence[int]) -> str:
        text = f"{chance.choice(numbers):02}"
        return text if chance.random() < 0.99 else text[0] + STRANGE_DIGIT

    date = f"{chance.choice(YEARS)}-{two_digits(MONTHS)}-{two_digits(DAYS_OF_MONTH)}"
    if chance.random() < 0.2:
        return date
    clock = f"{chance.choice('Tt _')}{two_digits(HOURS)}:{two_digits(MINUTES)}"
    if chance.random() < 0.8:
        clock += f":{two_digits(MINUTES)}"
        if chance.random() < 0.6:
            digits = chance.choices("0123456789", k=chance.randrange(14))
            clock += chance.choice(".,") + "".join(digits)
    sign, zone_minutes = chance.choice("+-"), two_digits(MINUTES)
    offset = sign + two_digits(HOURS) + chance.choice(("", zone_minutes, f":{zone_minutes}"))
    zone = chance.choice(("", " ")) + chance.choice(("Z", "z", "UTC", offset, offset))
    return date + clock + (zone if chance.random() < 0.8 else "")


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_many_are_read_as_one_by_one(seed: int) -> None:
    """Reading many at once gives what reading each gives, and None for what one would refuse."""
    chance = random.Random(seed)
    readable = 0
    for _ in range(LISTS_EACH):
        texts = [loose_time(chance) for _ in range(chance.choice((1, 2)))]
        expected = list(map(instant_or_none, texts))
        assert expected == instants_of(texts), texts
        readable += len(expected) - expected.count(None)
    assert LISTS_EACH // 20 < readable < LISTS_EACH


def instant_or_none(text: str) -> int | None:
    """Return the instant, or None where there is none."""
    try:
        return parse_iso(text)
    except ValueError:
        return None


@settings(deadline=None, max_examples=500)
@given(
    st.lists(
        spelled_instants() | st.sampled_from(UNREADABLE_TIMES).map(lambda text: (None, text)),
        max_size=4,
    )
)
def test_any_mixture_of_forms_is_read(spelled: list[tuple[int | None, str]]) -> None:
    """Times of one page may be written in several forms, and some be none."""
    assert [instant_ms for instant_ms, _ in spelled] == instants_of([text for _, text in spelled])


@pytest.mark.parametrize("zone", ["", "Z", "z", "+00:00", "+00"])
@pytest.mark.parametrize("digits", range(10))
def test_fractions_are_cut_and_never_rounded(digits: int, zone: str) -> None:
    """However many nines follow the second, the instant stays before the next one."""
    fraction = digits and "." + "9" * digits
    times = [f"2025-01-01T00:00:0{second}{fraction or ''}{zone}" for second in range(3)]

    assert [parse_iso(time) for time in times] == instants_of(times)
