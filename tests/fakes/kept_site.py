"""A place where whole sites are stored, which may refuse."""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.cache.segments import Segment, segment_of
from building_vitals.errors import Unavailable
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from fakes.virtual_time import EPOCH_MS


class KeptSite:
    """
    A place where whole sites are stored.

    Attributes:
        kept: What was stored: its range, and the samples of each point.
        series: All of it.
        refused: How many more are refused, after so many that are taken.
    """

    def __init__(self, taken: int = 99, refused: int = 0) -> None:
        self.kept: list[tuple[Range, dict[str, int]]] = []
        self.series: list[PointSeries] = []
        self._taken = taken
        self.refused = refused

    async def __call__(
        self,
        site: str,
        known: Range,
        series: Sequence[PointSeries],
        *,
        fetched_ms: int,
        is_once: bool,
        points: Sequence[str],
    ) -> list[Segment]:
        """
        Store, or refuse.

        Raises:
            Unavailable: it is to be refused.
        """
        assert (site, fetched_ms, is_once) == ("site", EPOCH_MS, True)
        if len(self.kept) == self._taken and self.refused:
            self.refused -= 1
            raise Unavailable("no bucket")
        self.series += series
        self.kept.append((known, {each.point: each.series.count for each in series}))
        return [
            segment_of(each.point, each.known, each.series, fetched_ms=1, key="k", offset=0)
            for each in series
            if each.point in points
        ]
