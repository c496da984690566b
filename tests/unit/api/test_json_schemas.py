"""Tests of parameters and documents as JSON Schema."""

from __future__ import annotations

import re

import msgspec
import pytest

from building_vitals.api import parameters as p
from building_vitals.api.json_schemas import (
    at_least,
    at_most,
    body_schema,
    document_schemas,
    parameter_schema,
)
from building_vitals.fields import Count, IsoTime
from building_vitals.instants import INSTANT_MAX_MS, NUMBER_MIN_MS


@pytest.mark.parametrize("maximum", [10, 19, 20, 100, 105, 999, 1000, 90_210])
def test_texts_of_numbers_are_bounded_exactly(maximum: int) -> None:
    """The pattern matches the numbers up to the maximum, and none above."""
    pattern = re.compile(f"({at_most(maximum)})")
    for number in (*range(min(maximum, 2000) + 30), maximum - 1, maximum, maximum + 1):
        assert (number <= maximum) == bool(pattern.fullmatch(str(number))), number


@pytest.mark.parametrize("minimum", [10, 19, 90, 99, 105, 999, 1000, 6315])
def test_texts_of_numbers_have_a_least(minimum: int) -> None:
    """Of as many digits, the pattern matches those from the minimum on."""
    pattern = re.compile(f"({at_least(minimum)})")
    digits = len(str(minimum))
    for number in range(10 ** (digits - 1), 10**digits):
        assert (number >= minimum) == bool(pattern.fullmatch(str(number))), number


@pytest.mark.parametrize(("bound", "step"), [(NUMBER_MIN_MS, -1), (INSTANT_MAX_MS, 1)])
def test_described_instants_are_those_that_are_read(bound: int, step: int) -> None:
    """The description ends where reading ends, to the millisecond."""
    assert re.fullmatch(instant_pattern(), str(bound))
    assert p.START_TIME.read_text(str(bound)) == bound
    assert not re.fullmatch(instant_pattern(), str(bound + step))
    with pytest.raises(ValueError, match=r"not a time|before 1990"):
        p.START_TIME.read_text(str(bound + step))


def instant_pattern() -> str:
    """Return the pattern that describes the texts which no format does."""
    (pattern,) = [
        each["pattern"] for each in parameter_schema(p.START_TIME)["anyOf"] if "pattern" in each
    ]
    return str(pattern)


@pytest.mark.parametrize(
    "text",
    [
        *("20250101", "20240229", "20250229", "20000229", "19000229", "00000101", "00040229"),
        *("20250431", "20251301", "20250100", "99991231", "now", "now-15m", "now-7d", "now-1y"),
        *("now-", "now-99999w", "now-100000w", "now-9999999h", "now-10000000h", "NOW", "now+1h"),
        *("99999999", "1735689600", "1735689600000", "999999999999999", "100000000000000"),
    ],
)
def test_described_texts_are_those_that_are_read(text: str) -> None:
    """Basic dates, the present and what lies before it, and numbers, as they are validated."""
    try:
        p.START_TIME.read_text(text, 1_790_812_800_000)
        is_read = True
    except ValueError:
        is_read = False
    assert is_read == bool(re.fullmatch(instant_pattern(), text))


def test_a_list_of_points_is_an_array() -> None:
    """Both ways to name points are arrays of at least one name."""
    for parameter in (p.POINTS, p.POINT):
        schema = parameter_schema(parameter)
        assert ("array", 1) == (schema["type"], schema["minItems"])
        assert f"^{parameter.pattern}$" == schema["items"]["pattern"]


def test_optional_members_of_a_body_may_be_null() -> None:
    """What must be given must be there; what need not be may be null, choices included."""
    schema = body_schema((p.SITE, p.POINTS, p.FORMAT, p.END_TIME))
    assert {"site", "points"} == set(schema["required"])
    assert "string" == schema["properties"]["site"]["type"]
    assert ["string", "null"] == schema["properties"]["format"]["type"]
    assert None in schema["properties"]["format"]["enum"]
    assert {"type": "null"} in schema["properties"]["end_time"]["anyOf"]
    assert p.POINTS_MAX == schema["properties"]["points"]["maxItems"]
    assert [{"site": p.SITE.example, "points": [p.POINT.example]}] == schema["examples"]


class Inner(msgspec.Struct, rename="camel"):
    """
    An inner document.

    Attributes:
        seen_at: Not for readers of the API.
    """

    seen_at: IsoTime
    size_bytes: Count = 0
    note: str | msgspec.UnsetType = msgspec.UNSET


class Outer(msgspec.Struct):
    """An outer document."""

    inner: Inner


def test_documents_become_components() -> None:
    """Names are those of the JSON, constraints are kept, and what is always sent is required."""
    (schema,), components = document_schemas([Outer])
    assert {"$ref": "#/components/schemas/Outer"} == schema
    inner = components["Inner"]
    assert {"$ref": "#/components/schemas/Inner"} == components["Outer"]["properties"]["inner"]
    assert "An inner document." == inner["description"]
    assert ["seenAt", "sizeBytes"] == inner["required"]
    assert {"type": "string", "format": "date-time"} == inner["properties"]["seenAt"]
    assert {"type": "integer", "minimum": 0} == inner["properties"]["sizeBytes"]
