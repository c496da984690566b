"""
The look-up: one statement finds the segments of some points, and the blocks of their site.

Separate from the index because most of it is about what travels: each value that crosses into
Python costs time, and so does each frame of a directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from building_vitals.cache.block_rows import FoundBlocks
from building_vitals.cache.freshness import Freshness, closing_sql, is_whole_sql
from building_vitals.cache.need import ROLLUPS_ALONE, WHOLE_SHARE
from building_vitals.cache.rows_table import PARAMETER_BYTES_MAX
from building_vitals.cache.segments import Segment
from building_vitals.cache.slivers_table import bytes_of
from building_vitals.instants import HOUR_MS
from building_vitals.ports import Statement, json_parameter
from building_vitals.ranges import Range
from building_vitals.series.frames import Frame

# Bytes of a segment as JSON, without its point and its directory, at the most.
_SEGMENT_BYTES = 400
# Stored bytes of the slivers that one look-up brings along. Charts have some ten thousand; an
# answer that has more holds them for as long as it is streamed, so they go into an object first.
SLIVERS_BYTES_MAX = 262_144
# Characters of a directory of which few frames travel: of a hundred. To find some takes as long as
# to decode so many.
LONG_DIRECTORY = 12_000
_FRAMES_BYTES = 2_000
# Characters of levels of which some come without their directory; of fewer all travel sooner.
LONG_LEVELS = 6_000
# Many segments come back as one text, for each value that crosses into Python costs time: so many
# that it stays below what a value may have. It is put together as text, for functions for JSON
# parse what they are given, each of them again. The directory travels only where the segment has to
# be cut, and the bytes of slivers only while they are few. CROSS JOIN keeps the order of loops.
_IS_WHOLE = f"""?5 = 0 AND s.is_cut = 0 AND s.start_ms >= ?3 AND s.end_ms <= ?4
                AND {is_whole_sql(6)}"""
# Sums of hours need no directory either of a segment that is cut at full hours, if at all.
_IS_HOURS = f"""?5 = 0 AND ?10 = {ROLLUPS_ALONE} AND s.levels LIKE '[[-%' AND s.is_cut = 0
                AND (s.start_ms >= ?3 OR ?3 % {HOUR_MS} = 0)
                AND (s.end_ms <= ?4 OR ?4 % {HOUR_MS} = 0) AND {is_whole_sql(6)}"""
# Levels travel where they are asked for; of many of a whole segment the directories of those with
# few samples, and of the widest that is kept, which is the last one; of a segment that has to be
# cut all: beside the cut, some of them are needed. For rows of hours and days, rollups alone: they
# come first, and end where their directory does.
_LEVELS = f"""CASE WHEN ?10 = 0 OR s.levels IS NULL THEN 'null' WHEN ?10 < 0 THEN
                iif(s.levels NOT LIKE '[[-%', '[]',
                    substr(s.levels, 1, instr(s.levels, ']]]') + 2) || ']')
            WHEN length(s.levels) > {LONG_LEVELS} AND {_IS_WHOLE} THEN (
                SELECT '[' || group_concat(iif(
                    l.value ->> 0 > 0 AND l.value ->> 3 <= {WHOLE_SHARE} * ?10
                        OR l.key = json_array_length(s.levels) - 1,
                    l.value, json_array(
                        l.value ->> 0, l.value ->> 1, l.value ->> 2, l.value ->> 3, NULL
                    )
                )) || ']' FROM json_each(s.levels) l
            ) ELSE s.levels END"""  # noqa: S608 - constants only
# Of a long directory, only the frames on both sides of where the segment can be cut, its first and
# its last: at the ends of the range, where what is known of it ends, and for sums at the
# full hour within, too. They are found by bisection, as `segments.places_within` does it.
_HOUR_BEFORE = f"CAST({{0}} AS INTEGER) / {HOUR_MS} * {HOUR_MS}"
_HOUR_AFTER = f"(CAST({{0}} AS INTEGER) + {HOUR_MS - 1}) / {HOUR_MS} * {HOUR_MS}"
_START, _END, _KNOWN_END = "max(?3, s.start_ms)", "min(?4, s.end_ms)", closing_sql(6)
_PLACE = "s.frames ->> ('$[' || ((low + high) / 2) || '][6]') < at_ms"
_IS_FULL = f"""(?5 = 1 OR ?10 > 0 OR ?10 < {ROLLUPS_ALONE}
                OR length(s.frames) < {LONG_DIRECTORY}
                OR json_array_length(s.frames, '$[0]') < {len(Frame.__struct_fields__)})"""
_FRAMES = f"""CASE
            WHEN {_IS_WHOLE} THEN 'null'
            WHEN {_IS_HOURS} THEN 'null'
            WHEN {_IS_FULL} THEN s.frames
            ELSE (
                SELECT json_group_array(s.frames -> ('$[' || n || ']')) FROM (
                    WITH RECURSIVE cuts(at_ms, hour_ms) AS (
                        SELECT {_START}, {_HOUR_AFTER.format(_START)}
                            WHERE s.is_cut OR s.start_ms < ?3
                        UNION ALL SELECT {_END}, {_HOUR_BEFORE.format(_END)}
                            WHERE s.is_cut OR s.end_ms > ?4
                        UNION ALL SELECT {_KNOWN_END}, {_HOUR_BEFORE.format(f"({_KNOWN_END})")}
                            WHERE NOT {is_whole_sql(6)}
                    ),
                    hours(at_ms) AS (
                        SELECT at_ms FROM cuts UNION SELECT hour_ms FROM cuts WHERE ?10 < 0
                    ),
                    places(at_ms, low, high) AS (
                        SELECT at_ms, 0, json_array_length(s.frames) FROM hours
                        UNION ALL
                        SELECT at_ms, iif({_PLACE}, (low + high) / 2 + 1, low),
                            iif({_PLACE}, high, (low + high) / 2)
                        FROM places WHERE low < high
                    )
                    SELECT low - 1 AS n FROM places WHERE low = high AND low > 0
                    UNION SELECT low FROM places
                        WHERE low = high AND low < json_array_length(s.frames)
                    UNION SELECT low + 1 FROM places
                        WHERE low = high AND low + 1 < json_array_length(s.frames)
                    UNION SELECT 0
                    UNION SELECT json_array_length(s.frames) - 1
                    ORDER BY n
                )
            ) END"""  # noqa: S608 - constants only
_FIND = f"""
SELECT '[' || group_concat(iif(
    data IS NULL OR sliver_bytes > {SLIVERS_BYTES_MAX}, segment,
    substr(segment, 1, length(segment) - 1) || ',' || json_quote(data) || ']'
)) || ']' AS segments FROM (
    SELECT segment, data,
        sum(bytes) OVER (ROWS UNBOUNDED PRECEDING) / {PARAMETER_BYTES_MAX} AS part,
        sum(iif(data IS NULL, 0, stored_bytes)) OVER (ROWS UNBOUNDED PRECEDING) AS sliver_bytes
    FROM (
        SELECT '[' || json_quote(s.point) || ',' || s.start_ms || ',' || s.end_ms || ','
            || s.fetched_ms || ',' || json_quote(s.object_key) || ','
            || json_quote(s.object_etag) || ',' || s.offset || ',' || s.stored_bytes || ','
            || s.text_bytes || ',' || s.samples || ',' || s.crc || ',' || s.crc_growth || ','
            || s.data_crc || ',' || {_FRAMES} || ',' || iif(s.is_by_point, 'true', 'false')
            || ',' || iif(s.is_cut, 'true', 'false') || ',' || {_LEVELS} || ']'
            AS segment, s.data, s.stored_bytes,
        {_SEGMENT_BYTES} + 4 * length(s.point) + iif(s.data IS NULL, 0, length(s.data))
            + CASE WHEN {_IS_WHOLE} OR {_IS_HOURS} THEN 0 WHEN {_IS_FULL} THEN length(s.frames)
                ELSE {_FRAMES_BYTES} END
            + iif(?10 = 0, 0, coalesce(length(s.levels), 0)) AS bytes
        FROM json_each(?2) p CROSS JOIN cache_segments s
            ON s.site = ?1 AND s.point = p.value AND s.end_ms > ?3 AND s.start_ms < ?4
    )
) GROUP BY part
UNION ALL
SELECT json_object(
    'blocks', json_group_array(json_array(
        b.object_key, b.object_etag, b.start_ms, b.end_ms, b.fetched_ms,
        b.directory_offset, b.foot_offset, b.foot_bytes, b.foot_crc,
        json(iif(b.is_once, 'true', 'false'))
    )),
    'marks', (
        SELECT json_group_array(json_array(m.point, m.start_ms, m.end_ms, m.purged_ms))
        FROM cache_purges m
        WHERE m.site = ?1 AND m.end_ms > ?3 AND m.start_ms < ?4
            AND m.point IN (SELECT '' UNION ALL SELECT value FROM json_each(?2))
    )
) AS segments FROM site_blocks b
WHERE b.site = ?1 AND b.end_ms > ?3 AND b.start_ms < ?4 AND b.gone_ms IS NULL
GROUP BY b.site
"""  # noqa: S608 - constants only

_SEGMENTS = msgspec.json.Decoder(list[Segment])
_BLOCKS = msgspec.json.Decoder(FoundBlocks)
# Texts of a look-up, of some 2 MB each, from which on its segments are made lean.
FEW_ROWS = 2
# A directory of no frames, or one that was left out.
_SHORT_BYTES = 4
_SHARED = ("point", "key", "object_etag")
_DATA = Segment.__struct_fields__.index("data")


def find_statement(
    site: str,
    points: Sequence[str],
    time_range: Range,
    *,
    known: tuple[Freshness, int] | None,
    level_samples: int,
) -> Statement:
    """Return the statement whose rows `found_in` reads; the rest as `SegmentIndex.find` has it."""
    values = (site, json_parameter(points), time_range.start_ms, time_range.end_ms)
    if known is None:
        return Statement(_FIND, (*values, 1, 0, 0, 0, 0, level_samples))
    freshness, now_ms = known
    return Statement(_FIND, (*values, 0, now_ms, *freshness.sql_values, level_samples))


def found_in(rows: list[dict[str, str]]) -> tuple[list[Segment], FoundBlocks | None]:
    """
    Return the segments in the rows of a look-up, and the blocks where the site has any.

    The rows are taken out of their list: together with what they become, those of thousands of
    points would take half as much memory again.
    """
    segments, blocks = list[Segment](), None
    is_lean, shared = len(rows) > FEW_ROWS, dict[Any, Any]()
    rows.reverse()
    while rows:
        text = rows.pop()["segments"]
        if text.startswith("{"):
            blocks = _BLOCKS.decode(text)
            continue
        found = _decoded(text)
        if is_lean:
            for each in found:
                _make_lean(each, shared)
        segments += found
    return segments, blocks


def _make_lean(segment: Segment, shared: dict[Any, Any]) -> None:
    """Let a segment hold no text of its own that others have too, nor what it was decoded from."""
    for name in _SHARED:
        text = getattr(segment, name)
        force_setattr(segment, name, shared.setdefault(text, text))
    for level in segment.levels or ():
        directory = bytes(level.directory)
        if len(directory) > _SHORT_BYTES:
            # As it comes, it is a part of the whole text, and keeps that.
            own = level.directory.copy()
        else:
            own = shared.setdefault(directory, msgspec.Raw(directory))
        force_setattr(level, "directory", own)


def _decoded(text: str) -> list[Segment]:
    """Return the segments in a text; those whose bytes are no base64 have none, and so are lost."""
    try:
        return _SEGMENTS.decode(text)
    except msgspec.ValidationError:
        rows: list[list[Any]] = msgspec.json.decode(text)
        for row in rows:
            if len(row) > _DATA:
                row[_DATA] = bytes_of(row[_DATA])
        return _SEGMENTS.decode(msgspec.json.encode(rows))
