"""Tests of what values become in our JSON."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from building_vitals.series import values as samples
from building_vitals.series.values import NumberText, value_text


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0",
        "45.50",
        "-12.000",
        "1e5",
        "1E-07",
        "0.10000000000000000555111512",
        "0E5",
        "0.0E-400",
        "-0e999",
        "5e-324",
        f"0.{'0' * 400}",
    ],
)
def test_number_in_text_keeps_its_digits(number: str) -> None:
    """
    Text that is a JSON number, and the number itself, are given with the digits they came with.
    """
    assert number == value_text(number)
    assert number == value_text(NumberText(number))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-.5", "-0.5"),
        ("+.50", "0.50"),
        ("  45.5\t", "45.5"),
        ("5.e3", "5e3"),
        ("-5.25", "-5.25"),
    ],
)
def test_loose_spellings_become_the_nearest_json_number(sent: str, expected: str) -> None:
    """Numbers that only JSON would refuse become numbers JSON takes."""
    assert expected == value_text(sent)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        ".",
        "+",
        "-",
        "007",
        "-01",
        "0x1F",
        "1_000",
        "1,5",
        "1 2",
        "--5",
        "1e",
        "٤٥",
        "5\n6",
        "occupied",
        "none",
        "true",
        "null",
        "na",
        "\u0131nf",
        'say "on"',
        "line\nbreak",
        "],[",
        "\x00",
        "°C 😀",
    ],
)
def test_other_text_stays_text(sent: str) -> None:
    """What only resembles a number or a literal is a JSON string of the same characters."""
    assert sent == json.loads(value_text(sent))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("123E4567", id="beyond the largest double"),
        pytest.param("-1e999", id="beyond the smallest"),
        pytest.param("12E-4567", id="nearer to 0 than any double"),
        pytest.param("-1e-400", id="nearer to 0 from below"),
        pytest.param("9" * 400, id="400 digits"),
        pytest.param(f"0.{'0' * 400}1", id="400 zeros behind the point"),
        pytest.param("+1e999", id="beyond with a plus"),
        pytest.param(" .5e-999 ", id="near to 0 with blanks"),
    ],
)
def test_text_that_no_double_comes_near_to_stays_text(sent: str) -> None:
    """A serial number may look like a number; read as one it would be lost, or 0."""
    assert sent == json.loads(value_text(sent))


def test_a_number_near_to_zero_keeps_its_digits() -> None:
    """A bare number that reads as 0 is what the upstream says, and stays a number."""
    assert value_text(NumberText("12E-4567")) == "12E-4567"


@pytest.mark.parametrize(
    "sent",
    [
        "NaN",
        "nan",
        "NAN",
        "Infinity",
        "inf",
        "-Infinity",
        "+inf",
        "-nan",
        " NaN ",
        NumberText("1E400"),
        NumberText("-1e999"),
        NumberText("9" * 400),
        10**400,
        -(10**400),
        math.nan,
        math.inf,
        -math.inf,
    ],
)
def test_what_is_not_finite_becomes_null(sent: Any) -> None:
    """NaN, infinity and bare numbers beyond IEEE double have no JSON number, so they are null."""
    assert value_text(sent) == "null"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-17, "-17"),
        (2**70, "1180591620717411303424"),
        (72.5, "72.5"),
        ([], "[]"),
        ({}, "{}"),
        ([1, "2", NumberText("1.50"), None, True], '[1,"2",1.50,null,true]'),
        ({"a": {"b": [NumberText("1e999"), "NaN"]}}, '{"a":{"b":[null,"NaN"]}}'),
    ],
)
def test_values_that_are_not_text(sent: Any, expected: str) -> None:
    """Literals, integers, arrays and objects give their JSON text, digits unchanged."""
    assert expected == value_text(sent)


def test_largest_double_is_kept_and_the_next_integer_is_not() -> None:
    """The limit for integers is the one of IEEE double."""
    largest = int(1.7976931348623157e308)

    assert str(largest) == value_text(largest)
    assert str(largest) == value_text(str(largest))
    assert value_text(2**1024) == "null"
    assert json.dumps(str(2**1024)) == value_text(str(2**1024))


def test_lone_surrogates_are_escaped() -> None:
    """Text that UTF-8 cannot hold gives ASCII escapes that mean the same text."""
    text = value_text("a\ud800é")

    assert text.isascii()
    assert json.loads(text) == "a\ud800é"
    assert json.loads(value_text({"\udfff": "\ud800"})) == {"\udfff": "\ud800"}


def test_absurd_nesting_becomes_null() -> None:
    """What is nested deeper than a reader would follow ends in null, at any depth."""
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    text = value_text(deep)

    assert text == "[" * samples.NESTING_MAX + "null" + "]" * samples.NESTING_MAX


def test_foreign_types_are_refused() -> None:
    """A value no JSON decoder makes is a mistake of the caller."""
    with pytest.raises(TypeError, match="not a JSON value: bytes"):
        value_text(b"x")


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives(number: float) -> None:
    """
    A number, its text and its NumberText all give JSON that reads as the same number; where no
    double comes near, the text stays.
    """
    expected = number if isinstance(number, float) else value_or_none(number)
    spelled = json.dumps(number)

    assert expected == json.loads(value_text(number))
    assert expected == json.loads(value_text(NumberText(spelled)))
    assert (spelled if expected is None else expected) == json.loads(value_text(spelled))


def value_or_none(number: int) -> int | None:
    """Return the integer, or None when no double comes near it."""
    try:
        float(number)
    except OverflowError:
        return None
    return number


@example("9007199254740993")
@example("1e400")
@given(st.text())
def test_any_text_gives_valid_json(text: str) -> None:
    """Any text gives JSON: itself, null, or a number float() reads the same."""
    value = json.loads(value_text(text), parse_constant=pytest.fail)

    # Integers keep more digits than a double has.
    assert text == value or value is None or float(text) == float(value)
    if value is None:
        assert text.lower().strip(" \t\r\n\f\v+-") in ("nan", "inf", "infinity")


# Half of the smallest double, and the largest double.
NEAR_ZERO, LARGEST = Decimal("2.4703282292062327e-324"), Decimal("1.7976931348623157e308")
SIZED = r"[+-]?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?[eE]([+-]?[0-9]{1,2}|-?3[0-4][0-9]|[+-]?[0-9]{4})"


@settings(max_examples=500)
@given(st.from_regex(SIZED, fullmatch=True))
def test_text_with_an_exponent_is_a_number_where_a_double_is_near(text: str) -> None:
    """What exact arithmetic says is 0, or lies between the doubles' limits, becomes a number."""
    exact = Decimal(text)
    has_double = exact == 0 or NEAR_ZERO < abs(exact) <= LARGEST

    value = json.loads(value_text(text), parse_float=Decimal, parse_int=Decimal)

    assert (exact if has_double else text) == value


@given(st.from_regex(r"[ ]?[+-]?[0-9]{0,3}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,2})?[ ]?", fullmatch=True))
def test_number_like_text_is_a_number_or_itself(text: str) -> None:
    """Text that looks like a number either means that number or stays as it is."""
    value = json.loads(value_text(text))

    assert text == value if isinstance(value, str) else float(text) == value


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(_JSON) | st.dictionaries(st.text(), _JSON))
def test_arrays_and_objects_survive(value: Any) -> None:
    """Nested values give JSON that reads as the same value."""
    assert value == json.loads(value_text(value))
