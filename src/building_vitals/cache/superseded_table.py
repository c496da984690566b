"""
Superseded segments, of which newer copies hold every instant: they give way to what is stored.

No answer shows them again, so they go in the batch that stores the newer ones, where a
deletion costs what it would cost the clean-up. A live chart that reloads fetches ever other parts
of its young end; without this, each of them would leave a row for as long as it might stand in.
"""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.cache.rows_table import json_lists
from building_vitals.cache.segments import Segment
from building_vitals.ports import Statement

# Older ones that lie wholly within a new one. Calls by point may give other samples than pages do,
# which are raw: what came by point never takes the place of raw samples. Where a mark cuts what is
# new, as what was fetched before it, it takes no place either.
_REPLACE = """
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms) IN (
    SELECT s.site, s.point, s.end_ms, s.start_ms
    FROM json_each(?2) n CROSS JOIN cache_segments s
        ON s.site = ?1 AND s.point = n.value ->> 0
        AND s.end_ms > (n.value ->> 1) AND s.end_ms <= (n.value ->> 2)
        AND s.start_ms >= (n.value ->> 1) AND s.fetched_ms <= (n.value ->> 3)
        AND s.is_by_point >= (n.value ->> 4)
    WHERE NOT EXISTS (
        SELECT 1 FROM cache_purges m
        WHERE m.site = ?1 AND m.point IN ('', s.point) AND m.purged_ms >= (n.value ->> 3)
            AND m.start_ms < s.end_ms AND m.end_ms > s.start_ms
    )
)
"""


def _held_at(instant_ms: str) -> str:
    """Return whether a newer copy of `s` holds an instant, as SQL."""
    return f"""EXISTS (
        SELECT 1 FROM cache_segments h
        WHERE h.site = s.site AND h.point = s.point AND h.end_ms > {instant_ms}
            AND h.start_ms <= {instant_ms} AND h.fetched_ms > s.fetched_ms
            AND h.is_by_point = s.is_by_point
    )"""  # noqa: S608 - constants only


# Older ones that a new one overlaps and that several newer ones hold together: their first instant,
# and each at which a newer one ends. What came by point and raw samples may not stand beside each
# other in an answer, so both must be of one kind.
_SUPERSEDE = f"""
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms) IN (
    SELECT s.site, s.point, s.end_ms, s.start_ms
    FROM json_each(?2) n CROSS JOIN cache_segments s
        ON s.site = ?1 AND s.point = n.value ->> 0
        AND s.end_ms > (n.value ->> 1) AND s.start_ms < (n.value ->> 2)
        AND s.fetched_ms < (n.value ->> 3) AND s.is_by_point = (n.value ->> 4)
    WHERE {_held_at("s.start_ms")} AND NOT EXISTS (
        SELECT 1 FROM cache_segments o
        WHERE o.site = s.site AND o.point = s.point
            AND o.end_ms > s.start_ms AND o.end_ms < s.end_ms AND o.fetched_ms > s.fetched_ms
            AND o.is_by_point = s.is_by_point AND NOT {_held_at("o.end_ms")}
    )
)
"""  # noqa: S608 - constants only


def replace_statements(site: str, segments: Sequence[Segment]) -> list[Statement]:
    """Return what forgets older segments that lie within new ones; it comes before these."""
    return _statements(_REPLACE, site, segments)


def supersede_statements(site: str, segments: Sequence[Segment]) -> list[Statement]:
    """Return what forgets those that are useless beside new ones; it comes after these."""
    return _statements(_SUPERSEDE, site, segments)


def _statements(sql: str, site: str, segments: Sequence[Segment]) -> list[Statement]:
    return [
        Statement(sql, (site, names))
        for names in json_lists(
            [each.point, each.start_ms, each.end_ms, each.fetched_ms, each.is_by_point]
            for each in segments
        )
    ]
