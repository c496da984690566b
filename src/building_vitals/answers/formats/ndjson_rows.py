"""NDJSON: one JSON object per sample and line."""

from __future__ import annotations

import msgspec

from building_vitals.answers.formats.encoder import AnswerFormat, TextEncoder
from building_vitals.answers.formats.text_rows import join_rows, latin_text, text_columns


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


class Ndjson(TextEncoder):
    """One JSON object per sample, each on a line of its own."""

    def _rows(self, text: bytes) -> bytes:
        return ndjson_rows(self._point, text)


NDJSON = AnswerFormat(
    content_type="application/x-ndjson",
    media_types=("application/x-ndjson", "application/ndjson"),
    encoder=Ndjson,
)
