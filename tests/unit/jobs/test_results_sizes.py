"""The largest jobs from their chunks to their data, with all of D1's limits in force."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest

from building_vitals.access.caller import ANYBODY
from building_vitals.api.messages import Reply
from building_vitals.cache.segment_object import segment_object
from building_vitals.instants import DAY_MS
from building_vitals.jobs.options import JobOptions
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import SeriesBuilder
from fakes.api_calls import called
from fakes.database import begin_invocation
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

LARGE = JobOptions(max_queued_samples=10**9, max_hourly_samples=10**9)


def series(point: str, known: Range, frames: int) -> PointSeries:
    """Return a series of so many frames, of one sample each: rows are as large as real ones."""
    builder = SeriesBuilder()
    for n in range(frames):
        at = known.start_ms + n * (known.duration_ms // frames)
        builder.add_text(at, at, 1, b"[%d,%d]" % (at, n))
    return PointSeries(point, known, builder.build())


async def store_all(world: JobWorld, points: list[str], days: int, parts: int, frames: int) -> None:
    """Have every part of the range stored, in an object for each 125 points."""
    step_ms = days * DAY_MS // parts
    for part in range(parts):
        start_ms = EPOCH_MS - 10 * DAY_MS - (parts - part) * step_ms
        known = Range(start_ms, start_ms + step_ms)
        made = [
            segment_object(
                "site",
                [series(point, known, frames) for point in points[first : first + 125]],
                fetched_ms=world.clock.now_ms(),
                nonce=f"{part}-{first}",
            )
            for first in range(0, len(points), 125)
        ]
        begin_invocation()
        stored = [await world.store.put(each) for each in made]
        await world.store.commit(stored, now_ms=world.clock.now_ms())


async def data(world: JobWorld, job_id: str, query: str = "", encoding: str = "") -> Reply:
    """Return what the data of a job are answered with."""
    begin_invocation()
    return await called(world, f"GET /api/jobs/{job_id}/data", query, accept_encoding=encoding)


async def body_of(reply: Reply) -> bytes:
    """Return the whole body, wherever it is."""
    if reply.stored is not None:
        return bytes(reply.stored.found.body) + reply.stored.end
    body = bytes(reply.body)
    if reply.rest is not None:
        body += b"".join([chunk async for chunk in reply.rest])
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


@pytest.mark.parametrize(
    ("days", "parts", "frames"),
    [pytest.param(434, 1, 217, id="434 days"), pytest.param(1950, 113, 2, id="1950 days")],
)
@in_virtual_time
async def test_the_data_of_the_largest_jobs_are_whole(days: int, parts: int, frames: int) -> None:
    """250 points: completed, checked, materialised and answered, nothing too large for D1."""
    async with JobWorld(jobs=LARGE, interval_ms=DAY_MS) as world:
        points = [f"Gebäude {n:04}/Ebene ☃/{'ü' * 60}" for n in range(250)]
        await store_all(world, points, days, parts, frames)
        step_ms = days * DAY_MS // parts
        whole = Range(EPOCH_MS - 10 * DAY_MS - parts * step_ms, EPOCH_MS - 10 * DAY_MS)
        job_id = await world.submit(points, whole)
        job = await world.run(job_id)
        await world.settle()
        samples = len(points) * parts * frames
        assert ("completed", samples, []) == (job.status, job.samples_count, world.upstream.asked)

        _, result = await world.service_of_jobs.get_job_with_result(job_id, ANYBODY)
        assert result is not None
        reply = await data(world, job_id, encoding="gzip")
        assert (200, True) == (reply.status, reply.stored is not None)
        document = json.loads(gzip.decompress(await body_of(reply)))
        assert points == [*document["data"]]
        assert {parts * frames} == {len(each["samples"]) for each in document["data"].values()}

        plain = await data(world, job_id, "format=csv")
        assert (200, None) == (plain.status, plain.stored)
        rows = list(csv.reader(io.StringIO((await body_of(plain)).decode())))[1:]
        assert samples == len(rows) == len({(time, point) for time, point, _ in rows})
        assert ([], []) == (world.crashes, world.reported)
