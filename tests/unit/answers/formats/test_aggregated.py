"""Rows of buckets instead of samples: any number of them, few in memory."""

from __future__ import annotations

import json

import msgpack
import pytest

from builders import Samples, samples, stored
from building_vitals.answers.formats.aggregated import HELD_BYTES_MAX, AggregatedSamples
from building_vitals.answers.formats.registry import Format, encoder_for
from building_vitals.answers.question import Aggregation
from building_vitals.cache.segments import pieces
from building_vitals.ranges import Range
from building_vitals.series.buckets import Buckets, parse_interval

MINUTE_MS = 60_000
COLUMNS = ("count", "max")


def rows_encoder(
    format: Format,
    time_range: Range,
    interval: str,
    made: frozenset[str] = frozenset(),
    points_count: int = 1,
) -> AggregatedSamples:
    """Return an encoder of two aggregates."""
    aggregation = Aggregation(interval, COLUMNS, "UTC")
    encoder = encoder_for(format, points_count, gzip=False, columns=COLUMNS)
    buckets = Buckets(parse_interval(interval), "UTC", time_range)
    return AggregatedSamples(encoder, aggregation, buckets, made)


@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "msgpack"])
@pytest.mark.parametrize("windows", [1, 5])
def test_what_is_pending_is_a_few_runs(format: Format, windows: int) -> None:
    """However many rows a point has, they come out some thousands at a time."""
    many = Samples((MINUTE_MS * n, f"{n % 97}.25") for n in range(100_000))
    held = stored(Range(0, MINUTE_MS * 100_000), many)
    [piece] = pieces(held.segment, held.segment.range)
    data = held.bytes_of(piece)
    encoder = rows_encoder(format, held.segment.range, "2m")
    largest, whole = 0, b""
    encoder.begin_point("p")
    for n in range(windows):
        window = data[len(data) * n // windows : len(data) * (n + 1) // windows]
        for _ in encoder.add(piece, window, is_last=n == windows - 1):
            largest, whole = max(largest, encoder.pending), whole + encoder.take()
    for _ in encoder.choose():
        largest, whole = max(largest, encoder.pending), whole + encoder.take()
    encoder.end_point()
    whole += encoder.finish({})
    assert 50_000 == encoder.samples == encoder.rows_from_cache
    assert 0 < largest < 8 * HELD_BYTES_MAX < len(whole)
    if format == "json":
        rows = json.loads(whole)["data"]["p"]["samples"]
    elif format == "msgpack":
        rows = msgpack.unpackb(whole)["data"]["p"]["samples"]
    else:
        assert whole.count(b"\n") == 50_000 + (format == "csv")
        return
    assert [
        [2 * MINUTE_MS * n, 2, max(2 * n % 97, (2 * n + 1) % 97) + 0.25] for n in range(50_000)
    ] == rows


@pytest.mark.parametrize("format", ["json", "msgpack"])
def test_points_without_rows(format: Format) -> None:
    """A point without numbers has none, and may say why; the next one begins again."""
    encoder = rows_encoder(format, Range(0, 100), "1s", points_count=2)
    encoder.begin_point("a")
    encoder.end_point("unknown point")
    encoder.begin_point("b")
    encoder.add_text(2, b'[1,2],[3,"on"]')
    encoder.end_point()
    body = encoder.finish({})
    data = (json.loads if format == "json" else msgpack.unpackb)(body)["data"]
    assert {
        "a": {"samples": [], "count": 0, "error": "unknown point"},
        "b": {"samples": [[0, 1, 2]], "count": 1, "error": None},
    } == data


def test_rows_of_what_had_been_known() -> None:
    """A row counts as known where all of its samples had been."""
    old = stored("0-3500", samples("100:1 900:1 1100:1 1900:1 2500:1 3100:1"), key="old")
    new = stored("3500-6500", samples("3600:1 4100:1 5500:1 6100:1"), key="new")
    last = stored("6500-9000", samples("6700:1 7100:1 8100:1"), key="last")
    encoder = rows_encoder("json", Range(0, 9000), "1s", frozenset({"new"}))
    encoder.begin_point("p")
    for held in (old, new, last):
        for piece in pieces(held.segment, held.segment.range):
            for _ in encoder.add(piece, held.bytes_of(piece)):
                continue
    encoder.end_point()
    assert (9, 5) == (encoder.samples, encoder.rows_from_cache)
