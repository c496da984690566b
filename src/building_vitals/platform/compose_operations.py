"""
The parts that `compose` is put together from, where making one takes several others.

Separate from `compose` for its size. What outlives an invocation here is plain data too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from building_vitals import isolate
from building_vitals.access.key_access import KeyAccess
from building_vitals.access.keys_table import ApiKeys
from building_vitals.access.limits import RequestLimits
from building_vitals.access.open_access import OpenAccess
from building_vitals.api.context import Access
from building_vitals.cache.compactor import Compactor
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.store import SegmentStore
from building_vitals.cache.upkeep import (
    ExpiredObjects,
    ExpiredSegments,
    OldMarks,
    OrphanObjects,
    Recount,
)
from building_vitals.cache.upkeep_table import CacheUpkeep
from building_vitals.datasets.cache import R2CacheService
from building_vitals.datasets.upkeep import OldDatasets
from building_vitals.errors import AppError
from building_vitals.jobs.history_table import JobHistory
from building_vitals.jobs.jobs_table import Jobs
from building_vitals.jobs.results import JobResultService
from building_vitals.jobs.results_table import JobResults
from building_vitals.jobs.upkeep import OldJobs, OldResults
from building_vitals.maintenance.run import Maintenance
from building_vitals.platform.analytics_engine import AnalyticsEngine
from building_vitals.platform.compression import Brotli
from building_vitals.platform.log import report_fault
from building_vitals.platform.metrics import send_metrics
from building_vitals.platform.rate_limits import BoundRateLimiter
from building_vitals.ports import Clock, Database, ObjectStore
from building_vitals.settings import Settings
from building_vitals.sites.directory import SiteDirectory
from building_vitals.statistics.figures_table import Statistics
from building_vitals.statistics.recorder import AnalyticsService, Outbox
from building_vitals.statistics.report import StatisticsService
from building_vitals.statistics.requests_table import RequestAnalytics
from building_vitals.statistics.upkeep import OldRequests
from building_vitals.upkeep import Step
from building_vitals.upstream.gate import Grant, UpstreamQuota
from building_vitals.upstream.port import Listings
from building_vitals.upstream.quota_table import UpstreamQuotas

Report = Callable[[str, AppError], None]

_outbox = Outbox()
# What is left of the upstream quota's grants, for interactive and for queued work.
_grants = (Grant(), Grant())


def new_id() -> str:
    """Return a random identity."""
    return uuid.uuid4().hex


def make_access(
    *, keys: ApiKeys, clock: Clock, settings: Settings, background: Callable[[Any], None]
) -> Access:
    """Return who decides who may ask."""
    if settings.auth_mode == "open":
        return OpenAccess()
    return KeyAccess(
        keys=keys,
        memory=isolate.KEYS,
        clock=clock,
        background=background,
        report=report_fault,
    )


def make_limits(env: Any) -> RequestLimits:
    """Return how often one key may ask."""
    return RequestLimits(
        reads=BoundRateLimiter(env, "READ_LIMIT"), jobs=BoundRateLimiter(env, "JOB_LIMIT")
    )


def make_compactor(
    *, store: SegmentStore, index: SegmentIndex, clock: Clock, freshness: Freshness
) -> Compactor:
    """Return what joins segments that lie in too many objects."""
    return Compactor(
        store=store,
        index=index,
        clock=clock,
        freshness=freshness,
        new_id=new_id,
        report=report_fault,
    )


def make_analytics(
    *,
    find_binding: Callable[[], Any | None],
    database: Database,
    clock: Clock,
    settings: Settings,
    background: Callable[[Any], None],
    report: Report,
) -> AnalyticsService:
    """Return what records requests, jobs and dead letters."""
    return AnalyticsService(
        requests=RequestAnalytics(database),
        points=AnalyticsEngine(find_binding, send_metrics),
        outbox=_outbox,
        clock=clock,
        sample_rate=settings.analytics_sample_rate,
        background=background,
        report=report,
    )


def make_statistics(*, database: Database, clock: Clock, settings: Settings) -> StatisticsService:
    """Return what says how the Worker does."""
    return StatisticsService(
        statistics=Statistics(database),
        clock=clock,
        upstream_limit=settings.upstream_requests_per_minute,
    )


def make_quota(
    *,
    database: Database,
    clock: Clock,
    settings: Settings,
    is_queued: bool,
    background: Callable[[Any], None],
    report: Report,
) -> UpstreamQuota | None:
    """Return the gate of the upstream client; None where there is no limit of ours."""
    limit = settings.upstream_requests_per_minute
    if not limit:
        return None
    return UpstreamQuota(
        quotas=UpstreamQuotas(database),
        grant=_grants[is_queued],
        clock=clock,
        limit=limit,
        is_queued=is_queued,
        background=background,
        report=report,
    )


def make_maintenance(
    *,
    first: Step,
    last: Step,
    database: Database,
    index: SegmentIndex,
    objects: ObjectStore,
    datasets: R2CacheService,
    results: JobResults,
    freshness: Freshness,
    clock: Clock,
    report: Report,
) -> Maintenance:
    """
    Return the maintenance run.

    Args:
        first: What is more urgent than to clean up.
        last: What may take longer.
    """
    upkeep = CacheUpkeep(database, index)
    steps: list[Step] = [
        first,
        ExpiredSegments(upkeep, freshness),
        ExpiredObjects(upkeep, objects),
        OrphanObjects(upkeep, objects),
        OldJobs(JobHistory(database)),
        OldRequests(RequestAnalytics(database)),
        OldMarks(upkeep),
        OldResults(results, objects),
        OldDatasets(datasets),
        Recount(upkeep),
        last,
    ]
    return Maintenance(steps, clock, report)


def make_results(
    *,
    database: Database,
    objects: ObjectStore,
    store: SegmentStore,
    index: SegmentIndex,
    freshness: Freshness,
    clock: Clock,
) -> JobResultService:
    """Return what lays down the results of large jobs and answers from them."""
    return JobResultService(
        results=JobResults(database),
        jobs=Jobs(database),
        objects=objects,
        store=store,
        index=index,
        clock=clock,
        freshness=freshness,
        new_id=new_id,
        report=report_fault,
    )


def make_datasets(*, objects: ObjectStore, clock: Clock, settings: Settings) -> R2CacheService:
    """Return the cache of whole documents."""
    cache = settings.cache
    return R2CacheService(
        objects,
        clock,
        default_ttl=cache.default_ttl,
        max_cache_age=cache.max_cache_age,
        compression=cache.compression,
        compressor=Brotli(),
    )


def make_directory(
    *,
    listings: Listings,
    datasets: R2CacheService,
    clock: Clock,
    settings: Settings,
    background: Callable[[Any], None],
) -> SiteDirectory:
    """Return the directory of sites and points."""
    return SiteDirectory(
        listings=listings,
        datasets=datasets,
        clock=clock,
        options=settings.cache,
        timeout_ms=settings.routing.direct_timeout,
        background=background,
        report=report_fault,
    )
