"""Tests of answers with aggregates: the same rows by every route, in every format."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from typing import Any

import msgpack
import pytest

from building_vitals.answers import buckets, service
from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.formats import aggregated
from building_vitals.errors import TooLarge
from building_vitals.instants import format_instant
from building_vitals.ranges import Range
from fakes.brute_rows import brute_rows
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days, read_body

PAST = days(16, 10.3)
POINTS = ("b", "a, x", "=c")
NAMES = ("max", "mean", "min", "twa", "count", "sum", "delta", "first", "last")
ZONE = "Australia/Lord_Howe"
ALL: dict[str, Any] = {"interval": "1d", "aggregate": ",".join(NAMES), "tz": ZONE}


async def rows_of(
    world: World,
    points: tuple[str, ...] = POINTS,
    time_range: Range = PAST,
    *,
    wishes: dict[str, Any] = ALL,
    **options: Any,
) -> tuple[TimeseriesAnswer, dict[str, list[list[float]]], Any]:
    """Return an answer in JSON, its rows, and its `_meta`."""
    question = world.question(points, time_range, **wishes, **options)
    answer = await world.service.fetch_timeseries(question)
    body = await read_body(answer)
    document = json.loads(gzip.decompress(body) if question.gzip else body)
    rows = {point: each["samples"] for point, each in document["data"].items()}
    assert {point: len(each) for point, each in rows.items()} == {
        point: each["count"] for point, each in document["data"].items()
    }
    assert sum(map(len, rows.values())) == answer.samples == document["_meta"]["samplesCount"]
    return answer, rows, document["_meta"]


def expected(
    world: World,
    points: tuple[str, ...] = POINTS,
    time_range: Range = PAST,
    names: tuple[str, ...] = NAMES,
    zone: str = ZONE,
) -> dict[str, list[list[float]]]:
    """Return the rows that the upstream's truth has."""
    truth = world.truth(points, time_range)
    return {point: brute_rows(truth[point], names, time_range, zone) for point in points}


def assert_same(found: dict[str, list[list[float]]], truth: dict[str, list[list[float]]]) -> None:
    """See that rows are right to some last digits."""
    assert list(truth) == list(found)
    for point, rows in truth.items():
        assert len(rows) > 0
        assert [row[0] for row in rows] == [row[0] for row in found[point]]
        for true, row in zip(rows, found[point], strict=True):
            assert true == pytest.approx(row, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("route", ["cached", "direct"])
@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_rows_are_right_by_every_route(
    route: Any, gzipped: bool, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched or known, whole or streamed; what is known is said to be."""
    monkeypatch.setattr(service, "WHOLE_BYTES_MAX", 2_097_152 if whole else 10)
    monkeypatch.setattr(aggregated, "HELD_BYTES_MAX", 65_536 if whole else 100)

    @in_virtual_time
    async def compared() -> None:
        async with World() as world:
            statuses = []
            for _ in range(3):
                answer, rows, meta = await rows_of(world, route=route, gzip=gzipped)
                assert_same(rows, expected(world))
                assert list(NAMES) == meta["columns"]
                assert "downsampled" not in meta
                statuses.append(answer.report.status)
                if answer.report.is_hit:
                    assert answer.samples == answer.report.samples_from_cache
                else:
                    assert answer.samples == answer.report.samples_fetched
                await world.settle()
            cached = ["miss", "hit", "hit"]
            assert (cached if route == "cached" else ["bypass"] * 3) == statuses

    compared()


@in_virtual_time
async def test_segments_that_meet_in_a_bucket_are_one_row() -> None:
    """Cut at any instant, known in parts or fetched: the same rows, counted as known where so."""
    async with World() as world:
        await world.ask(("b",), days(16, 14.03))
        await world.settle()
        await world.ask(("b",), days(13.7, 12.01))
        await world.settle()
        answer, rows, _ = await rows_of(world, ("b",))
        assert_same(rows, expected(world, ("b",)))
        report = answer.report
        assert "partial" == report.status
        assert 2 <= report.samples_from_cache <= 5
        assert answer.samples == report.samples_from_cache + report.samples_fetched
        await world.settle()
        cut = Range(PAST.start_ms + 12_345_678, PAST.end_ms - 98_765_432)
        answer, rows, _ = await rows_of(world, ("b",), cut)
        assert_same(rows, expected(world, ("b",), cut))
        assert "hit" == answer.report.status


@in_virtual_time
async def test_stale_samples_make_rows() -> None:
    """When the upstream fails, rows are made of what is kept."""
    async with World() as world:
        time_range = days(2, 0)
        _, before, _ = await rows_of(world, ("b",), time_range)
        await world.settle()
        await asyncio.sleep(6 * 3_600)
        world.upstream.failing = lambda *_: True
        answer, rows, meta = await rows_of(world, ("b",), time_range)
        assert "stale" == answer.report.status == meta["cache"]["status"]
        assert before == rows
        assert answer.answer_etag is None


@in_virtual_time
async def test_wishes_tell_answers_apart() -> None:
    """Interval, aggregates, their order and the zone are part of the tag; defaults are not."""
    async with World() as world:
        await world.ask(("b",), PAST)
        await world.settle()
        wishes: list[dict[str, Any]] = [
            *({}, {"interval": "1d"}, {"interval": "6h"}, {"interval": "1d", "tz": ZONE}),
            {"interval": "1d", "aggregate": "min,max"},
            {"interval": "1d", "aggregate": "max,min"},
        ]
        tags = []
        for each in wishes:
            answer, _, _ = await rows_of(world, ("b",), wishes=each)
            tags.append(answer.answer_etag)
        assert len(wishes) == len(set(tags) - {None})
        default: dict[str, Any] = {"interval": "1d", "aggregate": "mean", "tz": "UTC"}
        answer, _, _ = await rows_of(world, ("b",), wishes=default)
        assert tags[1] == answer.answer_etag
        question = world.question(("b",), PAST, **default, matches=lambda tag: tag == tags[1])
        assert b"" == (await world.service.fetch_timeseries(question)).first


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("held", [65_536, 50])
def test_every_format_has_the_same_rows(
    gzipped: bool, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSV and NDJSON have a column for each aggregate; MessagePack is as JSON is."""
    monkeypatch.setattr(aggregated, "HELD_BYTES_MAX", held)

    @in_virtual_time
    async def compared() -> None:
        async with World() as world:
            _, rows, _ = await rows_of(world)
            await world.settle()

            async def text_of(format: Any, **more: Any) -> bytes:
                question = world.question(POINTS, PAST, format=format, gzip=gzipped, **ALL, **more)
                answer = await world.service.fetch_timeseries(question)
                body = await read_body(answer)
                assert answer.samples == sum(map(len, rows.values()))
                return gzip.decompress(body) if gzipped else body

            lines = [json.loads(each) for each in (await text_of("ndjson")).splitlines()]
            assert lines == [
                {"point": point, "time": format_instant(int(row[0]))}
                | dict(zip(NAMES, row[1:], strict=True))
                for point in POINTS
                for row in rows[point]
            ]
            table = list(csv.reader(io.StringIO((await text_of("csv")).decode())))
            assert ["time", "point", *NAMES] == table[0]
            names = {"b": "b", "a, x": "a, x", "=c": "'=c"}
            assert [
                [format_instant(int(row[0])), names[point], *row[1:]]
                for point in POINTS
                for row in rows[point]
            ] == [[*row[:2], *map(float, row[2:])] for row in table[1:]]
            # Digits are as they were sent, and numbers that are reckoned as short as they may be.
            assert ["19867.410", "153"] == [table[1][2], table[1][6]]
            packed = msgpack.unpackb(await text_of("msgpack"))
            assert rows == {point: each["samples"] for point, each in packed["data"].items()}
            assert list(NAMES) == packed["_meta"]["columns"]
            wide = list(csv.reader(io.StringIO((await text_of("csv", layout="wide")).decode())))
            assert wide[0] == ["time"] + [
                f"{names[point]} {name}" for point in POINTS for name in NAMES
            ]
            by_time = {row[0]: row[1:] for row in wide[1:]}
            assert sorted(by_time) == [row[0] for row in wide[1:]]
            for n, point in enumerate(POINTS):
                cells = {
                    time: row[n * len(NAMES) : (n + 1) * len(NAMES)]
                    for time, row in by_time.items()
                }
                assert [row[1:] for row in rows[point]] == [
                    list(map(float, row)) for row in cells.values() if row != [""] * len(NAMES)
                ]

    compared()


@in_virtual_time
async def test_tables_of_one_aggregate_have_plain_names() -> None:
    """A column for each point, and an empty one for a point that is not known."""
    async with World() as world:
        world.upstream.strangers = {"x"}
        question = world.question(
            ("x", "b"), PAST, format="csv", layout="wide", gzip=False, interval="1d"
        )
        answer = await world.service.fetch_timeseries(question)
        rows = list(csv.reader(io.StringIO((await read_body(answer)).decode())))
        assert ["time", "x", "b"] == rows[0]
        assert {""} == {row[1] for row in rows[1:]}
        assert 7 == len(rows)


@in_virtual_time
async def test_tables_are_bounded() -> None:
    """All of a table is held until its first row, so that only so many cells are allowed."""
    async with World() as world:
        question = world.question(POINTS, PAST, format="csv", layout="wide", **ALL)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(buckets, "WIDE_CELLS_MAX", 9 * 3 * 6 - 1)
            with pytest.raises(TooLarge, match=r"at most 161 aggregates .* up to 162"):
                await world.service.fetch_timeseries(question)


@in_virtual_time
async def test_a_range_that_ends_now() -> None:
    """The last day has what it has so far."""
    async with World() as world:
        time_range = Range(EPOCH_MS - 30 * 3_600_000, EPOCH_MS)
        wishes = {"interval": "1d", "aggregate": "count,twa"}
        _, rows, _ = await rows_of(world, ("b",), time_range, wishes=wishes)
        truth = expected(world, ("b",), time_range, ("count", "twa"), "UTC")
        assert_same(rows, truth)
