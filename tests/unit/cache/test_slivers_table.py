"""The rows of slivers: read, moved into an object, and forgotten one by one."""

from __future__ import annotations

import msgspec
import pytest

from builders import every
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.segment_object import SegmentObject, segment_object
from building_vitals.cache.segments import Place
from building_vitals.cache.slivers_table import (
    bytes_of,
    forget_statements,
    read_slivers,
    sliver_statements,
)
from building_vitals.ports import Statement
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from fakes.database import FakeDatabase

RANGE = Range(0, 60_000)
ROWS = "SELECT point, object_key, object_etag, offset, data FROM cache_segments ORDER BY point"


async def stored(
    database: FakeDatabase,
    nonce: str,
    points: str = "abc",
    known: Range = RANGE,
    *,
    fetched_ms: int = 90_000,
    sliver_bytes: int = 8192,
) -> SegmentObject:
    """Return some slivers that are known; objects, if they may have no bytes."""
    series = [
        PointSeries(point, known, every(1000, known, ord(point)).series()) for point in points
    ]
    made = segment_object(
        "hq", series, fetched_ms=fetched_ms, nonce=nonce, sliver_bytes=sliver_bytes
    )
    expires_ms = [10**6] * len(made.segments)
    await database.batch(
        SegmentIndex.insert_statements("hq", made.segments, expires_ms, [], now_ms=5)
    )
    return made


async def test_slivers_come_back_as_they_went() -> None:
    """With the look-up, and by themselves; what is not there, or no longer the same, is None."""
    with FakeDatabase() as database:
        made = await stored(database, "x")
        assert made.segments == [
            msgspec.structs.replace(each, frames=made.segments[n].frames)
            for n, each in enumerate(await SegmentIndex(database).find("hq", [*"abc"], RANGE))
        ]
        other = msgspec.structs.replace(made.segments[1], key="rows/hq/y")
        found = await read_slivers(database, "hq", [made.segments[2], other, made.segments[0]])
        assert [made.segments[2].data, None, made.segments[0].data] == found
        assert [] == await read_slivers(database, "hq", [])


async def test_slivers_move_that_are_still_there() -> None:
    """A row takes its series out of the object from then on; one that was replaced stays."""
    with FakeDatabase() as database:
        old = await stored(database, "x")
        await stored(database, "y", "b")
        moved = [
            msgspec.structs.replace(each, key="timeseries/o", object_etag="e", offset=n)
            for n, each in enumerate(old.segments)
        ]
        await database.batch(sliver_statements("hq", zip(old.segments, moved, strict=True)))
        assert [
            ("a", "timeseries/o", "e", 0, False),
            ("b", "rows/hq/y", "", 0, True),
            ("c", "timeseries/o", "e", 2, False),
        ] == [(*list(row.values())[:4], row["data"] is not None) for row in database.look(ROWS)]


async def test_a_sliver_is_forgotten_alone() -> None:
    """Not those that were stored with it, nor another one of its point, nor an object."""
    with FakeDatabase() as database:
        made = await stored(database, "x")
        places = [made.segments[1].place, Place("rows/hq/y", "a"), Place("timeseries/o")]
        await database.batch(forget_statements(places))
        assert ["a", "c"] == [row["point"] for row in database.look(ROWS)]


async def test_what_lies_beneath_a_spoilt_sliver_is_forgotten() -> None:
    """Older copies must not be shown again, in whatever they lie; newer ones and others stay."""
    with FakeDatabase() as database:
        await stored(database, "old", "ab", Range(0, 60_000), fetched_ms=90_000)
        await stored(database, "beside", "a", Range(60_000, 120_000), fetched_ms=90_000)
        in_object = await stored(
            database, "object", "a", Range(-50_000, 30_000), fetched_ms=95_000, sliver_bytes=0
        )
        assert in_object.is_object
        # Beneath what goes, and not beneath what is lost.
        await stored(database, "oldest", "a", Range(-80_000, -40_000), fetched_ms=80_000)
        spoilt = await stored(database, "x", "a", Range(20_000, 40_000), fetched_ms=100_000)
        await stored(database, "new", "a", Range(30_000, 50_000), fetched_ms=110_000)
        await database.batch(forget_statements([spoilt.segments[0].place]))
        assert [("a", 30_000), ("a", 60_000), ("b", 0)] == [
            (row["point"], row["start_ms"])
            for row in database.look(
                "SELECT point, start_ms FROM cache_segments ORDER BY point, start_ms"
            )
        ]


async def test_slivers_beneath_a_lost_object_are_forgotten() -> None:
    """At any depth, too: of what lies in rows and in objects."""
    with FakeDatabase() as database:
        await stored(database, "oldest", "a", Range(50_000, 70_000), fetched_ms=80_000)
        await stored(database, "old", "ab", fetched_ms=90_000)
        lost = await stored(
            database, "object", "a", Range(0, 10_000), fetched_ms=95_000, sliver_bytes=0
        )
        # Without an entity tag there is no object.
        await database.batch(
            [Statement("UPDATE cache_segments SET object_etag = iif(data IS NULL, 'e', '')")]
        )
        await database.batch(forget_statements([lost.segments[0].place]))
        assert ["b"] == [row["point"] for row in database.look(ROWS)]


@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)), b"x" * 8192])
def test_all_bytes_travel_as_base64(data: bytes) -> None:
    """As the JSON library writes them."""
    assert data == bytes_of(msgspec.json.decode(msgspec.json.encode(data)))


@pytest.mark.parametrize("text", ["A", "====", "ab☃=", "a\nb=", "eA="])
def test_what_is_no_base64_is_nothing(text: str) -> None:
    """It was spoilt, and so is lost."""
    assert b"" == bytes_of(text)
