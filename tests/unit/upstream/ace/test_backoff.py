"""How long to wait before another attempt."""

from __future__ import annotations

import pytest

from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.upstream.ace.backoff import (
    RETRY_AFTER_CAP_MS,
    backoff_ms,
    parse_http_date,
    parse_retry_after,
)

JANUARY = Range(1_735_689_600_000, 1_735_689_600_000 + 31 * DAY_MS)
NEW_YEAR_MS = JANUARY.start_ms


@pytest.mark.parametrize(
    ("attempts", "jitter", "expected"),
    [(1, 0.5, 250), (2, 0.5, 500), (3, 0.999, 1_998), (4, 0.0, 0), (20, 0.5, 15_000),
     (10**6, 0.5, 15_000)],
)  # fmt: skip
def test_waits_double_under_a_ceiling(attempts: int, jitter: float, expected: int) -> None:
    """The wait is a random part of a ceiling that doubles up to its own ceiling."""
    assert expected == backoff_ms(attempts, base_ms=500, max_ms=30_000, jitter=jitter)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("7", 7_000),
        (" 1.5 ", 1_500),
        ("-3", None),
        ("soon", None),
        ("+3", None),
        ("3s", None),
        ("1e9", None),
        ("\u0663", None),
        ("0" * 30 + "3", 3_000),
        ("31536000", RETRY_AFTER_CAP_MS),
        ("31536001", RETRY_AFTER_CAP_MS),
        ("99999999999", RETRY_AFTER_CAP_MS),
        ("9" * 5_000, RETRY_AFTER_CAP_MS),
        ("9" * 400 + ".5", RETRY_AFTER_CAP_MS),
        ("Fri, 31 Dec 9999 23:59:60 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_CAP_MS),
        ("Wed, 01 Jan 2025 00:00:12 GMT", 12_000),
        ("Tue, 31 Dec 2024 23:59:00 GMT", 0),
        ("Wednesday, 01-Jan-25 00:00:12 GMT", 12_000),
        ("Wed Jan  1 00:00:12 2025", 12_000),
        ("Wed Jan 01 00:00:12 2025", 12_000),
        ("Wed, 99 Jan 2025 00:00:12 GMT", None),
        ("Wed, 01 Foo 2025 00:00:12 GMT", None),
        ("Wed, 01 Jan 2025 00:00:12 CET", None),
        ("Wed, 01 Jan 0000 00:00:12 GMT", None),
    ],
)
def test_retry_after_is_read(header: str | None, expected: int | None) -> None:
    """Seconds and HTTP dates are read, anything else counts as not said."""
    assert expected == parse_retry_after(header, NEW_YEAR_MS)


SIX = "08:49:37"
NOVEMBER_MS = 784_111_777_000


@pytest.mark.parametrize(
    "text",
    [
        f"Sun, 06 Nov 1994 {SIX} GMT",
        f"Sunday, 06-Nov-94 {SIX} GMT",
        f"Sun Nov  6 {SIX} 1994",
    ],
)
def test_three_forms_of_a_date_are_one_instant(text: str) -> None:
    """The three forms that RFC 9110 has for an instant are read alike."""
    assert NOVEMBER_MS == parse_http_date(text, NEW_YEAR_MS)


@pytest.mark.parametrize(
    ("digits", "year"), [("25", 2025), ("74", 2074), ("75", 2075), ("76", 1976)]
)
def test_years_of_two_digits_are_not_far_in_the_future(digits: str, year: int) -> None:
    """More than fifty years ahead is the last century's year."""
    short = parse_http_date(f"Friday, 03-Jan-{digits} {SIX} GMT", NEW_YEAR_MS)

    assert short is not None
    assert short == parse_http_date(f"Fri, 03 Jan {year} {SIX} GMT", NEW_YEAR_MS)


def test_a_leap_second_is_the_next_minute() -> None:
    """`:60` is read, `:61` is not."""
    assert NEW_YEAR_MS == parse_http_date("Tue, 31 Dec 2024 23:59:60 GMT", NEW_YEAR_MS)
    assert None is parse_http_date("Tue, 31 Dec 2024 23:59:61 GMT", NEW_YEAR_MS)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (None, 12_000),
        ("never", 12_000),
        ("Wed, 01 Jan 2025 00:00:07 GMT", 5_000),
        ("Wednesday, 01-Jan-25 00:10:00 GMT", 0),
        ("Tue Dec 31 23:59:00 2024", 72_000),
    ],
)
def test_dates_are_judged_by_the_clock_of_their_sender(date: str | None, expected: int) -> None:
    """An answer whose `Date` differs from this clock means its own; seconds need no clock."""
    text = "Wed, 01 Jan 2025 00:00:12 GMT"

    assert expected == parse_retry_after(text, NEW_YEAR_MS, date=date)
    assert 3_000 == parse_retry_after("3", NEW_YEAR_MS, date=date)
