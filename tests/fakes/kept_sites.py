"""What follows store, in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from building_vitals.ports import Clock
from building_vitals.ranges import Range, merge
from building_vitals.series.folding import PointSeries
from building_vitals.series.splicing import inflate
from fakes.failures import Failures


class Kept(NamedTuple):
    """What was stored at once."""

    site: str
    known: Range
    series: tuple[PointSeries, ...]
    fetched_ms: int
    at_ms: int


class KeptSites:
    """
    A SiteKeeper.

    Attributes:
        failures: Makes `keep` and `forget` fail.
        blocks: All that was stored, in order.
    """

    def __init__(self, clock: Clock) -> None:
        self.failures = Failures("R2")
        self.blocks: list[Kept] = []
        self._clock = clock

    async def keep(
        self, site: str, known: Range, series: Sequence[PointSeries], *, fetched_ms: int
    ) -> None:
        """Store; of the future nothing can be known, and each series lies in the range."""
        async with self.failures.call("keep"):
            assert known.start_ms < known.end_ms <= self._clock.now_ms()
            assert all(each.known == known and not each.is_by_point for each in series)
            kept = Kept(site, known, tuple(series), fetched_ms, self._clock.now_ms())
            self.blocks.append(kept)

    async def kept(self, site: str) -> list[tuple[Range, int]]:
        """Return what is known of a site, and when it was fetched."""
        async with self.failures.call("kept"):
            return [(each.known, each.fetched_ms) for each in self.blocks if each.site == site]

    async def forget(self, site: str) -> int:
        """Forget all of a site."""
        async with self.failures.call("forget"):
            before = len(self.blocks)
            self.blocks = [each for each in self.blocks if each.site != site]
            return before - len(self.blocks)

    @property
    def known(self) -> list[Range]:
        """All that is known."""
        return merge(each.known for each in self.blocks)

    def samples(self, point: str) -> dict[int, Any]:
        """Return the samples of a point: of each instant what the block stored last says."""
        found: dict[int, Any] = {}
        for block in self.blocks:
            start_ms, end_ms = block.known
            found = {at: value for at, value in found.items() if not start_ms <= at < end_ms}
            for each in block.series:
                if each.point == point and each.series.count:
                    frames = each.series.frames
                    text = inflate(each.series.data, frames[-1].raw_end).decode()
                    found.update(json.loads(f"[{text}]"))
        return dict(sorted(found.items()))
