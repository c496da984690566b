"""Samples as CSV, NDJSON and MessagePack, case by case."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable

import msgspec
import pytest

from building_vitals.answers.formats.csv_rows import CSV_HEADER, csv_rows
from building_vitals.answers.formats.msgpack_rows import (
    msgpack_head,
    msgpack_point_head,
    msgpack_point_tail,
    msgpack_rows,
    msgpack_tail,
)
from building_vitals.answers.formats.ndjson_rows import ndjson_rows
from building_vitals.answers.formats.text_rows import ISO_TIMES_MAX
from building_vitals.errors import CorruptSegment
from building_vitals.instants import DAY_MS, format_instant
from building_vitals.series.sample_text import decode_samples, decode_values, encode_samples

T0 = 1_735_689_600_000
ISO0 = b"2025-01-01T00:00:00.000Z"


def run(*values: str) -> bytes:
    """Return a run of samples five minutes apart, each value given as JSON text."""
    return ",".join(f"[{T0 + 300_000 * i},{value}]" for i, value in enumerate(values)).encode()


VALUES = [
    pytest.param("72.5", b"72.5", id="number"),
    pytest.param("45.50", b"45.50", id="trailing zero"),
    pytest.param("-0.0", b"-0.0", id="negative number is no formula"),
    pytest.param("1E+5", b"1E+5", id="exponent"),
    pytest.param("1e400", b"1e400", id="beyond float"),
    pytest.param("9" * 60, b"9" * 60, id="60 digits"),
    pytest.param("0." + "3" * 40, b"0." + b"3" * 40, id="40 decimals"),
    pytest.param("null", b"", id="null"),
    pytest.param("true", b"true", id="true"),
    pytest.param("false", b"false", id="false"),
    pytest.param('"occupied"', b"occupied", id="text"),
    pytest.param('"null"', b"null", id="text null"),
    pytest.param('""', b'""', id="empty text"),
    pytest.param('"a],[1,2"', b'"a],[1,2"', id="the samples' own separator"),
    pytest.param('"say \\"hi\\""', b'"say ""hi"""', id="quotes"),
    pytest.param('"a\\r\\nb"', b'"a\r\nb"', id="line break"),
    pytest.param('"a\\nb"', b'"a\nb"', id="newline"),
    pytest.param('"back\\\\slash"', b"back\\slash", id="backslash"),
    pytest.param('"\U0001f525 hot"', "\U0001f525 hot".encode(), id="emoji"),
    pytest.param('"\\ud83d\\udd25"', "\U0001f525".encode(), id="escaped emoji"),
    pytest.param('"Gr\u00fc\u00dfe"', "Gr\u00fc\u00dfe".encode(), id="accents"),
    pytest.param('"\\u2028"', "\u2028".encode(), id="line separator"),
    pytest.param('"=1+1"', b"'=1+1", id="formula ="),
    pytest.param('"+1+1"', b"'+1+1", id="formula +"),
    pytest.param('"-off"', b"'-off", id="formula -"),
    pytest.param('"@SUM(A1)"', b"'@SUM(A1)", id="formula @"),
    pytest.param('"\\t=1"', b"'\t=1", id="formula after a tab"),
    pytest.param('"\\r=1"', b'"\'\r=1"', id="formula after a carriage return"),
    pytest.param('"=\\"a\\",b"', b'"\'=""a"",b"', id="formula with quotes"),
    pytest.param('" =1"', b" =1", id="space before ="),
    pytest.param("[]", b"[]", id="empty array"),
    pytest.param("[1,2]", b'"[1,2]"', id="array"),
    pytest.param("[[1,2],[3,4]]", b'"[[1,2],[3,4]]"', id="array of arrays"),
    pytest.param("{}", b"{}", id="empty object"),
    pytest.param('{"a":[1.50]}', b'"{""a"":[1.50]}"', id="object"),
    pytest.param('"\\\\ud800"', b"\\ud800", id="escaped backslash before u"),
    pytest.param('"\\ud800 x"', "\ufffd x".encode(), id="lone surrogate"),
    pytest.param('"=\\udc00\\ud800"', "'=\ufffd\ufffd".encode(), id="surrogates in disorder"),
]


@pytest.mark.parametrize(("value", "cell"), VALUES)
@pytest.mark.parametrize("others", [("1.0",), ("1.0", '"x"')], ids=["with numbers", "with text"])
def test_csv_value(value: str, cell: bytes, others: tuple[str, ...]) -> None:
    """Each kind of value becomes its cell, whether its run holds text or not."""
    rows = csv_rows("p", run(value, *others))
    assert rows.startswith(ISO0 + b",p," + cell + b"\r\n2025-01-01T00:05:00.000Z,p,1.0\r\n")


@pytest.mark.parametrize(
    ("point", "cell"),
    [
        ("site/ahu-1.temp", b"site/ahu-1.temp"),
        ("AHU 1, supply", b'"AHU 1, supply"'),
        ('24" duct', b'"24"" duct"'),
        ("=cmd|' /C calc'!A0", b"'=cmd|' /C calc'!A0"),
        ("-5", b"'-5"),
        ("@home,x", b'"\'@home,x"'),
        ("\U0001f525", "\U0001f525".encode()),
        ("K\u00fcche", "K\u00fcche".encode()),
    ],
    ids=["plain", "comma", "quote", "formula", "number-like", "both", "emoji", "accent"],
)
@pytest.mark.parametrize("value", ["1.0", '"on"'], ids=["numbers", "text"])
def test_csv_point(point: str, cell: bytes, value: str) -> None:
    """A point's name is quoted, and made harmless, as any text."""
    expected = ISO0 + b"," + cell + b"," + value.strip('"').encode() + b"\r\n"
    assert expected == csv_rows(point, run(value))


def test_csv_whole() -> None:
    """Header and rows together are what a CSV reader takes for the samples."""
    answer = CSV_HEADER + csv_rows("a,b", run("1.50", "null", '"x],[1"'))
    rows = list(csv.reader(io.StringIO(answer.decode(), newline="")))
    assert rows == [
        ["time", "point", "value"],
        ["2025-01-01T00:00:00.000Z", "a,b", "1.50"],
        ["2025-01-01T00:05:00.000Z", "a,b", ""],
        ["2025-01-01T00:10:00.000Z", "a,b", "x],[1"],
    ]


@pytest.mark.parametrize("value", [case.values[0] for case in VALUES])
@pytest.mark.parametrize("others", [("1.0",), ("1.0", '"x"')], ids=["with numbers", "with text"])
def test_ndjson_value(value: str, others: tuple[str, ...]) -> None:
    """A line holds the value's JSON text as it came."""
    rows = ndjson_rows('p "1"', run(value, *others))
    line = '{"point":"p \\"1\\"","time":"2025-01-01T00:00:00.000Z","value":' + value + "}\n"
    assert rows.startswith(line.encode())
    assert rows.count(b"\n") == 1 + len(others)


@pytest.mark.parametrize("make", [csv_rows, ndjson_rows])
@pytest.mark.parametrize("value", ["1", '"on"'], ids=["numbers", "text"])
@pytest.mark.parametrize(
    "instant_ms",
    [
        0,
        -1,
        -DAY_MS,
        -DAY_MS - 1,
        999,
        T0 + DAY_MS - 1,
        T0 + 59 * DAY_MS + 1,
        -62_135_510_400_000,
        253_402_127_999_999,
    ],
)
def test_times(make: Callable[[str, bytes], bytes], value: str, instant_ms: int) -> None:
    """
    Times are written as `format_instant` writes them, before 1970 and at both ends of the calendar.
    """
    rows = make("p", f"[{instant_ms},{value}]".encode())
    assert format_instant(instant_ms).encode() in rows


def test_times_beyond_the_cache() -> None:
    """More times than the cache holds, at once or after one another, stay right."""
    count = ISO_TIMES_MAX + 5
    for first in (0, 7, 10_000):
        stamps = [T0 + 1_001 * i for i in range(first, first + count)]
        for part in (stamps, stamps[:100], stamps[-ISO_TIMES_MAX:], stamps[50:9_000]):
            rows = csv_rows("p", b",".join(b"[%d,1]" % ms for ms in part))
            assert [line[:24] for line in rows.decode().split("\r\n")[:-1]] == [
                format_instant(ms) for ms in part
            ]


def test_empty_run() -> None:
    """No samples make no rows in any format."""
    assert csv_rows("p", b"") == b""
    assert ndjson_rows("p", b"") == b""
    assert msgpack_rows(b"") == b""
    assert decode_samples(b"") == []
    assert encode_samples([]) == b""


@pytest.mark.parametrize(
    "text",
    [
        b'[1,"a"',
        b'["1","a"]',
        b'[1.5,"a"]',
        b'[1,"a",2]',
        b'[1,"a"],',
        b'[1,"\\ud800"',
        b'["1","\\ud800"]',
        b'[1,"\\ud800",2]',
        b'[1,"\\ud800"],',
        b'[1,"\\ud800"] ,[2,3]',
        b'[1,"\\ud800"],[2,NaN]',
        b'[1,"\\ud800"],[2,"\xff"]',
        b'[1,"\\ud800"],[2,' + b"[" * 100_000 + b"]" * 100_000 + b"]",
    ],
    ids=lambda text: repr(text[:24]),
)
@pytest.mark.parametrize(
    "read",
    [
        decode_samples,
        msgpack_rows,
        lambda text: csv_rows("p", text),
        lambda text: ndjson_rows("p", text),
    ],
    ids=["decode", "msgpack", "csv", "ndjson"],
)
def test_corrupt_text(read: Callable[[bytes], object], text: bytes) -> None:
    """Text that is no run of samples is named as corrupt, not as a parser's failure."""
    with pytest.raises(CorruptSegment):
        read(text)


@pytest.mark.parametrize("make", [csv_rows, ndjson_rows])
@pytest.mark.parametrize("instant_ms", [10**15, -(10**15)])
def test_times_off_the_calendar(make: Callable[[str, bytes], bytes], instant_ms: int) -> None:
    """A time outside the years 1 to 9999 is corrupt."""
    with pytest.raises(CorruptSegment):
        make("p", b"[%d,1]" % instant_ms)


@pytest.mark.parametrize("value", [case.values[0] for case in VALUES])
def test_samples_round_trip(value: str) -> None:
    """Decoding and encoding a run changes no byte."""
    text = run(value, "45.50", value)
    samples = decode_samples(text)
    assert [ms for ms, _ in samples] == [T0, T0 + 300_000, T0 + 600_000]
    assert text == encode_samples(samples)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", float(-(2**63) - 1)),
        ("1" + "0" * 400, None),
        ("1" + "0" * 5000, None),
        ("-1e400", None),
        ("1e-400", 0.0),
        ("45.0", 45.0),
        ("45", 45),
        ("1E2", 100.0),
        ("true", True),
        ("null", None),
        ("[1,[true,null]]", [1, [True, None]]),
        ("[18446744073709551616]", [float(2**64)]),
        ('{"a":[1e400,1]}', {"a": [None, 1]}),
        ('"\\ud800x"', "\ufffdx"),
        ('["\\udc00",{"\\ud800":"\\ud83d\\udd25"}]', ["\ufffd", {"\ufffd": "\U0001f525"}]),
        ('"],["', "],["),
        ('"\U0001f525\\n"', "\U0001f525\n"),
    ],
)
@pytest.mark.parametrize("others", [(), ("1e999",)], ids=["alone", "beside a number too large"])
def test_msgpack_value(value: str, expected: object, others: tuple[str, ...]) -> None:
    """
    Integers of 64 bits stay integers, larger ones become floats, what no float holds becomes nil.
    """
    rows = msgpack_rows(run(value, *others))
    unpacked = msgspec.msgpack.decode(bytes([0x91 + len(others)]) + rows)
    assert unpacked[0] == [T0, expected]
    assert type(unpacked[0][1]) is type(expected)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_msgpack_sizes(count: int) -> None:
    """Heads announce as many samples, and as many points, as there are, at each size of header."""
    rows = msgpack_rows(b",".join(b"[%d,1]" % i for i in range(count)))
    packed = msgpack_point_head("p", count) + rows + msgpack_point_tail()
    answer = msgpack_head(1) + packed + msgpack_tail({})
    point = msgspec.msgpack.decode(answer)["data"]["p"]
    assert point == {"samples": [[i, 1] for i in range(count)], "count": count, "error": None}

    points = b"".join(msgpack_point_head(str(i), 0) + msgpack_point_tail() for i in range(count))
    answer = msgpack_head(count) + points + msgpack_tail({})
    assert len(msgspec.msgpack.decode(answer)["data"]) == count


def test_msgpack_is_the_json_answer() -> None:
    """A streamed MessagePack answer holds what the JSON answer holds."""
    runs = {"a/b": [run("1.5", "2"), b"[1735999999999,null]"], "\U0001f525": [], "c": [run('"on"')]}
    meta = {
        "site": "s",
        "cacheHit": True,
        "cache": {"fetched": [[1, 2]], "requests": 0},
        "at": None,
    }
    error = "upstream answered 503"
    answer = msgpack_head(len(runs))
    for point, texts in runs.items():
        count = sum(len(decode_samples(text)) for text in texts)
        answer += msgpack_point_head(point, count)
        answer += b"".join(msgpack_rows(text) for text in texts)
        answer += msgpack_point_tail(None if count else error)
    answer += msgpack_tail(meta)

    assert msgspec.msgpack.decode(answer) == {
        "data": {
            point: {
                "samples": (samples := json.loads(b"[" + b",".join(texts) + b"]")),
                "count": len(samples),
                "error": None if samples else error,
            }
            for point, texts in runs.items()
        },
        "_meta": meta,
    }


def test_decode_values_beyond_float() -> None:
    """
    A number too large for a float is an infinity, and the values beside it are what they were.
    """
    texts = ("1e400", "-1e400", '"a"', "null", "1.5", "7", '"\\ud800"', "1" + "0" * 5000)
    samples = decode_samples(run(*texts))
    values = decode_values([raw for _, raw in samples])
    assert values == [math.inf, -math.inf, "a", None, 1.5, 7, "\ufffd", math.inf]
