"""Tests of the two readers of parameters: one set of rules, two places."""

from __future__ import annotations

import pytest

from building_vitals.api import parameters as p
from building_vitals.api.readers import BodyReader, ParameterReader, QueryReader
from building_vitals.errors import InvalidRequest

LISTED = (p.SITE, p.POINTS, p.POINT, p.LIMIT)
READERS: list[ParameterReader] = [
    QueryReader("site=s&points=a,b&limit=7&_cursor=c", LISTED),
    BodyReader(
        {"site": "s", "points": ["a", "b"], "limit": 7, "_cursor": "c"}, frozenset(), LISTED
    ),
]


@pytest.mark.parametrize("reader", READERS, ids=["query", "body"])
def test_both_places_give_the_same_values(reader: ParameterReader) -> None:
    """A value does not depend on where it stands."""
    assert ("s", 7, ("a", "b")) == (reader.read(p.SITE), reader.read(p.LIMIT), reader.read_points())
    reader.raise_problems()


@pytest.mark.parametrize("reader", READERS, ids=["query", "body"])
def test_only_listed_parameters_can_be_read(reader: ParameterReader) -> None:
    """A parameter that the endpoint does not list is a bug of its handler, given or not."""
    with pytest.raises(LookupError, match="not a parameter of this endpoint: cursor"):
        reader.read(p.CURSOR)


def test_points_that_are_not_listed_are_not_there() -> None:
    """An endpoint that lists one way to name points does not know the other."""
    assert ("a",) == QueryReader("point=a&points=b", (p.POINT,)).read_points()
    assert ("b",) == QueryReader("point=a&points=b", (p.POINTS,)).read_points()


def test_problems_are_raised_together() -> None:
    """Reading goes on after a problem, and all of them are raised in the end."""
    reader = QueryReader("site=..&limit=0", LISTED)
    assert (None, None, None) == (reader.read(p.SITE), reader.read(p.LIMIT), reader.read_points())
    with pytest.raises(InvalidRequest) as caught:
        reader.raise_problems()
    assert ["site", "limit", "points"] == [each.field for each in caught.value.problems]
