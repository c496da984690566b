"""Tests of what is made of the client's headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.answers.formats.registry import CONTENT_TYPES, FORMATS, Format
from building_vitals.api.negotiation import (
    PREFER_LENGTH_MAX,
    accepts_gzip,
    choose_format,
    etag_matches,
    preferred_wait,
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("text/*", "csv"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/csv, */*", "csv"),
        ("*/*, text/csv", "csv"),
        ("*/*;q=0.5, text/csv;q=0.4", "json"),
        ("application/json;q=0.5, text/csv;q=0.9", "csv"),
        ("application/json, text/csv", "json"),
        ("text/csv, application/json", "csv"),
        ("application/x-ndjson", "ndjson"),
        ("application/msgpack", "msgpack"),
        ("application/x-msgpack", "msgpack"),
        ("application/vnd.msgpack", "msgpack"),
        ("application/json;q=0, */*", "csv"),
        ("application/*;q=0.2, application/msgpack", "msgpack"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=2, application/msgpack;q=0.001", "msgpack"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("image/png", "json"),
        (";q=1,,/,", "json"),
    ],
)
def test_accept_chooses_the_format(accept: str | None, expected: Format) -> None:
    """Weights decide, then how exactly a format is named, then the order; else it is JSON."""
    assert expected == choose_format(None, accept)


@pytest.mark.parametrize("override", FORMATS)
def test_format_parameter_wins(override: Format) -> None:
    """What `format` asks for is given, whatever `Accept` says."""
    assert override == choose_format(override, "text/csv, application/json;q=0")


def test_every_format_has_a_content_type() -> None:
    """No format is answered without one, and each can be asked for by it."""
    assert {each: each for each in FORMATS} == {
        each: choose_format(None, CONTENT_TYPES[each]) for each in FORMATS
    }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; Q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip", True),
        ("identity", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.5, gzip", True),
        ("gzip;q=garbage", False),
        ("gzipped", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(header: str | None, expected: bool) -> None:
    """A weight of 0 refuses, `*` takes anything, and identity may be preferred."""
    assert expected == accepts_gzip(header)


@pytest.mark.parametrize(
    ("header", "etag", "expected"),
    [
        (None, '"a"', False),
        ("", '"a"', False),
        ("*", '"a"', True),
        (" * ", 'W/"a"', True),
        ('"a"', '"a"', True),
        ('W/"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('"b", W/"a"', '"a"', True),
        ('"x,y","a"', '"a"', True),
        ('"b"', '"a"', False),
        ('"A"', '"a"', False),
        ("a", '"a"', False),
        ('"ab"', '"a"', False),
    ],
)
def test_etags_are_compared_weakly(header: str | None, etag: str, expected: bool) -> None:
    """Any tag of the list may match, weak or not."""
    assert expected == etag_matches(header, etag)


@given(st.text(st.sampled_from('gzip*;q=01., /"Wabtextcsv\t\\')) | st.text())
def test_no_header_is_too_strange(header: str) -> None:
    """Whatever a client sends, there is an answer."""
    assert choose_format(None, header) in FORMATS
    assert accepts_gzip(header) in (True, False)
    assert etag_matches(header, '"none such"') in (True, False)


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10),
        ("wait=0", 0),
        ("WAIT=60", 60),
        ("wait = 7", 7),
        ('wait="12"', 12),
        ("respond-async, wait=5", 5),
        ("respond-async,wait=5;why=soon, return=minimal", 5),
        ('a="x, wait=3", wait=4', 4),
        ('handling=lenient; note="a,b;c", wait=4', 4),
        ("wait=1, wait=2", 1),
        ("wait", None),
        ("wait=", None),
        ("wait=61", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=soon", None),
        ("wait=soon, wait=5", None),
        ("wait=\u0665", None),
        ("wait=99999999999999999999", None),
        ("await=5", None),
        ('a="unended, wait=5', None),
        (f"{'a, ' * PREFER_LENGTH_MAX}wait=5", None),
    ],
)
def test_prefer_asks_to_wait(prefer: str | None, expected: int | None) -> None:
    """Seconds from 0 to the most; what cannot be heeded is ignored, and the first counts."""
    assert expected == preferred_wait(prefer, 60)


@given(st.text(max_size=200))
def test_any_prefer_is_read(text: str) -> None:
    """Whatever a client sends is a number of seconds or none."""
    assert preferred_wait(text, 60) in {None, *range(61)}
