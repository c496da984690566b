"""The part of the composition that asks the upstream: its client, its sites, what is learned."""

from __future__ import annotations

from functools import cached_property, partial

import msgspec

from building_vitals.adapters import Platform
from building_vitals.datasets.cache import R2CacheService
from building_vitals.isolate import Isolate
from building_vitals.settings import Settings
from building_vitals.sites.directory import SiteDirectory
from building_vitals.statement_count import StatementCount
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.own_points import OwnPoints
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.ace.report import UpstreamReports
from building_vitals.upstream.gate import UpstreamQuota
from building_vitals.upstream.port import Upstream
from building_vitals.upstream.profiles import SiteProfiles
from building_vitals.upstream.profiles_table import UpstreamProfiles
from building_vitals.upstream.quota_table import UpstreamQuotas


class UpstreamServices:
    """
    The services of one invocation that ask the upstream.

    *is_queued* where the work is that of jobs, for which nobody waits.

    Attributes:
        statements: The database, with the count of what it was asked.
    """

    def __init__(
        self,
        platform: Platform,
        isolate: Isolate,
        settings: Settings,
        *,
        is_queued: bool = False,
    ) -> None:
        self.statements = StatementCount(platform.database)
        self.platform = msgspec.structs.replace(platform, database=self.statements)
        self.isolate = isolate
        self.settings = settings
        self.invocation = platform.invocation
        self.clock = platform.invocation.clock
        self.log = platform.log
        self._is_queued = is_queued

    @cached_property
    def upstream(self) -> AceClient:
        """The client of the upstream."""
        return AceClient(
            self.platform.http,
            self.clock,
            self.settings.upstream,
            gate=self._gate,
            state=self.isolate.upstream,
            profiles=self.profiles,
            memory=self.isolate.memory,
            # Nobody's chart hangs on what a job finds out, and a consumer has no time to lose.
            run_later=None if self._is_queued else self.invocation.run_later,
            is_awaited=not self._is_queued,
        )

    @property
    def _profiles_table(self) -> UpstreamProfiles:
        return UpstreamProfiles(self.platform.database, self.settings.upstream.base_url)

    @cached_property
    def profiles(self) -> SiteProfiles:
        """What has been learned of the upstream's sites."""
        return SiteProfiles(
            table=self._profiles_table,
            memory=self.isolate.profiles,
            invocation=self.invocation,
        )

    @cached_property
    def upstream_report(self) -> UpstreamReports:
        """Reads the document of `/api/upstream`."""
        settings, freshness = self.settings.upstream, self.settings.cache.freshness()
        return UpstreamReports(
            table=self._profiles_table,
            costs=partial(SiteCosts, calls=settings.calls, page_size=settings.page_size),
            lateness_of=lambda learned: freshness.of_site(learned).lateness_ms,
            url=settings.base_url,
            calls=settings.calls,
            page_size=settings.page_size,
            clock=self.clock,
        )

    @cached_property
    def source(self) -> Upstream:
        """The upstream, held to the points of the request's site."""
        return OwnPoints(self.upstream, self.sites, self.isolate.point_names, self.clock)

    @property
    def _gate(self) -> UpstreamQuota | None:
        """The Worker's own quota; None where `UPSTREAM_REQUESTS_PER_MINUTE` is 0."""
        limit = self.settings.upstream_requests_per_minute
        if not limit:
            return None
        return UpstreamQuota(
            quotas=UpstreamQuotas(self.platform.database),
            grant=self.isolate.queued_grant if self._is_queued else self.isolate.grant,
            limit=limit,
            is_queued=self._is_queued,
            invocation=self.invocation,
        )

    @cached_property
    def datasets(self) -> R2CacheService:
        """The cache of whole documents."""
        options = self.settings.cache
        return R2CacheService(
            self.platform.objects,
            self.clock,
            default_ttl=options.default_ttl,
            max_cache_age=options.max_cache_age,
            compression=options.compression,
            compressor=self.platform.compressor,
        )

    @cached_property
    def sites(self) -> SiteDirectory:
        """Lists sites and points."""
        return SiteDirectory(
            listings=self.upstream,
            datasets=self.datasets,
            names=self.isolate.point_names,
            options=self.settings.cache,
            timeout_ms=self.settings.routing.direct_timeout,
            invocation=self.invocation,
        )
