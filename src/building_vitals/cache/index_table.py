"""
The index of segments in D1: what of each point is known, and in which object it lies.

Points and rows travel as JSON parameters, whatever their number: a statement may have 100
parameters. https://developers.cloudflare.com/d1/platform/limits/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from building_vitals.cache.look_ups import LookUps
from building_vitals.cache.segments import Segment
from building_vitals.ports import Database, Outcome, Statement, json_parameter
from building_vitals.ranges import Range

# A value may have 2,000,000 bytes; rows are sent in texts well below that.
PARAMETER_BYTES_MAX = 1_000_000

# All segments of 250 points come back as one text: each value that crosses into Python costs time.
# The directory travels only where the segment has to be cut. CROSS JOIN keeps the order of loops.
_FIND = """
SELECT json_group_array(json_array(
    s.point, s.start_ms, s.end_ms, s.fetched_ms, s.object_key, s.object_etag, s.offset,
    s.stored_bytes, s.text_bytes, s.samples, s.crc, s.crc_growth, s.data_crc,
    CASE WHEN ?5 = 0 AND s.start_ms >= ?3 AND s.end_ms <= ?4 THEN NULL ELSE json(s.frames) END,
    json(iif(s.is_by_point, 'true', 'false'))
)) AS segments
FROM json_each(?2) p CROSS JOIN cache_segments s
    ON s.site = ?1 AND s.point = p.value AND s.end_ms > ?3 AND s.start_ms < ?4
GROUP BY p.key / 250
"""

# A new segment takes the place of older ones that lie wholly within it, unless it was purged itself
# while it was being fetched. Calls by point may give other samples than pages do, which are raw:
# what came by point never takes the place of raw samples.
_REPLACE = """
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms) IN (
    SELECT s.site, s.point, s.end_ms, s.start_ms
    FROM json_each(?2) n CROSS JOIN cache_segments s
        ON s.site = ?1 AND s.point = n.value ->> 0
        AND s.end_ms > (n.value ->> 1) AND s.end_ms <= (n.value ->> 2)
        AND s.start_ms >= (n.value ->> 1) AND s.fetched_ms <= (n.value ->> 3)
        AND s.is_by_point >= (n.value ->> 4)
    WHERE (n.value ->> 3) > coalesce((SELECT purged_ms FROM cache_purges WHERE site = ?1), -1)
)
"""

_INSERT = """
INSERT OR REPLACE INTO cache_segments (
    site, point, start_ms, end_ms, fetched_ms, object_key, object_etag, offset, stored_bytes,
    text_bytes, samples, crc, crc_growth, data_crc, frames, is_by_point, expires_ms
)
SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12,
    value -> 13, value ->> 14, value ->> 15
FROM json_each(?2)
WHERE (value ->> 3) > coalesce((SELECT purged_ms FROM cache_purges WHERE site = ?1), -1)
"""

_REMOVE = """
DELETE FROM cache_segments WHERE (site, point, end_ms, start_ms, object_key) IN (
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2)
)
"""

# What was fetched before a purge, and is not stored by then, will not be stored.
_MARK_PURGE = """
INSERT INTO cache_purges (site, purged_ms) VALUES (?1, ?2)
ON CONFLICT (site) DO UPDATE SET purged_ms = max(purged_ms, excluded.purged_ms)
"""
_PURGE = """
DELETE FROM cache_segments WHERE site = ?1 AND end_ms > ?2 AND start_ms < ?3
    AND (?4 IS NULL OR point IN (SELECT value FROM json_each(?4)))
"""

# Copies of purged data, also those being made.
_PURGE_RESULTS = """
UPDATE job_results SET expires_ms = 0 WHERE site = ?1 AND end_ms > ?2 AND start_ms < ?3
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

_PROBE = "SELECT site FROM cache_segments LIMIT 1"

# Objects that were made known, but whose segments have all gone.
_ORPHANS = """
SELECT m.object_key FROM cache_metadata m
WHERE m.site = ?1
    AND NOT EXISTS (SELECT 1 FROM cache_segments s WHERE s.object_key = m.object_key)
LIMIT 1000
"""
_DROP_OBJECTS = """
DELETE FROM cache_metadata WHERE object_key IN (SELECT value FROM json_each(?1))
"""

_FORGET = """
DELETE FROM cache_segments WHERE site = ?1
    AND object_key IN (SELECT value FROM json_each(?2))
"""

_SEGMENTS = msgspec.json.Decoder(list[Segment])


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
    """Finds, records and forgets segments; with any that are removed, all *look_ups* go."""

    def __init__(self, database: Database, look_ups: LookUps | None = None) -> None:
        self._database = database
        self._look_ups = look_ups

    async def find(
        self, site: str, points: Sequence[str], time_range: Range, *, directories: bool = False
    ) -> list[Segment]:
        """
        Return every segment of *points* that overlaps *time_range*, expired ones too.

        With *directories*, segments that lie within the range have their frame directory as well.
        """
        statement = self.find_statement(site, points, time_range, directories=directories)
        return self.found(await self._database.rows(statement.sql, *statement.values))

    @staticmethod
    def find_statement(
        site: str, points: Sequence[str], time_range: Range, *, directories: bool = False
    ) -> Statement:
        """Return the statement whose rows `found` reads."""
        names = json_parameter(points)
        return Statement(
            _FIND, (site, names, time_range.start_ms, time_range.end_ms, int(directories))
        )

    @staticmethod
    def found(rows: Iterable[Mapping[str, str]]) -> list[Segment]:
        """Return the segments in the rows of a find statement."""
        return [segment for row in rows for segment in _SEGMENTS.decode(row["segments"])]

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
        Return what makes segments and their objects known, and older segments in them forgotten.

        The clean-up may look at each segment from its *expires_ms* on.
        """
        statements = [
            Statement(_REPLACE, (site, names))
            for names in _json_lists(
                [each.point, each.start_ms, each.end_ms, each.fetched_ms, each.is_by_point]
                for each in segments
            )
        ]
        statements += [
            Statement(_INSERT, (site, rows))
            for rows in _json_lists(
                [*msgspec.structs.astuple(each), expiry]
                for each, expiry in zip(segments, expires_ms, strict=True)
            )
        ]
        latest_ms = max(expires_ms, default=now_ms)
        statements += [
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
                    latest_ms,
                ),
            )
            for each in stored
        ]
        return statements

    @staticmethod
    def remove_statements(site: str, segments: Iterable[Segment]) -> list[Statement]:
        """Return what removes these very segments, and none that have taken their place."""
        return [
            Statement(_REMOVE, (site, names))
            for names in _json_lists(
                [each.point, each.end_ms, each.start_ms, each.key] for each in segments
            )
        ]

    async def purge(
        self, site: str, points: Sequence[str] | None, time_range: Range, *, now_ms: int
    ) -> int:
        """
        Forget every segment that touches *time_range*, also those under way; return how many.

        None for *points* is all of the site.
        """
        names = None if points is None else json_parameter(points)
        outcomes = await self._remove(
            [
                Statement(_MARK_PURGE, (site, now_ms)),
                Statement(_PURGE, (site, time_range.start_ms, time_range.end_ms, names)),
                Statement(_PURGE_RESULTS, (site, time_range.start_ms, time_range.end_ms)),
            ]
        )
        return outcomes[1].changes

    async def probe(self) -> None:
        """Return when the database answers and has the tables."""
        await self._database.rows(_PROBE)

    async def orphans(self, site: str) -> list[str]:
        """Return objects of a site whose segments have all gone, at most 1,000."""
        return [row["object_key"] for row in await self._database.rows(_ORPHANS, site)]

    async def drop_objects(self, keys: Sequence[str]) -> None:
        """Remove the rows of objects."""
        names = json_parameter(keys)
        await self._database.batch(
            [Statement(_DISCOUNT_OBJECTS, (names,)), Statement(_DROP_OBJECTS, (names,))]
        )

    async def forget(self, site: str, keys: Sequence[str]) -> int:
        """Forget all segments that lie in these objects; return how many."""
        names = json_parameter(keys)
        outcomes = await self._remove([Statement(_FORGET, (site, names))])
        return outcomes[0].changes

    async def _remove(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run statements that remove segments, after which no look-up from before is believed."""
        try:
            return await self._database.batch(statements)
        finally:
            # Also when the call fails: only its answer may have been lost.
            if self._look_ups is not None:
                self._look_ups.forget()


def _json_lists(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the rows as JSON arrays, each below what one parameter may hold."""
    texts: list[str] = []
    size = 0
    for row in rows:
        text = json_parameter(row)
        if texts and size + len(text) > PARAMETER_BYTES_MAX:
            yield f"[{','.join(texts)}]"
            texts, size = [], 0
        texts.append(text)
        size += 4 * len(text) if not text.isascii() else len(text)
    if texts:
        yield f"[{','.join(texts)}]"
