"""
Buckets: where intervals of minutes, hours, days, weeks, months and years begin in a time zone.

Separate because it is the only code that knows of calendars and of clocks that are put forward and
back. Imported late: few answers have intervals.

Bounds are multiples of the interval on the zone's clock, counted from 1970-01-01 00:00 there (weeks
from the Monday before it), so that a bucket is the same whatever range is asked for.

- A clock that is put forward over a bound begins the bucket when it is put forward.
- A clock that is put back does not begin a bucket a second time: a day then has 25 hours, and the
  six hours from 00:00 have seven. Only an interval that is no longer than what comes twice is
  counted twice: of hours, 02:00 comes again.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, timedelta, tzinfo
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from building_vitals.instants import (
    DAY_MS,
    EPOCH,
    HOUR_MS,
    INSTANT_MAX_MS,
    INSTANT_MIN_MS,
    MILLISECOND,
    MINUTE_MS,
)
from building_vitals.ranges import Range

UTC_NAME = "UTC"
SECOND_MS = 1000
# Longer intervals have no use in ranges of 20 years.
DAYS_MAX = 7_305

_INTERVAL = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w|mo|y)", re.ASCII)
_WIDTHS_MS = {
    "s": SECOND_MS,
    "m": MINUTE_MS,
    "h": HOUR_MS,
    "d": DAY_MS,
    "w": 7 * DAY_MS,
}
_MONTHS = {"mo": 1, "y": 12}
_MONTH_DAYS = 365.2425 / 12
# The Monday of the week that has 1970-01-01 in it.
_MONDAY_MS = -3 * DAY_MS
_EPOCH_YEAR = 1970
_YEAR_MONTHS = 12
# No zone has changed its clock twice within a day and been as before, nor by more than this.
_STEP_MS = DAY_MS
_CHANGE_MS_MAX = 2 * DAY_MS
# Changes are looked for once in a block of time.
_BLOCK_MS = 512 * DAY_MS


class Interval(NamedTuple):
    """
    The length of buckets.

    Attributes:
        width_ms: On the clock of the zone; 0 where it is months.
        months: 0 where it is not.
        anchor_ms: The clock's time that widths are counted from, as epoch milliseconds.
    """

    width_ms: int
    months: int
    anchor_ms: int = 0

    @property
    def days(self) -> float:
        """About how long it is."""
        return self.months * _MONTH_DAYS if self.months else self.width_ms / DAY_MS


def parse_interval(text: str) -> Interval:
    """
    Return the interval of a text: a number and s, m, h, d, w, mo or y.

    Raises:
        ValueError: it is none, or longer than 20 years.
    """
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(f"not an interval: {text}")
    count, unit = int(match[1]), match[2]
    if unit in _MONTHS:
        interval = Interval(0, count * _MONTHS[unit])
    else:
        interval = Interval(count * _WIDTHS_MS[unit], 0, _MONDAY_MS if unit == "w" else 0)
    if interval.days > DAYS_MAX:
        raise ValueError(f"longer than 20 years: {text}")
    return interval


def expected_buckets(interval: Interval, time_range: Range) -> int:
    """Return about how many buckets a range has."""
    return 1 + int(time_range.duration_ms / (interval.days * DAY_MS))


class _Span(NamedTuple):
    """A time in which a zone's clock is *offset_ms* ahead of UTC."""

    start_ms: int
    end_ms: int
    offset_ms: int


def are_at_full_hours(interval: Interval, zone_name: str, time_range: Range) -> bool:
    """
    Return whether all buckets of a range begin at full hours of UTC.

    Raises:
        ValueError: there is no such zone.
    """
    spans = _spans(zone_name, *time_range)
    return interval.width_ms % HOUR_MS == 0 and not any(each.offset_ms % HOUR_MS for each in spans)


class Buckets:
    """The buckets of a range, which may be very many: what is regular is held as Python ranges."""

    def __init__(self, interval: Interval, zone_name: str, time_range: Range) -> None:
        """
        Args:
            interval: Of the buckets.
            zone_name: An IANA name.
            time_range: What the first bucket holds the beginning of, and the last one the end.

        Raises:
            ValueError: there is no such zone.
        """
        margin_ms = int((interval.days + 1) * DAY_MS) + _CHANGE_MS_MAX
        spans = _spans(zone_name, time_range.start_ms - margin_ms, time_range.end_ms)
        if interval.months:
            bounds = sorted({_earliest(spans, each) for each in _months(interval, spans)})
            self._chunks: list[Sequence[int]] = [bounds]
        else:
            self._chunks = list(_widths(interval, spans))
        self._firsts_ms = [chunk[0] for chunk in self._chunks]
        self._end_ms = time_range.end_ms

    def at(self, instant_ms: int) -> Range:
        """Return the bucket that an instant of the range lies in; the last one ends with that."""
        n = bisect_right(self._firsts_ms, instant_ms) - 1
        chunk = self._chunks[n]
        place = bisect_right(chunk, instant_ms)
        if place < len(chunk):
            end_ms = chunk[place]
        else:
            end_ms = self._firsts_ms[n + 1] if n + 1 < len(self._chunks) else self._end_ms
        return Range(max(chunk[place - 1], INSTANT_MIN_MS), min(end_ms, self._end_ms))

    def begins(self, instant_ms: int) -> list[int]:
        """Return where the buckets begin, from that on which an instant of the range lies in."""
        n = bisect_right(self._firsts_ms, instant_ms) - 1
        found = list(chain.from_iterable(self._chunks[n:]))
        first, end = bisect_right(found, instant_ms) - 1, bisect_left(found, self._end_ms)
        return [max(found[first], INSTANT_MIN_MS), *found[first + 1 : end]]


def _widths(interval: Interval, spans: Sequence[_Span]) -> Iterator[Sequence[int]]:
    """Yield the bounds of an interval that has a width, as sequences that follow each other."""
    width_ms, anchor_ms = interval.width_ms, interval.anchor_ms
    reached = (spans[0].start_ms + spans[0].offset_ms - anchor_ms) // width_ms
    before_ms = spans[0].offset_ms
    for start_ms, end_ms, offset_ms in spans:
        here = (start_ms + offset_ms - anchor_ms) // width_ms
        is_again = before_ms - offset_ms >= width_ms
        if is_again or here > reached:
            yield (start_ms,)
            reached = here
        first_ms = (reached + 1) * width_ms + anchor_ms - offset_ms
        bounds = range(first_ms, end_ms, width_ms)
        if bounds:
            yield bounds
            reached += len(bounds)
        before_ms = offset_ms


def _months(interval: Interval, spans: Sequence[_Span]) -> Iterator[int]:
    """Yield the clock's times at which months begin, as epoch milliseconds, from before on."""
    first_ms = max(spans[0].start_ms, INSTANT_MIN_MS)
    day = (EPOCH + timedelta(milliseconds=first_ms)).date()
    number = (day.year - _EPOCH_YEAR) * _YEAR_MONTHS + day.month - 1
    number -= number % interval.months
    last_ms = spans[-1].end_ms + spans[-1].offset_ms
    while True:
        year, month = divmod(number, _YEAR_MONTHS)
        year += _EPOCH_YEAR
        if year > date.max.year:
            return
        begin = date(max(year, 1), month + 1 if year > 0 else 1, 1)
        clock_ms = (begin - EPOCH.date()).days * DAY_MS
        if clock_ms >= last_ms:
            return
        yield clock_ms
        number += interval.months


def _earliest(spans: Sequence[_Span], clock_ms: int) -> int:
    """Return the first instant at which a zone's clock shows a time or a later one."""
    for start_ms, end_ms, offset_ms in spans[:-1]:
        if clock_ms < end_ms + offset_ms:
            return max(start_ms, clock_ms - offset_ms)
    return max(spans[-1].start_ms, clock_ms - spans[-1].offset_ms)


def _spans(zone_name: str, start_ms: int, end_ms: int) -> tuple[_Span, ...]:
    """
    Return the times of one offset each from one instant to another.

    Raises:
        ValueError: there is no such zone.
    """
    if zone_name == UTC_NAME:
        return (_Span(start_ms, end_ms, 0),)
    spans: list[_Span] = []
    for block in range(start_ms // _BLOCK_MS, (end_ms - 1) // _BLOCK_MS + 1):
        for each in _block_spans(zone_name, block):
            lo_ms, hi_ms = max(each.start_ms, start_ms), min(each.end_ms, end_ms)
            if lo_ms >= hi_ms:
                continue
            if spans and spans[-1].offset_ms == each.offset_ms:
                lo_ms = spans.pop().start_ms
            spans.append(_Span(lo_ms, hi_ms, each.offset_ms))
    return tuple(spans)


@lru_cache(maxsize=256)
def _block_spans(zone_name: str, block: int) -> tuple[_Span, ...]:
    """Return the same of a block of time: ranges slide, and a zone's changes stay."""
    zone, start_ms = zone_of(zone_name), block * _BLOCK_MS
    end_ms = start_ms + _BLOCK_MS
    spans: list[_Span] = []
    begin_ms, at_ms, offset_ms = start_ms, start_ms, _offset(zone, start_ms)
    while at_ms < end_ms:
        next_ms = min(at_ms + _STEP_MS, end_ms)
        following_ms = _offset(zone, next_ms)
        if following_ms != offset_ms:
            change_ms = _change(zone, at_ms, next_ms, offset_ms)
            spans.append(_Span(begin_ms, change_ms, offset_ms))
            begin_ms, offset_ms = change_ms, following_ms
        at_ms = next_ms
    if begin_ms < end_ms:
        spans.append(_Span(begin_ms, end_ms, offset_ms))
    return tuple(spans)


def _change(zone: tzinfo, low_ms: int, high_ms: int, offset_ms: int) -> int:
    """Return the first instant of the later offset; at the lower one there is *offset_ms*."""
    while high_ms - low_ms > 1:
        middle_ms = (low_ms + high_ms) // 2
        if _offset(zone, middle_ms) == offset_ms:
            low_ms = middle_ms
        else:
            high_ms = middle_ms
    return high_ms


def _offset(zone: tzinfo, instant_ms: int) -> int:
    """Return how far a zone's clock is ahead of UTC; at the ends of time as beside them."""
    inside_ms = min(max(instant_ms, INSTANT_MIN_MS + 2 * DAY_MS), INSTANT_MAX_MS - 2 * DAY_MS)
    moment = (EPOCH + timedelta(milliseconds=inside_ms)).astimezone(zone)
    offset = moment.utcoffset() or timedelta()
    return offset // MILLISECOND


@lru_cache(maxsize=16)
def zone_of(name: str) -> tzinfo:
    """
    Return the zone of an IANA name, as `tzdata` has it.

    Raises:
        ValueError: there is no such zone.
    """
    # Late within a late module: UTC, which most answers have, needs none of it.
    from zoneinfo import ZoneInfo

    if name not in zone_names():
        raise ValueError(f"no time zone: {name}")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the names of all zones."""
    from importlib.resources import files

    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
