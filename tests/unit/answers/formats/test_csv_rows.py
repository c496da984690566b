"""Samples as CSV, case by case."""

from __future__ import annotations

import csv
import io
import json

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


FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\0=1", "\x0b=1", "\x1f=1"),
    *(
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(1)",
        "\ufe661",
        "\ufe621",
        "\ufe631",
        "\ufe6bA",
    ),
]
HARMLESS = ["a=1", " =1", "1+1", "'=1", "\u00e9=1", "\u5ba4=1", "\U0001f525", "5", "\uff11", ""]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_formulas_get_an_apostrophe(text: str) -> None:
    """Whatever a spreadsheet might run comes out as text, as a value and as a point's name."""
    rows = csv_rows(text, run(json.dumps(text))).decode()
    (row,) = csv.reader(io.StringIO(rows, newline=""))
    assert [ISO0.decode(), f"'{text}", f"'{text}"] == row


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_other_text_stays_as_it_is(text: str) -> None:
    """What no spreadsheet runs gets no apostrophe."""
    rows = csv_rows("p", run(json.dumps(text))).decode()
    (row,) = csv.reader(io.StringIO(rows, newline=""))
    assert [ISO0.decode(), "p", text] == row


def test_negative_numbers_stay_numbers() -> None:
    """A number is no text, whatever it begins with."""
    assert ISO0 + b",p,-5\r\n" == csv_rows("p", run("-5"))


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
