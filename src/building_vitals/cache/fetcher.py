"""Carries out a plan of fetches: all of them, or as many as succeed, and says what came."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.need import Need
from building_vitals.errors import AppError
from building_vitals.series.folding import Folder, PointSeries
from building_vitals.upstream.port import OnPage, Upstream

# Fetches of one plan under way at once.
FETCHES_MAX = 4


class FetchOutcome(msgspec.Struct):
    """
    What has come of a plan.

    Attributes:
        fetched_ms: When it was begun.
        point_series: What is known by it, of the fetches that succeeded.
        requests: Requests they took.
        unreadable: Samples that were left out, because they cannot be read.
        failure: The first failure, if any.
    """

    fetched_ms: int
    point_series: list[PointSeries] = []
    requests: int = 0
    unreadable: int = 0
    failure: AppError | None = None

    @property
    def samples(self) -> int:
        """Samples in all folds."""
        return sum(fold.series.count for fold in self.point_series)


class GapFetcher:
    """Fetches from the upstream."""

    def __init__(self, upstream: Upstream, freshness: Freshness) -> None:
        self._upstream = upstream
        self._freshness = freshness

    async def fetch(
        self,
        need: Need,
        fetches: Sequence[UpstreamQuery],
        now_ms: int,
        on_page: OnPage | None = None,
    ) -> FetchOutcome:
        """Run every fetch, some side by side; after a failure no other is begun."""
        fetched = FetchOutcome(now_ms)
        gate = asyncio.Semaphore(FETCHES_MAX)

        async def one(fetch: UpstreamQuery) -> None:
            async with gate:
                if fetched.failure is None:
                    await self._one(need, fetch, fetched, on_page)

        await asyncio.gather(*map(one, fetches))
        return fetched

    async def _one(
        self, need: Need, fetch: UpstreamQuery, fetched: FetchOutcome, on_page: OnPage | None
    ) -> None:
        settled_ms = self._freshness.settled_until_ms(fetched.fetched_ms)
        folder = Folder(fetch.points, fetch.time_range, settled_ms)
        try:
            cost = await self._upstream.fetch_samples(
                need.site,
                fetch.points,
                fetch.time_range,
                folder,
                deadline_ms=need.deadline_ms,
                on_page=on_page,
            )
        except AppError as error:
            fetched.failure = fetched.failure or error
            return
        fetched.requests += cost.requests
        fetched.point_series += folder.finish()
        fetched.unreadable += folder.unreadable
