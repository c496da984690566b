"""The index at the size of the largest jobs: no value that D1 refuses, and nothing lost."""

from __future__ import annotations

import msgspec
import pytest

from builders import FRESHNESS
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.segments import Segment, segment_of
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.ports import Statement
from building_vitals.ranges import Range
from building_vitals.series.frames import Frame, SeriesBuilder
from fakes.database import (
    LIKE_PATTERN_BYTES_MAX,
    PARAMETERS_MAX,
    QUERIES_MAX,
    SQL_BYTES_MAX,
    VALUE_BYTES_MAX,
    FakeDatabase,
    begin_invocation,
)

START_MS = 1_700_000_000_000


def long_name(n: int) -> str:
    """Return a name as long as real ones are, of letters with several bytes."""
    return f"Gebäude {n:04}/Ebene ☃/" + "ü" * 80


def frames(first_ms: int, count: int) -> tuple[Frame, ...]:
    """Return a directory as of two days of 5-minute data in each frame, with numbers as large."""
    builder = SeriesBuilder()
    builder.add_text(first_ms, first_ms + 1, 2, b"[1,2],[3,4]")
    [frame] = builder.build().frames
    return tuple(
        msgspec.structs.replace(
            frame,
            offset=4_000_000_000 + n,
            text_offset=4_000_000_000 + n,
            first_ms=first_ms + 2 * n * DAY_MS,
            last_ms=first_ms + 2 * (n + 1) * DAY_MS - 300_000,
            crc=4_294_967_295,
            crc_growth=4_294_967_295,
            crc_before=4_294_967_295,
            crc_shrink=4_294_967_295,
            data_crc=4_294_967_295,
        )
        for n in range(count)
    )


def segment(point: str, known: Range, directory: tuple[Frame, ...], number: int) -> Segment:
    """Return a segment with a directory."""
    builder = SeriesBuilder()
    builder.add_text(known.start_ms, known.start_ms, 1, b"[1,2]")
    made = segment_of(
        point,
        known,
        builder.build(),
        fetched_ms=START_MS + 900 * DAY_MS,
        key=f"timeseries/site/2025-01-01_2025-12-31/{number:040}.seg",
        offset=number,
    )
    return msgspec.structs.replace(made, object_etag=f"{number:032}", frames=directory)


@pytest.mark.parametrize(
    ("days", "parts"), [(434, 1), (1950, 113)], ids=["434 days in one", "1950 days in 113"]
)
async def test_the_index_of_a_large_job_is_read_in_values_that_may_be(
    days: int, parts: int
) -> None:
    """250 points of 5-minute data, with and without directories, cut and whole."""
    names = [long_name(n) for n in range(250)]
    step_ms = days * DAY_MS // parts
    directory = frames(START_MS, days // 2 // parts)
    with FakeDatabase() as database:
        index = SegmentIndex(database)
        made = [
            segment(name, Range(START_MS + n * step_ms, START_MS + (n + 1) * step_ms), directory, n)
            for name in names
            for n in range(parts)
        ]
        begin_invocation()
        for start in range(0, len(made), 5_000):
            some = made[start : start + 5_000]
            await database.batch(
                index.insert_statements("site", some, [10**15] * len(some), [], now_ms=1)
            )
        whole = Range(START_MS, START_MS + parts * step_ms)
        rank = {name: n for n, name in enumerate(names)}
        known = FRESHNESS, 0
        for asked, known_as in (
            (whole, known),
            (whole, None),
            (Range(whole.start_ms + 1, whole.end_ms - 1), known),
        ):
            statement = index.find_statement("site", names, asked, known_as)
            rows = await database.rows(statement.sql, *statement.values)
            sizes = [len(row["segments"].encode()) for row in rows]
            assert max(sizes) < VALUE_BYTES_MAX
            # Each row that crosses costs time, so there are few of them.
            assert len(sizes) <= 2 + sum(sizes) // 500_000
            found = await index.found(rows, names, asked, known_as)
            assert [(each.point, each.start_ms) for each in made] == sorted(
                ((each.point, each.start_ms) for each in found),
                key=lambda place: (rank[place[0]], place[1]),
            )
            if known_as is None:
                assert {directory} == {each.frames for each in found}


async def test_the_stand_in_refuses_what_d1_does() -> None:
    """Values, parameters, statements, patterns and the queries of one invocation."""
    with FakeDatabase() as database:
        assert [{"n": VALUE_BYTES_MAX - 10}] == await database.rows(
            "SELECT length(?1) AS n", "x" * (VALUE_BYTES_MAX - 10)
        )
        for sql, values in (
            ("SELECT ?1 AS v", ("x" * (VALUE_BYTES_MAX + 1),)),
            ("SELECT ?1 || ?1 AS v", ("x" * (VALUE_BYTES_MAX // 2 + 1),)),
            (f"SELECT {','.join('?' * (PARAMETERS_MAX + 1))}", (1,) * (PARAMETERS_MAX + 1)),
            (f"SELECT 1 -- {'x' * SQL_BYTES_MAX}", ()),
            ("SELECT 'a' LIKE ?1 AS v", ("%" * (LIKE_PATTERN_BYTES_MAX + 1),)),
        ):
            given: tuple[str | int, ...] = values
            with pytest.raises(Unavailable):
                await database.rows(sql, *given)
        begin_invocation()
        await database.batch([Statement("SELECT 1")] * (QUERIES_MAX - 1))
        await database.rows("SELECT 1")
        with pytest.raises(Unavailable, match="Too many API requests"):
            await database.rows("SELECT 1")
        begin_invocation()
        await database.rows("SELECT 1")
