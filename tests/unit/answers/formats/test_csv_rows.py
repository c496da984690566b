"""Samples as CSV, case by case."""

from __future__ import annotations

import csv
import io

import pytest

from building_vitals.answers.formats.csv_rows import CSV_HEADER, csv_rows
from sample_values import ISO0, VALUES, run


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
