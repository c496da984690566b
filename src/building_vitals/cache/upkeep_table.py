"""
What maintenance removes from the cache's tables: a bounded part at a time, by indexes.

Every statement may run again: what it has done is not found a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from building_vitals.cache.freshness import Freshness, gone_sql, spent_sql, unread_sql
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.instants import DAY_MS, INSTANT_MAX_MS
from building_vitals.ports import Database, Statement, json_parameter

# One that stays all the same is looked at again after this long.
LOOK_AGAIN_MS = DAY_MS

# When a segment may go, by today's configuration: expires_ms was filed under that of its day, and
# before it was read. ?3 to ?6 are `Freshness.clean_up_values`.
_SPENT_MS = spent_sql(3)
_ACCESSED_MS = """coalesce((
    SELECT m.last_access_ms FROM cache_metadata m WHERE m.object_key = cache_segments.object_key
), 0)"""
# Of a followed site, what rounds have read is trusted as long as it is followed: a segment that
# goes because trust alone is over would show the block beneath, which may have been fetched before.
_IN_BLOCK = """EXISTS (
    SELECT 1 FROM site_follows f CROSS JOIN site_blocks b ON b.site = f.site
    WHERE f.site = cache_segments.site AND b.gone_ms IS NULL
        AND b.end_ms > cache_segments.start_ms AND b.start_ms < cache_segments.end_ms
        AND b.fetched_ms < {}
)"""
_GONE_MS = f"""(CASE WHEN {_IN_BLOCK.format(INSTANT_MAX_MS)} THEN {unread_sql(3, _ACCESSED_MS)}
    ELSE {gone_sql(3, _ACCESSED_MS)} END)"""
# One that nobody reads stays where it hides an older copy that somebody does: an answer never goes
# back in time. Of what has no object, nobody notes when it was read last: on a followed site it
# stays while it hides an older block.
_HIDES = f"""(({_SPENT_MS} >= ?1 AND EXISTS (
    SELECT 1 FROM cache_segments o WHERE o.site = cache_segments.site
        AND o.point = cache_segments.point AND o.end_ms > cache_segments.start_ms
        AND o.start_ms < cache_segments.end_ms AND o.fetched_ms < cache_segments.fetched_ms
)) OR (object_etag = '' AND {_IN_BLOCK.format("cache_segments.fetched_ms")}))"""  # noqa: S608 - constants only
_EXPIRED = """
SELECT site, point, end_ms, start_ms FROM cache_segments
WHERE expires_ms < ?1 ORDER BY expires_ms LIMIT ?2
"""
_REFILE_SEGMENTS = f"""
UPDATE cache_segments SET expires_ms =
    CASE WHEN {_GONE_MS} >= ?1 THEN {_GONE_MS} ELSE ?1 + {LOOK_AGAIN_MS} END
WHERE ({_GONE_MS} >= ?1 OR {_HIDES}) AND (site, point, end_ms, start_ms) IN ({_EXPIRED})
"""  # noqa: S608 - constants only
_DELETE_SEGMENTS = f"""
DELETE FROM cache_segments
WHERE {_GONE_MS} < ?1 AND NOT {_HIDES} AND (site, point, end_ms, start_ms) IN ({_EXPIRED})
"""  # noqa: S608 - constants only

# Objects that have expired go after the last of their segments, under which they are filed.
_REFILE_OBJECTS = """
UPDATE cache_metadata SET expires_ms = s.expires_ms
FROM (
    SELECT m.object_key, (
        SELECT max(c.expires_ms) FROM cache_segments c
        WHERE c.object_key = m.object_key AND c.object_etag <> ''
    ) AS expires_ms
    FROM (
        SELECT object_key FROM cache_metadata WHERE expires_ms < ?1 ORDER BY expires_ms LIMIT ?2
    ) m
) s
WHERE cache_metadata.object_key = s.object_key AND s.expires_ms <> cache_metadata.expires_ms
"""
_MARK_EXPIRED = """
UPDATE cache_metadata SET orphaned_ms = ?1
WHERE object_key IN (
    SELECT object_key FROM cache_metadata
    WHERE expires_ms < ?1 AND orphaned_ms IS NULL ORDER BY expires_ms LIMIT ?2
) AND NOT EXISTS (
    SELECT 1 FROM cache_segments s
    WHERE s.object_key = cache_metadata.object_key AND s.object_etag <> ''
)
"""
_ORPHANS = """
SELECT object_key FROM cache_metadata m
WHERE orphaned_ms < ?1
    AND NOT EXISTS (
        SELECT 1 FROM cache_segments s WHERE s.object_key = m.object_key AND s.object_etag <> ''
    )
ORDER BY orphaned_ms LIMIT ?2
"""

# Of some keys: which the index knows, and which of these no longer have a segment.
_KNOWN = """
SELECT k.value AS object_key FROM json_each(?1) k
WHERE EXISTS (
        SELECT 1 FROM cache_segments s WHERE s.object_key = k.value AND s.object_etag <> ''
    )
    OR EXISTS (SELECT 1 FROM cache_metadata m WHERE m.object_key = k.value)
"""
_MARK_ORPHANS = """
UPDATE cache_metadata SET orphaned_ms = ?2
WHERE object_key IN (SELECT value FROM json_each(?1)) AND orphaned_ms IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM cache_segments s
        WHERE s.object_key = cache_metadata.object_key AND s.object_etag <> ''
    )
"""


# Few rows: what is under way, or was when an isolate died; one for each site lately purged.
_OLD_LEASES = "DELETE FROM fetch_leases WHERE expires_ms < ?1"
# A mark stays as long as it has to be cut out of what is read of a block.
_OLD_PURGES = """
DELETE FROM cache_purges WHERE purged_ms < ?1 AND NOT EXISTS (
    SELECT 1 FROM site_blocks b
    WHERE b.site = cache_purges.site AND b.gone_ms IS NULL
        AND b.end_ms > cache_purges.start_ms AND b.start_ms < cache_purges.end_ms
        AND b.fetched_ms <= cache_purges.purged_ms AND b.cut_ms < cache_purges.purged_ms
)
"""

_COUNTED = "SELECT counted_ms FROM cache_totals WHERE id = 1"
_RECOUNT = """
INSERT INTO cache_totals (id, objects, samples, text_bytes, stored_bytes, counted_ms)
SELECT 1, count(*), coalesce(sum(samples), 0), coalesce(sum(text_bytes), 0),
    coalesce(sum(stored_bytes), 0), ?1
FROM cache_metadata WHERE true
ON CONFLICT (id) DO UPDATE SET objects = excluded.objects, samples = excluded.samples,
    text_bytes = excluded.text_bytes, stored_bytes = excluded.stored_bytes,
    counted_ms = excluded.counted_ms
"""

_PLACE = "SELECT place FROM maintenance_state WHERE step = ?1"
_KEEP_PLACE = """
INSERT INTO maintenance_state (step, place, updated_ms) VALUES (?1, ?2, ?3)
ON CONFLICT (step) DO UPDATE SET place = excluded.place, updated_ms = excluded.updated_ms
"""


class Expired(NamedTuple):
    """
    What became of segments that may have expired.

    Attributes:
        deleted: Segments that are gone.
        refiled: Segments that live on by today's configuration.
    """

    deleted: int
    refiled: int


class CacheUpkeep:
    """Finds and removes expired segments, unused objects, old leases and marks of purges."""

    def __init__(self, database: Database, index: SegmentIndex) -> None:
        self._database = database
        self._index = index

    async def delete_segments(self, freshness: Freshness, *, now_ms: int, limit: int) -> Expired:
        """Delete segments that may go, those first that expired first."""
        values = (now_ms, limit, *freshness.clean_up_values)
        refiled, deleted = await self._database.batch(
            [Statement(_REFILE_SEGMENTS, values), Statement(_DELETE_SEGMENTS, values)]
        )
        return Expired(deleted.changes, refiled.changes)

    async def orphans(self, *, now_ms: int, before_ms: int, limit: int) -> list[str]:
        """
        Return objects of which it was seen before an instant that their segments have all gone.

        Those that have expired by now are looked at first.
        """
        outcomes = await self._database.batch(
            [
                Statement(_REFILE_OBJECTS, (now_ms, limit)),
                Statement(_MARK_EXPIRED, (now_ms, limit)),
                Statement(_ORPHANS, (before_ms, limit)),
            ]
        )
        return [row["object_key"] for row in outcomes[2].rows]

    async def known_objects(self, keys: Sequence[str], *, now_ms: int) -> set[str]:
        """Return which objects the index knows, and note which of them have no segment."""
        names = json_parameter(keys)
        outcomes = await self._database.batch(
            [Statement(_KNOWN, (names,)), Statement(_MARK_ORPHANS, (names, now_ms))]
        )
        return {row["object_key"] for row in outcomes[0].rows}

    async def drop_objects(self, keys: Sequence[str]) -> None:
        """Remove the rows of objects."""
        await self._index.drop_objects(keys)

    async def delete_leases(self, *, before_ms: int) -> int:
        """Delete leases that expired before an instant; return how many."""
        return (await self._database.batch([Statement(_OLD_LEASES, (before_ms,))]))[0].changes

    async def delete_purges(self, *, before_ms: int) -> int:
        """Delete marks of purges before an instant that no block needs; return how many."""
        return (await self._database.batch([Statement(_OLD_PURGES, (before_ms,))]))[0].changes

    async def counted_ms(self) -> int:
        """Return when the cache's totals were last counted; 0 for never."""
        rows = await self._database.rows(_COUNTED)
        return int(rows[0]["counted_ms"]) if rows else 0

    async def recount(self, *, now_ms: int) -> None:
        """Count the cache's totals from the rows of its objects."""
        await self._database.batch([Statement(_RECOUNT, (now_ms,))])

    async def place(self, step: str) -> str | None:
        """Return where a step is to go on; None for at the beginning."""
        rows = await self._database.rows(_PLACE, step)
        return (str(rows[0]["place"]) or None) if rows else None

    async def keep_place(self, step: str, place: str | None, *, now_ms: int) -> None:
        """Note where a step is to go on."""
        await self._database.batch([Statement(_KEEP_PLACE, (step, place or "", now_ms))])
