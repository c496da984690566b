"""JSON: spliced from stored frames where it can be, else written as text."""

from __future__ import annotations

import msgspec

from building_vitals.answers.formats.encoder import AnswerFormat, BodyOptions, Encoder, TextEncoder
from building_vitals.answers.formats.spliced_json import SplicedJson, json_closing


class TextJson(TextEncoder):
    """JSON as text: for clients that do not take gzip."""

    def __init__(self, options: BodyOptions) -> None:
        super().__init__(options)
        self._emit(b'{"data":{')
        self._separator = b""

    def _opening(self) -> bytes:
        separator, self._separator = self._separator, b","
        return separator + msgspec.json.encode(self._point) + b':{"samples":['

    def _rows(self, text: bytes) -> bytes:
        return b"," + text if self._has_rows else text

    def _closing(self, error: str | None, level: str | None) -> bytes:
        return json_closing(self._count, error, level)

    def _end(self, meta: object) -> bytes:
        return b'},"_meta":' + msgspec.json.encode(meta) + b"}"


def _encoder(options: BodyOptions) -> Encoder:
    return SplicedJson() if options.gzip else TextJson(options)


JSON = AnswerFormat(
    content_type="application/json",
    media_types=("application/json", "text/json"),
    encoder=_encoder,
)
