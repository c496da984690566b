"""The figures of `/api/stats`, from sums and indexes: the time does not grow with the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from building_vitals.fields import Count, Measure
from building_vitals.instants import HOUR_MS, INSTANT_MAX_MS
from building_vitals.jobs.model import JOB_STATUSES
from building_vitals.ports import Database, Outcome, Statement, json_parameter
from building_vitals.upstream.quota import QuotaState
from building_vitals.upstream.quota_table import UpstreamQuotas

# Without the objects that hold nothing more and wait for the clean-up. Of blocks, a site has some
# dozens of rows, however long it is followed.
_CACHE = """
SELECT coalesce(t.objects, 0) - o.objects AS objects,
    coalesce(t.text_bytes, 0) - o.text_bytes AS text_bytes,
    coalesce(t.stored_bytes, 0) - o.stored_bytes AS stored_bytes, b.blocks, b.block_bytes,
    nullif(min(
        coalesce((SELECT created_ms FROM cache_metadata ORDER BY created_ms LIMIT 1), ?1),
        coalesce(b.oldest_ms, ?1)
    ), ?1) AS oldest_ms,
    nullif(max(
        coalesce((SELECT created_ms FROM cache_metadata ORDER BY created_ms DESC LIMIT 1), -1),
        coalesce(b.newest_ms, -1)
    ), -1) AS newest_ms
FROM (
    SELECT count(*) AS objects, coalesce(sum(text_bytes), 0) AS text_bytes,
        coalesce(sum(stored_bytes), 0) AS stored_bytes
    FROM cache_metadata WHERE orphaned_ms > 0
) o CROSS JOIN (
    SELECT count(*) AS blocks, coalesce(sum(stored_bytes), 0) AS block_bytes,
        min(fetched_ms) AS oldest_ms, max(fetched_ms) AS newest_ms
    FROM site_blocks WHERE gone_ms IS NULL
) b LEFT JOIN cache_totals t ON t.id = 1
"""

# Each count reads one stretch of an index over the jobs of a few days.
_JOBS = f"""
SELECT s.value AS status,
    (SELECT count(*) FROM queue_jobs q WHERE q.status = s.value)
    + coalesce((SELECT t.jobs FROM job_totals t WHERE t.status = s.value), 0) AS jobs
FROM json_each('{json_parameter(JOB_STATUSES)}') s
"""  # noqa: S608 - constants only

# A row a site that an administrator has followed.
_FOLLOWS = "SELECT * FROM site_follows ORDER BY site"

_REQUESTS = """
SELECT route_type, sum(requests) AS count,
    round(1.0 * sum(duration_ms_sum) / sum(requests), 2) AS avg_duration,
    sum(cache_hits) AS cache_hits
FROM request_stats_hourly WHERE hour_ms > ?1 GROUP BY route_type ORDER BY route_type
"""

# The shortest step by which 95 of 100 requests were answered.
_P95 = """
SELECT route_type, min(duration_ms) AS p95_duration
FROM (
    SELECT route_type, duration_ms,
        sum(requests) OVER (PARTITION BY route_type ORDER BY duration_ms) AS faster,
        sum(requests) OVER (PARTITION BY route_type) AS total
    FROM (
        SELECT route_type, duration_ms, sum(requests) AS requests
        FROM request_durations_hourly WHERE hour_ms > ?1 GROUP BY route_type, duration_ms
    )
)
WHERE faster * 100 >= total * 95 GROUP BY route_type
"""

_HOURS = """
SELECT hour_ms, route_type, requests, successes, cache_hits,
    round(1.0 * duration_ms_sum / requests, 2) AS avg_duration
FROM request_stats_hourly WHERE hour_ms > ?1 ORDER BY hour_ms, route_type
"""

# The rows lie in the order of the primary key, so that none is sorted.
_HOURS_P95 = """
SELECT hour_ms, route_type, min(duration_ms) AS p95_duration
FROM (
    SELECT hour_ms, route_type, duration_ms,
        sum(requests) OVER (PARTITION BY hour_ms, route_type ORDER BY duration_ms) AS faster,
        sum(requests) OVER (PARTITION BY hour_ms, route_type) AS total
    FROM request_durations_hourly WHERE hour_ms > ?1
)
WHERE faster * 100 >= total * 95 GROUP BY hour_ms, route_type
"""

_FIRST_HOUR = "SELECT min(hour_ms) AS hour_ms FROM request_stats_hourly"


class CacheFigures(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is stored.

    Attributes:
        objects, text_bytes, stored_bytes: Objects of segments; bytes of their samples as JSON, and
            as stored.
        blocks, block_bytes: Blocks that are read, and their bytes as stored.
        oldest_ms, newest_ms: When the oldest and the newest of all was made, epoch milliseconds; of
            a merged block, when the last of it was fetched.
    """

    objects: int = 0
    text_bytes: int = 0
    stored_bytes: int = 0
    blocks: int = 0
    block_bytes: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None


class RouteFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one route; durations in milliseconds."""

    route_type: str
    count: Count
    avg_duration: Measure
    p95_duration: Measure
    cache_hits: Count


class HourFigures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests of one route in one hour; durations in milliseconds, None where none is known."""

    route_type: str
    requests: Count
    successes: Count
    cache_hits: Count
    avg_duration: Measure
    p95_duration: Measure | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """
    All figures, of one instant.

    Attributes:
        jobs: Number by status, archived jobs included.
        quota: None before the first grant.
        hours: By the start of the hour, epoch milliseconds; hours without a request are not there.
        first_hour_ms: Start of the first hour that is kept; None before the first request.
        follows: The rows of followed sites.
    """

    cache: CacheFigures
    jobs: dict[str, int]
    routes: list[RouteFigures]
    quota: QuotaState | None
    hours: dict[int, list[HourFigures]]
    first_hour_ms: int | None
    follows: list[dict[str, Any]]


class Statistics:
    """Reads the figures."""

    def __init__(self, database: Database, requests: Database | None = None) -> None:
        """
        Args:
            database: Has objects, jobs and quota.
            requests: Has the tables of requests; left out: the same.
        """
        self._database = database
        self._requests = database if requests is None else requests

    async def read(self, *, since_ms: int) -> Figures:
        """
        Return all figures, in one round trip to each database.

        Args:
            since_ms: Requests count from the start of the hour in which this lies; of single
                hours, the first is the one that begins after it.
        """
        after_ms = since_ms - HOUR_MS
        main = [
            *(
                Statement(_CACHE, (INSTANT_MAX_MS,)),
                Statement(_JOBS),
                UpstreamQuotas.state_statement(),
            ),
            Statement(_FOLLOWS),
        ]
        requests = [
            Statement(_REQUESTS, (after_ms,)),
            Statement(_P95, (after_ms,)),
            Statement(_HOURS, (since_ms,)),
            Statement(_HOURS_P95, (since_ms,)),
            Statement(_FIRST_HOUR),
        ]
        if self._requests is self._database:
            return _figures(await self._database.batch([*main, *requests]))
        outcomes = await self._database.batch(main)
        return _figures([*outcomes, *await self._requests.batch(requests)])


def _figures(outcomes: Sequence[Outcome]) -> Figures:
    (cache, jobs, quota, follows, requests, p95, hours, hours_p95, first) = (
        each.rows for each in outcomes
    )
    longest: dict[str, Any] = {row["route_type"]: row["p95_duration"] for row in p95}
    return Figures(
        cache=msgspec.convert(cache[0], CacheFigures),
        jobs={row["status"]: row["jobs"] for row in jobs},
        routes=[
            msgspec.convert({**row, "p95_duration": longest[row["route_type"]]}, RouteFigures)
            for row in requests
        ],
        quota=UpstreamQuotas.state_of(quota),
        hours=_hours(hours, hours_p95),
        first_hour_ms=first[0]["hour_ms"],
        follows=follows,
    )


def _hours(
    rows: Sequence[Mapping[str, Any]], p95: Sequence[Mapping[str, Any]]
) -> dict[int, list[HourFigures]]:
    """Return the routes of each hour that has any."""
    longest = {(row["hour_ms"], row["route_type"]): row["p95_duration"] for row in p95}
    found: dict[int, list[HourFigures]] = {}
    for row in rows:
        found.setdefault(row["hour_ms"], []).append(
            HourFigures(
                route_type=row["route_type"],
                requests=row["requests"],
                successes=row["successes"],
                cache_hits=row["cache_hits"],
                avg_duration=row["avg_duration"],
                p95_duration=longest.get((row["hour_ms"], row["route_type"])),
            )
        )
    return found
