"""
Blocks in D1: one row each, whatever the number of points.

A block that another takes the place of keeps its row, marked, until nobody reads its object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from building_vitals.blocks.merging import MERGED_MIN, BlockPlace
from building_vitals.cache.block_rows import BlockRow, Mark
from building_vitals.cache.freshness import Freshness, gone_sql, spent_sql
from building_vitals.instants import INSTANT_MAX_MS
from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.ranges import Range

_COLUMNS = """site, start_ms, end_ms, object_key, object_etag, level, fetched_ms, points, samples,
    stored_bytes, directory_offset, foot_offset, foot_bytes, foot_crc, cut_ms, is_once"""
_VALUES = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16"
_INSERT = f"INSERT INTO site_blocks ({_COLUMNS}) VALUES ({_VALUES})"  # noqa: S608 - constants only
# What is known of all points of a range hides all that was fetched of it before.
_COVERED = """
UPDATE site_blocks SET gone_ms = ?6
WHERE site = ?1 AND start_ms >= ?2 AND end_ms <= ?3 AND fetched_ms <= ?4 AND object_key <> ?5
    AND gone_ms IS NULL
"""

# In the place of those it was made of, while they are all there and the purges are still those that
# it was made with.
_REPLACE = f"""
INSERT INTO site_blocks ({_COLUMNS}, last_access_ms)
SELECT {_VALUES}, (
    SELECT max(last_access_ms) FROM site_blocks
    WHERE site = ?1 AND object_key IN (SELECT value FROM json_each(?17))
)
WHERE (
    SELECT count(*) FROM site_blocks
    WHERE site = ?1 AND gone_ms IS NULL AND object_key IN (SELECT value FROM json_each(?17))
) = json_array_length(?17) AND NOT EXISTS (
    SELECT m.point, m.start_ms, m.end_ms, m.purged_ms FROM cache_purges m
    WHERE m.site = ?1 AND m.end_ms > ?2 AND m.start_ms < ?3 AND m.purged_ms >= ?18
    EXCEPT
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?19)
)
"""  # noqa: S608 - constants only
_REPLACED = """
UPDATE site_blocks SET gone_ms = ?3
WHERE site = ?1 AND gone_ms IS NULL AND object_key IN (SELECT value FROM json_each(?4))
    AND EXISTS (
        SELECT 1 FROM site_blocks b
        WHERE b.site = ?1 AND b.object_key = ?2 AND b.gone_ms IS NULL
    )
"""

_OF_SITE = """
SELECT start_ms, end_ms, object_key, object_etag, level, fetched_ms, stored_bytes,
    directory_offset, foot_offset, foot_bytes, foot_crc, is_once
FROM site_blocks WHERE site = ?1 AND gone_ms IS NULL AND fetched_ms <= ?2
ORDER BY end_ms, start_ms, object_key
"""
_MARKS = """
SELECT point, start_ms, end_ms, purged_ms FROM cache_purges
WHERE site = ?1 AND end_ms > ?2 AND start_ms < ?3 AND purged_ms >= ?4
"""
# Segments that were fetched between blocks: they hide some of these and are hidden by others.
_RIVALS = """
SELECT point, start_ms, end_ms, fetched_ms FROM cache_segments
WHERE site = ?1 AND end_ms > ?2 AND start_ms < ?3 AND fetched_ms >= ?4 AND fetched_ms <= ?5
"""
_MANY = f"""
SELECT DISTINCT site FROM (
    SELECT site FROM site_blocks WHERE gone_ms IS NULL AND fetched_ms <= ?1
    GROUP BY site, level HAVING count(*) >= {MERGED_MIN}
)
"""  # noqa: S608 - constants only
_DROP_SITE = "UPDATE site_blocks SET gone_ms = ?2 WHERE site = ?1 AND gone_ms IS NULL"
# A followed site is an archive. Of others a block goes as segments do: when nothing of it is
# trusted or stands in, or nobody has read it for long; but not while it hides an older copy.
_SPENT_MS, _GONE_MS = spent_sql(2), gone_sql(2, "last_access_ms")
_EXPIRE = f"""
UPDATE site_blocks SET gone_ms = ?1
WHERE gone_ms IS NULL AND {_GONE_MS} < ?1
    AND NOT EXISTS (SELECT 1 FROM site_follows f WHERE f.site = site_blocks.site)
    AND NOT ({_SPENT_MS} >= ?1 AND (EXISTS (
        SELECT 1 FROM cache_segments o WHERE o.site = site_blocks.site
            AND o.end_ms > site_blocks.start_ms AND o.start_ms < site_blocks.end_ms
            AND o.fetched_ms < site_blocks.fetched_ms
    ) OR EXISTS (
        SELECT 1 FROM site_blocks o WHERE o.site = site_blocks.site AND o.gone_ms IS NULL
            AND o.end_ms > site_blocks.start_ms AND o.start_ms < site_blocks.end_ms
            AND o.fetched_ms < site_blocks.fetched_ms
    )))
"""  # noqa: S608 - constants only
_GONE = "SELECT object_key FROM site_blocks WHERE gone_ms < ?1 LIMIT ?2"
_DELETE = """
DELETE FROM site_blocks
WHERE gone_ms IS NOT NULL AND object_key IN (SELECT value FROM json_each(?1))
"""
_KNOWN = """
SELECT object_key FROM site_blocks WHERE object_key IN (SELECT value FROM json_each(?1))
"""


# A range of a point that a segment knows, and when it was fetched.
Rival: TypeAlias = tuple[Range, int]


class StoredBlock(msgspec.Struct, frozen=True):
    """
    A block that has been stored.

    Attributes:
        key, object_etag: Its object.
        range: From the first instant that is known to the last one.
        level: How large, as `merging` counts.
        fetched_ms: When the latest fetch began that it is known from.
        points, samples, stored_bytes: What it holds.
        directory_offset, foot_offset, foot_bytes, foot_crc: The directory's place.
        cut_ms: Purges up to this instant have been carried out.
        is_once: Whether some of it was fetched for a request, and not by a follow.
    """

    key: str
    object_etag: str
    range: Range
    level: int
    fetched_ms: int
    points: int
    samples: int
    stored_bytes: int
    directory_offset: int
    foot_offset: int
    foot_bytes: int
    foot_crc: int
    cut_ms: int = -1
    is_once: bool = False


class Blocks:
    """Finds, records and replaces the rows of blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, site: str, block: StoredBlock, *, now_ms: int) -> None:
        """Make a block known that knows all of its range; older ones that it covers are gone."""
        covered = (site, *block.range, block.fetched_ms, block.key, now_ms)
        await self._database.batch(
            [Statement(_INSERT, _values(site, block)), Statement(_COVERED, covered)]
        )

    async def replace(
        self,
        site: str,
        block: StoredBlock,
        parts: Sequence[BlockPlace],
        marks: Sequence[Mark],
        *,
        now_ms: int,
    ) -> bool:
        """
        Put a block in the place of those it was made of; return whether they were still all there.

        Where they were not, or something has been purged since, nothing changes.

        Args:
            site: The site.
            block: The block, stored already.
            parts: What it was made of.
            marks: The purges that were carried out in it.
            now_ms: The present.
        """
        keys = json_parameter([each.row.key for each in parts])
        since_ms = min(each.row.fetched_ms for each in parts)
        inserted, _ = await self._database.batch(
            [
                Statement(
                    _REPLACE, (*_values(site, block), keys, since_ms, json_parameter(list(marks)))
                ),
                Statement(_REPLACED, (site, block.key, now_ms, keys)),
            ]
        )
        return inserted.changes > 0

    async def of_site(self, site: str, *, before_ms: int | None = None) -> list[BlockPlace]:
        """Return the blocks of a site that are read, fetched up to an instant; by their ends."""
        before_ms = INSTANT_MAX_MS if before_ms is None else before_ms
        return list(map(_place, await self._database.rows(_OF_SITE, site, before_ms)))

    async def marks(self, site: str, time_range: Range, *, since_ms: int) -> list[Mark]:
        """Return the purges in a range of what was fetched at an instant or later."""
        rows = await self._database.rows(
            _MARKS, site, time_range.start_ms, time_range.end_ms, since_ms
        )
        return [Mark(**row) for row in rows]

    async def rivals(
        self, site: str, time_range: Range, *, since_ms: int, until_ms: int
    ) -> dict[str, list[Rival]]:
        """Return where segments lie that were fetched between two instants, by point."""
        rows = await self._database.rows(
            _RIVALS, site, time_range.start_ms, time_range.end_ms, since_ms, until_ms
        )
        found: dict[str, list[Rival]] = {}
        for row in rows:
            rival = (Range(row["start_ms"], row["end_ms"]), row["fetched_ms"])
            found.setdefault(row["point"], []).append(rival)
        return found

    async def sites_with_many(self, *, before_ms: int) -> list[str]:
        """Return the sites with so many blocks of a level, fetched by then, that some may merge."""
        return [str(row["site"]) for row in await self._database.rows(_MANY, before_ms)]

    async def drop(self, site: str, *, now_ms: int) -> int:
        """Let go of all blocks of a site; return how many."""
        return (await self._database.batch([Statement(_DROP_SITE, (site, now_ms))]))[0].changes

    async def expire(self, freshness: Freshness, *, now_ms: int) -> int:
        """Let go of blocks of sites that nobody follows, when they may go; return how many."""
        statement = Statement(_EXPIRE, (now_ms, *freshness.clean_up_values))
        return (await self._database.batch([statement]))[0].changes

    async def gone(self, *, before_ms: int, limit: int) -> list[str]:
        """Return objects that others took the place of before an instant."""
        rows = await self._database.rows(_GONE, before_ms, limit)
        return [str(row["object_key"]) for row in rows]

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove the rows of objects that are gone."""
        await self._database.batch([Statement(_DELETE, (json_parameter(keys),))])

    async def known(self, keys: Sequence[str]) -> set[str]:
        """Return which of some objects have a row."""
        rows = await self._database.rows(_KNOWN, json_parameter(keys))
        return {str(row["object_key"]) for row in rows}


def _values(site: str, block: StoredBlock) -> tuple[str | int, ...]:
    return (
        *(site, *block.range, block.key, block.object_etag, block.level, block.fetched_ms),
        *(block.points, block.samples, block.stored_bytes, block.directory_offset),
        *(block.foot_offset, block.foot_bytes, block.foot_crc, block.cut_ms, int(block.is_once)),
    )


def _place(row: dict[str, Any]) -> BlockPlace:
    found = BlockRow(
        key=row["object_key"],
        object_etag=row["object_etag"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        fetched_ms=row["fetched_ms"],
        directory_offset=row["directory_offset"],
        foot_offset=row["foot_offset"],
        foot_bytes=row["foot_bytes"],
        foot_crc=row["foot_crc"],
        is_once=bool(row["is_once"]),
    )
    return BlockPlace(found, row["level"], row["stored_bytes"])
