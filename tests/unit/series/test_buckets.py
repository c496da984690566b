"""Where buckets begin: calendars, zones, and clocks that are put forward and back."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from building_vitals.instants import DAY_MS, HOUR_MS, INSTANT_MAX_MS, INSTANT_MIN_MS
from building_vitals.ranges import Range
from building_vitals.series.buckets import (
    Buckets,
    Interval,
    are_at_full_hours,
    expected_buckets,
    parse_interval,
    zone_names,
    zone_of,
)

BERLIN = "Europe/Berlin"
LORD_HOWE = "Australia/Lord_Howe"


def instant(text: str, zone: str) -> int:
    """Return the instant of a local time; one that comes twice is the first."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp() * 1000)


def bounds(interval: str, zone: str, start: str, end: str) -> list[str]:
    """Return where the buckets of a range begin, as the zone's clock shows it."""
    time_range = Range(instant(start, zone), instant(end, zone))
    buckets = Buckets(parse_interval(interval), zone, time_range)
    found, at_ms = [], time_range.start_ms
    while at_ms < time_range.end_ms:
        bucket = buckets.at(at_ms)
        assert bucket.start_ms <= at_ms < bucket.end_ms
        assert bucket == buckets.at(bucket.end_ms - 1)
        found.append(datetime.fromtimestamp(bucket.start_ms / 1000, ZoneInfo(zone)).isoformat())
        at_ms = bucket.end_ms
    return found


@pytest.mark.parametrize(
    ("interval", "zone", "expected"),
    [
        ("1d", "UTC", True),
        ("1mo", BERLIN, True),
        ("1d", "Asia/Kolkata", False),
        ("1d", LORD_HOWE, False),
        ("45m", "UTC", False),
    ],
)
def test_full_hours(interval: str, zone: str, *, expected: bool) -> None:
    """A zone counts for a whole range: Lord Howe's summer lies half an hour beside its winter."""
    year = Range(0, 366 * DAY_MS)
    recent = Range(*(each + 20_000 * DAY_MS for each in year))
    assert expected == are_at_full_hours(parse_interval(interval), zone, recent)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", Interval(90_000, 0)),
        ("15m", Interval(900_000, 0)),
        ("6h", Interval(6 * HOUR_MS, 0)),
        ("1d", Interval(DAY_MS, 0)),
        ("2w", Interval(14 * DAY_MS, 0, -3 * DAY_MS)),
        ("1mo", Interval(0, 1)),
        ("1y", Interval(0, 12)),
    ],
)
def test_intervals(text: str, expected: Interval) -> None:
    """A number and a unit."""
    assert expected == parse_interval(text)


@pytest.mark.parametrize(
    "text",
    ["", "d", "0d", "-1d", "1.5h", "1 d", "1D", "1M", "15min", "\u0661d", "21y", "9" * 9 + "w"],
)
def test_what_is_no_interval(text: str) -> None:
    """Anything else, and what is longer than any range."""
    with pytest.raises(ValueError, match=r"interval|longer"):
        parse_interval(text)


@pytest.mark.parametrize(
    ("interval", "zone", "start", "end", "expected"),
    [
        pytest.param(
            *("1d", BERLIN, "2025-03-29T12:00", "2025-04-01T00:00"),
            ["2025-03-29T00:00:00+01:00", "2025-03-30T00:00:00+01:00", "2025-03-31T00:00:00+02:00"],
            id="days, one of 23 hours",
        ),
        pytest.param(
            *("1d", BERLIN, "2025-10-25T00:00", "2025-10-28T00:00"),
            ["2025-10-25T00:00:00+02:00", "2025-10-26T00:00:00+02:00", "2025-10-27T00:00:00+01:00"],
            id="days, one of 25 hours",
        ),
        pytest.param(
            *("6h", BERLIN, "2025-03-30T00:00", "2025-03-30T18:00"),
            ["2025-03-30T00:00:00+01:00", "2025-03-30T06:00:00+02:00", "2025-03-30T12:00:00+02:00"],
            id="six hours, of which five",
        ),
        pytest.param(
            *("6h", BERLIN, "2025-10-26T00:00", "2025-10-26T12:00"),
            ["2025-10-26T00:00:00+02:00", "2025-10-26T06:00:00+01:00"],
            id="six hours, of which seven",
        ),
        pytest.param(
            *("1h", BERLIN, "2025-10-26T01:00", "2025-10-26T04:00"),
            [
                *("2025-10-26T01:00:00+02:00", "2025-10-26T02:00:00+02:00"),
                *("2025-10-26T02:00:00+01:00", "2025-10-26T03:00:00+01:00"),
            ],
            id="an hour that comes twice",
        ),
        pytest.param(
            *("2h", BERLIN, "2025-10-26T00:00", "2025-10-26T06:00"),
            ["2025-10-26T00:00:00+02:00", "2025-10-26T02:00:00+02:00", "2025-10-26T04:00:00+01:00"],
            id="two hours of three",
        ),
        pytest.param(
            *("2h", BERLIN, "2025-03-30T00:00", "2025-03-30T06:00"),
            ["2025-03-30T00:00:00+01:00", "2025-03-30T03:00:00+02:00", "2025-03-30T04:00:00+02:00"],
            id="two hours that begin when the clock is put forward",
        ),
        pytest.param(
            *("1h", LORD_HOWE, "2025-04-06T01:00", "2025-04-06T03:00"),
            ["2025-04-06T01:00:00+11:00", "2025-04-06T02:00:00+10:30"],
            id="half an hour comes twice",
        ),
        pytest.param(
            *("30m", LORD_HOWE, "2025-04-06T01:00", "2025-04-06T02:30"),
            [
                *("2025-04-06T01:00:00+11:00", "2025-04-06T01:30:00+11:00"),
                *("2025-04-06T01:30:00+10:30", "2025-04-06T02:00:00+10:30"),
            ],
            id="half an hour that comes twice",
        ),
        pytest.param(
            *("1h", LORD_HOWE, "2025-10-05T01:00", "2025-10-05T04:00"),
            ["2025-10-05T01:00:00+10:30", "2025-10-05T02:30:00+11:00", "2025-10-05T03:00:00+11:00"],
            id="half an hour is passed over",
        ),
        pytest.param(
            *("1d", "America/Havana", "2025-11-01T00:00", "2025-11-04T00:00"),
            ["2025-11-01T00:00:00-04:00", "2025-11-02T00:00:00-04:00", "2025-11-03T00:00:00-05:00"],
            id="midnight comes twice",
        ),
        pytest.param(
            *("1d", "America/Havana", "2025-03-08T00:00", "2025-03-10T12:00"),
            ["2025-03-08T00:00:00-05:00", "2025-03-09T01:00:00-04:00", "2025-03-10T00:00:00-04:00"],
            id="no midnight",
        ),
        pytest.param(
            *("1d", "Pacific/Apia", "2011-12-29T00:00", "2012-01-01T00:00"),
            ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"],
            id="a day is passed over",
        ),
        pytest.param(
            *("1w", "America/New_York", "2025-10-29T12:00", "2025-11-12T00:00"),
            ["2025-10-27T00:00:00-04:00", "2025-11-03T00:00:00-05:00", "2025-11-10T00:00:00-05:00"],
            id="weeks begin on Monday",
        ),
        pytest.param(
            *("1mo", "Asia/Kolkata", "2024-01-31T23:59", "2024-04-01T00:00"),
            ["2024-01-01T00:00:00+05:30", "2024-02-01T00:00:00+05:30", "2024-03-01T00:00:00+05:30"],
            id="months",
        ),
        pytest.param(
            *("3mo", "UTC", "2025-02-14T00:00", "2025-10-02T00:00"),
            [f"2025-{month}-01T00:00:00+00:00" for month in ("01", "04", "07", "10")],
            id="quarters",
        ),
        pytest.param(
            *("1y", BERLIN, "2023-06-01T00:00", "2025-01-01T00:00"),
            ["2023-01-01T00:00:00+01:00", "2024-01-01T00:00:00+01:00"],
            id="years",
        ),
        pytest.param(
            *("36h", "UTC", "2025-01-01T00:00", "2025-01-04T00:00"),
            ["2024-12-31T00:00:00+00:00", "2025-01-01T12:00:00+00:00", "2025-01-03T00:00:00+00:00"],
            id="what divides no day is counted from 1970",
        ),
    ],
)
def test_bounds(interval: str, zone: str, start: str, end: str, expected: list[str]) -> None:
    """Buckets follow each other, and begin where the zone's clock says."""
    assert expected == bounds(interval, zone, start, end)


def test_a_bucket_is_the_same_whatever_the_range() -> None:
    """Of a range inside, each bucket that does not end with it is one of the wider range."""
    for interval in ("45m", "7h", "5d", "2w", "5mo", "4y"):
        wide = bounds(interval, BERLIN, "2024-01-01T00:00", "2026-03-01T00:00")
        narrow = bounds(interval, BERLIN, "2025-03-28T10:11", "2025-11-02T09:08")
        assert set() == set(narrow) - set(wide)


def test_the_first_and_the_last_years() -> None:
    """Nothing begins before the first instant there is."""
    for begin_ms in (INSTANT_MIN_MS, INSTANT_MAX_MS - DAY_MS):
        for interval in ("1h", "1w", "7mo", "20y"):
            time_range = Range(begin_ms, begin_ms + DAY_MS)
            bucket = Buckets(parse_interval(interval), BERLIN, time_range).at(begin_ms)
            assert INSTANT_MIN_MS <= bucket.start_ms <= begin_ms < bucket.end_ms


def test_a_bucket_ends_with_the_range() -> None:
    """So that the last number holds no longer."""
    time_range = Range(HOUR_MS, 3 * HOUR_MS)
    assert Range(0, 3 * HOUR_MS) == Buckets(parse_interval("1d"), "UTC", time_range).at(HOUR_MS)


def test_expected_buckets() -> None:
    """About as many as there are, a few of none."""
    year = Range(0, 365 * DAY_MS)
    assert [366, 8761, 12, 1] == [
        expected_buckets(parse_interval(each), year) for each in ("1d", "1h", "1mo", "20y")
    ]


@pytest.mark.parametrize("name", ["Nowhere", "europe/berlin", "../UTC", "/etc/passwd", "", "zones"])
def test_what_is_no_zone(name: str) -> None:
    """Names that the database does not have, be there a file of that name."""
    with pytest.raises(ValueError, match=re.escape("no time zone")):
        zone_of(name)


def test_zones_and_their_other_names() -> None:
    """Names that were given up are known, too."""
    assert {"Asia/Calcutta", "US/Eastern", "Etc/GMT+5", "UTC"} < zone_names()
    assert "America/New_York" == str(zone_of("America/New_York"))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia"])
@pytest.mark.parametrize("interval", ["20m", "1h", "7h", "1d", "1w", "1mo", "5y"])
def test_begins_are_those_of_all_buckets(interval: str, zone: str) -> None:
    """One after the other, from that on which the range begins in."""
    for start_ms, days in ((1_743_120_000_001, 9), (1_761_350_400_000, 40), (63_000_000_000, 9)):
        time_range = Range(start_ms, start_ms + days * DAY_MS + 7)
        buckets = Buckets(parse_interval(interval), zone, time_range)
        expected, at_ms = list[int](), start_ms
        while at_ms < time_range.end_ms:
            bucket = buckets.at(at_ms)
            expected.append(bucket.start_ms)
            at_ms = bucket.end_ms
        assert expected == buckets.begins(start_ms)
