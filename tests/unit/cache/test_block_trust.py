"""What becomes one with what was fetched later."""

from __future__ import annotations

import msgspec
import pytest

from builders import stored
from building_vitals.cache.block_trust import may_count_as
from building_vitals.cache.segments import BlockSegment
from building_vitals.ranges import Range


@pytest.mark.parametrize(
    ("latest_ms", "is_once", "expected"),
    [(1_100, True, True), (1_101, True, False), (9_999, False, True)],
)
def test_what_was_fetched_once_counts_as_fetched_a_little_later(
    latest_ms: int, *, is_once: bool, expected: bool
) -> None:
    """By a tenth of its age when it was fetched; what rounds read again, by any time."""
    held = stored(Range(-500, 0), fetched_ms=1_000, key="blocks/k").segment
    whole = BlockSegment(*msgspec.structs.astuple(held))
    segment = msgspec.structs.replace(whole, is_once=is_once)
    assert expected == may_count_as(segment, latest_ms)
