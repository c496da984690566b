"""
What the index says of blocks: where each lies, and which purges concern what is asked for.

Separate from the room `blocks`, which reads them, because the index finds them with its segments.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from building_vitals.ranges import Range


class BlockRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A block as the index knows it.

    Attributes:
        key, object_etag: Its object.
        start_ms, end_ms: From the first instant that is known to the last one.
        fetched_ms: When the latest fetch began that it is known from.
        directory_offset: Where its directory begins in the object, bytes.
        foot_offset, foot_bytes, foot_crc: The place of the foot, with which the directory ends, and
            the CRC-32.
        is_once: Whether some of it was fetched for a request; else by a follow, whose rounds read
            again what may change.
    """

    key: str
    object_etag: str
    start_ms: int
    end_ms: int
    fetched_ms: int
    directory_offset: int
    foot_offset: int
    foot_bytes: int
    foot_crc: int
    is_once: bool = False

    @property
    def range(self) -> Range:
        """From the first instant that is known to the last one."""
        return Range(self.start_ms, self.end_ms)


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A purge: of what was fetched at *purged_ms* or before, this range is no longer known.

    *point* is empty where it concerns all of the site.
    """

    point: str
    start_ms: int
    end_ms: int
    purged_ms: int

    @property
    def range(self) -> Range:
        """What was purged."""
        return Range(self.start_ms, self.end_ms)


class FoundBlocks(msgspec.Struct, frozen=True):
    """The blocks of a site over a range, and the purges that concern some points there."""

    blocks: list[BlockRow]
    marks: list[Mark]


def cut_out(marks: Sequence[Mark], point: str, fetched_ms: int) -> list[Range]:
    """Return what is cut out of a point's series that was fetched at an instant; by time."""
    return sorted(
        each.range for each in marks if each.purged_ms >= fetched_ms and each.point in ("", point)
    )
