"""The clean-up of the statistics."""

from __future__ import annotations

from building_vitals.statistics import upkeep as statistics_upkeep
from building_vitals.statistics.requests_table import RequestAnalytics
from fakes.upkeep import NOW_MS, UpkeepBench


async def test_old_requests_go() -> None:
    """Rows and sums go after 30 days."""
    bench = UpkeepBench()
    for age_ms in (0, statistics_upkeep.REQUEST_AGE_MS, statistics_upkeep.REQUEST_AGE_MS + 1):
        at_ms = NOW_MS - age_ms
        bench.database.look(
            "INSERT INTO request_analytics (request_id, time_ms, site, points_count, route_type,"
            " cache_status, format, estimated_size, actual_size, bytes, upstream_requests,"
            " duration_ms, status, success, weight)"
            " VALUES ('r', ?1, 's', 1, 'cached', 'hit', 'json', 1, 1, 1, 0, 5, 200, 1, 1)",
            at_ms,
        )
        bench.database.look(
            "INSERT INTO request_stats_hourly VALUES (?1, 'cached', 1, 1, 1, 5, 1, 1, 0)", at_ms
        )
        bench.database.look(
            "INSERT INTO request_durations_hourly VALUES (?1, 'cached', 5, 1)", at_ms
        )
    assert 3 == await statistics_upkeep.OldRequests(RequestAnalytics(bench.database)).run(NOW_MS)
    tables = ("request_analytics", "request_stats_hourly", "request_durations_hourly")
    assert (2, 2, 2) == tuple(map(bench.count, tables))
