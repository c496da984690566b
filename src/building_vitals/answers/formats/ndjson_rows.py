"""NDJSON: one JSON object per sample and line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat

import msgspec

from building_vitals.answers.formats.encoder import AnswerFormat, TextEncoder
from building_vitals.answers.formats.text_rows import (
    join_rows,
    latin_text,
    row_columns,
    text_columns,
    utf8_bytes,
)


def ndjson_rows(point: str, text: bytes) -> bytes:
    """
    Return one line `{"point":…,"time":…,"value":…}` for each sample, each ended by a newline.

    Times are ISO 8601 in UTC with milliseconds; values are as they are in JSON, digits unchanged.

    Args:
        point: The point's name.
        text: A run of its samples, as in `decode_samples`.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    if not text:
        return b""
    times, values, _ = text_columns(text)
    head = f'{{"point":{latin_text(msgspec.json.encode(point))},"time":"'
    return join_rows(head, times, '","value":', values, "}\n")


def ndjson_buckets(point: str, text: bytes, columns: Sequence[str]) -> bytes:
    """
    Return one line `{"point":…,"time":…,"<column>":…}` for each row, each ended by a newline.

    Args:
        point: The point's name.
        text: A run of rows, as `row_columns` takes it.
        columns: Names of the values of a row.
    """
    times, *values = row_columns(text, len(columns))
    fields: list[Iterable[str]] = [
        repeat(f'{{"point":{latin_text(msgspec.json.encode(point))},"time":"'),
        times,
        repeat('"'),
    ]
    for name, column in zip(columns, values, strict=True):
        fields += [repeat(f',"{name}":'), column]
    rows = map("".join, zip(*fields, repeat("}\n"), strict=False))
    return utf8_bytes("".join(rows))


class Ndjson(TextEncoder):
    """One JSON object per sample or bucket, each on a line of its own."""

    def _rows(self, text: bytes) -> bytes:
        if self._columns:
            return ndjson_buckets(self._point, text, self._columns)
        return ndjson_rows(self._point, text)


NDJSON = AnswerFormat(
    content_type="application/x-ndjson",
    media_types=("application/x-ndjson", "application/ndjson"),
    encoder=Ndjson,
)
