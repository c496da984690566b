"""Tests of wide answers: the same samples as in long ones, side by side, in bounded memory."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import pytest

from building_vitals.answers import service, wide
from building_vitals.answers.answer import CacheReport
from building_vitals.answers.pieces import PointPieces
from building_vitals.cache.coverage import Cover
from building_vitals.errors import TooLarge
from building_vitals.instants import HOUR_MS, format_instant
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days, read_body

PAST = days(10, 9)
POINTS = ("b", "a, x", "=c")


async def table(world: World, points: tuple[str, ...] = POINTS, **options: Any) -> list[list[str]]:
    """Return the rows of a wide answer."""
    question = world.question(
        points, options.pop("range", PAST), format="csv", layout="wide", **options
    )
    answer = await world.service.fetch_timeseries(question)
    body = await read_body(answer)
    text = (gzip.decompress(body) if question.gzip else body).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert answer.samples == sum(cell != "" for row in rows[1:] for cell in row[1:])
    return rows


def expected(world: World, points: tuple[str, ...] = POINTS, time_range: Any = PAST) -> Any:
    """Return the same from the upstream's truth, numbers as such."""
    truth = world.truth(points, time_range)
    times = sorted({time_ms for samples in truth.values() for time_ms, _ in samples})
    by_point = [dict(truth[point]) for point in points]
    return [
        [format_instant(time_ms), *(by_time.get(time_ms) for by_time in by_point)]
        for time_ms in times
    ]


def assert_same(rows: list[list[str]], truth: Any) -> None:
    """See that the cells stand for the truth."""
    assert ["time", "b", "a, x", "'=c"] == rows[0]
    assert len(truth) == len(rows) - 1 > 0
    for row, true in zip(rows[1:], truth, strict=True):
        assert true[0] == row[0]
        for cell, value in zip(row[1:], true[1:], strict=True):
            if isinstance(value, float | int) and not isinstance(value, bool):
                assert value == float(cell)
            else:
                assert {None: "", True: "true", False: "false"}.get(value, value) == cell


@pytest.mark.parametrize("route", ["cached", "direct"])
@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("samples_max", [60_000, 50, 1])
def test_wide_answers_have_every_sample(
    route: Any, gzipped: bool, samples_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every route, fetched or known, in one part or in many, whole or streamed."""
    monkeypatch.setattr(wide, "SAMPLES_MAX", samples_max)
    monkeypatch.setattr(service, "WHOLE_BYTES_MAX", 10 if samples_max == 1 else 2_097_152)
    time_range = days(10, 9.9) if samples_max == 1 else PAST

    @in_virtual_time
    async def compared() -> None:
        async with World() as world:
            for _ in range(2):
                rows = await table(world, range=time_range, route=route, gzip=gzipped)
                assert_same(rows, expected(world, time_range=time_range))
                await world.settle()

    compared()


@in_virtual_time
async def test_a_part_that_holds_more_than_it_seemed_is_divided() -> None:
    """The samples of a frame may all lie in one of its minutes."""
    async with World() as world:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wide, "TEXT_BYTES_MAX", 500)
            assert_same(await table(world), expected(world))


@in_virtual_time
async def test_known_segments_are_cut_and_joined() -> None:
    """What lies in several segments, each cut at the range's ends, is put side by side."""
    async with World() as world:
        await world.ask(("b",), days(11, 9.5))
        await world.settle()
        await world.ask(("a, x",), days(9.7, 8))
        await world.settle()
        assert_same(await table(world), expected(world))
        await world.settle()
        answer = await world.service.fetch_timeseries(
            world.question(POINTS, PAST, format="csv", layout="wide")
        )
        assert ("hit", 0) == (answer.report.status, answer.report.upstream_requests)
        assert answer.report.samples_from_cache == answer.samples


@in_virtual_time
async def test_chosen_samples_are_put_side_by_side() -> None:
    """max_points holds for each point; the instants are those of any of them."""
    async with World() as world:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wide, "SAMPLES_MAX", 7)
            rows = await table(world, max_points=10)
        question = world.question(POINTS, PAST, max_points=10)
        truth = await world.ask(POINTS, PAST, max_points=10)
        assert question.request.max_points == 10
        for column, point in enumerate(POINTS, 1):
            times = [format_instant(time_ms) for time_ms, value in truth.samples[point]]
            found = {row[0]: row[column] for row in rows[1:]}
            assert set(times) <= set(found)
            assert len(times) >= sum(cell != "" for cell in found.values()) > 0


@in_virtual_time
async def test_unknown_points_are_empty_columns() -> None:
    """A column for each point that was asked for, and a header even without a sample."""
    async with World() as world:
        world.upstream.strangers = {"x"}
        rows = await table(world, ("x", "b"))
        assert ["time", "x", "b"] == rows[0]
        assert {""} == {row[1] for row in rows[1:]}
        assert [["time", "x"]] == await table(world, ("x",))


@pytest.mark.parametrize(
    ("limit", "options", "told"),
    [
        ("CHOSEN_MAX", {"max_points": 10}, "at most 1 chosen samples"),
        ("INFLATED_BYTES_MAX", {}, "864 samples of 3 points"),
    ],
)
def test_what_would_take_too_much_is_refused(
    limit: str, options: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read, with what could be asked for instead."""
    monkeypatch.setattr(wide, limit, 1)

    @in_virtual_time
    async def refused() -> None:
        async with World() as world:
            with pytest.raises(TooLarge, match=told):
                await table(world, **options)

    refused()


@in_virtual_time
async def test_layout_in_a_request() -> None:
    """It asks for CSV by itself, has an entity tag of its own, and is for no other format."""
    query = f"site=site&points=a,b&start_time={EPOCH_MS - 86_400_000}&end_time={EPOCH_MS - HOUR_MS}"
    async with JobWorld() as world:
        tags = []
        for more in ("&layout=wide", "&layout=wide&format=csv", "&format=csv", "&layout=long"):
            reply = await called(world, "GET /api/timeseries", f"{query}&route=cached{more}")
            headers = headers_of(reply)
            await world.settle()
            tags.append(headers["ETag"])
            name = 'attachment; filename="site_'
            assert ("long" in more) != headers.get("Content-Disposition", "").startswith(name)
            assert ("wide" in more) == bytes(reply.body).startswith(b"time,a,b\r\n")
        assert tags[0] == tags[1]
        assert 3 == len(set(tags))
        reply = await called(
            world, "GET /api/timeseries", f"{query}&route=cached&layout=wide", if_none_match=tags[0]
        )
        assert 304 == reply.status
        for path in ("GET /api/timeseries", "GET /api/jobs/x/data"):
            more = "format=ndjson&layout=wide"
            asked = f"{query}&{more}" if "series" in path else more
            reply = await called(world, path, asked)
            [error] = (await document_of(reply))["errors"]
            assert (400, "layout") == (reply.status, error["field"])


def test_nothing_is_known_of_the_future() -> None:
    """A range without anything known has no parts."""
    covers = [Cover("a", [], [])]
    rows = wide.WideRows(
        covers, [PointPieces("a", [])], CacheReport("hit"), gzip=False, max_points=None
    )
    assert 0 == rows.size
    assert b"time,a\r\n" == rows.encoder.take()
