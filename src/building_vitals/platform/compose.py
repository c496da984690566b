"""Puts the services together out of the Worker's bindings, once for each invocation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from building_vitals import isolate
from building_vitals.access.keys_table import ApiKeys
from building_vitals.access.limits import RequestLimits
from building_vitals.answers.routing import RoutingOptions
from building_vitals.answers.service import EnhancedTimeseriesService
from building_vitals.api.context import Access
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.store import SegmentStore
from building_vitals.datasets.cache import R2CacheService
from building_vitals.jobs.chunks_table import JobChunks
from building_vitals.jobs.claim import CLAIM_MS
from building_vitals.jobs.jobs_table import Jobs
from building_vitals.jobs.results import JobResultService
from building_vitals.jobs.results_table import JobResults
from building_vitals.jobs.runner import Background, ChunkRunner
from building_vitals.jobs.service import ChartQueueService
from building_vitals.jobs.upkeep import LostChunks, LostResults
from building_vitals.maintenance.health import HealthService
from building_vitals.maintenance.purge import CacheAdmin
from building_vitals.maintenance.run import Maintenance
from building_vitals.platform.compose_operations import (
    make_access,
    make_analytics,
    make_compactor,
    make_datasets,
    make_directory,
    make_limits,
    make_maintenance,
    make_quota,
    make_results,
    make_statistics,
    new_id,
)
from building_vitals.platform.d1 import D1Database
from building_vitals.platform.http import RuntimeClock, RuntimeHttp
from building_vitals.platform.log import report_crash, report_fault, write_line
from building_vitals.platform.queues import QueueSender
from building_vitals.platform.r2 import R2Objects
from building_vitals.sites.directory import SiteDirectory
from building_vitals.statistics.recorder import AnalyticsService
from building_vitals.statistics.report import StatisticsService
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.own_points import OwnPoints


class Services:
    """Everything a handler may need, each made when first used."""

    def __init__(
        self, env: Any, wait_until: Callable[[Any], None], *, is_queued: bool = False
    ) -> None:
        """
        Args:
            env: The Worker's bindings and vars.
            wait_until: Keeps a coroutine running after the answer.
            is_queued: Whether the work is that of jobs, for which nobody waits.
        """
        self._is_queued = is_queued
        self._env = env
        self.background = wait_until
        self.settings = isolate.settings_of(env)
        self.clock = RuntimeClock()
        self.recent = isolate.RECENT

    @cached_property
    def access(self) -> Access:
        """Who may ask."""
        return make_access(
            keys=self.keys, clock=self.clock, settings=self.settings, background=self.background
        )

    @cached_property
    def keys(self) -> ApiKeys:
        """The API keys."""
        return ApiKeys(self.database)

    @cached_property
    def limits(self) -> RequestLimits:
        """How often one key may ask."""
        return make_limits(self._env)

    @property
    def cors_origins(self) -> str:
        """The var as it is set."""
        return self.settings.cors_origins

    @property
    def routing(self) -> RoutingOptions:
        """Options of the routing."""
        return self.settings.routing

    def log(self, event: str, **fields: Any) -> None:
        """Write one log line."""
        write_line(event, **fields)

    @cached_property
    def analytics(self) -> AnalyticsService:
        """Records requests, jobs and dead letters."""
        return make_analytics(
            find_binding=lambda: getattr(self._env, "ANALYTICS", None),
            database=self.database,
            clock=self.clock,
            settings=self.settings,
            background=self.background,
            report=report_fault,
        )

    @cached_property
    def datasets(self) -> R2CacheService:
        """The cache of whole documents."""
        return make_datasets(objects=self.objects, clock=self.clock, settings=self.settings)

    @cached_property
    def sites(self) -> SiteDirectory:
        """Lists sites and points."""
        return make_directory(
            listings=self.upstream,
            datasets=self.datasets,
            clock=self.clock,
            settings=self.settings,
            background=self.background,
        )

    @cached_property
    def statistics(self) -> StatisticsService:
        """Says how the Worker does."""
        return make_statistics(database=self.database, clock=self.clock, settings=self.settings)

    @cached_property
    def health(self) -> HealthService:
        """Checks the bindings."""
        return HealthService(
            index=self.index,
            objects=self.objects,
            clock=self.clock,
            auth_mode=self.settings.auth_mode,
            keys=self.keys,
            report=report_fault,
        )

    @cached_property
    def cache_admin(self) -> CacheAdmin:
        """Lists and forgets."""
        return CacheAdmin(
            objects=self.objects,
            index=self.index,
            results=JobResults(self.database),
            clock=self.clock,
            background=self.background,
            report=report_fault,
        )

    @cached_property
    def database(self) -> D1Database:
        """The D1 database; without the binding, every use fails as unavailable."""
        return D1Database(self._env, "DB")

    @cached_property
    def objects(self) -> R2Objects:
        """The R2 bucket; without the binding, every use fails as unavailable."""
        return R2Objects(self._env, "TIMESERIES_CACHE")

    @cached_property
    def freshness(self) -> Freshness:
        """How long what was fetched counts as known."""
        return self.settings.cache.freshness()

    @cached_property
    def upstream(self) -> AceClient:
        """The client of the upstream."""
        gate = make_quota(
            database=self.database,
            clock=self.clock,
            settings=self.settings,
            is_queued=self._is_queued,
            background=self.background,
            report=report_fault,
        )
        return AceClient(RuntimeHttp(), self.clock, self.settings.upstream, gate)

    @cached_property
    def index(self) -> SegmentIndex:
        """The index of segments."""
        return SegmentIndex(self.database, isolate.LOOK_UPS)

    @cached_property
    def store(self) -> SegmentStore:
        """The segments' objects."""
        return SegmentStore(self.objects, self.database, self.freshness)

    @cached_property
    def filler(self) -> SegmentFiller:
        """Fetches what is missing."""
        return self._filler(self.background, self.settings.cache.lease_seconds * 1000)

    def filler_for(self, background: Background) -> SegmentFiller:
        """Return a filler for a chunk, whose leases end with its claim should its consumer die."""
        return self._filler(background, min(self.settings.cache.lease_seconds * 1000, CLAIM_MS))

    def _filler(self, background: Background, lease_ms: int) -> SegmentFiller:
        return SegmentFiller(
            upstream=OwnPoints(self.upstream, self.sites),
            store=self.store,
            database=self.database,
            clock=self.clock,
            freshness=self.freshness,
            page_size=self.settings.upstream.page_size,
            lease_ms=lease_ms,
            new_id=new_id,
            background=background,
            report=report_fault,
            waiting=isolate.WAITING,
        )

    @cached_property
    def timeseries(self) -> EnhancedTimeseriesService:
        """Answers requests for samples."""
        return EnhancedTimeseriesService(
            filler=self.filler,
            store=self.store,
            index=self.index,
            compactor=make_compactor(
                store=self.store, index=self.index, clock=self.clock, freshness=self.freshness
            ),
            clock=self.clock,
            options=self.settings.routing,
            recent=self.recent,
            background=self.background,
            report=report_fault,
        )

    @cached_property
    def sender(self) -> QueueSender:
        """The queues; without a binding, its use fails as unavailable."""
        return QueueSender(self._env)

    @cached_property
    def jobs(self) -> ChartQueueService:
        """Queues large requests."""
        return ChartQueueService(
            jobs=Jobs(self.database),
            sender=self.sender,
            clock=self.clock,
            options=self.settings.jobs,
            new_id=new_id,
            look_ups=isolate.LOOK_UPS,
            report=report_fault,
        )

    @cached_property
    def results(self) -> JobResultService:
        """The results of large jobs."""
        return make_results(
            database=self.database,
            objects=self.objects,
            store=self.store,
            index=self.index,
            freshness=self.freshness,
            clock=self.clock,
        )

    @cached_property
    def chunk_runner(self) -> ChunkRunner:
        """Runs the chunks of jobs."""
        return ChunkRunner(
            chunks=JobChunks(self.database),
            filler_for=self.filler_for,
            store=self.store,
            index=self.index,
            sender=self.sender,
            clock=self.clock,
            options=self.settings.jobs,
            new_id=new_id,
            on_complete=self.results.materialise,
            report=report_crash,
        )

    @cached_property
    def maintenance(self) -> Maintenance:
        """Does what has to be done again and again."""
        return make_maintenance(
            first=LostChunks(JobChunks(self.database), self.sender),
            last=LostResults(self.results),
            database=self.database,
            index=self.index,
            objects=self.objects,
            datasets=self.datasets,
            results=JobResults(self.database),
            freshness=self.freshness,
            clock=self.clock,
            report=report_fault,
        )
