"""
Whether what blocks know may count as fetched later than it was, when it becomes one with other.

Separate from the rows of blocks, which every look-up knows.
"""

from __future__ import annotations

from building_vitals.cache.segments import BlockSegment

# What was fetched once counts as fetched later by this share of its age then: it is trusted so much
# longer than it should be.
LATER_SHARE = 0.1


def may_count_as(segment: BlockSegment, latest_ms: int) -> bool:
    """
    Return whether a segment of a block may count as fetched at a later instant.

    What rounds of a follow have read may: they read again what may change. Else it would be trusted
    as long as what was as old when it was fetched as it is then.
    """
    age_ms = segment.fetched_ms - segment.end_ms
    return not segment.is_once or latest_ms - segment.fetched_ms <= LATER_SHARE * age_ms
