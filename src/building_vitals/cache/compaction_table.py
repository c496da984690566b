"""
What compaction changes in the index: one segment takes the place of those that it was made of.

It does so only while they are all there as they were read. Whatever happened to one of them in the
meantime (a purge, a newer fetch, another compaction), the others stay as they are; no clock is
compared for it. What was copied out of a block stays there, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from building_vitals.cache.rows_table import (
    COLUMNS,
    EXPIRES_MS,
    IS_CUT,
    MORE,
    OF_BLOCKS,
    SERIES_VALUES,
    json_lists,
    segment_row,
)
from building_vitals.cache.segments import Segment
from building_vitals.ports import Statement

# In each row: the segment, when it expires, the rows that it is made of, and whether parts of it
# were copied out of blocks. Those have no rows that a purge would have taken, only its mark.
_INSERT = f"""
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
))
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
    site: str, moves: Iterable[tuple[Segment, int, Sequence[Segment]]]
) -> list[Statement]:
    """Return what puts each segment, with the instant it expires, in the place of its parts."""
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
        )
        for segment, expires_ms, parts in moves
    ]
    return [
        *(
            Statement(_INSERT, (site, rows))
            for rows in json_lists(segment_row(*each) for each in moved)
        ),
        *(
            Statement(_REMOVE_PARTS, (site, rows))
            for rows in json_lists(
                [segment.point, segment.start_ms, segment.end_ms, segment.key, parts]
                for segment, _, parts, _ in moved
            )
        ),
    ]
