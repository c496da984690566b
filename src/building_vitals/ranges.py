"""
Half-open ranges of time, and the arithmetic of sorted, disjoint lists of them.

Separate because plans, leases, the clean-up and the answer's `_meta` all do the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple


class Range(NamedTuple):
    """
    All instants t with start_ms <= t < end_ms.

    Attributes:
        start_ms: Epoch milliseconds, UTC; included.
        end_ms: Epoch milliseconds, UTC; excluded, after *start_ms*.
    """

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        """Length of the range."""
        return self.end_ms - self.start_ms

    def clip(self, other: Range) -> Range | None:
        """Return the part of this range that lies in *other*, or None when there is none."""
        start_ms, end_ms = max(self.start_ms, other.start_ms), min(self.end_ms, other.end_ms)
        return Range(start_ms, end_ms) if start_ms < end_ms else None


def merge(ranges: Iterable[Range]) -> list[Range]:
    """
    Return the same instants as sorted, disjoint, non-adjacent ranges.

    Args:
        ranges: In any order, overlapping or not.
    """
    merged: list[Range] = []
    for each in sorted(ranges):
        if merged and each.start_ms <= merged[-1].end_ms:
            last = merged[-1]
            if each.end_ms > last.end_ms:
                merged[-1] = Range(last.start_ms, each.end_ms)
        else:
            merged.append(each)
    return merged


def gaps(haves: Sequence[Range], need: Range) -> list[Range]:
    """
    Return the parts of *need* that no range in *haves* covers.

    Args:
        haves: Sorted by start; may overlap and may reach outside *need*.
        need: The range to be covered.

    Returns:
        Sorted, disjoint, non-adjacent ranges inside *need*; empty when it is covered.

    Raises:
        ValueError: *haves* is out of order.
    """
    missing: list[Range] = []
    cursor_ms, before_ms = need.start_ms, None
    for have in haves:
        if before_ms is not None and have.start_ms < before_ms:
            raise ValueError(f"ranges out of order: {have.start_ms} after {before_ms}")
        before_ms = have.start_ms
        if have.start_ms >= need.end_ms:
            continue
        if have.start_ms > cursor_ms:
            missing.append(Range(cursor_ms, have.start_ms))
        cursor_ms = max(cursor_ms, have.end_ms)
    if cursor_ms < need.end_ms:
        missing.append(Range(cursor_ms, need.end_ms))
    return missing


def split_evenly(time_range: Range, count: int) -> list[Range]:
    """
    Return the range in *count* neighbouring parts of about the same length, in order.

    A range shorter than *count* milliseconds gives fewer.
    """
    count = max(1, min(count, time_range.duration_ms))
    cuts = [
        time_range.start_ms + time_range.duration_ms * each // count for each in range(count + 1)
    ]
    return [Range(start_ms, end_ms) for start_ms, end_ms in pairwise(cuts)]
