"""What a look-up brings along of long directories."""

from __future__ import annotations

import msgspec

from builders import FRESHNESS, Samples
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.look_up_table import LONG_DIRECTORY
from building_vitals.cache.segments import segment_of
from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

FRAMES, FRAME_SAMPLES = 500, 3
FETCHED_MS = 20_000 * DAY_MS
MADE = Samples(
    (FETCHED_MS - n * MINUTE_MS, "1.5") for n in reversed(range(1, FRAMES * FRAME_SAMPLES + 1))
)


async def test_few_frames_travel_of_a_long_directory() -> None:
    """However long it is: those beside the cuts, the first and the last; for levels it is whole."""
    series = MADE.series([FRAME_SAMPLES] * FRAMES)
    known = Range(MADE[0][0], FETCHED_MS)
    made = segment_of("a", known, series, fetched_ms=FETCHED_MS, key="k", offset=0)
    assert len(msgspec.json.encode(made.frames)) > 2 * LONG_DIRECTORY
    database = FakeDatabase()
    index = SegmentIndex(database)
    await database.batch(
        index.insert_statements("site", [made], [FETCHED_MS + DAY_MS], [], now_ms=FETCHED_MS)
    )
    cut = Range((known.start_ms + known.end_ms) // 2, known.end_ms)
    rule = FRESHNESS, FETCHED_MS + DAY_MS // 24
    [found] = await index.find("site", ["a"], cut, rule)
    assert len(found.frames or ()) <= 8
    assert not found.has_directory
    for whole in (
        await index.find("site", ["a"], cut, rule, level_samples=1_000),
        await index.find("site", ["a"], cut),
    ):
        assert [made.frames] == [each.frames for each in whole]
        assert whole[0].has_directory
    database.connection.close()
