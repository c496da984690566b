"""CSV: one row per sample, RFC 4180, harmless to spreadsheets."""

from __future__ import annotations

import unicodedata

from building_vitals.answers.formats.encoder import AnswerFormat, BodyOptions, TextEncoder
from building_vitals.answers.formats.text_rows import (
    join_rows,
    latin_text,
    row_columns,
    text_columns,
    utf8_bytes,
)
from building_vitals.series.sample_text import make_well_formed, read_value

CSV_HEADER = b"time,point,value\r\n"


_QUOTE = ord('"')
_FORMULA_MARKS = "=+-@"
_FIRST_PRINTABLE = " "


def csv_rows(point: str, text: bytes) -> bytes:
    r"""
    Return the rows that follow `CSV_HEADER`: RFC 4180, UTF-8, each ended by CRLF.

    Times are ISO 8601 in UTC with milliseconds; numbers keep their digits; booleans are `true` and
    `false`; null is an empty field and empty text `""`, so that the two can be told apart. Arrays
    and objects are their JSON text.

    A *text* cell (point or value) that begins with `=`, `+`, `-`, `@`, a wide or small form of
    them, or a control character gets an apostrophe in front, because spreadsheets would run it as a
    formula. Numbers never do.

    Args:
        point: The point's name.
        text: A run of its samples, as in `decode_samples`.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    if not text:
        return b""
    times, values = csv_columns(text)
    return join_rows("", times, f",{csv_cell(point)},", values, "\r\n")


def csv_columns(text: bytes) -> tuple[list[str], list[str]]:
    """
    Return the times and the fields of a run of samples, as `csv_rows` has them.

    Args:
        text: As in `decode_samples`; not empty.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    times, values, is_plain = text_columns(text)
    cells = {"null": ""}
    if not is_plain:
        cells |= {
            value: _csv_value(utf8_bytes(value)) for value in set(values) if value[0] in '"[{'
        }
    if not is_plain or b"null" in text:
        values = list(map(cells.get, values, values))
    return times, values


def csv_cells(text: bytes, width: int) -> tuple[list[str], list[str]]:
    """Return the times of a run of rows, and the *width* fields of each joined by commas."""
    times, *columns = row_columns(text, width)
    if b"null" in text:
        columns = [["" if cell == "null" else cell for cell in column] for column in columns]
    return times, list(map(",".join, zip(*columns, strict=True)))


def _csv_value(raw: bytes) -> str:
    """Return the field for text, an array or an object."""
    return csv_cell(read_value(raw) if raw[0] == _QUOTE else raw.decode())


def csv_cell(content: str) -> str:
    """Return text as one CSV field, harmless to spreadsheets, quoted where it must be."""
    if is_formula(content):
        content = f"'{content}"
    if not content or any(mark in content for mark in '",\r\n'):
        content = '"' + content.replace('"', '""') + '"'
    try:
        return latin_text(content.encode())
    except UnicodeEncodeError:
        return latin_text(make_well_formed(content).encode())


def is_formula(content: str) -> bool:
    """
    Return whether a spreadsheet may take a text for a formula.

    Some pass over control characters, and some read the wide and small forms of the marks, which
    Unicode calls compatible with them, as the marks.
    """
    first = content[:1]
    if first.isascii():
        return first in _FORMULA_MARKS if first >= _FIRST_PRINTABLE else bool(first)
    return unicodedata.normalize("NFKC", first) in _FORMULA_MARKS


class Csv(TextEncoder):
    """CSV with one row per sample, or per bucket."""

    def __init__(self, options: BodyOptions) -> None:
        super().__init__(options)
        names = ",".join(options.columns)
        self._emit(f"time,point,{names}\r\n".encode() if names else CSV_HEADER)

    def _rows(self, text: bytes) -> bytes:
        if self._columns:
            times, cells = csv_cells(text, len(self._columns))
            return join_rows("", times, f",{csv_cell(self._point)},", cells, "\r\n")
        return csv_rows(self._point, text)


CSV = AnswerFormat(
    content_type="text/csv; charset=utf-8",
    media_types=("text/csv", "application/csv"),
    encoder=Csv,
)
