"""Samples of one point from their JSON text, exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from building_vitals_client.errors import BrokenDownload

# A number keeps its kind: a whole one is an int of any size, one beyond floats a Decimal.
Value = float | int | str | bool | Decimal | None
# Time in epoch milliseconds, then the value; of an aggregated answer, one value per aggregate.
Sample = tuple[Any, ...]

_rows = msgspec.json.Decoder(list[tuple[Any, ...]])
_numbers = msgspec.json.Decoder(list[float | None])
# Whole numbers up to here are floats without loss; beyond, neighbours are the same float.
EXACT_MAX = 2.0**53


def read_rows(text: bytes) -> list[Sample]:
    """
    Return the samples of a JSON array of arrays.

    Raises:
        BrokenDownload: it is none.
    """
    try:
        return _rows.decode(text)
    except msgspec.MsgspecError:
        # A number that no float can hold is no fault of the text.
        try:
            return [tuple(row) for row in json.loads(text, parse_float=_number)]
        except (ValueError, TypeError) as error:
            raise BrokenDownload(f"the samples cannot be read: {error}") from None


def read_numbers(text: bytes, width: int) -> list[float | None] | None:
    """
    Return times and values in one row, where floats hold all of them exactly; else None.

    This is the way of nearly all data, and takes a third of the time of `read_rows`. Values still
    have to be held against `EXACT_MAX`.

    Args:
        text: JSON array of arrays.
        width: Numbers in each of these.
    """
    if text == b"[]":
        return []
    if not text.startswith(b"[[") or not text.endswith(b"]]"):
        return None
    flat = b"[%b]" % text[2:-2].replace(b"],[", b",")
    try:
        # Text is refused here, so a `],[` in one has done no harm.
        numbers = _numbers.decode(flat)
    except msgspec.MsgspecError:
        return None
    return numbers if len(numbers) == width * (text.count(b"],[") + 1) else None


def has_whole_numbers_only(text: bytes) -> bool:
    """Return whether no number of a text without strings has a fraction or an exponent."""
    return b"." not in text and b"e" not in text and b"E" not in text


def written(value: Value) -> str | None:
    """Return a value as text, numbers by their shortest digits; null is None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def widths_are(rows: Sequence[Sample], width: int) -> bool:
    """Return whether each row has as many cells as it should."""
    return set(map(len, rows)) <= {width}


def _number(digits: str) -> float | Decimal:
    number = float(digits)
    return number if math.isfinite(number) else Decimal(digits)
