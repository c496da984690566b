"""What takes the place of what: rows while they are there, copies of blocks unless purged."""

from __future__ import annotations

import msgspec
import pytest

from builders import every, stored
from building_vitals.cache.compaction_table import move_statements
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.purges_table import PURGE_AGE_MS
from building_vitals.cache.segments import BlockSegment, Segment
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

KNOWN = Range(0, 100)


def segment(known: Range, key: str, fetched_ms: int = 500) -> Segment:
    """Return a segment with samples."""
    return stored(known, every(10, known), key=key, fetched_ms=fetched_ms).segment


async def moved(database: FakeDatabase, new: Segment, parts: list[Segment]) -> list[str]:
    """Move parts into a segment; return the keys of what is known then."""
    await database.batch(move_statements("hq", [(new, 10**6, parts)], now_ms=600))
    return [each.key for each in await SegmentIndex(database).find("hq", ["p"], KNOWN)]


def of_block(known: Range, key: str = "blocks/k") -> Segment:
    """Return a segment of a block."""
    return BlockSegment(*msgspec.structs.astuple(segment(known, key)))


async def test_parts_in_blocks_need_no_row() -> None:
    """Those with rows have to be there, and go; those in blocks are copied."""
    with FakeDatabase() as database:
        old, new = segment(Range(0, 50), "old"), segment(KNOWN, "new")
        parts = [old, of_block(Range(50, 100))]
        assert [] == await moved(database, new, parts)
        await database.batch(SegmentIndex.insert_statements("hq", [old], [10**6], [], now_ms=600))
        assert ["new"] == await moved(database, new, parts)


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        pytest.param(("hq", "p", 90, 95, 500), [], id="of the point, since the fetch"),
        pytest.param(("hq", "", 0, 1, 900), [], id="of the site"),
        pytest.param(("hq", "p", 90, 95, 499), ["new"], id="before the fetch"),
        pytest.param(("hq", "q", 90, 95, 900), ["new"], id="of another point"),
        pytest.param(("hq", "p", 100, 200, 900), ["new"], id="of another range"),
        pytest.param(("other", "p", 0, 100, 900), ["new"], id="of another site"),
    ],
)
async def test_a_purge_voids_the_copy(
    mark: tuple[str, str, int, int, int], expected: list[str]
) -> None:
    """A block has no row that a purge would have taken, so its mark is looked for."""
    with FakeDatabase() as database:
        database.look("INSERT INTO cache_purges VALUES (?1, ?2, ?3, ?4, ?5)", *mark)
        assert expected == await moved(database, segment(KNOWN, "new"), [of_block(KNOWN)])


async def test_what_is_newer_stays() -> None:
    """A segment of the same range that was fetched since is not replaced by a copy."""
    with FakeDatabase() as database:
        newer = segment(KNOWN, "newer", 501)
        await database.batch(SegmentIndex.insert_statements("hq", [newer], [10**6], [], now_ms=600))
        assert ["newer"] == await moved(database, segment(KNOWN, "new"), [of_block(KNOWN)])


async def known_after(
    database: FakeDatabase, new: Segment, parts: list[Segment], *more: Segment, now_ms: int = 600
) -> list[str]:
    """Store parts, and more; move the parts into a segment; return the keys of what is known."""
    for each in [*parts, *more]:
        await database.batch(SegmentIndex.insert_statements("hq", [each], [10**6], [], now_ms=0))
    await database.batch(move_statements("hq", [(new, 10**6, parts)], now_ms=now_ms))
    return [each.key for each in await SegmentIndex(database).find("hq", ["p"], KNOWN)]


PARTS = [segment(Range(0, 50), "first", 700), segment(Range(50, 100), "last", 500)]


APART = ["first", "k", "last"]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        pytest.param(segment(Range(90, 120), "k", 499), ["k", "new"], id="before all"),
        pytest.param(segment(Range(90, 120), "k", 701), ["k", "new"], id="after all"),
        pytest.param(segment(Range(90, 120), "k", 500), APART, id="with the first"),
        pytest.param(segment(Range(90, 120), "k", 700), APART, id="with the last"),
    ],
)
async def test_nothing_was_fetched_between_parts(between: Segment, expected: list[str]) -> None:
    """What was, be it stored while the parts were being joined, keeps them apart."""
    with FakeDatabase() as database:
        found = await known_after(database, segment(KNOWN, "new", 500), PARTS, between)
        assert expected == sorted(found)


@pytest.mark.parametrize(("fetched_ms", "is_apart"), [(499, 0), (500, 1), (700, 1), (701, 0)])
async def test_no_block_was_fetched_between_parts(fetched_ms: int, is_apart: int) -> None:
    """A block in between is shown in place of the older part, and so would be of all."""
    with FakeDatabase() as database:
        database.look(
            "INSERT INTO site_blocks (site, start_ms, end_ms, object_key, object_etag, level, "
            "fetched_ms, points, samples, stored_bytes, directory_offset, foot_offset, foot_bytes, "
            "foot_crc) VALUES ('hq', 90, 200, 'b', 'e', 0, ?1, 1, 1, 1, 1, 1, 1, 1)",
            fetched_ms,
        )
        found = await known_after(database, segment(KNOWN, "new", 500), PARTS)
        assert (["new"], ["first", "last"])[is_apart] == found


@pytest.mark.parametrize(
    ("fetched_ms", "expected"),
    [
        pytest.param(499, {"new": KNOWN}, id="before all: it is hidden"),
        pytest.param(500, {"new": KNOWN, "late": Range(100, 150)}, id="with the first"),
        pytest.param(700, {"new": KNOWN, "late": Range(100, 150)}, id="with the last"),
        pytest.param(701, {"late": Range(0, 150)}, id="after all"),
    ],
)
async def test_what_comes_late_hides_nothing_newer(
    fetched_ms: int, expected: dict[str, Range]
) -> None:
    """Of a fetch that began between those of the parts, the rest alone is stored."""
    with FakeDatabase() as database:
        await known_after(database, segment(KNOWN, "new", 500), PARTS)
        late = segment(Range(0, 150) if fetched_ms != 499 else KNOWN, "late", fetched_ms)
        await database.batch(SegmentIndex.insert_statements("hq", [late], [10**6], [], now_ms=800))
        found = await SegmentIndex(database).find("hq", ["p"], Range(0, 200))
        assert expected == {each.key: each.range for each in found}


@pytest.mark.parametrize(
    ("instants", "now_ms", "expected"),
    [
        pytest.param((700, 500), 700 + PURGE_AGE_MS, [("p", 0, 100, 700)], id="lately"),
        pytest.param((700, 500), 701 + PURGE_AGE_MS, [], id="nothing can come any more"),
        pytest.param((500, 500), 600, [], id="of one fetch"),
    ],
)
async def test_a_mark_is_left_as_long_as_something_may_come(
    instants: tuple[int, int], now_ms: int, expected: list[tuple[str, int, int, int]]
) -> None:
    """It names the range, and when the last part was fetched."""
    with FakeDatabase() as database:
        parts = [
            msgspec.structs.replace(part, fetched_ms=fetched_ms)
            for part, fetched_ms in zip(PARTS, instants, strict=True)
        ]
        found = await known_after(database, segment(KNOWN, "new", 500), parts, now_ms=now_ms)
        assert ["new"] == found
        marks = database.look("SELECT point, start_ms, end_ms, purged_ms FROM cache_purges")
        assert expected == [tuple(each.values()) for each in marks]
