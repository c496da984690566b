"""
What a follow has read, as charts and jobs judge it: the one place that decides what that changes.

Rounds read again what late samples may still join. So what a follow has read is trusted as far as
it has come, whatever its age when it was fetched, and nobody else has to ask for it again. While
rounds come as they should, what is younger than the last one is left to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range

FollowState = Literal["following", "backfilling", "behind", "failing"]
# So many rounds late, a follow is behind, and charts fetch for themselves.
HEALTHY_ROUNDS = 2


class Followed(msgspec.Struct, frozen=True):
    """
    A followed site.

    Attributes:
        trusted_ms: When the oldest was fetched of what the follow has read.
        every_ms: Time between two rounds.
        known: What has been read; sorted, disjoint.
        until_ms: The end of the last round; None before the first.
    """

    trusted_ms: int
    every_ms: int
    known: tuple[Range, ...] = ()
    until_ms: int | None = None

    def known_until_ms(self, segment: Segment, until_ms: int) -> int:
        """
        Return where the part of a segment ends that is known, as far as the site is followed.

        Of overlapping segments the newest decides anyway, and rounds fetch last. What was fetched
        before the site was followed is none of theirs.

        Args:
            segment: The segment.
            until_ms: Where the part ends that would be known without the follow.
        """
        if segment.fetched_ms < self.trusted_ms:
            return until_ms
        for each in self.known:
            if each.start_ms <= until_ms < each.end_ms:
                return min(segment.end_ms, each.end_ms)
        return until_ms

    def is_healthy(self, now_ms: int) -> bool:
        """Return whether the last round is so young that charts leave the rest to the next one."""
        return is_healthy(self.until_ms, self.every_ms, now_ms)

    def without_rounds(self, gaps: Sequence[Range], now_ms: int) -> list[Range]:
        """Return gaps without what the next round will fill."""
        if self.until_ms is None or not self.is_healthy(now_ms):
            return list(gaps)
        return [
            Range(gap.start_ms, min(gap.end_ms, self.until_ms))
            for gap in gaps
            if gap.start_ms < self.until_ms
        ]

    def holds(self, needed: Range | None, now_ms: int) -> bool:
        """
        Return whether rounds have read, or will, all that has happened of a range.

        Args:
            needed: What has happened of it; None for nothing.
            now_ms: The present.
        """
        if needed is None:
            return False
        end_ms = needed.end_ms
        if self.until_ms is not None and self.is_healthy(now_ms):
            end_ms = min(end_ms, self.until_ms)
        return any(
            each.start_ms <= needed.start_ms and end_ms <= each.end_ms for each in self.known
        )


def is_healthy(until_ms: int | None, every_ms: int, now_ms: int) -> bool:
    """Return whether a last round that ended then is so young that the next one is awaited."""
    return until_ms is not None and now_ms - until_ms <= HEALTHY_ROUNDS * every_ms
