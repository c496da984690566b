"""
Reads all points of a site over a range, and has stored what comes as it comes.

Time goes forward in what the upstream sends: what was stored before an end, whatever the end, need
not be asked for again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import msgspec

from building_vitals.cache.freshness import closings
from building_vitals.errors import AppError, UpstreamError
from building_vitals.instants import elapsed_ms
from building_vitals.ports import Clock
from building_vitals.ranges import Range
from building_vitals.series.columns import Sample
from building_vitals.series.folding import Folder, PointSeries, SampleTooOld
from building_vitals.upstream.port import FetchCount, GoesOn, Upstream

# What came is stored as soon as it is so many samples: as many as a chunk of a job holds. Or so
# old: storing takes an object, and who dies loses what was not stored.
HELD_SAMPLES_MAX = 250_000
HELD_MS_MAX = 120_000


class SiteKeeper(Protocol):
    """Stores what is known of all points of a site at once."""

    async def keep(
        self, site: str, known: Range, series: Sequence[PointSeries], *, fetched_ms: int
    ) -> object:
        """
        Store all that the site had in a range, and make it known.

        Points that *series* does not name had nothing there.

        Raises:
            AppError: it can't be stored.
        """
        ...

    async def kept(self, site: str) -> Sequence[tuple[Range, int]]:
        """
        Return of which ranges of a site all is kept, and when each was fetched.

        Raises:
            AppError: that can't be told now.
        """
        ...

    async def forget(self, site: str) -> int:
        """
        Let go of all that was kept of a site; return how many objects that were.

        Raises:
            AppError: that can't be done now.
        """
        ...


class SiteReading(msgspec.Struct):
    """
    What has come of a reading so far.

    Attributes:
        until_ms: Up to when all has come and is stored.
        pages: Requests that it took, those of a failure included.
        samples: Those stored.
        unreadable: Samples that were left out, because they cannot be read.
        newest_ms: The newest sample stored.
        failure: What ended it before its time.
    """

    until_ms: int
    pages: int = 0
    samples: int = 0
    unreadable: int = 0
    newest_ms: int | None = None
    failure: AppError | None = None


# Told when something has been stored and more is to come; may raise an AppError, which ends the
# reading.
OnKept = Callable[[SiteReading], Awaitable[None]]


class SitePages:
    """Reads sites by their pages, whatever points turn up in them."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        keeper: SiteKeeper,
        clock: Clock,
        held_samples_max: int = HELD_SAMPLES_MAX,
    ) -> None:
        self._upstream = upstream
        self._keeper = keeper
        self._clock = clock
        self._held_samples_max = held_samples_max

    async def read(
        self,
        site: str,
        time_range: Range,
        *,
        deadline_ms: int,
        goes_on: GoesOn,
        on_kept: OnKept,
    ) -> SiteReading:
        """
        Read a range, as long as *goes_on* says so; whatever ends it, what is complete is stored.

        It does not end before something is complete: the next reading is to begin further on.

        Raises:
            AppError: what came can't be stored, or *on_kept* has raised it. What ends the fetch
                itself is told, not raised.
        """
        run = _Run(self._keeper, site, time_range, self._clock, on_kept)
        counted: FetchCount | None = None

        async def on_page(count: FetchCount) -> None:
            nonlocal counted
            counted = count
            run.outcome.pages = count.requests
            held_ms = elapsed_ms(run.stored_ms, self._clock.now_ms())
            if run.folder.held >= self._held_samples_max or held_ms >= HELD_MS_MAX:
                await run.keep()

        try:
            counted = await self._upstream.fetch_site(
                site,
                time_range,
                run,
                deadline_ms=deadline_ms,
                goes_on=lambda: run.complete_ms <= time_range.start_ms or goes_on(),
                on_page=on_page,
            )
        except AppError as error:
            if run.is_broken:
                raise
            run.outcome.failure = error
            run.outcome.pages = max(run.outcome.pages, error.upstream_requests)
        else:
            run.outcome.pages = counted.requests
        await run.keep(is_last=True)
        run.outcome.unreadable = run.folder.unreadable
        return run.outcome


class _Run:
    """
    The sink of one reading, and what has come of it.

    Attributes:
        outcome: What is stored.
        folder: What is not.
        complete_ms: Up to when all has come.
        stored_ms: When something was last stored.
        is_broken: Whether storing has failed.
    """

    def __init__(
        self, keeper: SiteKeeper, site: str, time_range: Range, clock: Clock, on_kept: OnKept
    ) -> None:
        self.outcome = SiteReading(time_range.start_ms)
        self.complete_ms = time_range.start_ms
        self.stored_ms = self._begun_ms = clock.now_ms()
        self.folder = Folder((), time_range, closings(time_range, self._begun_ms))
        self.is_broken = False
        self._keeper = keeper
        self._site = site
        self._end_ms = time_range.end_ms
        self._clock = clock
        self._on_kept = on_kept

    def add_page(self, samples: Sequence[Sample]) -> None:
        """
        Take one page.

        Raises:
            UpstreamError: a sample of it is of a time that the upstream had passed.
        """
        try:
            self.folder.add_site_page(samples)
        except SampleTooOld as error:
            raise UpstreamError(
                f"upstream sent a sample of a time it had passed: {error}",
                upstream_status=200,
                retryable=True,
            ) from error

    def advance(self, _: Collection[str] | None, until_ms: int) -> None:
        """Note that every sample before an instant has come: pages hold all points alike."""
        self.complete_ms = max(self.complete_ms, min(until_ms, self._end_ms))
        self.folder.advance(None, until_ms)

    async def keep(self, *, is_last: bool = False) -> None:
        """Store what is complete, if there is any; who waits for the last is told by the end."""
        known, outcome = Range(self.outcome.until_ms, self.complete_ms), self.outcome
        if not known.duration_ms:
            return
        series = [each for each in self.folder.take_known() if each.series.count]
        self.is_broken = True
        await self._keeper.keep(self._site, known, series, fetched_ms=self._begun_ms)
        outcome.until_ms = known.end_ms
        outcome.samples += sum(each.series.count for each in series)
        newest = (each.series.frames[-1].last_ms for each in series)
        outcome.newest_ms = max(newest, default=outcome.newest_ms)
        self.stored_ms = self._clock.now_ms()
        if not is_last:
            await self._on_kept(outcome)
        self.is_broken = False
