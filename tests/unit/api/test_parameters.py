"""Tests of what each parameter may be."""

from __future__ import annotations

import pytest

from building_vitals.api import parameters as p
from building_vitals.api.parameters import Parameter, shown
from building_vitals.names import LISTED_POINT_PATTERN

ALL = [value for value in vars(p).values() if isinstance(value, Parameter)]


def refusal(parameter: Parameter, text: str) -> str:
    """Return the message with which a text is refused."""
    with pytest.raises(ValueError) as caught:
        parameter.read_text(text)
    return str(caught.value)


@pytest.mark.parametrize("site", ["a", "0", "Maple-Office_1.b", "a..", "A" * 128])
def test_site_takes_letters_digits_and_a_few_marks(site: str) -> None:
    """A site of the allowed characters is taken as it is."""
    assert site == p.SITE.read_text(site)


@pytest.mark.parametrize(
    "site", ["", ".", "..", "-a", "_a", "a/b", "a b", "a\n", "ä", "a%2e", "A" * 129, "\u0661"]
)
def test_site_refuses_everything_else(site: str) -> None:
    """No site climbs a path, ends a line, or is longer than 128."""
    assert p.SITE.allowed in refusal(p.SITE, site)


@pytest.mark.parametrize(
    "point",
    [
        "a",
        " ",
        "AHU/1.Zone 3, Wall Sensor; \"x\" 'y'",
        "constructor",
        "__proto__",
        "🔥",
        "é" * 512,
        "\u2028",
        "\u00a0",
    ],
)
def test_point_takes_all_but_control_characters(point: str) -> None:
    """A point's name may hold anything printable, in up to 512 code points."""
    assert point == p.POINT.read_text(point)


@pytest.mark.parametrize(
    "point",
    ["", "x" * 513, "a\n", "\x00", "a\tb", "\x1f", "\x7f", "\x80", "\x9f", "\ud800", "a\udfff"],
)
def test_point_refuses_control_characters_and_broken_text(point: str) -> None:
    """C0, DEL, C1 and halves of surrogate pairs are refused, and shown escaped."""
    message = refusal(p.POINT, point)
    assert message.isprintable()
    assert p.POINT.allowed in message


@pytest.mark.parametrize("text", ["2", "100000", "0002"])
def test_integer_takes_digits(text: str) -> None:
    """An integer within its bounds is read."""
    assert int(text) == p.MAX_POINTS.read_text(text)


@pytest.mark.parametrize(
    "text", ["", "1", "100001", "-2", "+2", " 2", "2 ", "2.0", "1e3", "0x10", "\u0662", "9" * 400]
)
def test_integer_refuses_other_text(text: str) -> None:
    """What is no plain integer, or is out of bounds, is refused with the bounds."""
    assert "2 to 100,000 are allowed" in refusal(p.MAX_POINTS, text)


@pytest.mark.parametrize("value", [True, False, 2.5, "2", None, [], {}, float("inf"), float("nan")])
def test_integer_refuses_other_json(value: object) -> None:
    """Booleans, fractions and texts are no integers in JSON."""
    with pytest.raises(ValueError, match="not an integer"):
        p.MAX_POINTS.read_json(value)


def test_integer_may_be_written_with_a_point() -> None:
    """JSON knows one kind of number: 12.0 is 12, however large or wrong it is besides."""
    assert 12 == p.MAX_POINTS.read_json(12.0)
    assert p.START_TIME.read_json(1_735_689_600_000.0) == p.START_TIME.read_json(1_735_689_600_000)
    with pytest.raises(ValueError, match="out of bounds"):
        p.MAX_POINTS.read_json(1e300)


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01T00:00:00Z",
        "2025-01-01T02:00:00+02:00",
        "2025-01-01T02:00:00 02:00",
        "2025-01-01T02:00:00.000 0200",
        "2025-01-01 02:00 02",
        "2024-12-31T22:30:00-01:30",
        "2025-01-01",
        "2025-01-01 00:00",
        "20250101",
        "20250101T000000Z",
        "1735689600000",
        "now-0s",
        "now",
    ],
)
def test_instant_reads_every_spelling(text: str) -> None:
    """ISO 8601 with Z, an offset (its plus perhaps lost), or neither; milliseconds; the present."""
    assert 1_735_689_600_000 == p.START_TIME.read_text(text, 1_735_689_600_999)


@pytest.mark.parametrize("number", [1_790_812_800, 0, 5, -1, 20250101, 631_151_999_999])
def test_numbers_of_seconds_are_refused(number: int) -> None:
    """Before 1990 as milliseconds: the message asks, and gives what would have been right."""
    with pytest.raises(ValueError, match=f"^before 1990 as milliseconds: {number}; were seconds"):
        p.START_TIME.read_json(number)
    assert refusal(p.START_TIME, "1790812800") == (
        "before 1990 as milliseconds: 1790812800; were seconds meant? "
        "2026-10-01T00:00:00.000Z is 1790812800000"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "2025-13-01",
        "2025-02-29",
        "1e12",
        "1" * 16,
        "0000-01-01",
        "now-1y",
        "20251301",
    ],
)
def test_instant_refuses_other_text(text: str) -> None:
    """What is no time is refused, and what is allowed is said."""
    assert "epoch milliseconds" in refusal(p.START_TIME, text)


@pytest.mark.parametrize("value", [True, 1.5, None, [], {}])
def test_instant_refuses_other_json(value: object) -> None:
    """A time in JSON is a text or an integer."""
    with pytest.raises(ValueError, match="not a time"):
        p.START_TIME.read_json(value)


def test_blank_stands_for_plus_in_queries_only() -> None:
    """A body has no percent-encoding that could have eaten the plus."""
    with pytest.raises(ValueError, match="not a time"):
        p.START_TIME.read_json("2025-01-01T00:00:00 02:00")


def test_choice_is_told_by_its_exact_text() -> None:
    """Only the listed texts are choices."""
    assert "csv" == p.FORMAT.read_text("csv")
    assert "unknown: 'CSV'; json, csv, ndjson or msgpack is allowed" == refusal(p.FORMAT, "CSV")


def test_timeout_is_bounded_by_the_configuration() -> None:
    """The longest time-out is the configured one."""
    parameter = p.timeout_parameter(5000)
    assert 5000 == parameter.read_text("5000")
    assert "out of bounds: 5001; 1 to 5,000 milliseconds are allowed" == refusal(parameter, "5001")


def test_shown_values_are_short_and_printable() -> None:
    """Messages show values on one line, cut."""
    assert ["an object", "an array", "null", "true", "1.5", "'a\\n'"] == [
        shown(value) for value in ({"a": 1}, [1], None, True, 1.5, "a\n")
    ]
    assert 66 == len(shown("x" * 1000))


@pytest.mark.parametrize("parameter", ALL, ids=lambda parameter: parameter.name)
def test_examples_and_defaults_are_allowed(parameter: Parameter) -> None:
    """What a definition shows or assumes is what it would take."""
    for value in (parameter.example, parameter.default):
        if value is not None:
            parameter.read_json(value, 1_735_689_600_000)


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [("a", True), ("a b", True), ("a,b", False), (" a", False), ("a ", False), ("", False)],
)
def test_listed_point_holds_no_comma(name: str, is_allowed: bool) -> None:
    """The pattern of an item in `points` is a name that survives the splitting."""
    described = Parameter(name="x", description="", allowed="", pattern=LISTED_POINT_PATTERN)
    if is_allowed:
        assert name == described.read_text(name)
    else:
        refusal(described, name)


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("false", False)])
def test_boolean_is_one_of_two_words(text: str, expected: bool) -> None:
    """In a query it is a word, in a body it is JSON's own."""
    assert expected is p.FRESH.read_text(text)
    assert expected is p.FRESH.read_json(expected)


@pytest.mark.parametrize("text", ["", "1", "TRUE", "yes", "true "])
def test_boolean_refuses_other_text(text: str) -> None:
    """No other spelling is guessed at."""
    with pytest.raises(ValueError, match="true or false is allowed"):
        p.FRESH.read_text(text)


@pytest.mark.parametrize("value", ["true", 1, 0, 1.0, None, [], {}])
def test_boolean_refuses_other_json(value: object) -> None:
    """A text is none."""
    with pytest.raises(ValueError, match=r"not a boolean: .*; true or false is allowed"):
        p.FRESH.read_json(value)
