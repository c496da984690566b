"""
What is stored at once: the series of some points behind each other, as an object or as slivers.

Separate because it is decided here which of the two, before anything is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from building_vitals.cache.index_table import ObjectRow
from building_vitals.cache.object_keys import is_row_key, row_key, segment_object_key
from building_vitals.cache.segments import Segment, segment_of
from building_vitals.cache.slivers import fit_rows
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries

if TYPE_CHECKING:
    from building_vitals.series.levels import Levels


class SegmentObject(msgspec.Struct, frozen=True):
    """
    An object not stored yet, and the segments that lie in it; or slivers that are stored at once.

    Attributes:
        key: Its name; empty when no segment has samples and so no object is needed.
        data: All series, point by point.
        segments: One for each point and range.
        levels: Of each, where they are known already; empty where none are.
    """

    site: str
    key: str
    data: bytes
    segments: list[Segment]
    levels: Sequence[Levels | None] = ()

    @property
    def known(self) -> Range:
        """From the first segment's start to the last one's end."""
        return Range(
            min(each.start_ms for each in self.segments), max(each.end_ms for each in self.segments)
        )

    @property
    def is_object(self) -> bool:
        """Whether there is to be an object."""
        return bool(self.key) and not is_row_key(self.key)

    def row(self) -> ObjectRow:
        """Return what the index keeps of the object."""
        filled = [each for each in self.segments if each.count]
        return ObjectRow(
            key=self.key,
            range=self.known,
            points=len({each.point for each in filled}),
            samples=sum(each.count for each in filled),
            text_bytes=sum(each.text_bytes for each in filled),
            stored_bytes=len(self.data),
        )


def segment_object(
    site: str,
    point_series: Sequence[PointSeries],
    *,
    fetched_ms: int | Sequence[int],
    nonce: str,
    sliver_bytes: int = 0,
) -> SegmentObject:
    """
    Lay the series of *point_series* one behind the other, point by point.

    They were fetched at one instant, or each at its own. Where none has more than *sliver_bytes*,
    they may all be slivers (`slivers`).
    """
    instants = fetched_ms if not isinstance(fetched_ms, int) else [fetched_ms] * len(point_series)
    known = Range(
        min(fold.known.start_ms for fold in point_series),
        max(fold.known.end_ms for fold in point_series),
    )
    rank = {point: n for n, point in enumerate(dict.fromkeys(fold.point for fold in point_series))}
    in_rows = fit_rows([len(fold.series.data) for fold in point_series], sliver_bytes)
    key = (
        row_key(site, nonce)
        if in_rows
        else segment_object_key(site, rank, known, fetched_ms=max(instants), nonce=nonce)
    )
    segments: list[Segment] = []
    levels: list[Levels | None] = []
    parts: list[bytes] = []
    offset = 0
    pairs = zip(point_series, instants, strict=True)
    for fold, instant_ms in sorted(pairs, key=lambda pair: rank[pair[0].point]):
        segment = segment_of(
            fold.point,
            fold.known,
            fold.series,
            fetched_ms=instant_ms,
            key=key,
            offset=offset,
            is_by_point=fold.is_by_point,
        )
        if segment.is_sliver:
            segment = msgspec.structs.replace(segment, data=fold.series.data)
        segments.append(segment)
        levels.append(fold.levels)
        parts.append(fold.series.data)
        offset += len(fold.series.data)
    return SegmentObject(site, key if offset else "", b"".join(parts), segments, levels)
