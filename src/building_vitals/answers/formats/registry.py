"""
Every answer format, once.

A new format is a file beside this one and a line here; its name in `Format` makes the type checker
ask for the line.
"""

from __future__ import annotations

from typing import Literal, get_args

from building_vitals.answers.formats.csv_rows import CSV
from building_vitals.answers.formats.encoder import AnswerFormat, BodyOptions, Encoder
from building_vitals.answers.formats.json_text import JSON
from building_vitals.answers.formats.msgpack_rows import MSGPACK
from building_vitals.answers.formats.ndjson_rows import NDJSON

Format = Literal["json", "csv", "ndjson", "msgpack"]
FORMATS: tuple[Format, ...] = get_args(Format)


def answer_format(name: Format) -> AnswerFormat:
    """Return what there is to know of a format."""
    match name:
        case "json":
            return JSON
        case "csv":
            return CSV
        case "ndjson":
            return NDJSON
        case "msgpack":
            return MSGPACK


CONTENT_TYPES: dict[Format, str] = {name: answer_format(name).content_type for name in FORMATS}


def encoder_for(
    name: Format,
    points_count: int,
    *,
    gzip: bool,
    is_leveled: bool = False,
    columns: tuple[str, ...] = (),
) -> Encoder:
    """Return the encoder of a format; `BodyOptions` says what the others are."""
    return answer_format(name).encoder(BodyOptions(points_count, gzip, is_leveled, columns))
