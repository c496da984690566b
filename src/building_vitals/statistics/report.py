"""The report of `/api/stats`; names in snake case are those of SQL columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from building_vitals.fields import Count, IsoTime, Measure
from building_vitals.follow.documents import FollowedSite
from building_vitals.instants import DAY_MS, HOUR_MS, format_instant, format_known
from building_vitals.jobs.model import TERMINAL
from building_vitals.ports import Clock
from building_vitals.statistics.figures_table import (
    CacheFigures,
    Figures,
    HourFigures,
    RouteFigures,
    Statistics,
)

MEGABYTE = 1_048_576


class CacheStats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Stored objects, and how the cache performs."""

    total_objects: Count
    total_size: Count
    total_size_mb: Measure = msgspec.field(name="totalSizeMB")
    oldest_entry: IsoTime | None
    newest_entry: IsoTime | None
    hit_rate: Measure
    compression_ratio: Measure


class JobStats(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of jobs, archived jobs included."""

    total_jobs: Count
    completed: Count
    failed: Count
    active: Count


class QuotaStats(msgspec.Struct, frozen=True):
    """Upstream requests in this minute; zeros where there is no limit."""

    limit: Count
    used: Count
    current: Count


class HourStats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """
    Requests that came within an hour, the present one as far as it has gone.

    Attributes:
        hit_rate: None where no request may have used the cache.
    """

    start: IsoTime
    requests: Count
    successes: Count
    hit_rate: Measure | None
    routes: list[HourFigures]


class StatsReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    Statistics of the cache, the jobs, the requests of the last 24 hours, the upstream quota, and
    the followed sites.

    Attributes:
        hours: At most 24, the present one last; none from before the first request.
    """

    cache: CacheStats
    jobs: JobStats
    requests: list[RouteFigures]
    hours: list[HourStats]
    upstream: QuotaStats
    follows: list[FollowedSite]
    timestamp: IsoTime


class StatisticsService:
    """Reports on the cache, the jobs, the requests and the upstream quota."""

    def __init__(
        self,
        *,
        statistics: Statistics,
        clock: Clock,
        upstream_limit: int,
        followed: Callable[[list[dict[str, Any]], int], list[FollowedSite]],
    ) -> None:
        """
        Args:
            statistics: Reads the figures.
            clock: Says what the last 24 hours are.
            upstream_limit: Requests per minute that may go upstream; 0 for any number.
            followed: Returns how follows go, by their rows and the present.
        """
        self._followed = followed
        self._statistics = statistics
        self._clock = clock
        self._upstream_limit = upstream_limit

    async def read(self) -> StatsReport:
        """Return the report."""
        now_ms = self._clock.now_ms()
        since_ms = now_ms - DAY_MS
        figures = await self._statistics.read(since_ms=since_ms)
        return StatsReport(
            cache=_cache(figures.cache, figures.routes),
            jobs=_jobs(figures.jobs),
            requests=figures.routes,
            hours=_hours(figures, since_ms=since_ms, now_ms=now_ms),
            upstream=self._upstream(figures, now_ms),
            follows=self._followed(figures.follows, now_ms),
            timestamp=format_instant(now_ms),
        )

    def _upstream(self, figures: Figures, now_ms: int) -> QuotaStats:
        limit, quota = self._upstream_limit, figures.quota
        if not limit or quota is None:
            return QuotaStats(limit, 0, limit)
        return QuotaStats(limit, quota.used_now(now_ms), quota.allowed_now(limit, now_ms))


def _hours(figures: Figures, *, since_ms: int, now_ms: int) -> list[HourStats]:
    """Return all hours that begin after an instant and not before the first request."""
    if figures.first_hour_ms is None:
        return []
    start_ms = max(since_ms - since_ms % HOUR_MS + HOUR_MS, figures.first_hour_ms)
    return [
        _hour(hour_ms, figures.hours.get(hour_ms, []))
        for hour_ms in range(start_ms, now_ms + 1, HOUR_MS)
    ]


def _hour(start_ms: int, routes: list[HourFigures]) -> HourStats:
    cached = [each for each in routes if each.route_type != "direct"]
    return HourStats(
        start=format_instant(start_ms),
        requests=sum(each.requests for each in routes),
        successes=sum(each.successes for each in routes),
        hit_rate=_share(
            sum(each.cache_hits for each in cached), sum(each.requests for each in cached)
        ),
        routes=routes,
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _cache(cache: CacheFigures, routes: list[RouteFigures]) -> CacheStats:
    """Return the stored sizes, and the hits' share of the requests that may use the cache."""
    cached = [each for each in routes if each.route_type != "direct"]
    hit_rate = _share(sum(each.cache_hits for each in cached), sum(each.count for each in cached))
    size, stored = cache.stored_bytes + cache.block_bytes, cache.stored_bytes
    return CacheStats(
        total_objects=cache.objects + cache.blocks,
        total_size=size,
        total_size_mb=round(size / MEGABYTE, 2),
        oldest_entry=format_known(cache.oldest_ms),
        newest_entry=format_known(cache.newest_ms),
        hit_rate=hit_rate or 0,
        compression_ratio=round(cache.text_bytes / stored, 3) if stored else 0,
    )


def _jobs(jobs: dict[str, int]) -> JobStats:
    return JobStats(
        total_jobs=sum(jobs.values()),
        completed=jobs.get("completed", 0),
        failed=jobs.get("failed", 0),
        active=sum(count for status, count in jobs.items() if status not in TERMINAL),
    )
