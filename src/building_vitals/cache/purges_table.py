"""
Purges in D1: what is forgotten at once, and the marks that keep what is under way from coming back.

A purge takes what it names and nothing else. A segment that reaches beyond the range stays known
there: its row gives way to rows that know less of the same object.
"""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.cache.rows_table import SERIES_COLUMNS, json_lists, samples_of_part
from building_vitals.instants import HOUR_MS
from building_vitals.ports import Statement
from building_vitals.ranges import Range

# A consumer of the queue has 15 minutes for all that it does, and a request less: by then no fetch
# is left that began before the mark.
PURGE_AGE_MS = HOUR_MS

# ?1 the site, ?2 and ?3 the range, ?4 the points.
_OF_SITE = "cache_segments s WHERE s.site = ?1 AND s.end_ms > ?2 AND s.start_ms < ?3"
_OF_POINTS = """json_each(?4) p CROSS JOIN cache_segments s
    ON s.site = ?1 AND s.point = p.value AND s.end_ms > ?2 AND s.start_ms < ?3 WHERE true"""


def _keep(start_ms: str, end_ms: str, held: str) -> str:
    """
    Return the statement that keeps one side of each segment that a purge cuts.

    Where two have the same side, the one fetched last wins.
    """
    kept = samples_of_part("s.samples", (start_ms, end_ms), ("s.start_ms", "s.end_ms"))
    values = SERIES_COLUMNS.replace("samples", kept)
    return f"""
INSERT OR REPLACE INTO cache_segments (
    site, point, start_ms, end_ms, {SERIES_COLUMNS}, expires_ms, is_cut
)
SELECT s.site, s.point, {start_ms}, {end_ms}, {values}, expires_ms, 1
FROM {held} AND {start_ms} < {end_ms} AND NOT EXISTS (
    SELECT 1 FROM cache_segments o WHERE o.site = s.site AND o.point = s.point
        AND o.start_ms = {start_ms} AND o.end_ms = {end_ms} AND o.fetched_ms > s.fetched_ms
)
ORDER BY s.fetched_ms
"""  # noqa: S608 - constants only


def _forget(held: str) -> str:
    return f"""
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms) IN (
    SELECT s.site, s.point, s.end_ms, s.start_ms FROM {held}
)
"""  # noqa: S608 - constants only


_PURGE_SITE = (
    _keep("s.start_ms", "?2", _OF_SITE),
    _keep("?3", "s.end_ms", _OF_SITE),
    _forget(_OF_SITE),
)
_PURGE_POINTS = (
    _keep("s.start_ms", "?2", _OF_POINTS),
    _keep("?3", "s.end_ms", _OF_POINTS),
    _forget(_OF_POINTS),
)

# Of what was fetched before a purge and is not stored by then, the rest alone is stored.
_MARK_SITE = """
INSERT INTO cache_purges (site, point, start_ms, end_ms, purged_ms) VALUES (?1, '', ?2, ?3, ?4)
ON CONFLICT (site, point, start_ms, end_ms)
    DO UPDATE SET purged_ms = max(purged_ms, excluded.purged_ms)
"""
_MARK_POINTS = """
INSERT INTO cache_purges (site, point, start_ms, end_ms, purged_ms)
SELECT ?1, value, ?2, ?3, ?4 FROM json_each(?5) WHERE true
ON CONFLICT (site, point, start_ms, end_ms)
    DO UPDATE SET purged_ms = max(purged_ms, excluded.purged_ms)
"""

# Copies of purged data, also those being made. A job whose points are no longer kept may have any.
_PURGE_SITE_RESULTS = """
UPDATE job_results SET expires_ms = -?4
WHERE site = ?1 AND end_ms > ?2 AND start_ms < ?3 AND expires_ms > 0
"""
_PURGE_POINTS_RESULTS = """
UPDATE job_results SET expires_ms = -?4
WHERE site = ?1 AND end_ms > ?2 AND start_ms < ?3 AND expires_ms > 0
    AND (
        NOT EXISTS (SELECT 1 FROM job_points j WHERE j.job_id = job_results.job_id)
        OR EXISTS (
            SELECT 1 FROM job_points j CROSS JOIN json_each(j.points) p
            WHERE j.job_id = job_results.job_id
                AND p.value IN (SELECT value FROM json_each(?5))
        )
    )
"""


def purge_statements(
    site: str, points: Sequence[str] | None, time_range: Range, *, now_ms: int
) -> list[Statement]:
    """
    Return what purges a range of some points, None for all; at least one statement.

    The changes of those at `FORGETTING`, a group after the other, are the segments it touched.
    """
    times = (time_range.start_ms, time_range.end_ms)
    if points is None:
        return [
            Statement(_MARK_SITE, (site, *times, now_ms)),
            *(Statement(sql, (site, *times)) for sql in _PURGE_SITE),
            Statement(_PURGE_SITE_RESULTS, (site, *times, now_ms)),
        ]
    return [
        statement
        for names in list(json_lists(dict.fromkeys(points))) or ["[]"]
        for statement in (
            Statement(_MARK_POINTS, (site, *times, now_ms, names)),
            *(Statement(sql, (site, *times, names)) for sql in _PURGE_POINTS),
            Statement(_PURGE_POINTS_RESULTS, (site, *times, now_ms, names)),
        )
    ]


# Where in each group of `purge_statements` the one is that forgets segments.
FORGETTING = slice(3, None, 5)
