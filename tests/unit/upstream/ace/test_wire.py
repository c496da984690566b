"""What the upstream's bodies say, and which are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from building_vitals.series.values import NumberText, value_text
from building_vitals.upstream.ace.wire import (
    LISTING_LEVELS_MAX,
    NO_TEXT,
    PAGE_LEVELS_MAX,
    PageRefused,
    cursor_after,
    decode_listing,
    decode_page,
    guess_cursor,
)


def test_numbers_of_a_page_keep_their_digits() -> None:
    """Numbers are decoded without a change of their digits."""
    page = decode_page(
        b'{"point_samples":[{"name":"p","value":45.50,"time":"t"},'
        b'{"name":"p","value":"45.50","time":"t"},{"name":"p","value":7,"time":"t"},'
        b'{"name":"p","value":1e999,"time":"t"},{"name":"p","value":[1.0,{"a":2.50}],"time":"t"}],'
        b'"next_cursor":null,"has_more":false,"extra":{}}'
    )
    values = [sample.value for sample in page.point_samples]

    assert isinstance(values[0], NumberText)
    assert [*map(value_text, values)] == ["45.50", "45.50", "7", "null", '[1.0,{"a":2.50}]']


def test_json_that_only_the_lenient_take_is_read() -> None:
    """Bare NaN and Infinity become null; lone surrogates and huge integers don't spoil a page."""
    digits = "1" * 5_000
    values = ["NaN", "-Infinity", "45.50", "7", '"\\ud800"', digits]
    samples = ",".join(f'{{"name":"p","value":{value},"time":"t"}}' for value in values)
    body = f'{{"point_samples":[{samples}],"next_cursor":"c","has_more":true}}'
    page = decode_page(body.encode())

    assert [value_text(sample.value) for sample in page.point_samples] == [
        "null", "null", "45.50", "7", '"\\ud800"', "null",
    ]  # fmt: skip
    assert cursor_after(page) == "c"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>gateway</html>",
        b'{"point_samples":[{"name":"p","value":1,"ti',
        b"null",
        b"[]",
        b"{}",
        b'{"point_samples":null}',
        b'{"point_samples":{}}',
        b'{"point_samples":[1]}',
        b'{"point_samples":[null]}',
        b'{"point_samples":[{"name":null,"value":1,"time":"t"},{"name":"p","value":1,"ti',
        b'{"point_samples":[],"has_more":"yes"}',
        b'{"point_samples":[],"has_more":true,"next_cursor":["x"]}',
        b'{"point_samples":[{"name":"\xff","value":1,"time":"t"}]}',
        '{"point_samples":[],"has_more":false}'.encode("utf-16"),
    ],
)
def test_bodies_that_are_no_page_are_refused(body: bytes) -> None:
    """What is not JSON, or not of a page's shape, is refused with the reason."""
    with pytest.raises(PageRefused, match=r"^sent what is not a page \(.+\)$"):
        decode_page(body)


@pytest.mark.parametrize("filler", ["7", "NaN"])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('{"name":null,"value":"1","time":"t"}', (NO_TEXT, "1", "t")),
        ('{"name":5,"value":"1","time":"t"}', (NO_TEXT, "1", "t")),
        ('{"name":1.5,"value":"1","time":"t"}', (NO_TEXT, "1", "t")),
        ('{"name":["p"],"value":"1","time":"t"}', (NO_TEXT, "1", "t")),
        ('{"value":"1","time":"t"}', (NO_TEXT, "1", "t")),
        ('{"name":"p","value":"1","time":null}', ("p", "1", NO_TEXT)),
        ('{"name":"p","value":"1","time":1735689600.5}', ("p", "1", NO_TEXT)),
        ('{"name":"p","value":"1"}', ("p", "1", NO_TEXT)),
        ('{"name":"p","time":"t"}', ("p", UNSET, "t")),
        ('{"name":"p","value":null,"time":"t"}', ("p", None, "t")),
        ("{}", (NO_TEXT, UNSET, NO_TEXT)),
    ],
)
def test_a_sample_that_lacks_something_spoils_no_page(
    sent: str, expected: tuple[str, object, str], filler: str
) -> None:
    """Such a sample keeps its place among good ones, and the page its cursor."""
    good = f'{{"name":"q","value":{filler},"time":"t"}},{{"name":"q","value":45.50,"time":"t"}}'
    body = f'{{"point_samples":[{good},{sent},{good}],"next_cursor":"c","has_more":true}}'
    page = decode_page(body.encode())

    found = [(each.name, each.value, each.time) for each in page.point_samples]
    assert expected == found[2]
    assert found[:2] == found[3:] == [("q", 7 if filler == "7" else None, "t"), ("q", "45.50", "t")]
    assert isinstance(found[1][1], NumberText)
    assert cursor_after(page) == "c"


@given(st.binary() | st.text().map(str.encode))
def test_any_body_is_a_page_or_refused(body: bytes) -> None:
    """No body raises anything else."""
    for decode in (decode_page, decode_listing):
        try:
            decode(body)
        except PageRefused:
            continue


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ('"next_cursor":null,"has_more":false', None),
        ('"next_cursor":"c","has_more":false', None),
        ('"has_more":false', None),
        ('"next_cursor":null', None),
        ('"next_cursor":"c","has_more":true', "c"),
        ('"next_cursor":12,"has_more":true', "12"),
        ('"next_cursor":0,"has_more":true', "0"),
        ('"next_cursor":"c"', "c"),
        ('"next_cursor":"c","has_more":null', "c"),
    ],
)
def test_cursor_is_followed_as_long_as_the_page_does_not_end_it(
    ending: str, expected: str | None
) -> None:
    """Only has_more=false, or a cursor that says null, is the end."""
    assert expected == cursor_after(decode_page(f'{{"point_samples":[],{ending}}}'.encode()))


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (',"has_more":true', "has_more"),
        (',"has_more":true,"next_cursor":null', "has_more"),
        (',"has_more":true,"next_cursor":""', "has_more"),
        ("", "does not say"),
    ],
)
def test_pages_that_do_not_tell_what_follows_are_refused(ending: str, reason: str) -> None:
    """A page must say where the next is, or that there is none."""
    with pytest.raises(PageRefused, match=reason):
        cursor_after(decode_page(f'{{"point_samples":[]{ending}}}'.encode()))


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    """Return a value of so many levels."""
    return opening * levels + closing * levels


def page_with(value: str) -> bytes:
    """Return a page whose second sample has *value*, three levels below the page itself."""
    samples = ",".join(f'{{"name":"p","value":{each},"time":"t"}}' for each in ("1", value))
    return f'{{"point_samples":[{samples}],"has_more":false}}'.encode()


def test_pages_may_be_nested_as_deep_as_the_limit() -> None:
    """A value reaches the limit; one level more refuses the page, in objects as in arrays."""
    room = PAGE_LEVELS_MAX - 3
    (_, deep) = decode_page(page_with(nested(room))).point_samples
    assert nested(room) == value_text(deep.value)
    for opening, closing in (("[", "]"), ('{"a":[', "]}"), ("[{},", "]")):
        levels = room + 1 if "{" not in opening or "}" in opening else room // 2 + 1
        with pytest.raises(PageRefused, match=r"^sent what is nested deeper than 32 levels$"):
            decode_page(page_with(nested(levels, opening, closing)))


def test_lists_may_be_nested_as_deep_as_their_limit() -> None:
    """An item's field reaches the limit; one level more refuses the list."""
    room = LISTING_LEVELS_MAX - 3
    for levels in (room, room + 1):
        body = f'{{"items":[{{"kv_tags":{nested(levels)}}}],"pages":1}}'.encode()
        if levels == room:
            assert 1 == len(decode_listing(body).items)
        else:
            with pytest.raises(PageRefused, match=r"^sent what is nested deeper than 64 levels$"):
                decode_listing(body)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', '{"a":1,"b": '])
def test_what_would_overflow_the_stack_is_never_decoded(opening: str) -> None:
    """Brackets by the thousand are refused, wherever they stand, closed or not."""
    deep = opening * 2_500
    for body in (deep, page_with(deep).decode(), f'{{"extra":{deep}', f'{{"items":[{deep}'):
        for decode in (decode_page, decode_listing):
            with pytest.raises(PageRefused, match="nested deeper"):
                decode(body.encode())


def test_cursor_is_not_guessed_from_a_deep_ending() -> None:
    """The end of a body that is nested too deep gives no cursor."""
    ending = '],"next_cursor":"c","has_more":true'
    sample = '{"point_samples":[{"name":"p","value":1,"time":"t"}'

    assert "c" == guess_cursor(f"{sample}{ending}}}".encode())
    assert None is guess_cursor(f'{sample}{ending},"x":{nested(600, "[{},", "")}'.encode())
    assert None is guess_cursor(f'{sample}{ending},"x":{{"a":'.encode() + b'{"a":' * 700)
