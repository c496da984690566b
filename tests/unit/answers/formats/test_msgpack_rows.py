"""Samples as MessagePack, case by case."""

from __future__ import annotations

import json

import msgspec
import pytest

from building_vitals.answers.formats.msgpack_rows import (
    msgpack_head,
    msgpack_point_head,
    msgpack_point_tail,
    msgpack_rows,
    msgpack_tail,
)
from building_vitals.series.sample_text import decode_samples
from sample_values import T0, run


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
