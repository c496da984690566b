"""
Instants as integers: epoch milliseconds, UTC.

Separate because requests and upstream pages both carry times as text, which must be read the same
way.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

# How far two machines' clocks may be apart: what one has written may be of the other's future.
SKEW_MS = 5_000

# 0001-01-02 to 9999-12-30: no offset carries these past the limits of datetime.
INSTANT_MIN_MS = -62_135_510_400_000
INSTANT_MAX_MS = 253_402_128_000_000

# The dash of the date decides on the colons of the time: both, or the basic form without either.
_ISO = re.compile(
    r"(\d{4})(-)?(\d\d)(?(2)-)(\d\d)"
    r"(?:[Tt ](\d\d)(?(2):)(\d\d)(?:(?(2):)(\d\d)(?:[.,](\d+))?)?"
    r"\s?(?:[Zz]|UTC|GMT|([+-])([01]\d|2[0-3]):?([0-5]\d)?)?)?",
    re.ASCII,
)
_INTEGER = re.compile(r"-?\d{1,15}", re.ASCII)
_BASIC_DATE = re.compile(r"\d{8}", re.ASCII)
# 1990-01-01: buildings send nothing older, so that a smaller number is one of seconds, most likely.
NUMBER_MIN_MS = 631_152_000_000
# No number of so many digits carries the present past the limits.
NOW_PATTERN = "now(-([0-9]{1,9}[sm]|[0-9]{1,7}h|[0-9]{1,5}[dw]))?"
_NOW = re.compile(NOW_PATTERN)
_UNIT_MS = {"s": 1000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}


def parse_iso(text: str) -> int:
    """
    Return the instant an ISO 8601 text stands for.

    Args:
        text: Date, or date and time, in the extended or the basic form (`20250101T000000`), with
            `Z`, `UTC`, `GMT`, an offset or neither (read as UTC). Fractions of a second are cut to
            milliseconds, towards the past. 24:00:00 is the midnight after; second 60, a leap
            second, is the first of the next minute.

    Returns:
        Epoch milliseconds, UTC.

    Raises:
        ValueError: the text is not an ISO 8601 instant.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"not an ISO 8601 time: {text[:64]!r}")
    year, _, month, day, hour, minute, second, fraction, sign, off_h, off_m = match.groups()
    late_ms = 0
    if hour == "24" and not f"{minute}{second or ''}{fraction or ''}".strip("0"):
        hour, late_ms = "0", DAY_MS
    if second == "60":
        second, late_ms = "59", 1000
    moment = datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), 0, UTC
    )
    instant = (moment - EPOCH) // MILLISECOND + late_ms
    if fraction:
        instant += int(fraction[:3].ljust(3, "0"))
    if sign:
        offset_ms = (int(off_h) * 60 + int(off_m or 0)) * 60_000
        instant += -offset_ms if sign == "+" else offset_ms
    return instant


class NowNeededError(Exception):
    """A time counts from the present, and the reader was not told when that is."""


class TooEarlyError(ValueError):
    """A number lies before 1990 as milliseconds; the text asks whether seconds were meant."""


def parse_instant(value: str | int, now_ms: int | None = None) -> int:
    """
    Return the instant a request parameter stands for.

    Args:
        value: ISO 8601 text, epoch milliseconds as an integer or its decimal text, or `now`,
            `now-15m`, `now-7d` (s, m, h, d, w). Eight digits are an ISO basic date.
        now_ms: The present, of which the whole second counts, so that requests of one moment ask
            for the same.

    Raises:
        TooEarlyError: it is a number that would lie before 1990.
        ValueError: it is no time, or lies outside the years 1 to 9999.
        NowNeededError: it counts from the present, and *now_ms* is None.
    """
    if isinstance(value, str):
        relative = _NOW.fullmatch(value)
        if relative is not None:
            if now_ms is None:
                raise NowNeededError(value)
            return now_ms - now_ms % 1000 - _before_now_ms(relative[2])
        if _INTEGER.fullmatch(value) is None or _BASIC_DATE.fullmatch(value) is not None:
            return check_instant(parse_iso(value))
        value = int(value)
    if value < NUMBER_MIN_MS:
        meant = ""
        if NUMBER_MIN_MS <= value * 1000 <= INSTANT_MAX_MS:
            meant = f" {format_instant(value * 1000)} is {value * 1000}"
        raise TooEarlyError(f"before 1990 as milliseconds: {value}; were seconds meant?{meant}")
    return check_instant(value)


def _before_now_ms(text: str | None) -> int:
    return 0 if text is None else int(text[:-1]) * _UNIT_MS[text[-1]]


def check_instant(instant_ms: int) -> int:
    """
    Return an instant that is one.

    Raises:
        ValueError: it lies outside the years 1 to 9999.
    """
    if not INSTANT_MIN_MS <= instant_ms <= INSTANT_MAX_MS:
        raise ValueError(f"outside the years 1 to 9999: {instant_ms}")
    return instant_ms


def format_instant(instant_ms: int) -> str:
    """Return the instant as ISO 8601 in UTC with milliseconds (`2025-01-01T00:00:00.000Z`)."""
    return f"{_format_second(instant_ms // 1000)}.{instant_ms % 1000:03d}Z"


def format_known(instant_ms: int | None) -> str | None:
    """Return the same for an instant that is known, else None."""
    return None if instant_ms is None else format_instant(instant_ms)


# An answer tells three instants, and those of one moment share their second.
@lru_cache(maxsize=64)
def _format_second(instant_s: int) -> str:
    return (EPOCH + timedelta(seconds=instant_s)).isoformat(timespec="seconds")[:19]


def elapsed_ms(since_ms: int, now_ms: int) -> int:
    """Return the time between two readings of a clock; none where the clock was set back."""
    return max(0, now_ms - since_ms)


def is_recent(since_ms: int, now_ms: int, within_ms: int) -> bool:
    """
    Return whether something is younger than *within_ms*.

    What is of the future is not: the clock was set back since, and nobody knows how old it is.
    """
    return -SKEW_MS <= now_ms - since_ms < within_ms


def floor_day(instant_ms: int) -> int:
    """Return the UTC midnight at or before the instant."""
    return instant_ms - instant_ms % DAY_MS
