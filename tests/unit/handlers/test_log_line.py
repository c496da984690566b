"""What may stand in a log line."""

from __future__ import annotations

import json

import pytest

from building_vitals.handlers.log_line import DETAIL_MAX, TEXT_MAX, encode_line, log_line


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('a\n{"event":"start"}', id="line end"),
        pytest.param("\x1b[31m\x07\x08", id="terminal escapes"),
        pytest.param("\x7f\x85\x9b31m", id="C1 controls"),
        pytest.param("\u2028\u2029", id="separators"),
        pytest.param("\u202egnp.exe\u2066", id="direction of writing"),
        pytest.param('"}\\', id="quotes"),
        pytest.param("é ☃ 😀", id="plain text"),
    ],
)
def test_line_is_one_printable_line_of_json(text: str) -> None:
    """A text comes out of the line as it went in, and is harmless while it is in it."""
    line = encode_line({"event": "request", "detail": text})
    assert line.isprintable()
    assert {"event": "request", "detail": text} == json.loads(line)


def test_half_of_a_pair_can_be_written() -> None:
    """A text that is no UTF-8 must not keep the line from being written."""
    assert json.loads(encode_line({"detail": "a\ud800"})) == {"detail": "a\ud800"}
    assert encode_line({"detail": "a\ud800"}).isascii()


def test_lines_are_bounded() -> None:
    """Long texts are cut, and fields without a value left out."""
    line = log_line("fault", {"detail": "x" * 10_000, "error": "y" * 10_000, "where": None})
    expected = {"event": "fault", "detail": "x" * DETAIL_MAX, "error": "y" * TEXT_MAX}
    assert expected == json.loads(line)
