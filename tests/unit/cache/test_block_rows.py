"""What the index says of blocks."""

from __future__ import annotations

from building_vitals.cache.block_rows import BlockRow, Mark, cut_out
from building_vitals.ranges import Range


def test_marks_are_sorted_by_time() -> None:
    """Those that concern a fetch and a point come by time, however they were found."""
    marks = [Mark("a", 8, 9, 5), Mark("", 1, 4, 5), Mark("b", 2, 3, 5), Mark("a", 0, 9, 4)]
    assert [Range(1, 4), Range(8, 9)] == cut_out(marks, "a", 5)


def test_a_row_and_a_mark_have_ranges() -> None:
    """From the first instant to the last."""
    assert Range(3, 7) == BlockRow("k", "e", 3, 7, 9, 0, 0, 0, 0).range
    assert Range(8, 9) == Mark("a", 8, 9, 5).range
