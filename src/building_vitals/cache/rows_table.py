"""
How rows of `cache_segments` travel to the database: as JSON, whatever their number.

A statement may have 100 parameters, and none above 2,000,000 bytes.
https://developers.cloudflare.com/d1/platform/limits/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from building_vitals.cache.segments import Segment
from building_vitals.ports import json_parameter

# Rows are sent, and segments come back, in texts well below what a value may have: a row of many
# frames has up to a megabyte more.
PARAMETER_BYTES_MAX = 1_000_000

# Columns of a segment but for its site, point and range, in the order of `Segment`.
SERIES_COLUMNS = """fetched_ms, object_key, object_etag, offset, stored_bytes, text_bytes, samples,
    crc, crc_growth, data_crc, frames, is_by_point, levels, data"""
COLUMNS = f"site, point, start_ms, end_ms, {SERIES_COLUMNS}, is_cut, expires_ms"
# The same out of `value`, a row of `segment_row`; the range and the cut come before and after. The
# data are base64: bytes would have to be made of hexadecimal digits, twice as many letters, and
# would come back as a list of numbers.
SERIES_VALUES = """value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
    value ->> 9, value ->> 10, value ->> 11, value ->> 12, value -> 13, value ->> 14,
    nullif(value -> 16, 'null'), value ->> 17"""
# Which cut and which expiry such a row has, and what a statement adds to it.
IS_CUT, EXPIRES_MS, MORE = "value ->> 15", "value ->> 18", "value -> 19"
OF_BLOCKS, LATEST_MS = "value ->> 20", "value ->> 21"


def samples_of_part(samples: str, part: tuple[str, str], whole: tuple[str, str]) -> str:
    """Return an expression for about how many samples a part of a segment has; 0 only of none."""
    share = f"({part[1]} - {part[0]}) / ({whole[1]} - {whole[0]})"
    # D1 binds each number as a fraction, and a strict table takes none for a whole number.
    return f"iif({samples} = 0, 0, max(1, CAST(({samples}) * {share} AS INTEGER)))"


def segment_row(segment: Segment, expires_ms: int, *more: object) -> list[object]:
    """Return a segment as a row that statements read."""
    return [*msgspec.structs.astuple(segment), expires_ms, *more]


def json_lists(rows: Iterable[Sequence[object] | str]) -> Iterator[str]:
    """Yield the rows as JSON arrays, each below what one parameter may hold."""
    texts: list[str] = []
    size = 0
    for row in rows:
        text = json_parameter(row)
        length = len(text) if text.isascii() else len(text.encode())
        if texts and size + length > PARAMETER_BYTES_MAX:
            yield f"[{','.join(texts)}]"
            texts, size = [], 0
        texts.append(text)
        size += length + 1
    if texts:
        yield f"[{','.join(texts)}]"
