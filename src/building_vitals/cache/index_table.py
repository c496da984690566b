"""
The index of segments in D1: what of each point is known, and in which object it lies, or itself.

Points and rows travel as JSON parameters, whatever their number (`rows_table`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from building_vitals.cache.freshness import Freshness
from building_vitals.cache.look_up_table import find_statement, found_in
from building_vitals.cache.look_ups import LookUps
from building_vitals.cache.object_keys import BLOCKS_PREFIX, is_row_key
from building_vitals.cache.rows_table import (
    COLUMNS,
    EXPIRES_MS,
    IS_CUT,
    SERIES_VALUES,
    json_lists,
    samples_of_part,
    segment_row,
)
from building_vitals.cache.segments import Place, Segment
from building_vitals.cache.slivers_table import forget_statements
from building_vitals.cache.superseded_table import replace_statements, supersede_statements
from building_vitals.ports import Database, Outcome, Statement, json_parameter
from building_vitals.ranges import Range

if TYPE_CHECKING:
    from building_vitals.cache.more_segments import MoreSegments

_PART_VALUES = SERIES_VALUES.replace(
    "value ->> 9",
    samples_of_part("value ->> 9", ("p.start_ms", "p.end_ms"), ("f.start_ms", "f.end_ms")),
)
# A fetch that took long does not take the place of what was fetched of the same range since. What
# was purged while it was being fetched is left out, and the rest of the segment stored: of
# each mark, where the purged part begins and where the segment goes on, and its end as the last.
_INSERT = f"""
WITH fresh AS MATERIALIZED (
    SELECT key AS n, value, value ->> 0 AS point, value ->> 1 AS start_ms,
        value ->> 2 AS end_ms, value ->> 3 AS fetched_ms
    FROM json_each(?2)
),
cuts AS (
    SELECT f.n, f.start_ms, m.start_ms AS cut_ms, m.end_ms AS resume_ms
    FROM fresh f CROSS JOIN cache_purges m
        ON m.site = ?1 AND m.point IN ('', f.point) AND m.purged_ms >= f.fetched_ms
        AND m.start_ms < f.end_ms AND m.end_ms > f.start_ms
    UNION ALL
    SELECT n, start_ms, end_ms, end_ms FROM fresh
),
parts AS (
    SELECT n, max(start_ms, coalesce(
        max(resume_ms) OVER (
            PARTITION BY n ORDER BY cut_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), start_ms
    )) AS start_ms, cut_ms AS end_ms
    FROM cuts
)
INSERT OR REPLACE INTO cache_segments ({COLUMNS})
SELECT ?1, f.point, p.start_ms, p.end_ms, {_PART_VALUES},
    f.{IS_CUT} OR p.start_ms > f.start_ms OR p.end_ms < f.end_ms, f.{EXPIRES_MS}
FROM parts p JOIN fresh f ON f.n = p.n
WHERE p.start_ms < p.end_ms AND NOT EXISTS (
    SELECT 1 FROM cache_segments s WHERE s.site = ?1 AND s.point = f.point
        AND s.end_ms = p.end_ms AND s.start_ms = p.start_ms AND s.fetched_ms > f.fetched_ms
)
"""  # noqa: S608 - constants only

_REMOVE = """
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms, object_key) IN (
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2)
)
"""

_INSERT_OBJECT = """
INSERT OR REPLACE INTO cache_metadata (
    object_key, site, start_ms, end_ms, points, samples, text_bytes, stored_bytes,
    compression_ratio, created_ms, last_access_ms, expires_ms, hits
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, 0)
"""

# Before the row itself, so that an object that is made known twice is counted once.
_COUNT_OBJECT = """
INSERT INTO cache_totals (id, objects, samples, text_bytes, stored_bytes, counted_ms)
SELECT 1, 1, ?2, ?3, ?4, 0
WHERE NOT EXISTS (SELECT 1 FROM cache_metadata WHERE object_key = ?1)
ON CONFLICT (id) DO UPDATE SET objects = objects + 1, samples = samples + excluded.samples,
    text_bytes = text_bytes + excluded.text_bytes,
    stored_bytes = stored_bytes + excluded.stored_bytes
"""
_DISCOUNT_OBJECTS = """
UPDATE cache_totals SET objects = cache_totals.objects - d.objects,
    samples = cache_totals.samples - d.samples,
    text_bytes = cache_totals.text_bytes - d.text_bytes,
    stored_bytes = cache_totals.stored_bytes - d.stored_bytes
FROM (
    SELECT count(*) AS objects, coalesce(sum(samples), 0) AS samples,
        coalesce(sum(text_bytes), 0) AS text_bytes,
        coalesce(sum(stored_bytes), 0) AS stored_bytes
    FROM cache_metadata WHERE object_key IN (SELECT value FROM json_each(?1))
) d
"""

# Objects that were made known, but whose segments have all gone. Answers may still be read from
# them: the clean-up counts from here how long they stay.
_MARK_ORPHANS = """
UPDATE cache_metadata SET orphaned_ms = ?2
WHERE site = ?1 AND orphaned_ms IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM cache_segments s
        WHERE s.object_key = cache_metadata.object_key AND s.object_etag <> ''
    )
"""
_ORPHANS_AMONG = """
SELECT object_key FROM cache_metadata
WHERE orphaned_ms > 0 AND object_key IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT object_key FROM site_blocks
WHERE gone_ms > 0 AND object_key IN (SELECT value FROM json_each(?1))
"""
_DROP_OBJECTS = """
DELETE FROM cache_metadata WHERE object_key IN (SELECT value FROM json_each(?1))
"""

_NOTE_ACCESS = """
UPDATE cache_metadata SET last_access_ms = ?2
WHERE last_access_ms <= ?3 AND object_key IN (SELECT value FROM json_each(?1))
"""


class ObjectRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    What `cache_metadata` keeps of one object.

    Attributes:
        key: The object.
        range: From its first segment's start to its last one's end.
        points, samples: How many it holds.
        text_bytes, stored_bytes: Size of the samples' JSON text, and of the object.
    """

    key: str
    range: Range
    points: int
    samples: int
    text_bytes: int
    stored_bytes: int


class SegmentIndex:
    """
    Finds, records and forgets segments; with any that are removed, all *look_ups* go.

    *more* makes what finds those that lie in blocks; it is called when a site has blocks.
    """

    def __init__(
        self,
        database: Database,
        look_ups: LookUps | None = None,
        more: Callable[[], MoreSegments] | None = None,
    ) -> None:
        self._database = database
        self._look_ups = look_ups
        self._more = more

    async def find(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        known: tuple[Freshness, int] | None = None,
        level_samples: int = 0,
    ) -> list[Segment]:
        """
        Return every segment of *points* that overlaps *time_range*, expired ones too.

        With *known*, the rule and the present, segments that lie within the range and are known
        to their end come without their frame directory. With *level_samples*, segments come with
        their levels, whose directories are left out there where they have more samples; with a
        number below 0 (ROLLUPS_ALONE), with no more of them than their rollups.
        Slivers have their bytes, up to SLIVERS_BYTES_MAX of them.

        Raises:
            Unavailable: the database can't be reached, or the bucket with the blocks.
        """
        statement = self.find_statement(site, points, time_range, known, level_samples)
        rows = await self._database.rows(statement.sql, *statement.values)
        return await self.found(rows, points, time_range, known, level_samples)

    @staticmethod
    def find_statement(
        site: str,
        points: Sequence[str],
        time_range: Range,
        known: tuple[Freshness, int] | None = None,
        level_samples: int = 0,
    ) -> Statement:
        """Return the statement whose rows `found` reads; the rest as that of `find`."""
        return find_statement(site, points, time_range, known=known, level_samples=level_samples)

    async def found(
        self,
        rows: list[dict[str, Any]],
        points: Sequence[str],
        time_range: Range,
        known: tuple[Freshness, int] | None = None,
        level_samples: int = 0,
    ) -> list[Segment]:
        """
        Return the segments in the rows of a find statement, and those in the blocks it found.

        The rows are taken out of their list.

        Of two copies from one instant, that with a row comes last, and so wins.

        Raises:
            Unavailable: the bucket can't be reached.
        """
        segments, blocks = found_in(rows)
        if blocks is None or self._more is None:
            return segments
        more = await self._more().find(
            points,
            time_range,
            found=blocks,
            segments=segments,
            known=known,
            level_samples=level_samples,
        )
        return [*more, *segments]

    @staticmethod
    def insert_statements(
        site: str,
        segments: Sequence[Segment],
        expires_ms: Sequence[int],
        stored: Sequence[ObjectRow],
        *,
        now_ms: int,
    ) -> list[Statement]:
        """
        Return what makes segments and their objects known, and useless older segments forgotten.

        The clean-up may look at each segment from its *expires_ms* on.
        """
        statements = replace_statements(site, segments)
        statements += [
            Statement(_INSERT, (site, rows))
            for rows in json_lists(map(segment_row, segments, expires_ms))
        ]
        statements += supersede_statements(site, segments)
        return statements + SegmentIndex.object_statements(
            site, stored, now_ms=now_ms, expires_ms=max(expires_ms, default=now_ms)
        )

    @staticmethod
    def object_statements(
        site: str, stored: Sequence[ObjectRow], *, now_ms: int, expires_ms: int
    ) -> list[Statement]:
        """Return what makes objects known whose last segment expires at an instant."""
        statements = [
            Statement(_COUNT_OBJECT, (each.key, each.samples, each.text_bytes, each.stored_bytes))
            for each in stored
        ]
        statements += [
            Statement(
                _INSERT_OBJECT,
                (
                    each.key,
                    site,
                    each.range.start_ms,
                    each.range.end_ms,
                    each.points,
                    each.samples,
                    each.text_bytes,
                    each.stored_bytes,
                    round(each.text_bytes / each.stored_bytes, 3) if each.stored_bytes else 0,
                    now_ms,
                    expires_ms,
                ),
            )
            for each in stored
        ]
        return statements

    async def remove(self, site: str, segments: Iterable[Segment]) -> None:
        """Remove these very segments, and none that have taken their place."""
        await self._remove(
            [
                Statement(_REMOVE, (site, names))
                for names in json_lists(
                    [each.point, each.end_ms, each.start_ms, each.key] for each in segments
                )
            ]
        )

    async def purge(
        self, site: str, points: Sequence[str] | None, time_range: Range, *, now_ms: int
    ) -> int:
        """
        Forget *time_range* of some points, also what is being fetched of it.

        None for *points* is all of the site. Objects that hold nothing since are left to the
        clean-up.

        Returns:
            How many segments and blocks it has touched.
        """
        # As app.py says: administrators purge.
        from building_vitals.cache.purges_table import FORGETTING, purge_statements
        from building_vitals.cache.site_blocks_table import purge_block_statements

        of_blocks = purge_block_statements(site, points, time_range, now_ms=now_ms)
        outcomes = await self._remove(
            [
                *of_blocks,
                *purge_statements(site, points, time_range, now_ms=now_ms),
                Statement(_MARK_ORPHANS, (site, now_ms)),
            ]
        )
        counted = [outcomes[0], *outcomes[len(of_blocks) :][FORGETTING]]
        return sum(outcome.changes for outcome in counted)

    async def orphans_among(self, keys: Sequence[str]) -> set[str]:
        """Return those of some objects that hold nothing more, and wait for the clean-up."""
        rows = await self._database.rows(_ORPHANS_AMONG, json_parameter(keys))
        return {row["object_key"] for row in rows}

    async def drop_objects(self, keys: Sequence[str]) -> None:
        """Remove the rows of objects."""
        names = json_parameter(keys)
        await self._database.batch(
            [Statement(_DISCOUNT_OBJECTS, (names,)), Statement(_DROP_OBJECTS, (names,))]
        )

    async def note_access(self, keys: Sequence[str], *, now_ms: int, before_ms: int) -> None:
        """Note that objects are read whose last access was noted at an instant or before."""
        values = (json_parameter(keys), now_ms, before_ms)
        statements = [Statement(_NOTE_ACCESS, values)]
        if any(key.startswith(BLOCKS_PREFIX) for key in keys):
            from building_vitals.cache.site_blocks_table import NOTE_ACCESS

            statements.append(Statement(NOTE_ACCESS, values))
        await self._database.batch(statements)

    async def forget(self, places: Collection[Place], *, now_ms: int) -> int:
        """
        Forget all that lies in these objects or is these slivers; return how many rows that took.

        Older segments beneath them go, too.
        """
        objects = {each.key for each in places if not is_row_key(each.key)}
        statements = forget_statements(places)
        if objects:
            # As app.py says: nothing gets lost as a rule.
            from building_vitals.cache.site_blocks_table import forget_block_statements

            statements += forget_block_statements(objects, now_ms=now_ms)
        return sum(outcome.changes for outcome in await self._remove(statements))

    async def _remove(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements that remove segments, after which no look-up from before is believed."""
        try:
            return await self._database.batch(statements)
        finally:
            # Also when the call fails: only its answer may have been lost.
            if self._look_ups is not None:
                self._look_ups.forget()
