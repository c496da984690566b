"""Tests of parameters and documents as JSON Schema."""

from __future__ import annotations

import re

import msgspec
import pytest

from building_vitals.api import parameters as p
from building_vitals.api.json_schemas import (
    at_most,
    body_schema,
    document_schemas,
    parameter_schema,
)
from building_vitals.fields import Count, IsoTime
from building_vitals.instants import INSTANT_MAX_MS, INSTANT_MIN_MS


@pytest.mark.parametrize("maximum", [10, 19, 20, 100, 105, 999, 1000, 90_210])
def test_texts_of_numbers_are_bounded_exactly(maximum: int) -> None:
    """The pattern matches the numbers up to the maximum, and none above."""
    pattern = re.compile(f"({at_most(maximum)})")
    for number in (*range(min(maximum, 2000) + 30), maximum - 1, maximum, maximum + 1):
        assert (number <= maximum) == bool(pattern.fullmatch(str(number))), number


@pytest.mark.parametrize("bound", [INSTANT_MIN_MS, INSTANT_MAX_MS])
def test_described_instants_are_those_that_are_read(bound: int) -> None:
    """The description ends where reading ends, to the millisecond."""
    (pattern,) = [
        each["pattern"] for each in parameter_schema(p.START_TIME)["anyOf"] if "pattern" in each
    ]
    beyond = bound + (1 if bound > 0 else -1)
    assert re.fullmatch(pattern, str(bound))
    assert p.START_TIME.read_text(str(bound)) == bound
    assert not re.fullmatch(pattern, str(beyond))
    with pytest.raises(ValueError, match="not a time"):
        p.START_TIME.read_text(str(beyond))


def test_a_list_of_points_is_an_array() -> None:
    """Both ways to name points are arrays of at least one name."""
    for parameter in (p.POINTS, p.POINT):
        schema = parameter_schema(parameter)
        assert ("array", 1) == (schema["type"], schema["minItems"])
        assert f"^{parameter.pattern}$" == schema["items"]["pattern"]


def test_optional_members_of_a_body_may_be_null() -> None:
    """What must be given must be there; what need not be may be null, choices included."""
    schema = body_schema((p.SITE, p.POINTS, p.FORMAT))
    assert {"site", "points"} == set(schema["required"])
    assert "string" == schema["properties"]["site"]["type"]
    assert ["string", "null"] == schema["properties"]["format"]["type"]
    assert None in schema["properties"]["format"]["enum"]
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
