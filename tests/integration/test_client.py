"""
The Python client against the Worker: small, cached, huge, cancelled, refused.

Where other Workers are needed, it is tested beside them: killed in the middle (test_jobs.py), stale
(test_cached_faults.py), without a right and over a limit (test_access.py), set up wrongly
(test_who_may_ask.py).
"""

from __future__ import annotations

import asyncio
import csv
import doctest
import gzip
import importlib
import os
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from building_vitals_client import (
    AsyncClient,
    BadRequest,
    Client,
    Conflict,
    JobCancelled,
    NotFound,
    Progress,
)
from fakes.upstream import FakeUpstream
from fakes.upstream_series import Wire
from integration.harness.oracle import DAY_MS
from integration.harness.worker_server import WorkerServer

START_MS = 1_735_689_600_000
DATA = Path(__file__).resolve().parents[1] / "data"
# Of 100 points: 302,400 samples. CLIENT_JOB_DAYS=105 makes three million of them.
JOB_DAYS = float(os.environ.get("CLIENT_JOB_DAYS", "10.5"))
LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def building(worker: WorkerServer) -> Iterator[Client]:
    """The client of this package, of the Worker that all tests share."""
    with Client(worker.url) as opened:
        yield opened


def expected_of(
    upstream: FakeUpstream, site: str, points: list[str], days: float
) -> dict[str, list[Any]]:
    """Return what the upstream has."""
    end_ms = START_MS + round(days * DAY_MS)
    return {
        point: [tuple(each) for each in upstream.expected(site, point, START_MS, end_ms)]
        for point in points
    }


def test_small_and_cached_answers_are_what_the_upstream_has(
    building: Client, upstream: FakeUpstream, site: str
) -> None:
    """Direct, a miss, a hit: the same samples, by every kind of table."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + 9 * DAY_MS, points=3)
    day = datetime(2025, 1, 1, tzinfo=UTC)
    direct = building.timeseries(site, points[0], day, START_MS + DAY_MS)
    assert "direct" == direct.meta["routeType"]
    assert expected_of(upstream, site, points[:1], 1) == direct.samples
    for status in ("miss", "hit"):
        result = building.timeseries(site, points, day, START_MS + 9 * DAY_MS)
        assert status == result.status
        expected = expected_of(upstream, site, points, 9)
        assert expected == result.samples
        flat = [(ms, point, value) for point in points for ms, value in expected[point]]
        frame, polars = result.to_pandas(), result.to_polars()
        times = frame["time"].astype("int64").tolist()
        assert flat == list(zip(times, frame["point"], frame["value"], strict=True))
        assert flat == polars.with_columns(pl.col("time").dt.epoch("ms")).rows()
        assert polars.equals(pl.DataFrame(result.to_arrow()).cast(polars.schema))
    thinned = building.timeseries(site, points, day, START_MS + 9 * DAY_MS, max_points=40)
    assert all(len(each) <= 40 for each in thinned.samples.values())
    assert thinned.meta["downsampled"]


def test_values_of_every_kind_arrive_as_they_are(
    building: Client, upstream: FakeUpstream, site: str
) -> None:
    """Whole numbers beyond floats, text, booleans, nulls."""
    values: list[Wire] = [
        "45.50",
        "12345678901234567890123",
        "9007199254740993",
        "occupied",
        True,
        None,
    ]
    upstream.set_points(site, {"p": [(START_MS + n, each) for n, each in enumerate(values)]})
    found = building.timeseries(site, "p", START_MS, START_MS + 10)
    expected = [45.5, 12345678901234567890123, 9007199254740993, "occupied", True, None]
    assert expected == [value for _, value in found.samples["p"]]
    assert expected == found.to_pandas()["value"].tolist()


def test_real_meters_are_whole_days_in_their_zone(building: Client, upstream: FakeUpstream) -> None:
    """A file's readings, its two days of 23 and 25 hours too, in London's time."""
    name = "uk-electricity-hdd-only-hourly-sample-0"
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    readings = {}
    for row in rows:
        moment = datetime.fromisoformat(row[-2])
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        readings[int(moment.timestamp()) * 1000] = row[-1]
    site = "client-meters"
    upstream.set_points(site, {name: [(ms, text or None) for ms, text in readings.items()]})
    first, last = min(readings), max(readings)
    result = building.timeseries(site, name, first, last + 1, tz="Europe/London", route="queued")
    assert "queued" == result.meta["routeType"]
    frame = result.to_pandas()
    expected = pd.Series(
        {ms: float(text) if text else np.nan for ms, text in sorted(readings.items())}
    )
    assert expected.index.tolist() == frame["time"].astype("int64").tolist()
    np.testing.assert_array_equal(expected.to_numpy(), frame["value"].to_numpy())
    hours = frame.groupby(frame["time"].dt.date)["time"].count()
    # The last Sundays of October, on which an hour comes twice; those of March lack one.
    longest = [day for day, count in hours.items() if count > 24]
    assert len(longest) > 1
    assert {(25, 10, 6)} == {(hours[day], day.month, day.weekday()) for day in longest}
    assert {23} == {hours[day] for day in hours.index if day.month == 3 and is_spring(day)}


def test_a_huge_answer_is_a_call_like_any_other(
    building: Client, upstream: FakeUpstream, site: str, tmp_path: Path
) -> None:
    """A job, waited for by its events, then a table; and a file of a part of it, whole."""
    end_ms, samples = START_MS + round(JOB_DAYS * DAY_MS), round(100 * 288 * JOB_DAYS)
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=end_ms, points=100)
    shown: list[Progress] = []
    result = building.timeseries(site, points, START_MS, end_ms, progress=shown.append)
    assert samples == len(result) == result.meta["samplesCount"]
    assert "queued" == result.meta["routeType"]
    assert {"waiting", "downloading", "done"} == {each.stage for each in shown}
    told = [each.job.progress for each in shown if each.job is not None]
    assert told == sorted(told)
    frame = result.to_polars()
    assert samples == len(frame)
    for point in points[::33]:
        rows = frame.filter(pl.col("point") == point).select(pl.col("time").dt.epoch("ms"), "value")
        assert expected_of(upstream, site, [point], JOB_DAYS)[point] == rows.rows()
    size = building.download(tmp_path / "day.csv", site, points[:2], START_MS, START_MS + DAY_MS)
    lines = (tmp_path / "day.csv").read_text().splitlines()
    assert (577, "time,point,value") == (len(lines), lines[0])
    assert size == (tmp_path / "day.csv").stat().st_size


def is_spring(day: date) -> bool:
    """Return whether London's clocks go forward on a day."""
    first, last = (datetime(day.year, day.month, day.day, hour, tzinfo=LONDON) for hour in (0, 12))
    return first.utcoffset() != last.utcoffset()


def queued_slowly(upstream: FakeUpstream, site: str) -> tuple[str, list[str], int, int]:
    """Return the arguments of a call that becomes a job of some time."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 20 * DAY_MS, points=100
    )
    upstream.latency_ms[site] = 300
    return site, points, START_MS, START_MS + 20 * DAY_MS


async def test_a_cancelled_task_cancels_its_job(
    worker: WorkerServer, upstream: FakeUpstream, site: str
) -> None:
    """The job is cancelled at the Worker, not only left."""
    arguments = queued_slowly(upstream, site)
    async with AsyncClient(worker.url) as client:
        heard = asyncio.Event()
        task = asyncio.create_task(client.timeseries(*arguments, progress=lambda _: heard.set()))
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (job,) = await client.jobs(site=site)
        assert "cancelled" == job.status
        with pytest.raises(JobCancelled):
            await client.wait(job.job_id)
        with pytest.raises(Conflict):
            await client.cancel(job.job_id)


def test_an_interrupt_cancels_the_job(building: Client, upstream: FakeUpstream, site: str) -> None:
    """Ctrl-C, as a shell sends it."""
    arguments = queued_slowly(upstream, site)

    def interrupt(progress: Progress) -> None:
        if progress.job is not None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        building.timeseries(*arguments, progress=interrupt)
    assert ["cancelled"] == [job.status for job in building.jobs(site=site)]


def test_problems_and_unknown_points_are_named(
    building: Client, upstream: FakeUpstream, site: str
) -> None:
    """Everything that is wrong with a request; a point that is not there has its reason."""
    with pytest.raises(BadRequest) as caught:
        building.timeseries("no/site", "p", "yesterday")
    assert {"site", "start_time"} == {each.field for each in caught.value.problems}
    with pytest.raises(NotFound):
        building.job("job_of_nobody")
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=2)
    building.points(site)
    result = building.timeseries(site, [points[0], points[1] + "x"], START_MS, START_MS + DAY_MS)
    assert [points[1] + "x"] == list(result.errors)
    assert 288 == len(result)


def test_examples_in_docstrings_run(
    worker: WorkerServer, building: Client, upstream: FakeUpstream, site: str, tmp_path: Path
) -> None:
    """Each example of both clients does what it shows, at this Worker."""
    (point,) = upstream.add_generated(
        site,
        start_ms=START_MS,
        end_ms=START_MS + 9 * DAY_MS,
        names=["Zone Sensor 0000.Temperature"],
    )
    given = {"client": building, "url": worker.url, "site": site, "point": point}
    given |= {"folder": tmp_path, "asyncio": asyncio}
    ran = 0
    for name in ("client", "async_client"):
        module = importlib.import_module(f"building_vitals_client.{name}")
        result = doctest.testmod(module, extraglobs=given)
        assert 0 == result.failed
        ran += result.attempted
    assert ran > 10
