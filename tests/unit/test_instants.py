"""Tests of instants: what is read as one, what is refused, how they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.instants import (
    DAY_MS,
    EPOCH,
    INSTANT_MAX_MS,
    INSTANT_MIN_MS,
    MILLISECOND,
    NUMBER_MIN_MS,
    NowNeededError,
    TooEarlyError,
    floor_day,
    format_instant,
    parse_instant,
    parse_iso,
)
from spellings import spelled_instants

T0 = 1_735_689_600_000  # 2025-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2025-01-01", T0, id="date"),
        pytest.param("2025-01-01T00:00", T0, id="minutes"),
        pytest.param("2025-01-01T00:00:00Z", T0, id="seconds"),
        pytest.param("2025-01-01t00:00:00z", T0, id="lower case"),
        pytest.param("2025-01-01 00:00:00", T0, id="blank between, no zone"),
        pytest.param("2025-01-01T00:00:00 Z", T0, id="blank before the zone"),
        pytest.param("2025-01-01T02:00:00+02:00", T0, id="offset east"),
        pytest.param("2024-12-31T18:30:00-0530", T0, id="offset west, no colon"),
        pytest.param("2025-01-01T02:00:00+02", T0, id="offset of hours"),
        pytest.param("2025-01-01T00:00:00-00:00", T0, id="offset nothing"),
        pytest.param("2025-01-01T00:00:00.5Z", T0 + 500, id="tenths"),
        pytest.param("2025-01-01T00:00:00,25Z", T0 + 250, id="comma"),
        pytest.param("2025-01-01T00:00:00.123999999Z", T0 + 123, id="nanoseconds are cut"),
        pytest.param(f"2025-01-01T00:00:00.{'0012' * 50}Z", T0 + 1, id="200 digits"),
        pytest.param("2025-01-01 00:00:00 UTC", T0, id="UTC"),
        pytest.param("2025-01-01 00:00:00UTC", T0, id="UTC without a blank"),
        pytest.param("2025-01-01T00:00:00.5 GMT", T0 + 500, id="GMT"),
        pytest.param("2025-01-01 00:00:00+00", T0, id="offset of no hours"),
        pytest.param("20250101T000000Z", T0, id="basic form"),
        pytest.param("20250101T0000", T0, id="basic form of minutes"),
        pytest.param("20250101t020000.25+0200", T0 + 250, id="basic form, fraction, offset"),
        pytest.param("20250101", T0, id="basic date"),
        pytest.param("2024-12-31T24:00:00Z", T0, id="hour 24"),
        pytest.param("20241231T240000.000", T0, id="hour 24, basic form"),
        pytest.param("2024-12-31T24:00", T0, id="hour 24 of minutes"),
        pytest.param("2024-02-29T24:00:00-01:00", 1_709_254_800_000, id="hour 24, offset"),
        pytest.param("9999-12-31T24:00:00Z", INSTANT_MAX_MS + 172_800_000, id="hour 24 at the end"),
        pytest.param("2016-12-31T23:59:60Z", 1_483_228_800_000, id="leap second"),
        pytest.param("2016-12-31 23:59:60.75", 1_483_228_800_750, id="leap second's fraction"),
        pytest.param("20170101T052960+0530", 1_483_228_800_000, id="leap second, offset"),
        pytest.param("1969-12-31T23:59:59.9999Z", -1, id="cut towards the past before 1970"),
        pytest.param("2024-02-29T12:00:00Z", 1_709_208_000_000, id="leap day"),
        pytest.param("0001-01-01T00:00:00+23:59", INSTANT_MIN_MS - 172_740_000, id="first day"),
        pytest.param("9999-12-31T00:00:00-23:59", INSTANT_MAX_MS + 172_740_000, id="last day"),
    ],
)
def test_iso_is_read(text: str, expected: int) -> None:
    """Every spelling of an instant gives the same integer."""
    assert expected == parse_iso(text)


NO_ISO = [
    pytest.param("", id="nothing"),
    pytest.param("garbage", id="words"),
    pytest.param("2025-1-1", id="short digits"),
    pytest.param("20250101T00:00:00Z", id="basic date, extended time"),
    pytest.param("2025-01-01T000000Z", id="extended date, basic time"),
    pytest.param("2025-0101", id="half a basic date"),
    pytest.param("202501-01", id="the other half"),
    pytest.param("2025-01-01T00:0000Z", id="half a basic time"),
    pytest.param("2025-13-01", id="month 13"),
    pytest.param("2025-02-29", id="no leap year"),
    pytest.param("0000-01-01", id="year 0"),
    pytest.param("2025-01-01T25:00", id="hour 25"),
    pytest.param("2025-01-01T00:60", id="minute 60"),
    pytest.param("2025-01-01T00:00:61Z", id="second 61"),
    pytest.param("2025-01-01T00:00:00.Z", id="empty fraction"),
    pytest.param("2025-01-01T24:00:01Z", id="a second after hour 24"),
    pytest.param("2025-01-01T24:01Z", id="a minute after hour 24"),
    pytest.param("2025-01-01T24:00:00.0001Z", id="a fraction after hour 24"),
    pytest.param("2025-01-01T24:00:60Z", id="leap second of hour 24"),
    pytest.param("2025-01-01T23:60:60Z", id="leap second of minute 60"),
    pytest.param("2025-01-01 00:00:00 CET", id="name of another zone"),
    pytest.param("2025-01-01 UTC", id="date with UTC"),
    pytest.param("2025-01-01 00:00:00 UTC+1", id="UTC and an offset"),
    pytest.param("2025-01-01T00:00:00+24:00", id="offset of a day"),
    pytest.param("2025-01-01T00:00:00+02:60", id="offset minute 60"),
    pytest.param("2025-01-01T00:00:00ZZ", id="two zones"),
    pytest.param("2025-01-01T00:00:00Z\n", id="line break behind"),
    pytest.param(" 2025-01-01T00:00:00Z", id="blank before"),
    pytest.param("2025-01-01Z", id="date with a zone"),
    pytest.param("-2025-01-01", id="sign"),
]
FOREIGN_DIGITS = [
    pytest.param("\uff12\uff10\uff12\uff15-01-01", id="full-width year"),
    pytest.param("2025-\u0660\u0661-01", id="Arabic month"),
    pytest.param("2025-01-01T0\u0967:00:00Z", id="Devanagari hour"),
    pytest.param("2025-01-01T00:00:00.\u0665Z", id="Arabic fraction"),
    pytest.param("2025-01-01T00:00:00+0\uff12:00", id="full-width offset"),
    pytest.param("2025-01-01T00:00:00\u00a0Z", id="no-break space"),
    pytest.param("2025\u201101\u201101", id="no-break hyphen"),
    pytest.param("2025-01-01\u017f00:00", id="long s"),
]
NO_INTEGER = [
    pytest.param("\uff11\uff17\uff13\uff15", id="full-width digits"),
    pytest.param("173568960000\u0660", id="one Arabic digit"),
    pytest.param("17356896000\u00b2", id="superscript"),
    pytest.param("\u22121", id="minus sign"),
    pytest.param("+1735689600000", id="plus"),
    pytest.param("1_735_689_600_000", id="underscores"),
    pytest.param("1735689600000.0", id="decimals"),
    pytest.param("1e12", id="exponent"),
    pytest.param(" 1735689600000", id="blank"),
    pytest.param("1735689600000\n", id="line break"),
    pytest.param("0x10", id="hexadecimal"),
    pytest.param("1" * 16, id="16 digits"),
    pytest.param("1" * 10_000, id="10,000 digits"),
    pytest.param("--1", id="two signs"),
    pytest.param("NaN", id="NaN"),
]


@pytest.mark.parametrize("text", NO_ISO + FOREIGN_DIGITS)
def test_what_is_no_iso_time_is_refused(text: str) -> None:
    """Neither reader takes what is not an ISO 8601 instant in ASCII."""
    for parse in (parse_iso, parse_instant):
        with pytest.raises(ValueError):
            parse(text)


@pytest.mark.parametrize("text", ["631152000000", "0631152000000", "1735689600000"])
def test_bare_digits_are_milliseconds(text: str) -> None:
    """Digits alone are epoch milliseconds to a request, but for eight, which are a date."""
    assert int(text) == parse_instant(text)
    assert T0 == parse_instant("20250101")


@pytest.mark.parametrize("value", ["0", "-1", "2025", "1735689600", 631_151_999_999, 20250101])
def test_numbers_before_1990_are_asked_about(value: str | int) -> None:
    """What is too small for milliseconds was meant as seconds, most likely."""
    with pytest.raises(TooEarlyError, match="were seconds meant"):
        parse_instant(value)


@pytest.mark.parametrize(
    ("text", "before_ms"),
    [("now", 0), ("now-15m", 900_000), ("now-7d", 604_800_000), ("now-2w", 1_209_600_000)],
)
def test_the_present_is_a_whole_second(text: str, before_ms: int) -> None:
    """Requests of one second ask for the same; nobody guesses when the present is."""
    assert T0 - before_ms == parse_instant(text, T0) == parse_instant(text, T0 + 999)
    with pytest.raises(NowNeededError):
        parse_instant(text)


@pytest.mark.parametrize(
    "text", ["2025", "202501", "2025010100", "20250101000000", "1735689600", "1735689600000"]
)
def test_bare_digits_that_are_no_date_are_no_time(text: str) -> None:
    """An ISO 8601 text of digits alone is a date of eight."""
    with pytest.raises(ValueError, match="not an ISO 8601 time"):
        parse_iso(text)


@pytest.mark.parametrize("text", NO_INTEGER)
def test_what_is_no_integer_is_refused(text: str) -> None:
    """Epoch milliseconds are an optional minus and up to 15 ASCII digits, nothing else."""
    with pytest.raises(ValueError, match="not an ISO 8601 time"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(T0, T0, id="integer"),
        pytest.param(str(T0), T0, id="its text"),
        pytest.param("2025-01-01T00:00:00Z", T0, id="ISO"),
        pytest.param(NUMBER_MIN_MS, NUMBER_MIN_MS, id="first"),
        pytest.param(str(INSTANT_MAX_MS), INSTANT_MAX_MS, id="last"),
    ],
)
def test_parameters_are_read(value: str | int, expected: int) -> None:
    """A parameter is an ISO time or epoch milliseconds."""
    assert expected == parse_instant(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(INSTANT_MAX_MS + 1, id="after the last"),
        pytest.param("9" * 15, id="far future as text"),
        pytest.param(10**30, id="huge"),
        pytest.param("0001-01-01T00:00:00Z", id="first day of year 1"),
        pytest.param("9999-12-31T23:59:59Z", id="last day of year 9999"),
    ],
)
def test_outside_the_calendar_is_refused(value: str | int) -> None:
    """What could not be written as an instant again is not read as one."""
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_instant(value)


def test_long_nonsense_is_not_repeated_at_length() -> None:
    """The message quotes the beginning of what was sent, however long that is."""
    with pytest.raises(ValueError, match="not an ISO 8601 time") as caught:
        parse_iso("x" * 100_000)

    assert len(str(caught.value)) < 100


@settings(deadline=None)
@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    st.integers(-1439, 1439),
    st.sampled_from(["T", " "]),
)
def test_reads_what_datetime_writes(moment: datetime, offset_min: int, between: str) -> None:
    """For any moment and offset, the instant is the standard library's, cut to milliseconds."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))

    assert (aware - EPOCH) // MILLISECOND == parse_iso(aware.isoformat(between))


@settings(deadline=None, max_examples=500)
@given(spelled_instants())
def test_any_spelling_gives_back_its_instant(spelled: tuple[int, str]) -> None:
    """An instant is read again in every form that a service may write it in."""
    instant_ms, text = spelled

    assert instant_ms == parse_iso(text)


@settings(deadline=None)
@given(st.integers(INSTANT_MIN_MS, INSTANT_MAX_MS))
def test_writing_and_reading_meet(instant_ms: int) -> None:
    """An instant is written so that both readers find it again, 24 characters long."""
    text = format_instant(instant_ms)

    assert len(text) == 24
    assert instant_ms == parse_iso(text) == parse_instant(text)
    if instant_ms >= NUMBER_MIN_MS:
        assert instant_ms == parse_instant(str(instant_ms))


@settings(deadline=None)
@given(st.text())
def test_any_text_is_an_instant_or_refused(text: str) -> None:
    """No text makes a reader fail in another way than by ValueError."""
    try:
        instant_ms = parse_instant(text, T0)
    except ValueError:
        return
    assert text.isascii()
    assert INSTANT_MIN_MS <= instant_ms <= INSTANT_MAX_MS


@settings(deadline=None)
@given(st.integers(INSTANT_MIN_MS, INSTANT_MAX_MS))
def test_midnight_before(instant_ms: int) -> None:
    """The midnight at or before an instant is UTC's, before 1970 too."""
    midnight_ms = floor_day(instant_ms)
    moment = EPOCH + timedelta(milliseconds=instant_ms)

    assert 0 <= instant_ms - midnight_ms < DAY_MS
    assert datetime(moment.year, moment.month, moment.day, tzinfo=UTC) == EPOCH + timedelta(
        milliseconds=midnight_ms
    )
