"""
Slivers in D1: their bytes by themselves, their way into an object, and those that are spoilt.

Each is found by its point, because an index by what they were stored with would make each of them
dearer by a row.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Sequence

import msgspec

from building_vitals.cache.object_keys import is_row_key, site_of
from building_vitals.cache.rows_table import json_lists
from building_vitals.cache.segments import Place, Segment
from building_vitals.ports import Database, Statement, json_parameter

# Stored bytes of slivers that are read at a time: as base64 well below what a value may have.
SLIVERS_AT_ONCE_BYTES = 700_000

_LOST_OBJECTS = """
    SELECT site, point, start_ms, end_ms, fetched_ms FROM cache_segments
    WHERE object_key IN (SELECT value FROM json_each(?1)) AND object_etag <> ''
"""
_LOST_SLIVERS = """
    SELECT s.site, s.point, s.start_ms, s.end_ms, s.fetched_ms
    FROM json_each(?1) n CROSS JOIN cache_segments s
        ON s.site = n.value ->> 0 AND s.point = n.value ->> 1 AND s.object_key = n.value ->> 2
"""


def _forget_sql(lost: str) -> str:
    """
    Return the statement that forgets what is lost and what lies beneath, at any depth.

    That was fetched earlier: shown instead, it would take an answer back in time.
    """
    return f"""
WITH RECURSIVE gone AS (
    {lost}
    UNION
    SELECT o.site, o.point, o.start_ms, o.end_ms, o.fetched_ms
    FROM gone g CROSS JOIN cache_segments o
        ON o.site = g.site AND o.point = g.point
        AND o.end_ms > g.start_ms AND o.start_ms < g.end_ms AND o.fetched_ms < g.fetched_ms
)
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms) IN (
    SELECT site, point, end_ms, start_ms FROM gone
)
"""  # noqa: S608 - constants only


def _mark_sql(lost: str) -> str:
    """Return the statement that cuts what is lost out of the blocks beneath, as a purge does."""
    return f"""
INSERT INTO cache_purges (site, point, start_ms, end_ms, purged_ms)
SELECT s.site, s.point, s.start_ms, s.end_ms, s.fetched_ms - 1 FROM ({lost}) s
WHERE {_IN_BLOCK}
ON CONFLICT (site, point, start_ms, end_ms)
    DO UPDATE SET purged_ms = max(purged_ms, excluded.purged_ms)
"""  # noqa: S608 - constants only


def _uncut_sql(lost: str) -> str:
    """Return the statement after which no such mark passes for one that has been carried out."""
    return f"""
UPDATE site_blocks SET cut_ms = -1
WHERE (site, end_ms, start_ms, object_key) IN (
    SELECT b.site, b.end_ms, b.start_ms, b.object_key FROM ({lost}) s CROSS JOIN site_blocks b
    ON b.site = s.site AND b.end_ms > s.start_ms AND b.start_ms < s.end_ms
    WHERE b.gone_ms IS NULL AND b.cut_ms >= 0
)
"""  # noqa: S608 - constants only


_IN_BLOCK = """EXISTS (
    SELECT 1 FROM site_blocks b
    WHERE b.site = s.site AND b.end_ms > s.start_ms AND b.start_ms < s.end_ms
        AND b.gone_ms IS NULL
)"""
_FORGET_OBJECTS, _FORGET_SLIVERS = (
    (_mark_sql(lost), _uncut_sql(lost), _forget_sql(lost))
    for lost in (_LOST_OBJECTS, _LOST_SLIVERS)
)

_SLIVERS = """
SELECT json_group_array(json_array(n.key, s.data)) AS slivers
FROM json_each(?2) n CROSS JOIN cache_segments s
    ON s.site = ?1 AND s.point = n.value ->> 0 AND s.end_ms = n.value ->> 1
    AND s.start_ms = n.value ->> 2 AND s.object_key = n.value ->> 3
"""

# The same row, which takes its series out of an object from now on.
_MOVE_SLIVERS = """
UPDATE cache_segments
SET object_key = n.value ->> 4, object_etag = n.value ->> 5, offset = n.value ->> 6, data = NULL
FROM json_each(?2) n
WHERE cache_segments.site = ?1 AND cache_segments.point = n.value ->> 0
    AND cache_segments.end_ms = n.value ->> 1 AND cache_segments.start_ms = n.value ->> 2
    AND cache_segments.object_key = n.value ->> 3
"""


def sliver_statements(site: str, moves: Iterable[tuple[Segment, Segment]]) -> list[Statement]:
    """Return what puts slivers that are still there into an object; each with what it becomes."""
    return [
        Statement(_MOVE_SLIVERS, (site, rows))
        for rows in json_lists(
            [
                *(sliver.point, sliver.end_ms, sliver.start_ms, sliver.key),
                *(moved.key, moved.object_etag, moved.offset),
            ]
            for sliver, moved in moves
        )
    ]


def forget_statements(places: Iterable[Place]) -> list[Statement]:
    """
    Return what forgets all segments in these objects and these slivers, with those beneath; in
    blocks, what lies beneath is cut out.
    """
    slivers: list[list[str]] = []
    keys: list[str] = []
    for each in places:
        if is_row_key(each.key):
            slivers.append([site_of(each.key), each.point, each.key])
        else:
            keys.append(each.key)
    lists = [(_FORGET_SLIVERS, rows) for rows in json_lists(slivers)]
    if keys:
        lists.append((_FORGET_OBJECTS, json_parameter(keys)))
    return [Statement(sql, (rows,)) for statements, rows in lists for sql in statements]


async def read_slivers(
    database: Database, site: str, segments: Sequence[Segment]
) -> list[bytes | None]:
    """
    Return the bytes of slivers, None of those that are gone.

    At most SLIVERS_AT_ONCE_BYTES together: an answer of D1 has a most, too.

    Raises:
        Unavailable: the database can't be reached.
    """
    names = [[each.point, each.end_ms, each.start_ms, each.key] for each in segments]
    rows = await database.rows(_SLIVERS, site, json_parameter(names))
    found: list[bytes | None] = [None] * len(segments)
    for n, data in msgspec.json.decode(rows[0]["slivers"]):
        found[int(n)] = bytes_of(data or "")
    return found


def bytes_of(text: str) -> bytes:
    """Return what a text is the base64 of; nothing, if it is none."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return b""
