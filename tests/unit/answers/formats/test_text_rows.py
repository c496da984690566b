"""What CSV and NDJSON share: their times, and text that is none of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from building_vitals.answers.formats.csv_rows import csv_rows
from building_vitals.answers.formats.msgpack_rows import (
    msgpack_rows,
)
from building_vitals.answers.formats.ndjson_rows import ndjson_rows
from building_vitals.answers.formats.text_rows import ISO_TIMES_MAX
from building_vitals.errors import CorruptSegment
from building_vitals.instants import DAY_MS, format_instant
from building_vitals.series.sample_text import decode_samples, encode_samples
from sample_values import T0


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
