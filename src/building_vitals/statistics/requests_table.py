"""
Recorded requests in D1: one row per request, sums by hour, and the hits of objects.

One batch writes any number of requests, as JSON parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from building_vitals.instants import HOUR_MS
from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.statistics.durations import duration_step
from building_vitals.statistics.events import NO_ROUTE, JobEvent, RequestEvent

# Characters that the columns keep of a request's texts.
TEXT_MAX = 200

_INSERT = """
INSERT INTO request_analytics (
    request_id, time_ms, site, points_count, route_type, cache_status, format, estimated_size,
    actual_size, bytes, upstream_requests, duration_ms, status, success, error, weight,
    missing_size
)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13,
    value ->> 14, value ->> 15, value ->> 16
FROM json_each(?1)
"""

# Without the WHERE, SQLite reads ON as that of a join.
_COUNT = """
INSERT INTO request_stats_hourly (
    hour_ms, route_type, requests, successes, cache_hits, duration_ms_sum, samples, bytes,
    upstream_requests
)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8
FROM json_each(?1) WHERE true
ON CONFLICT (hour_ms, route_type) DO UPDATE SET
    requests = requests + excluded.requests,
    successes = successes + excluded.successes,
    cache_hits = cache_hits + excluded.cache_hits,
    duration_ms_sum = duration_ms_sum + excluded.duration_ms_sum,
    samples = samples + excluded.samples,
    bytes = bytes + excluded.bytes,
    upstream_requests = upstream_requests + excluded.upstream_requests
"""

_COUNT_DURATION = """
INSERT INTO request_durations_hourly (hour_ms, route_type, duration_ms, requests)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
ON CONFLICT (hour_ms, route_type, duration_ms) DO UPDATE SET
    requests = requests + excluded.requests
"""

# An object that is younger than the request was stored for it, which is no hit.
_TOUCH = """
UPDATE cache_metadata
SET hits = cache_metadata.hits + t.hits,
    last_access_ms = max(cache_metadata.last_access_ms, t.at_ms)
FROM (
    SELECT m.object_key, sum(r.value ->> 2) AS hits, max(r.value ->> 1) AS at_ms
    FROM json_each(?1) r CROSS JOIN cache_metadata m
        ON m.object_key = r.value ->> 0 AND m.created_ms < r.value ->> 1
    GROUP BY m.object_key
) t
WHERE cache_metadata.object_key = t.object_key
"""


# A job with the fields of JobEvent.
_JOB = """
SELECT job_id, site, status AS outcome, priority, points_count AS points, total_chunks AS chunks,
    estimated_size AS estimated, samples_count AS samples,
    max(0, updated_ms - created_ms) AS duration_ms,
    data_size AS data_bytes, retry_count AS retries, upstream_requests, error_class AS error
FROM queue_jobs WHERE job_id = ?1 AND updated_ms >= ?2
"""


_PROBE = "SELECT id FROM request_analytics WHERE id = 0"

_OLD_REQUESTS = """
DELETE FROM request_analytics WHERE id IN (
    SELECT id FROM request_analytics WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2
)
"""
_OLD_SUMS = """
DELETE FROM request_stats_hourly WHERE (hour_ms, route_type) IN (
    SELECT hour_ms, route_type FROM request_stats_hourly
    WHERE hour_ms < ?1 ORDER BY hour_ms LIMIT ?2
)
"""
_OLD_DURATIONS = """
DELETE FROM request_durations_hourly WHERE (hour_ms, route_type, duration_ms) IN (
    SELECT hour_ms, route_type, duration_ms FROM request_durations_hourly
    WHERE hour_ms < ?1 ORDER BY hour_ms LIMIT ?2
)
"""


class WeightedRequest(NamedTuple):
    """A request and the number of requests that it stands for."""

    event: RequestEvent
    weight: int


class RequestAnalytics:
    """Records requests."""

    def __init__(self, database: Database, main: Database | None = None) -> None:
        """
        Args:
            database: Has the tables of requests.
            main: Has objects and jobs; left out: the same.
        """
        self._database = database
        self._main = database if main is None else main

    async def record(self, requests: Sequence[WeightedRequest]) -> None:
        """
        Record requests, and the hits of the objects they were answered from.

        A request without a route asked for no samples, and has no row.
        """
        routed = [each for each in requests if each.event.route != NO_ROUTE]
        statements = []
        if routed:
            statements = [
                Statement(_INSERT, (json_parameter(list(map(_row, routed))),)),
                Statement(_COUNT, (json_parameter(_sums(routed)),)),
                Statement(_COUNT_DURATION, (json_parameter(_durations(routed)),)),
            ]
        object_keys = _object_hits(routed)
        hits = [Statement(_TOUCH, (json_parameter(object_keys),))] if object_keys else []
        if self._main is self._database:
            await self._database.batch([*statements, *hits])
            return
        await self._database.batch(statements)
        await self._main.batch(hits)

    async def probe(self) -> None:
        """Ask one cheap question, to see whether the tables can be read."""
        await self._database.rows(_PROBE)

    async def find_job(self, job_id: str, *, since_ms: int = 0) -> JobEvent | None:
        """Return a job in its present state, if it has changed since an instant."""
        rows = await self._main.rows(_JOB, job_id, since_ms)
        return msgspec.convert(rows[0], JobEvent) if rows else None

    async def delete(self, *, before_ms: int, limit: int) -> int:
        """Delete the rows and sums of requests before an instant; return how many."""
        outcomes = await self._database.batch(
            [
                Statement(sql, (before_ms, limit))
                for sql in (_OLD_REQUESTS, _OLD_SUMS, _OLD_DURATIONS)
            ]
        )
        return sum(each.changes for each in outcomes)


def _row(counted: WeightedRequest) -> list[Any]:
    event = counted.event
    return [
        event.request_id,
        event.time_ms,
        event.site[:TEXT_MAX],
        event.points,
        event.route,
        event.cache_status,
        event.format,
        event.estimated,
        event.samples,
        event.body_bytes,
        event.upstream_requests,
        event.duration_ms,
        event.status,
        int(event.is_success),
        None if event.error is None else event.error[:TEXT_MAX],
        counted.weight,
        event.missing,
    ]


def _sums(requests: Iterable[WeightedRequest]) -> list[list[Any]]:
    """Return the sums by hour and route."""
    sums: dict[tuple[int, str], list[int]] = {}
    for event, weight in requests:
        one = (
            1,
            int(event.is_success),
            int(event.is_hit),
            event.duration_ms,
            event.samples,
            event.body_bytes,
            event.upstream_requests,
        )
        total = sums.setdefault((_hour(event), event.route), [0] * len(one))
        for n, value in enumerate(one):
            total[n] += weight * value
    return [[*place, *total] for place, total in sums.items()]


def _durations(requests: Iterable[WeightedRequest]) -> list[list[Any]]:
    """Return the number of requests by hour, route and duration."""
    counts: dict[tuple[int, str, int], int] = {}
    for event, weight in requests:
        place = (_hour(event), event.route, duration_step(event.duration_ms))
        counts[place] = counts.get(place, 0) + weight
    return [[*place, count] for place, count in counts.items()]


def _object_hits(requests: Iterable[WeightedRequest]) -> list[list[Any]]:
    """Return the hits of each object and instant: key, instant, requests."""
    object_keys: dict[tuple[str, int], int] = {}
    for event, weight in requests:
        for key in event.object_keys:
            place = (key, event.time_ms)
            object_keys[place] = object_keys.get(place, 0) + weight
    return [[*place, hits] for place, hits in object_keys.items()]


def _hour(event: RequestEvent) -> int:
    return event.time_ms - event.time_ms % HOUR_MS
