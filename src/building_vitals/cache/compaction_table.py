"""
What compaction changes in the index: one segment takes the place of those that it was made of.

It does so only while they are all there as they were read. Whatever happened to one of them in the
meantime (a purge, a newer fetch, another compaction), the others stay as they are; no clock is
compared for it. What was copied out of a block stays there, too.

What was fetched at several instants counts as fetched at the first of them. So nothing else may lie
there that was fetched in between, or it would be shown in place of what is newer: nothing known,
nor what is being fetched and comes to be stored later. For that a mark is left, as purges leave it:
of what was fetched by the last of these instants and is not stored by now, it cuts that range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from building_vitals.cache.purges_table import PURGE_AGE_MS
from building_vitals.cache.rows_table import (
    COLUMNS,
    EXPIRES_MS,
    IS_CUT,
    LATEST_MS,
    MORE,
    OF_BLOCKS,
    SERIES_VALUES,
    json_lists,
    segment_row,
)
from building_vitals.cache.segments import Segment
from building_vitals.ports import Statement

# In each row: the segment, when it expires, the rows that it is made of, whether parts of it were
# copied out of blocks, and when the last of them was fetched. Parts of blocks have no rows that a
# purge would have taken, only its mark.
PUT_SEGMENTS = f"""
INSERT OR REPLACE INTO cache_segments ({COLUMNS})
SELECT ?1, value ->> 0, value ->> 1, value ->> 2, {SERIES_VALUES}, {IS_CUT}, {EXPIRES_MS}
FROM json_each(?2) n
WHERE NOT EXISTS (
    SELECT 1 FROM json_each(n.{MORE}) part WHERE NOT EXISTS (
        SELECT 1 FROM cache_segments s
        WHERE s.site = ?1 AND s.point = n.value ->> 0
            AND s.end_ms = part.value ->> 0 AND s.start_ms = part.value ->> 1
            AND s.object_key = part.value ->> 2 AND s.fetched_ms = part.value ->> 3
    )
) AND NOT EXISTS (
    SELECT 1 FROM cache_segments s
    WHERE s.site = ?1 AND s.point = n.value ->> 0
        AND s.end_ms = n.value ->> 2 AND s.start_ms = n.value ->> 1
        AND s.fetched_ms > n.value ->> 3
        AND s.object_key NOT IN (SELECT part.value ->> 2 FROM json_each(n.{MORE}) part)
) AND (n.{OF_BLOCKS} = 0 OR NOT EXISTS (
    SELECT 1 FROM cache_purges m
    WHERE m.site = ?1 AND m.point IN ('', n.value ->> 0) AND m.purged_ms >= n.value ->> 3
        AND m.start_ms < n.value ->> 2 AND m.end_ms > n.value ->> 1
)) AND (n.{LATEST_MS} = n.value ->> 3 OR NOT EXISTS (
    SELECT 1 FROM cache_segments s
    WHERE s.site = ?1 AND s.point = n.value ->> 0
        AND s.end_ms > n.value ->> 1 AND s.start_ms < n.value ->> 2
        AND s.fetched_ms BETWEEN n.value ->> 3 AND n.{LATEST_MS}
        AND NOT EXISTS (
            SELECT 1 FROM json_each(n.{MORE}) part
            WHERE s.end_ms = part.value ->> 0 AND s.start_ms = part.value ->> 1
                AND s.object_key = part.value ->> 2 AND s.fetched_ms = part.value ->> 3
        )
) AND NOT EXISTS (
    SELECT 1 FROM site_blocks b
    WHERE b.site = ?1 AND b.gone_ms IS NULL
        AND b.end_ms > n.value ->> 1 AND b.start_ms < n.value ->> 2
        AND b.fetched_ms BETWEEN n.value ->> 3 AND n.{LATEST_MS}
))
"""  # noqa: S608 - constants only

# The mark goes after PURGE_AGE_MS, when nothing is left that might come late.
_MARK = f"""
INSERT INTO cache_purges (site, point, start_ms, end_ms, purged_ms)
SELECT ?1, n.value ->> 0, n.value ->> 1, n.value ->> 2, n.{LATEST_MS}
FROM json_each(?2) n
WHERE n.{LATEST_MS} > n.value ->> 3 AND n.{LATEST_MS} >= ?3 AND EXISTS (
    SELECT 1 FROM cache_segments s
    WHERE s.site = ?1 AND s.point = n.value ->> 0 AND s.end_ms = n.value ->> 2
        AND s.start_ms = n.value ->> 1 AND s.object_key = n.value ->> 4
)
ON CONFLICT (site, point, start_ms, end_ms)
    DO UPDATE SET purged_ms = max(purged_ms, excluded.purged_ms)
"""  # noqa: S608 - constants only

_REMOVE_PARTS = """
DELETE FROM cache_segments
WHERE (site, point, end_ms, start_ms, object_key, fetched_ms) IN (
    SELECT ?1, n.value ->> 0, part.value ->> 0, part.value ->> 1, part.value ->> 2,
        part.value ->> 3
    FROM json_each(?2) n CROSS JOIN json_each(n.value -> 4) part
    WHERE EXISTS (
        SELECT 1 FROM cache_segments s
        WHERE s.site = ?1 AND s.point = n.value ->> 0 AND s.end_ms = n.value ->> 2
            AND s.start_ms = n.value ->> 1 AND s.object_key = n.value ->> 3
    )
)
"""


def move_statements(
    site: str, moves: Iterable[tuple[Segment, int, Sequence[Segment]]], *, now_ms: int
) -> list[Statement]:
    """
    Return what puts each segment, with the instant it expires, in the place of its parts.

    The changes of those with PUT_SEGMENTS are the segments that have been put there.
    """
    moved = [
        (
            segment,
            expires_ms,
            [
                [each.end_ms, each.start_ms, each.key, each.fetched_ms]
                for each in parts
                if not each.is_block
            ],
            any(each.is_block for each in parts),
            max(segment.fetched_ms, *(each.fetched_ms for each in parts)),
        )
        for segment, expires_ms, parts in moves
    ]
    return [
        *(
            statement
            for rows in json_lists(segment_row(*each) for each in moved)
            for statement in (
                Statement(PUT_SEGMENTS, (site, rows)),
                Statement(_MARK, (site, rows, now_ms - PURGE_AGE_MS)),
            )
        ),
        *(
            Statement(_REMOVE_PARTS, (site, rows))
            for rows in json_lists(
                [segment.point, segment.start_ms, segment.end_ms, segment.key, parts]
                for segment, _, parts, *_ in moved
            )
        ),
    ]
