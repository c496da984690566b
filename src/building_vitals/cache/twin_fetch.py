"""
Direct fetches: everything, whatever is known, and nothing is stored.

Separate from the filler, which has gaps fetched: here no index is asked and no lease taken. Those
who ask for the same at the same time share one fetch all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from building_vitals.cache.coverage import Cover, whole_covers
from building_vitals.cache.failures import shared_failure
from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.fetcher import GapFetcher
from building_vitals.cache.keeping import Keeper
from building_vitals.cache.need import Filling, Need, Resolution
from building_vitals.cache.toll import Toll
from building_vitals.cache.twins import BEAT_MS, TwinFetch, Twins
from building_vitals.errors import AppError, UpstreamBusy
from building_vitals.ports import Invocation
from building_vitals.upstream.port import Upstream
from building_vitals.upstream.profile import Source


class TwinFetcher:
    """
    Carries out direct fetches, or waits for one of the same that is under way in the isolate.

    *source* and *resolution* are the filler's.
    """

    def __init__(
        self,
        *,
        twins: Twins,
        upstream: Upstream,
        toll: Toll,
        fetcher: GapFetcher,
        keeper: Keeper,
        source: Callable[[Need], Source | None],
        resolution: Callable[[Need, Sequence[Cover]], Resolution | None],
        invocation: Invocation,
    ) -> None:
        self._twins = twins
        self._upstream = upstream
        self._toll = toll
        self._fetcher = fetcher
        self._keeper = keeper
        self._source = source
        self._resolution = resolution
        self._clock = invocation.clock
        self._run_later = invocation.run_later

    async def fetch(self, need: Need) -> Filling:
        """
        Return the need's filling.

        Raises:
            AppError: the data can't be had.
        """
        while True:
            twin = self._twins.of(need, self._clock.now_ms())
            if twin is None:
                return await self._lead(need)
            filling = await self._follow(need, twin)
            if filling is not None:
                return filling

    async def _lead(self, need: Need) -> Filling:
        """
        Fetch, for those too who come meanwhile.

        The fetch outlives its client as long as the platform allows, if somebody waits for it.
        """
        twin = self._twins.begin(need, self._clock.now_ms())
        task = asyncio.ensure_future(self._carry_out(twin))
        self._run_later(_outlive(task))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not twin.waiting:
                task.cancel()
            raise

    async def _carry_out(self, twin: TwinFetch) -> Filling:
        begun_ms = self._clock.now_ms()
        beats = asyncio.ensure_future(self._beat(twin))
        try:
            filling = twin.filling = await self._fetch_all(twin.need)
        except AppError as error:
            now_ms = self._clock.now_ms()
            twin.failure = shared_failure(error, now_ms=now_ms, begun_ms=begun_ms)
            raise
        finally:
            beats.cancel()
            self._twins.end(twin)
        return filling

    async def _beat(self, twin: TwinFetch) -> None:
        while True:
            await self._clock.sleep(BEAT_MS)
            twin.seen_ms = self._clock.now_ms()

    async def _follow(self, need: Need, twin: TwinFetch) -> Filling | None:
        """
        Wait for a fetch; return what it got, or None where that is of no use.

        Raises:
            UpstreamError: it failed, as a fetch for this need would; or it has taken too long.
        """
        twin.waiting += 1
        try:
            while twin.is_alive(now_ms := self._clock.now_ms()):
                if now_ms >= need.deadline_ms:
                    busy = "another request is fetching the same data and has not finished in time"
                    raise UpstreamBusy(busy, retryable=True)
                await self._clock.sleep(min(twin.pause_ms, need.deadline_ms - now_ms))
        finally:
            twin.waiting -= 1
        if twin.failure is not None and twin.failure.concerns(need, self._clock.now_ms()):
            raise twin.failure.error()
        return twin.heritage_of(need)

    async def _fetch_all(self, need: Need) -> Filling:
        """Fetch all of a need that has happened."""
        now_ms = self._clock.now_ms()
        await self._upstream.costs(need.site)
        # As with the cache, so that every route answers the same.
        parts = [] if need.happened is None else [need.happened]
        await self._toll.pay(need, dict.fromkeys(need.points, parts))
        fetches = [UpstreamQuery(need.points, each) for each in parts]
        fetched = await self._fetcher.fetch(need, fetches, now_ms, source=self._source(need))
        if fetched.failure is not None:
            raise fetched.failure
        made = self._keeper.object_of(need.site, fetched.point_series, now_ms)
        unknown = self._upstream.unknown_points(need.site, need.points, need.now_ms)
        covered = whole_covers(need.points, made.segments if made else [], unknown)
        return Filling(
            covered,
            fresh={made.key: made.data} if made and made.key else {},
            made=frozenset([made.key] if made else []),
            fetched=fetched.fetched,
            samples_fetched=fetched.samples,
            upstream_requests=fetched.requests,
            unreadable=fetched.unreadable,
            had_known=False,
            resolution=self._resolution(need, covered),
        )


async def _outlive(task: asyncio.Task[Filling]) -> None:
    """Wait for a task, so that the runtime lets it live; its failure is told elsewhere."""
    with suppress(Exception, asyncio.CancelledError):
        await task
