"""
Generated series for the fake upstream, and what the API must make of a value.

Separate because the oracle must be plain enough to be trusted at a glance.
"""

import json
import math
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

TABLE_COUNT = 10_007
STEP = 613

_BLANKS = " \t\r\n\f\v"
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RawJson:
    """A value that goes on the wire as this JSON text, to the digit."""

    text: str


Wire = str | int | float | bool | RawJson | None
Value = str | int | float | bool | None


def wire_text(value: Wire) -> str:
    """Return the JSON text of a value as the upstream sends it; NaN is a bare `NaN`."""
    return value.text if isinstance(value, RawJson) else json.dumps(value)


def expected_value(value: Wire) -> Value:
    """
    Return what the API must answer for a value the upstream sent.

    A string that is a number becomes that number, unless a double cannot come near to it: then
    it is rather a serial number, and stays text. Strings that say NaN or infinity become None, and
    so do numbers that a double cannot hold. All else stays.
    """
    if isinstance(value, RawJson):
        return expected_value(json.loads(value.text))
    if isinstance(value, str):
        text = value.strip(_BLANKS)
        if _NOT_FINITE.fullmatch(text):
            return None
        if not _NUMBER.fullmatch(text) or not _has_double(text):
            return value
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    if value is None or isinstance(value, bool):
        return value
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def _has_double(text: str) -> bool:
    """Return whether the double next to a number is neither infinity nor a 0 that it is not."""
    mantissa = text.lower().partition("e")[0]
    is_zero = not any(digit in mantissa for digit in "123456789")
    number = float(text)
    return math.isfinite(number) and (number != 0 or is_zero)


def expected_samples(samples: Iterable[tuple[int, Wire]]) -> list[list[Value]]:
    """Return [ms, value] ascending, of samples in the order sent; of duplicates the last."""
    by_time = {ms: value for ms, value in samples}  # noqa: C416 - says what the pairs are
    return [[ms, expected_value(by_time[ms])] for ms in sorted(by_time)]


@lru_cache(maxsize=8)
def _texts(decimals: int) -> list[str]:
    unit = 10**decimals
    return [f'"{digits * 7 / unit:.{decimals}f}"' for digits in range(TABLE_COUNT)]


@lru_cache(maxsize=4 * TABLE_COUNT)
def _value(text: str) -> str:
    found: str = json.loads(text)
    return found


class GeneratedSeries:
    """
    A point with a numeric string at every multiple of its interval.

    Args:
        decimals: Of every value, trailing zeros included.
    """

    def __init__(self, name: str, interval_ms: int, decimals: int) -> None:
        self.name = name
        self.interval_ms = interval_ms
        self._decimals = decimals
        self._seed = zlib.crc32(name.encode())

    def texts(self, first: int, count: int) -> list[str | None]:
        """Return the JSON texts of *count* values from number *first* on."""
        table = _texts(self._decimals)
        start = self._seed + first * STEP
        return [table[at % TABLE_COUNT] for at in range(start, start + count * STEP, STEP)]

    def samples(self, start_ms: int, end_ms: int) -> list[tuple[int, Wire]]:
        """Return (ms, value as sent) in the half-open range."""
        first = -(-start_ms // self.interval_ms)
        count = max(-(-end_ms // self.interval_ms) - first, 0)
        return [
            ((first + index) * self.interval_ms, None if text is None else _value(text))
            for index, text in enumerate(self.texts(first, count))
        ]
