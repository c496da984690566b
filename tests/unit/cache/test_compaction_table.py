"""What takes the place of what: rows while they are there, copies of blocks unless purged."""

from __future__ import annotations

import msgspec
import pytest

from builders import every, stored
from building_vitals.cache.compaction_table import move_statements
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.segments import BlockSegment, Segment
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

KNOWN = Range(0, 100)


def segment(known: Range, key: str, fetched_ms: int = 500) -> Segment:
    """Return a segment with samples."""
    return stored(known, every(10, known), key=key, fetched_ms=fetched_ms).segment


async def moved(database: FakeDatabase, new: Segment, parts: list[Segment]) -> list[str]:
    """Move parts into a segment; return the keys of what is known then."""
    await database.batch(move_statements("hq", [(new, 10**6, parts)]))
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
