"""Every format gives back, through other people's readers, the samples it was made of."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import msgpack
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.answers.formats.csv_rows import csv_rows
from building_vitals.answers.formats.msgpack_rows import (
    msgpack_head,
    msgpack_point_head,
    msgpack_point_tail,
    msgpack_rows,
    msgpack_tail,
)
from building_vitals.answers.formats.ndjson_rows import ndjson_rows
from building_vitals.instants import format_instant
from building_vitals.series.sample_text import decode_samples, encode_samples

TEXTS = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["],[", "[1,2],[3,4]", '"', "=1", "-", "\r\n", "'", "", "\U0001f525"])
    | st.sampled_from(["null", "1.5", "123E4567", "12E-4567"])
)
NUMBERS = (
    st.integers().map(str)
    | st.integers(-(10**40), 10**40).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(json.dumps)
    | st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
)
WORDS = st.sampled_from(["null", "true", "false"])
QUOTED = st.builds(lambda text, ascii_: json.dumps(text, ensure_ascii=ascii_), TEXTS, st.booleans())
NESTED = st.recursive(
    NUMBERS | WORDS | QUOTED,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(inner, max_size=3).map(
            lambda items: "{" + ",".join(f'"{i}":{item}' for i, item in enumerate(items)) + "}"
        )
    ),
    max_leaves=6,
)
# Text from elsewhere may hold half of a surrogate pair, which JSON can only write as an escape.
BROKEN = st.text(st.characters(), max_size=5).map(json.dumps)
TIMES = st.integers(-62_135_510_400_000, 253_402_127_999_999)


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, str]]:
    """Draw a run of samples, with text or without; values are JSON text."""
    kinds = [NUMBERS, NUMBERS | WORDS, NUMBERS | WORDS | QUOTED, NESTED, NESTED | BROKEN]
    values = draw(st.sampled_from(kinds))
    times = draw(st.lists(TIMES, max_size=30, unique=True))
    return [(time_ms, draw(values)) for time_ms in sorted(times)]


def write(run: list[tuple[int, str]]) -> bytes:
    """Return the run as frames hold it."""
    return ",".join(f"[{time_ms},{value}]" for time_ms, value in run).encode()


# A control character, or a mark in any of its widths.
FORMULA = re.compile(
    r"[\x00-\x1f=+\-@\u207a\u207c\u208a\u208c\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
)


def defuse(text: str) -> str:
    """Return text as a spreadsheet may see it."""
    return f"'{text}" if FORMULA.match(text) else text


def mend(text: str) -> str:
    """Return text with U+FFFD for each half of a surrogate pair."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def cell_of(value: str) -> str:
    """Return what a CSV reader must find where the value was *value*."""
    if value.startswith('"'):
        return defuse(mend(json.loads(value)))
    return "" if value == "null" else value


def packed_value(value: str) -> Any:
    """Return what a MessagePack reader must find where the value was *value*."""
    return packed(json.loads(value))


def packed(read: Any) -> Any:
    """Return what MessagePack makes of a value that was read from JSON."""
    if isinstance(read, list):
        return [packed(each) for each in read]
    if isinstance(read, dict):
        return {name: packed(each) for name, each in read.items()}
    if isinstance(read, str):
        return mend(read)
    if type(read) is int and not -(2**63) <= read < 2**64:
        return float(read)
    return None if read in (float("inf"), float("-inf")) else read


@given(runs(), TEXTS)
def test_csv(run: list[tuple[int, str]], point: str) -> None:
    """The csv module reads the times, the point and the values back, digit by digit."""
    rows = csv_rows(point, write(run)).decode()
    assert list(csv.reader(io.StringIO(rows, newline=""), strict=True)) == [
        [format_instant(time_ms), defuse(point), cell_of(value)] for time_ms, value in run
    ]


@given(runs(), TEXTS)
def test_ndjson(run: list[tuple[int, str]], point: str) -> None:
    """Each line is one object of JSON that holds time, point and value, digits unchanged."""
    lines = ndjson_rows(point, write(run)).decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line, parse_float=str, parse_int=str) for line in lines] == [
        {
            "point": point,
            "time": format_instant(time_ms),
            "value": json.loads(value, parse_float=str, parse_int=str),
        }
        for time_ms, value in run
    ]


@given(st.lists(runs(), max_size=4), TEXTS, st.none() | TEXTS)
def test_msgpack(pieces: list[list[tuple[int, str]]], point: str, error: str | None) -> None:
    """Two readers find the same structure as in JSON, and the same types."""
    meta = {"site": "s", "duration": 1.5, "cache": {"fetched": [[1, 2]]}}
    count = sum(map(len, pieces))
    answer = b"".join(
        [
            msgpack_head(1),
            msgpack_point_head(point, count),
            *[msgpack_rows(write(run)) for run in pieces],
            msgpack_point_tail(error),
            msgpack_tail(meta),
        ]
    )
    samples = [[time_ms, packed_value(value)] for run in pieces for time_ms, value in run]
    expected = {
        "data": {point: {"samples": samples, "count": count, "error": error}},
        "_meta": meta,
    }
    for read in (msgpack.unpackb(answer, strict_map_key=False), msgspec.msgpack.decode(answer)):
        assert read == expected
        types = [type(value) for _, value in read["data"][point]["samples"]]
        assert types == [type(value) for _, value in samples]


@given(runs())
def test_samples(run: list[tuple[int, str]]) -> None:
    """Decoding splits a run where its samples part, and encoding puts the same bytes together."""
    text = write(run)
    samples = decode_samples(text)
    assert [(time_ms, bytes(raw).decode()) for time_ms, raw in samples] == run
    assert encode_samples(samples) == text
