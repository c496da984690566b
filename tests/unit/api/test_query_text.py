"""Tests of the text of requests: decoded when it is read, and bounded before."""

from __future__ import annotations

import pytest

from building_vitals.api.query_text import (
    JSON_CONTAINERS_MAX,
    JSON_DEPTH_MAX,
    QUERY_PARAMETERS_MAX,
    QueryText,
    decode_component,
    read_json_object,
)
from building_vitals.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "plus_is_blank", "expected"),
    [
        ("a+b%20c", True, "a b c"),
        ("a+b%20c", False, "a+b c"),
        ("%41%zz%4", True, "A%zz%4"),
        ("%C3%9C", True, "\u00dc"),
        ("\u00dc", True, "\u00dc"),
    ],
)
def test_components_are_decoded(text: str, plus_is_blank: bool, expected: str) -> None:
    """A plus is a blank in queries only; what is no escape stands for itself."""
    assert expected == decode_component(text, plus_is_blank=plus_is_blank)


def test_a_name_may_be_escaped_and_a_value_wrong() -> None:
    """Only a parameter that is read can be wrong."""
    query = QueryText("%61=1&b=%ff&c=1&c=2&d")
    assert ("1", "", None) == (query.single("a"), query.single("d"), query.single("e"))
    assert (["1", "2"], None) == (query.all("c"), query.all("e"))
    for name, message in (("b", "not UTF-8"), ("c", "given 2 times; once is allowed")):
        with pytest.raises(ValueError, match=message):
            query.single(name)


def test_the_number_of_parameters_is_bounded() -> None:
    """The limit itself is allowed, one more is not."""
    QueryText("&" * (QUERY_PARAMETERS_MAX - 1))
    with pytest.raises(InvalidRequest, match="too many parameters"):
        QueryText("&" * QUERY_PARAMETERS_MAX)


def test_nesting_is_bounded_exactly() -> None:
    """The deepest and the most are read, one more is refused before it is parsed."""
    for inner, wrong in (
        (b"[" * (JSON_DEPTH_MAX - 1) + b"]" * (JSON_DEPTH_MAX - 1), b"[]"),
        (b"[" + b",".join([b"[]"] * (JSON_CONTAINERS_MAX - 2)) + b"]", b"[]"),
    ):
        members, repeated = read_json_object(b'{"a":%b}' % inner, None)
        assert (["a"], frozenset()) == (list(members), repeated)
        with pytest.raises(InvalidRequest, match="allowed"):
            read_json_object(b'{"a":%b,"b":%b}' % (inner.replace(b"[]", b"[[]]", 1), wrong), None)


def test_repeated_members_are_named() -> None:
    """The last one counts, and the reader is told."""
    assert ({"a": 2, "b": 3}, frozenset({"a"})) == read_json_object(b'{"a":1,"b":3,"a":2}', None)
