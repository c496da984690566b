"""How deep JSON is nested, by counting, by scanning, and by a plain reference."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.upstream.ace.nesting import depth, is_deeper

# The scan takes a body in blocks of this size.
BLOCK = 256 * 1024
LEAVES = st.none() | st.booleans() | st.integers() | st.text('[]{}",\\: ax', max_size=8)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('[{",\\: a', max_size=4), inner, max_size=4)
    ),
    max_leaves=30,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: "), (",  ", ":\n ")])


def levels(value: Any) -> int:
    """Return the levels of a decoded value, by the definition."""
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(levels, value), default=0)
    return 0


def levels_read(text: bytes) -> int:
    """Return the most levels that a reader of *text* is in at once, letter by letter."""
    level = deepest = 0
    is_string = is_escaped = False
    for letter in text:
        is_quoted, is_escaped = is_escaped, letter == ord("\\") and not is_escaped
        if letter == ord('"'):
            is_string ^= not is_quoted
        elif letter in b"[{" and not is_string:
            level += 1
            deepest = max(deepest, level)
        elif letter in b"]}" and not is_string:
            level -= 1
    return deepest


def is_valid(text: bytes) -> bool:
    """Return whether a decoder accepts *text*."""
    try:
        msgspec.json.decode(text)
    except ValueError:
        return False
    return True


@given(TREES, SEPARATORS, st.sampled_from([None, 0, 2]))
def test_depth_of_json_is_that_of_its_value(
    value: Any, separators: tuple[str, str], indent: int | None
) -> None:
    """However JSON is written, its depth is that of what it says, and neither more nor less."""
    text = json.dumps(value, separators=separators, indent=indent).encode()
    expected = levels(value)

    assert expected == depth(text)
    assert not is_deeper(text, expected)
    assert expected == 0 or is_deeper(text, expected - 1)


@given(TREES, SEPARATORS, st.integers(0, 200), st.binary(max_size=3))
def test_cut_json_is_as_deep_as_a_reader_comes(
    value: Any, separators: tuple[str, str], end: int, rest: bytes
) -> None:
    """JSON that ends early, or in something else, is not taken for less deep than it begins."""
    begun = json.dumps(value, separators=separators).encode()[:end]
    text = begun + rest

    assert levels_read(text) == depth(text)
    reached = levels_read(begun)
    assert not is_deeper(begun, reached)
    assert reached == 0 or is_deeper(text, reached - 1)


@given(st.text('[]{}",\\: a1\n', max_size=40).map(str.encode))
def test_any_text_is_scanned_as_it_is_read(text: bytes) -> None:
    """The scan agrees with reading letter by letter; the verdict does, wherever a decoder comes."""
    assert levels_read(text) == depth(text)
    for levels_max in range(6):
        assert is_deeper(text, levels_max) <= (depth(text) > levels_max)
    if is_valid(text):
        expected = levels(json.loads(text))
        assert not is_deeper(text, expected)
        assert expected == 0 or is_deeper(text, expected - 1)


@given(st.lists(st.sampled_from(['{"a":', '{"a": ', '{"a":1,"b":', "[", "[1,", "[1, ", '["{",'])))
def test_no_chain_passes_that_is_too_deep(openings: list[str]) -> None:
    """A text that opens containers, each in the one before, is refused exactly from its depth."""
    text = "".join(openings).encode()

    assert not is_deeper(text, len(openings))
    assert not openings or is_deeper(text, len(openings) - 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", 0),
        (b"1", 0),
        (b"[]", 1),
        (b"[{}]", 2),
        (b"[[],[]]", 2),
        (b'"[[["', 0),
        (b'"\\"[[["', 0),
        (b'"\\\\"[', 1),
        (b'"\\\\\\"[', 0),
        (b'"[[[', 0),
        (b'"\\', 0),
        (b'["\\', 1),
        (b"]]][[", 0),
        (b"\xff[\x00[", 2),
        (b'["' + b"x" * BLOCK + b'",["[[[",[[', 4),
        (b'["' + b"x" * (BLOCK - 2) + b'",["[[[",[[', 4),
        (b'["' + b"x" * (2 * BLOCK) + b"[" * BLOCK, 1),
    ],
)
def test_depths(text: bytes, expected: int) -> None:
    """Brackets in strings do not count, and a string that does not end hides the rest."""
    assert expected == depth(text)


def test_long_bodies_take_one_pass() -> None:
    """Quotes and escapes by the million, closed or not, are read once."""
    million = 1_000_000

    assert 0 == depth(b'"' + b'\\"' * million)
    assert 0 == depth(b'"' + b'\\"' * million + b"\\")
    assert million == depth(b"[" * million)
    assert is_deeper(b'{"a":' * million, 32)
    assert not is_deeper(b"[],{}," * million, 1)


def page_of(count: int, comma: str = ",", value: str = "72.5", extra: str = "") -> bytes:
    """Return a page of samples."""
    sample = f'{{"name":"p","value":"{value}","time":"t"{extra}}}'
    return f'{{"point_samples":[{comma.join([sample] * count)}],"has_more":false}}'.encode()


@pytest.mark.parametrize("comma", [",", ", ", ",\n  ", ",\r\n\t"])
@pytest.mark.parametrize("value", ["72.5", "[x]", "{", '\\"{[', "},{", '},{\\"name\\":'])
@pytest.mark.parametrize("extra", ["", ',"more":{}', ',"more":[{}]'])
def test_pages_are_as_deep_as_they_are(comma: str, value: str, extra: str) -> None:
    """However a page separates its samples, and whatever they hold, its depth is found exactly."""
    body = page_of(1_000, comma, value, extra)
    expected = levels(json.loads(body))

    assert expected == depth(body)
    assert not is_deeper(body, expected)
    assert is_deeper(body, expected - 1)
    assert not is_deeper(body, 32)


@pytest.mark.parametrize("opening", ['{"a":', '{"a": ', '{"a":\n', '[{"a":', '{"a":1,"b":[1,'])
@pytest.mark.parametrize("end", ["", '"', '"}'])
def test_deep_ends_of_long_pages_are_found(opening: str, end: str) -> None:
    """Among thousands of samples, one that is nested too deep is found."""
    deep = opening * (33 // (opening.count("[") + opening.count("{")) + 1)
    body = page_of(5_000)[:-20] + f',{{"value":{deep}{end}'.encode()

    assert is_deeper(body, 32)
