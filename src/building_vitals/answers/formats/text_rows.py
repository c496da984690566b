"""
What CSV and NDJSON share: the columns of a run of samples, and rows joined from them.

Rows are put together as `str` that hold UTF-8 bytes read as Latin-1: one byte a character whatever
the point is called, so that no name makes the joins and the final encoding slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from building_vitals.errors import CorruptSegment
from building_vitals.series.sample_text import decode_samples

# A chart's points mostly share their times, so that each is written once and looked up after.
# 16,384 are 56 days at 5 minutes and take about 3 MB; the cache starts again when it is full.
ISO_TIMES_MAX = 16_384

_iso_times: dict[str, str] = {}

_FRACTIONS = [f".{ms:03}Z" for ms in range(1000)]


def latin_text(utf8: bytes) -> str:
    return utf8.decode("latin-1")


def utf8_bytes(latin: str) -> bytes:
    return latin.encode("latin-1")


def text_columns(text: bytes) -> tuple[list[str], list[str], bool]:
    """
    Return the times as ISO 8601, the values as JSON text, and whether all values are plain.

    Plain are numbers, booleans and null. They hold nothing that the text is split at, and splitting
    is faster than decoding. The bracket that opens an array stays when those between samples are
    gone, because it follows the time.
    """
    if b'"' not in text and b"{" not in text:
        flat = latin_text(text)[1:-1].replace("],[", ",")
        if "[" not in flat:
            parts = flat.split(",")
            return _format_times(parts[::2]), parts[1::2], True
    samples = decode_samples(text)
    stamps = [str(time_ms) for time_ms, _ in samples]
    return _format_times(stamps), [latin_text(bytes(raw)) for _, raw in samples], False


def row_columns(text: bytes, width: int) -> list[list[str]]:
    """
    Return the times as ISO 8601 and *width* columns of JSON texts of a run of rows.

    Args:
        text: `[ms,value,…]` of each row, with numbers and null alone.
        width: Values of a row.
    """
    parts = latin_text(text)[1:-1].replace("],[", ",").split(",")
    stride = width + 1
    return [_format_times(parts[::stride]), *(parts[n::stride] for n in range(1, stride))]


def _format_times(stamps: list[str]) -> list[str]:
    """Return ISO 8601 in UTC with milliseconds for each epoch milliseconds in decimal."""
    try:
        return list(map(_iso_times.__getitem__, stamps))
    except KeyError:
        isos = _make_times(list(map(int, stamps)))
    if len(isos) <= ISO_TIMES_MAX:
        if len(_iso_times) + len(isos) > ISO_TIMES_MAX:
            _iso_times.clear()
        _iso_times.update(zip(stamps, isos, strict=True))
    return isos


def _make_times(times_ms: list[int]) -> list[str]:
    """
    Return the same as `format_instant` for each, at a tenth of its cost.

    msgspec makes datetimes of whole seconds and writes them as `2025-01-01T00:00:00Z`; the fraction
    comes from a table.
    """
    seconds = [time_ms // 1000 for time_ms in times_ms]
    try:
        moments = msgspec.convert(seconds, list[datetime], strict=False)
    except (msgspec.ValidationError, ValueError) as exc:
        raise CorruptSegment(f"samples outside the years 1 to 9999: {exc}") from exc
    wholes = msgspec.json.encode(moments).decode()[2:-3].split('Z","')
    fractions = _FRACTIONS
    return [
        whole + fractions[time_ms % 1000] for whole, time_ms in zip(wholes, times_ms, strict=True)
    ]


def join_rows(
    head: str, times: Iterable[str], middle: str, values: Iterable[str], tail: str
) -> bytes:
    """Return *head*, time, *middle*, value, *tail* of each sample, one after the other."""
    rows = map(middle.join, zip(times, values, strict=True))
    return utf8_bytes(f"{head}{(tail + head).join(rows)}{tail}")
