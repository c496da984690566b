"""
The composition: every service of one invocation, made when first used.

It runs in CPython, over the adapters of a `Platform` or over stand-ins for them. What few requests
need (jobs, maintenance, reports) is imported where it is made: compiling it takes a third of what
the platform allows for start-up.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from building_vitals.access.allowance import FetchAllowance
from building_vitals.access.allowances_table import Allowances
from building_vitals.access.key_access import Access, KeyAccess, OpenAccess
from building_vitals.access.keys_table import ApiKeys
from building_vitals.access.limits import RequestLimits
from building_vitals.access.origins import host_name, is_loopback
from building_vitals.answers.recent import RecentAnswers
from building_vitals.answers.service import EnhancedTimeseriesService
from building_vitals.cache.accesses import Accesses
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.refetch import Refetch
from building_vitals.cache.store import SegmentStore
from building_vitals.follow.memory import FollowedSites
from building_vitals.maintenance.overdue import OverdueMaintenance
from building_vitals.maintenance.purge import CacheAdmin
from building_vitals.maintenance.run import Maintenance
from building_vitals.maintenance.state_table import MaintenanceState
from building_vitals.ports import Invocation
from building_vitals.statistics.recorder import AnalyticsService
from building_vitals.statistics.requests_table import RequestAnalytics
from building_vitals.upstream_services import UpstreamServices

if TYPE_CHECKING:
    from building_vitals.blocks.merger import BlockMerger
    from building_vitals.blocks.reading import BlockReader
    from building_vitals.blocks.store import BlockStore
    from building_vitals.cache.compactor import Compactor
    from building_vitals.follow.follows_table import FollowRow
    from building_vitals.follow.runner import FollowRunner
    from building_vitals.follow.service import FollowService
    from building_vitals.jobs.filling import RunLater
    from building_vitals.jobs.results import JobResultService
    from building_vitals.jobs.runner import ChunkRunner
    from building_vitals.jobs.service import ChartQueueService
    from building_vitals.maintenance.health import HealthService
    from building_vitals.statistics.report import StatisticsService


class App(UpstreamServices):
    """The services of one invocation, each made when it is first used."""

    @property
    def recent(self) -> RecentAnswers:
        """The latest answers of the isolate."""
        return self.isolate.recent

    @cached_property
    def access(self) -> Access:
        """Identifies callers, as `AUTH_MODE` says."""
        if self.settings.auth_mode == "open":
            return OpenAccess()
        keys = ApiKeys(self.platform.database)
        return KeyAccess(keys=keys, memory=self.isolate.keys, invocation=self.invocation)

    @cached_property
    def limits(self) -> RequestLimits:
        """Limits the requests per key."""
        return RequestLimits(reads=self.platform.read_limit, jobs=self.platform.job_limit)

    @cached_property
    def allowance(self) -> FetchAllowance:
        """Limits what is fetched for the caller."""
        return FetchAllowance(
            allowances=Allowances(self.platform.database),
            memory=self.isolate.allowances,
            options=self.settings.allowance,
            invocation=self.invocation,
        )

    @cached_property
    def freshness(self) -> Freshness:
        """The rule that says how far segments are known."""
        return self.settings.cache.freshness()

    def freshness_of(self, site: str) -> Freshness:
        """Return the same for a site, by what is known of it without asking."""
        rule = self.freshness.of_site(self.source.lateness_ms(site))
        return msgspec.structs.replace(rule, followed=self.followed.of(site))

    @cached_property
    def followed(self) -> FollowedSites:
        """What is remembered of the followed sites."""
        return FollowedSites(self._all_follows, self.isolate.follows, self.invocation)

    async def _all_follows(self) -> list[FollowRow]:
        from building_vitals.follow.follows_table import SiteFollows

        return await SiteFollows(self.platform.database).all()

    @cached_property
    def index(self) -> SegmentIndex:
        """The index of segments."""
        return SegmentIndex(
            self.platform.database, self.isolate.look_ups, lambda: self.block_reader
        )

    @cached_property
    def block_reader(self) -> BlockReader:
        """Finds the segments that lie in blocks."""
        from building_vitals.blocks.reading import BlockReader

        objects, memory = self.platform.objects, self.isolate.directories
        return BlockReader(objects=objects, memory=memory, lost=self.store.lost)

    @cached_property
    def blocks(self) -> BlockStore:
        """Stores all points of a site at once."""
        from building_vitals.blocks.store import BlockStore

        return BlockStore(
            objects=self.platform.objects,
            database=self.platform.database,
            invocation=self.invocation,
        )

    @cached_property
    def merger(self) -> BlockMerger:
        """Makes few blocks of many."""
        from building_vitals.blocks.merger import BlockMerger

        return BlockMerger(
            objects=self.platform.objects,
            database=self.platform.database,
            lost=self.store.lost,
            invocation=self.invocation,
        )

    @cached_property
    def store(self) -> SegmentStore:
        """The segments' objects."""
        return SegmentStore(
            objects=self.platform.objects,
            database=self.platform.database,
            index=self.index,
            freshness=self.freshness,
            sliver_bytes=self.settings.cache.sliver_bytes,
            invocation=self.invocation,
        )

    @cached_property
    def filler(self) -> SegmentFiller:
        """Fetches gaps."""
        return self._filler(self.invocation, self.settings.cache.lease_seconds * 1000)

    def filler_for(self, run_later: RunLater) -> SegmentFiller:
        """Return a filler for a chunk: should the consumer die, leases end with the claim."""
        from building_vitals.jobs.model import CLAIM_MS

        invocation = msgspec.structs.replace(self.invocation, run_later=run_later)
        lease_ms = min(self.settings.cache.lease_seconds * 1000, CLAIM_MS)
        return self._filler(invocation, lease_ms, is_background=True)

    def _filler(
        self, invocation: Invocation, lease_ms: int, *, is_background: bool = False
    ) -> SegmentFiller:
        return SegmentFiller(
            upstream=self.source,
            store=self.store,
            index=self.index,
            database=self.platform.database,
            freshness_of=self.freshness_of,
            lease_ms=lease_ms,
            waiting=self.isolate.waiting,
            failures=self.isolate.failures,
            twins=self.isolate.twins,
            # Nobody looks at a job's newest minute, and its end is checked against the index.
            refetch=Refetch() if is_background else self._refetch,
            know_follows=self.followed.refresh,
            invocation=invocation,
            is_background=is_background,
            charge=None if self._is_queued else self.allowance.charge,
            keep_site=self.blocks.keep if is_background else None,
        )

    @property
    def _refetch(self) -> Refetch:
        bound_ms = self.settings.cache.min_refetch * 1000
        return Refetch(bound_ms, self.isolate.point_names.intervals_ms, self.followed.of)

    @cached_property
    def compactor(self) -> Compactor:
        """Joins segments that lie in too many objects."""
        from building_vitals.cache.compactor import Compactor

        return Compactor(
            store=self.store,
            database=self.platform.database,
            index=self.index,
            freshness_of=self.freshness_of,
            leveling=self.isolate.leveling,
            resting=self.isolate.resting,
            invocation=self.invocation,
        )

    @cached_property
    def accesses(self) -> Accesses:
        """Notes when objects were last read."""
        return Accesses(
            index=self.index,
            memory=self.isolate.accesses,
            freshness=self.freshness,
            invocation=self.invocation,
        )

    @cached_property
    def timeseries(self) -> EnhancedTimeseriesService:
        """Answers requests for samples."""
        return EnhancedTimeseriesService(
            filler=self.filler,
            store=self.store,
            index=self.index,
            compactor=self.compactor,
            accesses=self.accesses,
            options=self.settings.routing,
            recent=self.recent,
            bypasses=self.isolate.bypasses,
            streams=self.isolate.answer_streams,
            names=self.isolate.point_names,
            known_until=self.followed.known_until,
            invocation=self.invocation,
        )

    @cached_property
    def jobs(self) -> ChartQueueService:
        """Queues large requests."""
        from building_vitals.jobs.jobs_table import Jobs
        from building_vitals.jobs.service import ChartQueueService
        from building_vitals.jobs.submission import JobSubmission

        jobs = Jobs(self.platform.database)
        return ChartQueueService(
            jobs=jobs,
            submission=JobSubmission(
                jobs=jobs,
                upstream=self.source,
                sender=self.platform.queues,
                options=self.settings.jobs,
                invocation=self.invocation,
            ),
            look_ups=self.isolate.look_ups,
            invocation=self.invocation,
        )

    @cached_property
    def results(self) -> JobResultService:
        """The results of large jobs."""
        from building_vitals.jobs.jobs_table import Jobs
        from building_vitals.jobs.results import JobResultService
        from building_vitals.jobs.results_table import JobResults

        return JobResultService(
            results=JobResults(self.platform.database),
            jobs=Jobs(self.platform.database),
            objects=self.platform.objects,
            store=self.store,
            index=self.index,
            freshness_of=self.freshness_of,
            bytes_min=self.settings.jobs.result_bytes_min,
            invocation=self.invocation,
        )

    @cached_property
    def chunk_runner(self) -> ChunkRunner:
        """Runs the chunks of jobs."""
        from building_vitals.jobs.runner import ChunkRunner

        return ChunkRunner(
            database=self.statements,
            objects=self.platform.objects,
            filler_for=self.filler_for,
            store=self.store,
            index=self.index,
            accesses=self.accesses,
            sender=self.platform.queues,
            options=self.settings.jobs,
            on_complete=self.results.materialise,
            invocation=self.invocation,
        )

    @cached_property
    def follow(self) -> FollowService:
        """Follows sites, says how that goes, and ends it."""
        from building_vitals.follow_services import follow_service

        return follow_service(self)

    @cached_property
    def follow_runner(self) -> FollowRunner:
        """Reads followed sites."""
        from building_vitals.follow_services import follow_runner

        return follow_runner(self)

    @cached_property
    def analytics(self) -> AnalyticsService:
        """Records requests, jobs and dead letters."""
        return AnalyticsService(
            requests=RequestAnalytics(self.platform.requests, self.platform.database),
            metrics=self.platform.metrics,
            outbox=self.isolate.outbox,
            sample_rate=self.settings.analytics_sample_rate,
            invocation=self.invocation,
        )

    @cached_property
    def statistics(self) -> StatisticsService:
        """Reads the document of `/api/stats`."""
        from building_vitals.follow.service import followed_sites
        from building_vitals.statistics.figures_table import Statistics
        from building_vitals.statistics.report import StatisticsService

        return StatisticsService(
            statistics=Statistics(self.platform.database, self.platform.requests),
            clock=self.clock,
            upstream_limit=self.settings.upstream_requests_per_minute,
            followed=followed_sites,
        )

    @cached_property
    def health(self) -> HealthService:
        """Checks what the Worker needs."""
        from building_vitals.maintenance.health import HealthService

        upstream = self.settings.upstream
        return HealthService(
            state=MaintenanceState(self.platform.database),
            objects=self.platform.objects,
            missing_queues=self.platform.missing_queues,
            auth_mode=self.settings.auth_mode,
            # An upstream on this machine is a test's, and may ask for none.
            has_token=upstream.token is not None or is_loopback(host_name(upstream.authority)),
            memory=self.isolate.health,
            invocation=self.invocation,
            statistics=self.platform.statistics,
        )

    @cached_property
    def cache_admin(self) -> CacheAdmin:
        """Lists objects and purges segments."""

        return CacheAdmin(
            objects=self.platform.objects,
            index=self.index,
            sites=self.sites,
            invocation=self.invocation,
        )

    @cached_property
    def maintenance(self) -> Maintenance:
        """The periodic work of every room."""
        from building_vitals.maintenance.steps import all_steps

        steps = all_steps(
            database=self.platform.database,
            objects=self.platform.objects,
            queues=self.platform.queues,
            statistics=self.platform.requests,
            index=self.index,
            merger=self.merger,
            freshness=self.freshness,
            results=self.results,
            datasets=self.datasets,
        )
        return Maintenance(steps, MaintenanceState(self.platform.database), self.invocation)

    @cached_property
    def overdue_maintenance(self) -> OverdueMaintenance:
        """Runs maintenance behind an answer, should nobody else."""
        return OverdueMaintenance(
            state=MaintenanceState(self.platform.database),
            last_look=self.isolate.last_look,
            maintenance=lambda: self.maintenance,
            invocation=self.invocation,
        )
