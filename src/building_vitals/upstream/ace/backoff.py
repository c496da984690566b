"""
How long to wait before a request is sent again.

Separate because it is arithmetic on numbers and headers, tested without any request.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from building_vitals.instants import DAY_MS, EPOCH, MILLISECOND

# A longer wait that the upstream asks for counts as this one. It is beyond all patience, so that
# the request fails, and fits every later calculation and header.
RETRY_AFTER_CAP_MS = 365 * DAY_MS

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_CAP_DIGITS = len(str(RETRY_AFTER_CAP_MS // 1000))

# Not by strptime, whose names of months are those of a locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# The three forms of https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
_HTTP_DATES = (
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) (?P<month>[A-Z][a-z]{{2}})"
               rf" (?P<year>[0-9]{{4}}) {_CLOCK} GMT"),
    re.compile(rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-(?P<month>[A-Z][a-z]{{2}})"
               rf"-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"),
    re.compile(rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ 0-9][0-9])"
               rf" {_CLOCK} (?P<year>[0-9]{{4}})"),
)  # fmt: skip
_CENTURY = 100
_SHORT_YEAR = 2
# A year of two digits is not further in the future than this.
_FUTURE_YEARS_MAX = 50


def backoff_ms(attempts: int, *, base_ms: int, max_ms: int, jitter: float) -> int:
    """
    Return the wait after *attempts* failures: full jitter below a ceiling that doubles.

    Args:
        attempts: Failures so far, at least 1.
        base_ms: Ceiling after the first failure.
        max_ms: Where the ceiling stops growing.
        jitter: Random, 0 <= x < 1.
    """
    # The exponent is bounded so that no huge integer is made on the way to the minimum.
    ceiling_ms = min(max_ms, base_ms * 2 ** min(attempts - 1, 30))
    return int(ceiling_ms * jitter)


def parse_retry_after(value: str | None, now_ms: int, *, date: str | None = None) -> int | None:
    """
    Return the milliseconds that a `Retry-After` header asks to wait.

    Args:
        value: Seconds or an HTTP date; None when there is no such header.
        now_ms: The present instant, epoch milliseconds.
        date: The `Date` header of the same answer: what its sender takes for the present instant,
            and so counts from.

    Returns:
        From 0 to RETRY_AFTER_CAP_MS; None when the header is missing or unreadable.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        whole = text.partition(".")[0].lstrip("0")
        is_long = len(whole) > _CAP_DIGITS
        return RETRY_AFTER_CAP_MS if is_long else _capped(int(float(text) * 1000))
    until_ms = parse_http_date(text, now_ms)
    if until_ms is None:
        return None
    sent_ms = parse_http_date((date or "").strip(), now_ms)
    return _capped(until_ms - (now_ms if sent_ms is None else sent_ms))


def parse_http_date(text: str, now_ms: int) -> int | None:
    """
    Return the instant of an HTTP date in any of its three forms, epoch milliseconds.

    Args:
        text: The date; the name of its weekday may be wrong.
        now_ms: The present instant, which tells the century of a year of two digits.

    Returns:
        None when *text* is no such date.
    """
    found = next(filter(None, (form.fullmatch(text) for form in _HTTP_DATES)), None)
    if found is None or found["month"] not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) == _SHORT_YEAR:
        present = (EPOCH + now_ms * MILLISECOND).year
        year += present - present % _CENTURY
        if year > present + _FUTURE_YEARS_MAX:
            year -= _CENTURY
    month = _MONTHS.index(found["month"]) + 1
    # A leap second is the first second of the next minute.
    second = int(found["second"])
    is_leap = second == 60  # noqa: PLR2004 - seconds of a minute
    try:
        moment = datetime(
            year, month, int(found["day"]), int(found["hour"]), int(found["minute"]),
            second - is_leap, tzinfo=UTC,
        )  # fmt: skip
        return (moment + timedelta(seconds=is_leap) - EPOCH) // MILLISECOND
    except (ValueError, OverflowError):
        return None


def _capped(wait_ms: int) -> int:
    return min(max(0, wait_ms), RETRY_AFTER_CAP_MS)
