"""How long to wait before another attempt."""

from __future__ import annotations

import pytest

from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from building_vitals.upstream.ace.backoff import backoff_ms, parse_retry_after

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
        ("9" * 30, None),
        ("Wed, 01 Jan 2025 00:00:12 GMT", 12_000),
        ("Tue, 31 Dec 2024 23:59:00 GMT", 0),
        ("Wed, 99 Jan 2025 00:00:12 GMT", None),
    ],
)
def test_retry_after_is_read(header: str | None, expected: int | None) -> None:
    """Seconds and HTTP dates are read, anything else counts as not said."""
    assert expected == parse_retry_after(header, NEW_YEAR_MS)
