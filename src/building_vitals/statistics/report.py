"""The document of `/api/stats`."""

from __future__ import annotations

from typing import Any

from building_vitals.instants import DAY_MS, format_instant
from building_vitals.jobs.model import TERMINAL
from building_vitals.ports import Clock
from building_vitals.statistics.figures_table import CacheFigures, Figures, RouteFigures, Statistics

MEGABYTE = 1_048_576


class StatisticsService:
    """Reports on the cache, the jobs, the requests and the upstream quota."""

    def __init__(self, *, statistics: Statistics, clock: Clock, upstream_limit: int) -> None:
        """
        Args:
            statistics: Reads the figures.
            clock: Says what the last 24 hours are.
            upstream_limit: Requests per minute that may go upstream; 0 for any number.
        """
        self._statistics = statistics
        self._clock = clock
        self._upstream_limit = upstream_limit

    async def read(self) -> dict[str, Any]:
        """Return the document; requests are those of the last 24 hours."""
        now_ms = self._clock.now_ms()
        figures = await self._statistics.read(since_ms=now_ms - DAY_MS)
        return {
            "cache": _cache(figures.cache, figures.routes),
            "jobs": _jobs(figures.jobs),
            "requests": [_route(each) for each in figures.routes],
            "upstream": self._upstream(figures, now_ms),
            "timestamp": format_instant(now_ms),
        }

    def _upstream(self, figures: Figures, now_ms: int) -> dict[str, int]:
        """Return how much of the present minute's quota is used; zeros where there is no limit."""
        limit, quota = self._upstream_limit, figures.quota
        if not limit or quota is None:
            return {"limit": limit, "used": 0, "current": limit}
        return {
            "limit": limit,
            "used": quota.used_now(now_ms),
            "current": quota.allowed_now(limit, now_ms),
        }


def _cache(cache: CacheFigures, routes: list[RouteFigures]) -> dict[str, Any]:
    """Return what is stored, and what share of the requests that asked the cache it answered."""
    asked = [each for each in routes if each.route_type != "direct"]
    requests = sum(each.count for each in asked)
    hits = sum(each.cache_hits for each in asked)
    stored = cache.stored_bytes
    return {
        "totalObjects": cache.objects,
        "totalSize": stored,
        "totalSizeMB": round(stored / MEGABYTE, 2),
        "oldestEntry": _instant(cache.oldest_ms),
        "newestEntry": _instant(cache.newest_ms),
        "hitRate": round(hits / requests, 4) if requests else 0,
        "compressionRatio": round(cache.text_bytes / stored, 3) if stored else 0,
    }


def _jobs(jobs: dict[str, int]) -> dict[str, int]:
    return {
        "total_jobs": sum(jobs.values()),
        "completed": jobs.get("completed", 0),
        "failed": jobs.get("failed", 0),
        "active": sum(count for status, count in jobs.items() if status not in TERMINAL),
    }


def _route(route: RouteFigures) -> dict[str, Any]:
    return {
        "route_type": route.route_type,
        "count": route.count,
        "avg_duration": route.mean,
        "p95_duration": route.p95,
        "cache_hits": route.cache_hits,
    }


def _instant(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else format_instant(instant_ms)
