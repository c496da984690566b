"""What the handlers are given: the services of one invocation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from building_vitals.access.caller import Caller
from building_vitals.access.limits import RequestLimits
from building_vitals.answers.recent import RecentAnswers
from building_vitals.answers.routing import RoutingOptions
from building_vitals.answers.service import EnhancedTimeseriesService
from building_vitals.jobs.results import JobResultService
from building_vitals.jobs.runner import ChunkRunner
from building_vitals.jobs.service import ChartQueueService
from building_vitals.maintenance.health import HealthService
from building_vitals.maintenance.purge import CacheAdmin
from building_vitals.maintenance.run import Maintenance
from building_vitals.ports import Clock
from building_vitals.sites.directory import SiteDirectory
from building_vitals.statistics.recorder import AnalyticsService
from building_vitals.statistics.report import StatisticsService


class Access(Protocol):
    """Decides who asks: the one place."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """
        Return the caller of a request.

        Raises:
            Unauthorized: it has no key, or none that is valid.
            Unavailable: it has one, but nobody can say whether it is valid.
        """
        ...


class Context(Protocol):
    """
    The services, and what the handlers need to know of the settings.

    Attributes:
        cors_origins: The var as it is set.
    """

    @property
    def access(self) -> Access: ...
    @property
    def limits(self) -> RequestLimits: ...
    @property
    def cors_origins(self) -> str: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def routing(self) -> RoutingOptions: ...
    @property
    def recent(self) -> RecentAnswers: ...
    @property
    def results(self) -> JobResultService: ...
    @property
    def timeseries(self) -> EnhancedTimeseriesService: ...
    @property
    def cache_admin(self) -> CacheAdmin: ...
    @property
    def analytics(self) -> AnalyticsService: ...
    @property
    def sites(self) -> SiteDirectory: ...
    @property
    def statistics(self) -> StatisticsService: ...
    @property
    def health(self) -> HealthService: ...
    @property
    def jobs(self) -> ChartQueueService: ...
    @property
    def chunk_runner(self) -> ChunkRunner: ...
    @property
    def maintenance(self) -> Maintenance: ...

    def log(self, event: str, **fields: Any) -> None:
        """Write one log line."""
        ...
