"""
Fills a request's gaps: finds segments, fetches the gaps and stores them, once for everybody.

Separate because the cached route and the chunks of jobs both stand on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from building_vitals.cache.coverage import Cover, covers, gaps_of
from building_vitals.cache.estimates import estimated_samples
from building_vitals.cache.fetch_plan import UpstreamQuery, plan_fetches
from building_vitals.cache.fetcher import FetchOutcome, GapFetcher, OnProgress
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.keeping import Keeper
from building_vitals.cache.leases_table import Lease, Leases
from building_vitals.cache.need import Filling, Need, Progress, Resolution
from building_vitals.cache.segments import Segment
from building_vitals.cache.store import SegmentStore
from building_vitals.cache.toll import Charge, Toll, require_size
from building_vitals.cache.waiting import Waiting
from building_vitals.errors import AppError, UpstreamBusy, UpstreamSiteUnknown
from building_vitals.ports import Database, Invocation
from building_vitals.ranges import Range, merge
from building_vitals.series.folding import PointSeries
from building_vitals.upstream.port import Upstream
from building_vitals.upstream.profile import Source

# How long to wait before looking again whether somebody else's fetch has come in.
WAIT_MIN_MS = 25
WAIT_MAX_MS = 400
# Estimated samples that are fetched along for those who wait.
FETCHED_ALONG_MAX = 200_000


class SegmentFiller:
    """
    Fetches gaps and nothing else, and lets one fetch serve all who wait for it.

    *lease_ms* is how long a lease lives unless renewed, and *waiting* is shared by all fillers of
    the isolate. With *stores_early*, what came is stored while the fetch goes on, a part at a time:
    for work that nobody waits for, and that may end at any moment. *charge* is told the cost of
    each fetch before it begins, and may refuse it.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        store: SegmentStore,
        database: Database,
        freshness: Freshness,
        lease_ms: int,
        waiting: Waiting,
        invocation: Invocation,
        stores_early: bool = False,
        charge: Charge | None = None,
    ) -> None:
        self._upstream = upstream
        self._fetcher = GapFetcher(upstream, freshness, invocation.clock)
        self._keeper = Keeper(store, database, invocation)
        self._database = database
        self._index = SegmentIndex(database)
        self._leases = Leases(database)
        self._clock = invocation.clock
        self._freshness = freshness
        self._lease_ms = lease_ms
        self._new_id = invocation.new_id
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault
        self._waiting = waiting
        self._stores_early = stores_early
        self._toll = Toll(upstream, charge)

    async def look_up(self, need: Need) -> list[Segment]:
        """Return the segments there are, fresh or expired."""
        segments, _ = await asyncio.gather(
            self._index.find(need.site, need.points, need.time_range),
            # `cover` goes by what is known of the site, without asking.
            self._upstream.costs(need.site),
        )
        return segments

    def cover(
        self,
        need: Need,
        segments: Sequence[Segment],
        *,
        grace: bool = False,
        is_result: bool = False,
    ) -> list[Cover]:
        """
        Return what the segments cover of the need.

        Args:
            need: The need.
            segments: Those that `look_up` found.
            grace: Whether expired segments fill gaps.
            is_result: Whether the gaps will not be filled, so that it does not matter from where.
        """
        source = self._source(need)
        return covers(
            need.points,
            segments,
            need.happened,
            freshness=self._freshness,
            now_ms=need.now_ms,
            grace=grace,
            unknown=self._unknown(need),
            source="either" if is_result and source is not None else source,
        )

    def resolution(self, need: Need, covered: Sequence[Cover]) -> Resolution | None:
        """Return which samples a cover has; None where the upstream's calls give all the same."""
        if self._source(need) is None:
            return None
        has_buckets = any(segment.is_by_point for each in covered for segment, _ in each.known)
        return "5min" if has_buckets else "raw"

    async def check_points(self, need: Need, covered: Sequence[Cover]) -> bool:
        """
        Find out whether gaps are those of points that the site does not have.

        Returns:
            Whether it is worth looking at the cover again.
        """
        bare = [each.point for each in covered if each.gaps and not each.known]
        if not bare or len(bare) < sum(bool(each.gaps) for each in covered):
            return False
        try:
            await self._upstream.check_points(need.site, bare)
        except AppError as error:
            self._on_fault("points", error)
            return False
        return True

    def _source(self, need: Need) -> Source | None:
        return self._upstream.source(need.site, len(need.points), need.time_range.duration_ms)

    def _unknown(self, need: Need) -> frozenset[str]:
        return self._upstream.unknown_points(need.site, need.points, need.now_ms)

    def expires_ms(self, covered: Sequence[Cover]) -> int:
        """Return when the first segment of a cover stops being known."""
        known = (segment for each in covered for segment, _ in each.known)
        return min(map(self._freshness.expires_ms, known), default=0)

    async def fill(
        self, need: Need, segments: Sequence[Segment], on_progress: OnProgress | None = None
    ) -> Filling:
        """
        Return the need covered without gaps, from the segments that `look_up` found on.

        Args:
            need: The need.
            segments: Those that `look_up` found.
            on_progress: Awaited after each page that is fetched for it.

        Raises:
            TooLarge: the gaps are larger than what may be fetched for the need.
            RateLimited: the caller may not have so much fetched now.
            UpstreamError: the gaps can't be filled, and nothing kept can stand in for them; what
                came is stored all the same.
            Unavailable: the database can't be reached.
        """
        wait_ms, waiter = WAIT_MIN_MS, self._new_id()
        try:
            while True:
                covered = self.cover(need, segments)
                missing = gaps_of(covered)
                if not missing:
                    return Filling(covered, resolution=self.resolution(need, covered))
                require_size(need, missing)
                lease = self._lease(need, missing)
                taken, segments = await self._try(need, lease)
                missing = gaps_of(self.cover(need, segments))
                if taken and missing:
                    self._waiting.remove(waiter)
                    try:
                        await self._toll.pay(need, missing)
                    except AppError:
                        self._run_later(self._keeper.release(lease))
                        raise
                    return await self._fetch(need, lease, segments, missing, on_progress)
                if taken:
                    self._run_later(self._keeper.release(lease))
                elif missing:
                    if self._clock.now_ms() + wait_ms >= (need.wait_until_ms or need.deadline_ms):
                        raise UpstreamBusy(
                            "another request is fetching the same data and has not finished in "
                            "time",
                            retryable=True,
                        )
                    self._waiting.add(waiter, need)
                    await self._clock.sleep(wait_ms)
                    wait_ms = min(2 * wait_ms, WAIT_MAX_MS)
        finally:
            self._waiting.remove(waiter)

    def _lease(self, need: Need, missing: dict[str, list[Range]]) -> Lease:
        return Lease(
            lease_id=self._new_id(),
            site=need.site,
            points=tuple(missing),
            time_range=Range(
                min(ranges[0].start_ms for ranges in missing.values()),
                max(ranges[-1].end_ms for ranges in missing.values()),
            ),
            expires_ms=self._clock.now_ms() + self._lease_ms,
        )

    async def _try(self, need: Need, lease: Lease) -> tuple[bool, list[Segment]]:
        """
        Try to take the lease, and look up again: both in one round trip, and in this order.

        The holder before has stored what it fetched before it let go of the lease.
        """
        outcomes = await self._database.batch(
            [
                self._leases.take_statement(lease, now_ms=self._clock.now_ms()),
                self._index.find_statement(need.site, need.points, need.time_range),
            ]
        )
        return outcomes[0].changes > 0, self._index.found(outcomes[1].rows)

    async def _fetch(
        self,
        need: Need,
        lease: Lease,
        segments: list[Segment],
        missing: dict[str, list[Range]],
        on_progress: OnProgress | None,
    ) -> Filling:
        """Fetch the gaps under the lease, and have stored what came, also if not all came."""
        fetched_ms = self._clock.now_ms()
        had_known = any(each.known for each in self.cover(need, segments))
        segments = list(segments)
        known_share = 1 - need.missing_share(missing)
        heartbeat = asyncio.ensure_future(self._renew(lease))

        async def report(progress: Progress) -> None:
            if on_progress is not None:
                await on_progress(progress.beside(known_share))

        async def store(point_series: list[PointSeries]) -> None:
            made = self._keeper.object_of(need.site, point_series, fetched_ms)
            if made is not None:
                segments.extend((await self._keeper.store(made)).segments)

        try:
            missing = await self._missing_along(lease, missing)
            fetches = plan_fetches(missing, await self._upstream.costs(need.site))
            fetched = await self._fetcher.fetch(
                need,
                fetches,
                fetched_ms,
                source=self._source(need),
                on_progress=report,
                store=store if self._stores_early else None,
            )
        finally:
            heartbeat.cancel()
        made = self._keeper.object_of(need.site, fetched.point_series, fetched_ms)
        self._run_later(self._keeper.end(made, lease))
        segments += made.segments if made else []
        covered, is_stale = self._outcome(need, segments, fetched)
        return Filling(
            covered,
            fresh={made.key: made.data} if made and made.key else {},
            fetched=fetched.fetched,
            samples_fetched=fetched.samples,
            upstream_requests=fetched.requests,
            unreadable=fetched.unreadable,
            had_known=had_known,
            is_stale=is_stale,
            resolution=self.resolution(need, covered),
        )

    def _outcome(
        self, need: Need, segments: list[Segment], fetched: FetchOutcome
    ) -> tuple[list[Cover], bool]:
        """Return what covers a need after a fetch, and whether expired segments stand in."""
        covered = self.cover(need, segments)
        if fetched.failure is None or not gaps_of(covered):
            return covered, False
        covered = self.cover(need, segments, grace=True)
        is_final = isinstance(fetched.failure, UpstreamSiteUnknown) or not need.accepts_stale
        if is_final or gaps_of(covered):
            raise fetched.failure
        return covered, True

    async def _missing_along(
        self, lease: Lease, missing: dict[str, list[Range]]
    ) -> dict[str, list[Range]]:
        """Return the gaps together with those of all in this isolate whom the lease blocks."""
        others, budget = [], FETCHED_ALONG_MAX
        for other in self._waiting.behind(lease, self._clock.now_ms()):
            budget -= estimated_samples(len(other.points), other.time_range)
            if budget < 0:
                break
            others.append(other)
        if not others:
            return missing
        now_ms = self._clock.now_ms()
        wider = Lease(
            lease_id=lease.lease_id,
            site=lease.site,
            points=tuple(
                dict.fromkeys((*lease.points, *(name for other in others for name in other.points)))
            ),
            time_range=Range(
                min(lease.time_range.start_ms, *(other.time_range.start_ms for other in others)),
                max(lease.time_range.end_ms, *(other.time_range.end_ms for other in others)),
            ),
            expires_ms=now_ms + self._lease_ms,
        )
        outcomes = await self._database.batch(
            [
                self._leases.widen_statement(wider, now_ms=now_ms),
                self._index.find_statement(wider.site, wider.points, wider.time_range),
            ]
        )
        if not outcomes[0].changes:
            return missing
        segments = self._index.found(outcomes[1].rows)
        together = {point: list(ranges) for point, ranges in missing.items()}
        for other in others:
            for point, ranges in gaps_of(self.cover(other, segments)).items():
                together.setdefault(point, []).extend(ranges)
        return {point: merge(ranges) for point, ranges in together.items()}

    async def fetch_directly(self, need: Need) -> Filling:
        """
        Fetch everything, whatever is known, and store nothing.

        Raises:
            RateLimited: the caller may not have so much fetched now.
            UpstreamError: the data can't be had.
        """
        now_ms = self._clock.now_ms()
        await self._upstream.costs(need.site)
        await self._toll.pay(need, {point: [need.time_range] for point in need.points})
        fetch = UpstreamQuery(need.points, need.time_range)
        fetched = await self._fetcher.fetch(need, [fetch], now_ms, source=self._source(need))
        if fetched.failure is not None:
            raise fetched.failure
        made = self._keeper.object_of(need.site, fetched.point_series, now_ms)
        by_point: dict[str, list[Segment]] = {}
        for each in made.segments if made else []:
            by_point.setdefault(each.point, []).append(each)
        unknown = self._unknown(need)
        covered = [
            Cover(point, [(each, each.range) for each in by_point.get(point, [])], [])
            if point not in unknown
            else Cover(point, [], [], is_unknown=True)
            for point in need.points
        ]
        return Filling(
            covered,
            fresh={made.key: made.data} if made and made.key else {},
            fetched=fetched.fetched,
            samples_fetched=fetched.samples,
            upstream_requests=fetched.requests,
            unreadable=fetched.unreadable,
            had_known=False,
            resolution=self.resolution(need, covered),
        )

    async def _renew(self, lease: Lease) -> None:
        """Keep a lease alive until cancelled."""
        while True:
            await self._clock.sleep(self._lease_ms // 3)
            try:
                await self._leases.renew(lease.lease_id, self._clock.now_ms() + self._lease_ms)
            except AppError as error:
                self._on_fault("renew", error)
