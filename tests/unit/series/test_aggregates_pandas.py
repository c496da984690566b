"""Aggregates of real meters are those of pandas, where pandas has a word for them."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from building_vitals.ranges import Range
from building_vitals.series.aggregates import PointAggregation
from building_vitals.series.buckets import Buckets, parse_interval

DATA = Path(__file__).resolve().parents[2] / "data"
METERS = ("il-electricity-cdd-hdd-hourly", "uk-electricity-hdd-only-hourly-sample-0")
ZONES = ("UTC", "America/Chicago", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe")
RUN = 1_009
HOUR_MS = 3_600_000
# Of intervals that no clock's change divides: what pandas calls them.
FREQUENCIES = {"1d": "D", "1w": "W-MON", "1mo": "MS", "3mo": "QS", "1y": "YS"}
PLAIN = ("mean", "min", "max", "sum", "count", "first", "last")
# Each interval in each zone, and each meter in both: by turns, as pandas takes its time.
CASES = [
    (METERS[(first + second) % len(METERS)], interval, zone)
    for first, interval in enumerate(("1h", "6h", *FREQUENCIES))
    for second, zone in enumerate(ZONES)
]


@cache
def readings(meter: str) -> pd.Series:
    """Return the readings of a meter by their instants; some are missing."""
    with gzip.open(DATA / f"{meter}.csv.gz", "rt", encoding="utf-8") as file:
        table = pd.read_csv(file)
    times = pd.to_datetime(table.iloc[:, -2], utc=True)
    series = pd.Series(table.iloc[:, -1].to_numpy(dtype=float), index=pd.DatetimeIndex(times))
    return series.dropna().loc[lambda each: ~each.index.duplicated()].sort_index()


def instants(index: pd.DatetimeIndex) -> list[int]:
    """Return epoch milliseconds."""
    found: list[int] = index.tz_convert("UTC").as_unit("ms").asi8.tolist()
    return found


def rows(series: pd.Series, interval: str, zone: str, *aggregates: str) -> dict[int, list[Any]]:
    """Return what we make of readings, by where the buckets begin; the last holds for an hour."""
    samples = list(zip(instants(series.index), series.tolist(), strict=True))
    time_range = Range(samples[0][0], samples[-1][0] + HOUR_MS)
    aggregation = PointAggregation(aggregates, Buckets(parse_interval(interval), zone, time_range))
    texts = [
        aggregation.add(json.dumps(samples[n : n + RUN], separators=(",", ":"))[1:-1].encode())
        for n in range(0, len(samples), RUN)
    ]
    texts.append(aggregation.end())
    found = json.loads(b"[%b]" % b",".join(each for each in texts if each))
    return {start_ms: values for start_ms, *values in found}


def buckets(series: pd.Series, interval: str, zone: str) -> Any:
    """Return what pandas groups by an interval of the zone's calendar or clock."""
    local = series.tz_convert(zone)
    if interval in FREQUENCIES:
        return local.resample(FREQUENCIES[interval], closed="left", label="left")
    clock = pd.Timedelta(interval)
    # Of an hour that comes twice, each is one of its own.
    is_summer = [bool(each.dst()) for each in local.index]
    return local.groupby(local.index.floor(clock, ambiguous=is_summer, nonexistent="shift_forward"))


@pytest.mark.parametrize(("meter", "interval", "zone"), CASES)
def test_meters_are_as_pandas_has_them(meter: str, interval: str, zone: str) -> None:
    """Over years of a meter: days of 23 and 25 hours, months and years, and the rows in between."""
    series = readings(meter)
    assert len(series) > 8_000
    expected = buckets(series, interval, zone).agg(list(PLAIN)).query("count > 0")
    found = rows(series, interval, zone, *PLAIN)
    assert instants(expected.index) == list(found)
    for name, place in zip(PLAIN, range(len(PLAIN)), strict=True):
        values = [row[place] for row in found.values()]
        if name in ("mean", "sum"):
            assert values == pytest.approx(expected[name].tolist(), rel=1e-12, abs=1e-12)
        else:
            assert expected[name].tolist() == values


@pytest.mark.parametrize("zone", ["America/Chicago", "Asia/Kolkata"])
@pytest.mark.parametrize("interval", ["1d", "1w", "1mo"])
def test_time_weighted_means_are_those_of_every_half_hour(interval: str, zone: str) -> None:
    """Each number holds until the next one, over gaps, too: a mean of as many equal parts."""
    series = readings("il-tempF").iloc[::3]
    # Half an hour, so that days of India begin with one.
    end = series.index[-1] + pd.Timedelta("1h")
    grid = pd.date_range(series.index[0], end, freq="30min", inclusive="left")
    held = series.reindex(grid, method="ffill")
    expected = buckets(held, interval, zone).mean()
    has_numbers = buckets(series, interval, zone).count() > 0
    found = rows(series, interval, zone, "twa")
    expected = expected[has_numbers.reindex(expected.index, fill_value=False)]
    assert instants(expected.index) == list(found)
    assert [row[0] for row in found.values()] == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize("interval", ["1h", "1d", "1mo"])
def test_increases_are_those_of_a_counter(interval: str) -> None:
    """A meter that counts what it read, and begins again at 0 now and then."""
    zone = "America/Chicago"
    series = readings("il-electricity-cdd-hdd-hourly")
    counter = series.groupby([n // 997 for n in range(len(series))]).cumsum().round(2)
    steps = counter.diff()
    increases = steps.where(steps >= 0, counter)
    increases.iloc[0] = 0.0
    assert (steps < 0).sum() > 10
    expected = buckets(increases, interval, zone).sum()
    expected = expected[buckets(counter, interval, zone).count() > 0]
    found = rows(counter, interval, zone, "delta")
    assert instants(expected.index) == list(found)
    assert [row[0] for row in found.values()] == pytest.approx(expected.tolist(), abs=1e-9)
