"""
What becomes of blocks in D1 when the cache forgets or purges: they have no rows of segments.

Separate from the room `blocks`, which makes and reads them, because it happens in the batches in
which segments are forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from building_vitals.ports import Statement, json_parameter
from building_vitals.ranges import Range

# What lies beneath a lost block was fetched earlier: shown instead, it would take an answer back in
# time. Of other blocks it is cut out as what was purged is.
_MARK_LOST = """
INSERT INTO cache_purges (site, point, start_ms, end_ms, purged_ms)
SELECT site, '', start_ms, end_ms, fetched_ms - 1 FROM site_blocks
WHERE object_key IN (SELECT value FROM json_each(?1)) AND gone_ms IS NULL
ON CONFLICT (site, point, start_ms, end_ms)
    DO UPDATE SET purged_ms = max(purged_ms, excluded.purged_ms)
"""
_UNCUT_BENEATH = """
UPDATE site_blocks SET cut_ms = -1
WHERE gone_ms IS NULL AND cut_ms >= 0 AND EXISTS (
    SELECT 1 FROM site_blocks b
    WHERE b.object_key IN (SELECT value FROM json_each(?1)) AND b.gone_ms IS NULL
        AND b.site = site_blocks.site
        AND b.end_ms > site_blocks.start_ms AND b.start_ms < site_blocks.end_ms
)
"""
_FORGET_BENEATH = """
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms) IN (
    SELECT s.site, s.point, s.end_ms, s.start_ms
    FROM site_blocks b CROSS JOIN cache_segments s
        ON s.site = b.site AND s.end_ms > b.start_ms AND s.start_ms < b.end_ms
        AND s.fetched_ms < b.fetched_ms
    WHERE b.object_key IN (SELECT value FROM json_each(?1)) AND b.gone_ms IS NULL
)
"""
_FORGET = """
UPDATE site_blocks SET gone_ms = ?2
WHERE object_key IN (SELECT value FROM json_each(?1)) AND gone_ms IS NULL
"""

# A mark cuts what is read of blocks from now on, until it has been carried out in all of them. One
# that comes late must not pass for one that has been.
_UNCUT = """
UPDATE site_blocks SET cut_ms = min(cut_ms, ?4 - 1)
WHERE site = ?1 AND end_ms > ?2 AND start_ms < ?3 AND gone_ms IS NULL
"""
# Those of which nothing is left.
_DROP = """
UPDATE site_blocks SET gone_ms = ?4
WHERE site = ?1 AND start_ms >= ?2 AND end_ms <= ?3 AND gone_ms IS NULL AND fetched_ms <= ?4
"""
# As the index notes it of objects.
NOTE_ACCESS = """
UPDATE site_blocks SET last_access_ms = ?2
WHERE last_access_ms <= ?3 AND gone_ms IS NULL AND object_key IN (SELECT value FROM json_each(?1))
"""


def forget_block_statements(keys: Collection[str], *, now_ms: int) -> list[Statement]:
    """Return what forgets those of some lost objects that are blocks, with what lies beneath."""
    names = json_parameter(sorted(keys))
    return [
        Statement(_MARK_LOST, (names,)),
        Statement(_UNCUT_BENEATH, (names,)),
        Statement(_FORGET_BENEATH, (names,)),
        Statement(_FORGET, (names, now_ms)),
    ]


def purge_block_statements(
    site: str, points: Sequence[str] | None, time_range: Range, *, now_ms: int
) -> list[Statement]:
    """
    Return what a purge changes of blocks, beside the marks that cut it out of what is read.

    The changes of the first are the blocks it touched.
    """
    values = (site, time_range.start_ms, time_range.end_ms, now_ms)
    return [Statement(_UNCUT, values), *([Statement(_DROP, values)] if points is None else [])]
