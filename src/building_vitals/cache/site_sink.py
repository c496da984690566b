"""
The sink of the pages of whole sites, of which everything is kept, and what keeps it.

Imported late: only jobs over most of a site need it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Protocol

from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.fetcher import FetchOutcome, FolderSink
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range, merge
from building_vitals.series.folding import Folder, PointSeries
from building_vitals.series.frames import Series, SeriesBuilder


class SiteKeeping(Protocol):
    """Stores what is known of all points of a site at once."""

    async def __call__(
        self,
        site: str,
        known: Range,
        series: Sequence[PointSeries],
        *,
        fetched_ms: int,
        is_once: bool,
        points: Sequence[str],
    ) -> Sequence[Segment]:
        """
        Store all that a site has in a range, and return what is known by it of some points.

        Points that *series* does not name have nothing there.

        Raises:
            AppError: it can't be stored.
        """
        ...


class SiteSink(FolderSink):
    """
    The sink of the pages of a whole site.

    Attributes:
        framed_samples: What is held in frames, to be stored.
        is_broken: Whether something was taken and could not be stored: what comes after it would
            leave a hole that passes for known.
    """

    def __init__(self, folder: Folder, site: str, fetch: UpstreamQuery, keep: SiteKeeping) -> None:
        super().__init__(folder)
        self.is_broken = False
        self._keep = keep
        self._site = site
        # What has been taken of each point and is not stored, by time.
        self._framed: dict[str, list[Series]] = {}
        self.framed_samples = 0
        self._points = fetch.points
        self._taken_ms = self._complete_ms = fetch.time_range.start_ms
        self._end_ms = fetch.time_range.end_ms
        self._add = partial(folder.add_site_page, is_asked=False)
        self.advance = self._advance

    def _advance(self, _: Collection[str] | None, until_ms: int) -> None:
        """Note that every sample before an instant has come: pages hold all points alike."""
        self._complete_ms = max(self._complete_ms, min(until_ms, self._end_ms))
        self._folder.advance(None, until_ms)

    def hold(self, *, is_last: bool = False) -> None:
        """Put what is complete into frames: as text, samples take ten times as much memory."""
        for each in self._folder.finish() if is_last else self._folder.take_known():
            if each.series.count:
                self._framed.setdefault(each.point, []).append(each.series)
                self.framed_samples += each.series.count

    async def store(self, outcome: FetchOutcome, *, is_last: bool = False) -> None:
        """
        Store what became complete since the last time, if anything did.

        Args:
            outcome: Of the fetch: it takes up what is known of the points asked for.
            is_last: Whether the rest is forgotten.

        Raises:
            AppError: it can't be stored; nothing more of the fetch will be, then.
        """
        known = Range(self._taken_ms, self._complete_ms)
        self.hold(is_last=is_last)
        if self.is_broken or not known.duration_ms:
            return
        self.is_broken = True
        framed, self._framed, self.framed_samples = self._framed, {}, 0
        segments = await self._keep(
            self._site,
            known,
            # What is joined is not held twice.
            [PointSeries(point, known, _joined(framed.pop(point))) for point in list(framed)],
            fetched_ms=outcome.fetched_ms,
            is_once=True,
            points=self._points,
        )
        self.is_broken = False
        self._taken_ms = known.end_ms
        outcome.segments += segments
        outcome.samples += sum(each.count for each in segments)
        outcome.fetched = merge([*outcome.fetched, known])


def _joined(parts: Sequence[Series]) -> Series:
    """Return series that follow each other as one."""
    if len(parts) == 1:
        return parts[0]
    builder = SeriesBuilder()
    for series in parts:
        for frame in series.frames:
            builder.add_frame(frame, series.data[frame.offset : frame.offset + frame.stored_bytes])
    return builder.build()
