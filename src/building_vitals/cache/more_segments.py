"""
The Protocol by which blocks take part in what the index finds.

Separate because the room `blocks` stands on the cache, and the cache asks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from building_vitals.cache.block_rows import FoundBlocks
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range


class MoreSegments(Protocol):
    """Finds segments that have no row of their own."""

    async def find(
        self,
        points: Sequence[str],
        time_range: Range,
        *,
        found: FoundBlocks,
        segments: Sequence[Segment],
        known: tuple[Freshness, int] | None,
        level_samples: int,
    ) -> list[Segment]:
        """
        Return the segments of *points* in *time_range* that lie in blocks.

        Args:
            points: Their names.
            time_range: The range.
            found: The blocks there are, and what was purged.
            segments: Those that have rows: what newer ones of them hold is left out.
            known: As for `SegmentIndex.find`.
            level_samples: The same.

        Raises:
            Unavailable: the bucket can't be reached.
        """
        ...
