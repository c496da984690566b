"""Rows of days of a real meter, on the real runtime: by every route, in every format."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgpack
import pandas as pd
import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client, until

FILE = Path(__file__).resolve().parents[1] / "data" / "il-electricity-cdd-hdd-hourly.csv.gz"
SITE = "intervals"
POINT = "meter, hourly"
ZONE = "America/Chicago"
NAMES = ("mean", "min", "max", "sum", "count", "first", "last")
# A year, with a day of 23 hours and one of 25, that begins and ends within a day.
START, END = pd.Timestamp("2016-01-15T10:00Z"), pd.Timestamp("2017-01-15T10:00Z")


@pytest.fixture(scope="module")
def readings(upstream: FakeUpstream) -> pd.Series:
    """A meter's readings, which the upstream has too."""
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=str).dropna()
    times = pd.to_datetime(table["start"], utc=True)
    texts = list(zip((time.value // 10**6 for time in times), table["value"], strict=True))
    upstream.set_points(SITE, {POINT: texts}, interval_s=3600)
    series = pd.Series(table["value"].astype(float).to_numpy(), index=pd.DatetimeIndex(times))
    return series[(series.index >= START) & (series.index < END)]


def ask(client: Client, **more: Any) -> Answer:
    """Return the answer to a request for days."""
    asked = {
        **{"site": SITE, "point": POINT, "start_time": START.isoformat()},
        **{"end_time": END.isoformat(), "interval": "1d", "aggregate": ",".join(NAMES)},
        **{"tz": ZONE, **more},
    }
    answer = client.get("/api/timeseries", {name: value for name, value in asked.items() if value})
    assert answer.status in (200, 202), answer.text
    return answer


def days(series: pd.Series) -> list[list[float]]:
    """Return the rows that pandas has."""
    table = series.tz_convert(ZONE).resample("D").agg(list(NAMES)).query("count > 0")
    times = table.index.tz_convert("UTC").as_unit("ms").asi8.tolist()
    return [[time, *row] for time, row in zip(times, table.to_numpy().tolist(), strict=True)]


def assert_same(expected: Sequence[Sequence[float]], found: Sequence[Sequence[float]]) -> None:
    """See that rows are the same but for the last digits of sums."""
    assert [row[0] for row in expected] == [row[0] for row in found]
    for one, other in zip(expected, found, strict=True):
        assert one == pytest.approx(other, rel=1e-12)


def rows_of(answer: Answer) -> list[list[float]]:
    """Return the rows of an answer in JSON."""
    document = answer.json()
    assert list(NAMES) == document["_meta"]["columns"]
    rows: list[list[float]] = document["data"][POINT]["samples"]
    assert len(rows) == document["data"][POINT]["count"] == document["_meta"]["samplesCount"]
    return rows


def test_days_are_those_of_pandas(client: Client, readings: pd.Series) -> None:
    """As a miss, a hit, a part, directly, and as a job; in each format."""
    expected = days(readings)
    assert 367 == len(expected)
    assert {4, 20, 23, 24, 25} == {row[5] for row in expected}
    first = ask(client)
    assert "miss" == first.headers["X-Cache-Status"]
    assert_same(expected, rows_of(first))
    second = ask(client)
    assert "hit" == second.headers["X-Cache-Status"]
    assert_same(expected, rows_of(second))
    assert first.headers["ETag"] == second.headers["ETag"]
    assert second.headers["ETag"] != ask(client, tz="UTC").headers["ETag"]

    query = {"If-None-Match": second.headers["ETag"]}
    path = "/api/timeseries?" + _query(interval="1d")
    assert 304 == client.request("GET", path, headers=query).status
    assert 200 == client.request("GET", path.replace("=1d", "=2d"), headers=query).status
    head = client.request("HEAD", path)
    assert (second.headers["ETag"], b"") == (head.headers["ETag"], head.wire)

    table = list(csv.reader(io.StringIO(ask(client, format="csv").text)))
    assert ["time", "point", *NAMES] == table[0]
    assert_same(expected, [_numbers(row[0], row[2:]) for row in table[1:]])
    wide = list(csv.reader(io.StringIO(ask(client, layout="wide").text)))
    assert ["time", *(f"{POINT} {name}" for name in NAMES)] == wide[0]
    assert_same(expected, [_numbers(row[0], row[1:]) for row in wide[1:]])
    lines = [json.loads(each) for each in ask(client, format="ndjson").text.splitlines()]
    assert_same(expected, [_numbers(each["time"], [each[n] for n in NAMES]) for each in lines])
    packed = msgpack.unpackb(ask(client, format="msgpack").body)
    assert_same(expected, packed["data"][POINT]["samples"])

    direct = ask(client, route="direct", start_time="2016-03-12", end_time="2016-03-15", wait="")
    part = readings[(readings.index >= "2016-03-12") & (readings.index < "2016-03-15")]
    assert "direct" == direct.headers["X-Route-Type"]
    assert_same(days(part), rows_of(direct))


def test_a_job_keeps_its_days(client: Client, readings: pd.Series) -> None:
    """Asked for of a job, they come as its result; other rows when they are asked for then."""
    client.delete("/api/cache", {"site": SITE})
    queued = ask(client, route="queued").json()
    until(
        lambda: client.get(queued["statusUrl"]).json()["status"] == "completed",
        60,
        what="completed job",
    )
    data = client.get(queued["statusUrl"]).json()["dataUrl"]
    assert_same(days(readings), rows_of(client.get(data)))
    months = client.get(data, {"interval": "1mo", "aggregate": "count"}).json()
    counts = readings.tz_convert(ZONE).resample("MS").count()
    assert counts.tolist() == [row[1] for row in months["data"][POINT]["samples"]]
    samples = client.get(data, {"max_points": 100_000}).json()["data"][POINT]["samples"]
    assert len(readings) == len(samples)


def test_zones_of_the_runtime(client: Client, readings: pd.Series) -> None:
    """It knows zones that change their clocks by half an hour, and none that does not exist."""
    answer = ask(client, interval="1h", tz="Australia/Lord_Howe", aggregate="count")
    hours = answer.json()["data"][POINT]["samples"]
    assert {1_800_000, 0} == {row[0] % 3_600_000 for row in hours}
    wrong = {"site": SITE, "points": "a", "interval": "1h", "tz": "europe/berlin"}
    refused = client.get("/api/timeseries", wrong)
    assert 400 == refused.status
    assert "the nearest is Europe/Berlin" in refused.text


def _query(**more: Any) -> str:
    return urlencode(
        {
            **{"site": SITE, "point": POINT, "start_time": START.isoformat()},
            **{"end_time": END.isoformat(), "aggregate": ",".join(NAMES), "tz": ZONE, **more},
        }
    )


def _numbers(time: str, cells: Sequence[Any]) -> list[float]:
    return [pd.Timestamp(time).value // 10**6, *map(float, cells)]


def test_sums_of_hours_are_those_of_samples(client: Client, upstream: FakeUpstream) -> None:
    """To the last digit: means from stored hours, and beside `first` from samples."""
    start_ms, site = START.value // 10**6, "rollups"
    texts = [(start_ms + 300_000 * n, f"{n * 7919 % 4_001 / 100:.2f}") for n in range(40 * 288)]
    upstream.set_points(site, {POINT: texts}, interval_s=300)
    for begin, end in (
        (START, START + pd.Timedelta(days=40)),
        (START + pd.Timedelta(minutes=37), START + pd.Timedelta(days=33, minutes=5)),
    ):
        asked = {"site": site, "start_time": begin.isoformat(), "end_time": end.isoformat()}
        of_samples = ask(client, **asked, aggregate="mean,count,sum,first")
        of_hours = ask(client, **asked, aggregate="mean,count,sum")
        assert "hit" == of_hours.headers["X-Cache-Status"]
        expected = [row[:-1] for row in of_samples.json()["data"][POINT]["samples"]]
        assert len(expected) > 30
        assert expected == of_hours.json()["data"][POINT]["samples"]
        asked_ms = range(-(-begin.value // 300_000_000_000), -(-end.value // 300_000_000_000))
        assert len(asked_ms) == sum(row[2] for row in expected)
