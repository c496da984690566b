"""Aggregates are what they are defined to be, whatever the samples, the zone and the runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import isfinite

from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.answers.question import AGGREGATES
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.aggregates import PointAggregation
from building_vitals.series.buckets import Buckets, parse_interval, zone_of
from fakes.brute_aggregates import Reading, brute_row

ZONES = st.sampled_from(
    [
        *("UTC", "Europe/Berlin", "America/Chicago", "Asia/Kolkata", "Australia/Lord_Howe"),
        *("America/Havana", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca"),
    ]
)
WIDTHS = ("7m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "3d", "1w")
INTERVALS = st.sampled_from([*WIDTHS, "1mo", "2mo", "1y"])
# Clocks are changed within some of them.
STARTS = st.sampled_from(
    [1_743_206_400_000, 1_761_350_400_000, 1_325_030_400_000, 1_541_203_200_000, 1_743_861_600_000]
) | st.integers(946_684_800_000, 1_900_000_000_000)
NUMBERS = (
    st.integers(-100, 100).map(str)
    | st.decimals(-100, 100, places=2).map(str)
    | st.floats(-1e6, 1e6).map(json.dumps)
    | st.integers(-(2**60), 2**60).map(str)
)
STATES = st.sampled_from(["null", "true", '"on"', "[1]", '"],["'])
NAMES = st.lists(st.sampled_from(AGGREGATES), min_size=1, unique=True)
SAME = {"first", "last", "min", "max"}


@settings(deadline=None, max_examples=150)
@given(
    start_ms=STARTS,
    steps=st.lists(st.tuples(st.integers(1, 40 * HOUR_MS), NUMBERS | STATES), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    interval=INTERVALS,
    zone=ZONES,
    names=NAMES,
)
def test_rows_are_as_defined(
    *,
    start_ms: int,
    steps: list[tuple[int, str]],
    cuts: list[int],
    interval: str,
    zone: str,
    names: list[str],
) -> None:
    """Each bucket with numbers has a row, and its aggregates are right to a part in 10^12."""
    samples, at_ms = [], start_ms
    for step_ms, value in steps:
        samples.append((at_ms, value))
        at_ms += step_ms
    time_range = Range(start_ms, at_ms + 1)
    buckets = Buckets(parse_interval(interval), zone, time_range)
    aggregation = PointAggregation(names, buckets)
    places = sorted({0, len(samples), *(each for each in cuts if each < len(samples))})
    texts = []
    for lo, hi in pairwise(places):
        run = ",".join(f"[{time_ms},{value}]" for time_ms, value in samples[lo:hi])
        texts.append(aggregation.add(run.encode()))
    texts.append(aggregation.end())
    text = b",".join(each for each in texts if each).decode()
    found = json.loads(f"[{text}]", parse_int=str, parse_float=str)

    groups: dict[Range, list[Reading]] = {}
    readings = [Reading(*each) for each in samples if each[1][0] in "-0123456789"]
    for each in readings:
        groups.setdefault(buckets.at(each.time_ms), []).append(each)
    assert [str(each.start_ms) for each in groups] == [row[0] for row in found]
    before: Reading | None = None
    for (bucket, held), row in zip(groups.items(), found, strict=True):
        for name, value in zip(names, row[1:], strict=True):
            expected = brute_row(name, bucket, held, before)
            if name in SAME:
                assert expected == value
            else:
                scale = max(map(abs, (each.value for each in readings)), default=Fraction(1))
                assert isfinite(float(value))
                assert abs(Fraction(value) - expected) <= Fraction(1, 10**12) * len(held) * scale
        before = held[-1]


@settings(deadline=None, max_examples=60)
@given(start_ms=STARTS, hours=st.integers(1, 90 * 24), interval=INTERVALS, zone=ZONES)
def test_buckets_follow_the_clock(start_ms: int, hours: int, interval: str, zone: str) -> None:
    """
    Buckets follow each other; each begins at a multiple of its width, or where the clock changes,
    and shows no later width's time but where the clock was put back.
    """
    time_range = Range(start_ms, start_ms + hours * HOUR_MS)
    parsed = parse_interval(interval)
    buckets = Buckets(parsed, zone, time_range)
    at_ms, seen = time_range.start_ms, 0
    while at_ms < time_range.end_ms and seen < 300:
        bucket = buckets.at(at_ms)
        assert bucket.start_ms <= at_ms < bucket.end_ms <= time_range.end_ms
        assert bucket == buckets.at(bucket.end_ms - 1)
        begin, before = clock(zone, bucket.start_ms), clock(zone, bucket.start_ms - 1)
        is_changed = begin - before != 1
        assert is_changed or is_bound(begin, interval)
        # Nothing after the begin, until the end, is the begin of another one.
        inside = [clock(zone, ms) for ms in range(bucket.start_ms, bucket.end_ms, 15 * 60_000)]
        if all(a < b for a, b in pairwise(inside)):
            assert [] == [each for each in inside[1:] if is_bound(each, interval)]
        at_ms, seen = bucket.end_ms, seen + 1


def clock(zone: str, instant_ms: int) -> int:
    """Return what a zone's clock shows, as epoch milliseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)
    offset = moment.astimezone(zone_of(zone)).utcoffset()
    assert offset is not None
    return instant_ms + round(offset.total_seconds() * 1000)


def is_bound(clock_ms: int, interval: str) -> bool:
    """Return whether an interval begins when the clock shows a time."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=clock_ms)
    is_midnight = clock_ms % DAY_MS == 0
    if interval == "1w":
        return is_midnight and moment.weekday() == 0
    if interval.endswith(("mo", "y")):
        months = (moment.year - 1970) * 12 + moment.month - 1
        every = 12 if interval == "1y" else int(interval[:-2])
        return is_midnight and moment.day == 1 and months % every == 0
    return clock_ms % parse_interval(interval).width_ms == 0
