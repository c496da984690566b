"""
Reads answers of every format into one form, strictly.

Separate from the rules: these say what an answer says, those whether it may.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from chaos.oracle import Value
from fakes.upstream_series import expected_value
from integration.harness.oracle import Digits, cell, exact_value, iso, read_exact, read_iso

FORMATS = ("json", "csv", "ndjson", "msgpack")
CONTENT_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "msgpack": "application/msgpack",
}


class Unreadable(Exception):
    """An answer is not what its format says; the text tells why."""


@dataclass(slots=True)
class Table:
    """
    What an answer says.

    Attributes:
        samples: Of each point that it names, [ms, value as the format shows it] as they stand.
        errors: Of each point; empty for formats that have no place for them.
        counts: Likewise.
        meta: None for formats that have no place for it.
    """

    samples: dict[str, list[tuple[int, object]]]
    errors: dict[str, str | None] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    meta: dict[str, Any] | None = None


def read_table(format: str, body: bytes) -> Table:
    """
    Return what a decompressed body says.

    Raises:
        Unreadable: It is not of that format, or not whole.
    """
    try:
        return _READERS[format](body)
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.DecodeError) as error:
        raise Unreadable(f"{format}: {error!r:.300}; the body ends in {body[-80:]!r}") from error


def _read_json(body: bytes) -> Table:
    data = read_exact(body)["data"]
    # The same without digits: meta is easier to judge as numbers.
    meta = msgspec.json.decode(body)["_meta"]
    return Table(
        {
            name: [(int(ms.text), value) for ms, value in each["samples"]]
            for name, each in data.items()
        },
        {name: each["error"] for name, each in data.items()},
        {name: int(each["count"].text) for name, each in data.items()},
        meta,
    )


def _read_msgpack(body: bytes) -> Table:
    document = msgspec.msgpack.decode(body)
    data = document["data"]
    return Table(
        {name: [(ms, value) for ms, value in each["samples"]] for name, each in data.items()},
        {name: each["error"] for name, each in data.items()},
        {name: each["count"] for name, each in data.items()},
        document["_meta"],
    )


def _read_csv(body: bytes) -> Table:
    text = body.decode()
    if not text.endswith(("\n", "\r\n")):
        raise ValueError("no end of line at the end")
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    if head != ["time", "point", "value"]:
        raise ValueError(f"the header is {head}")
    samples: dict[str, list[tuple[int, object]]] = {}
    for time, name, value in rows:
        samples.setdefault(name, []).append((instant(time), value))
    return Table(samples)


def _read_ndjson(body: bytes) -> Table:
    *lines, rest = body.split(b"\n")
    if rest:
        raise ValueError("no end of line at the end")
    samples: dict[str, list[tuple[int, object]]] = {}
    for line in lines:
        row = read_exact(line)
        samples.setdefault(row["point"], []).append((instant(row["time"]), row["value"]))
    return Table(samples)


_READERS = {
    "json": _read_json,
    "csv": _read_csv,
    "ndjson": _read_ndjson,
    "msgpack": _read_msgpack,
}


@lru_cache(maxsize=200_000)
def instant(text: str) -> int:
    """
    Return the epoch ms of a time in a row.

    Raises:
        ValueError: It is not written as the API writes times.
    """
    ms = read_iso(text)
    if iso(ms) != text:
        raise ValueError(f"a time is written {text!r}")
    return ms


@lru_cache(maxsize=400_000)
def shown(value: Value, format: str) -> object:
    """
    Return how a format shows a value of the upstream, as read_table reads it.

    Args:
        value: One that is there.
        format: One of FORMATS.
    """
    assert value is None or isinstance(value, str)
    if format == "msgpack":
        return expected_value(value)
    exact = exact_value(value)
    return cell(exact) if format == "csv" else exact


def number_of(value: object) -> float | None:
    """Return a shown value as a number; None for one that is no number."""
    if isinstance(value, Digits):
        return float(value.text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None


def point_of_row(name: str) -> str:
    """Return how a row of CSV shows the name of a point."""
    return cell(name)


def is_ascending(samples: Sequence[tuple[int, object]]) -> bool:
    """Return whether samples are in order, one for each time."""
    return all(samples[at][0] < samples[at + 1][0] for at in range(len(samples) - 1))
