"""MessagePack: the structure of the JSON answer."""

from __future__ import annotations

from typing import Any

import msgspec

from building_vitals.answers.formats.encoder import AnswerFormat, BodyOptions, TextEncoder
from building_vitals.series.sample_text import decode_samples, decode_values

_FIXED_MAX, _UINT16_MAX = 15, 2**16 - 1

_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1

_INFINITIES = frozenset({float("inf"), float("-inf")})

_pairs_decoder = msgspec.json.Decoder(list[tuple[int, Any]])


def msgpack_head(points_count: int) -> bytes:
    """
    Return the beginning of a MessagePack answer: `{"data": {` of *points_count* points.

    What follows is, for each point, `msgpack_point_head`, any number of `msgpack_rows` that have
    as many samples together as the head says, and `msgpack_point_tail`; then `msgpack_tail`. The
    whole is the structure of the JSON answer (a map's order means nothing in either).
    """
    return b"\x82" + msgspec.msgpack.encode("data") + _map_header(points_count)


def msgpack_point_head(point: str, count: int, *, is_leveled: bool = False) -> bytes:
    """
    Return the beginning of a point: its name, `"count": count` and `"samples": [`.

    With *is_leveled* its end says which level it has.
    """
    encode = msgspec.msgpack.encode
    samples = encode("samples") + _array_header(count)
    members = b"\x84" if is_leveled else b"\x83"
    return encode(point) + members + encode("count") + encode(count) + samples


def msgpack_rows(text: bytes) -> bytes:
    """
    Return a run of samples as MessagePack, each an array of time and value.

    Integers stay integers within 64 bits and are float64 beyond; other numbers are float64. A
    number beyond that is nil, as infinities are everywhere in our answers. MessagePack's text is
    UTF-8, so that a lone surrogate becomes U+FFFD.

    Args:
        text: As in `decode_samples`.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    try:
        pairs = _pairs_decoder.decode(b"[%b]" % text)
        packed = msgspec.msgpack.encode(pairs)
    except (msgspec.MsgspecError, OverflowError):
        samples = decode_samples(text)
        values = decode_values([raw for _, raw in samples])
        pairs = [(time_ms, _packable(v)) for (time_ms, _), v in zip(samples, values, strict=True)]
        packed = msgspec.msgpack.encode(pairs)
    return packed[len(_array_header(len(pairs))) :]


def msgpack_buckets(text: bytes) -> bytes:
    """
    Return a run of rows as MessagePack, each an array; numbers as `msgpack_rows` has them.

    Args:
        text: `[ms,value,…]` of each row, with numbers and null alone.
    """
    rows: list[Any] = msgspec.json.decode(b"[%b]" % text)
    try:
        packed = msgspec.msgpack.encode(rows)
    except OverflowError:
        packed = msgspec.msgpack.encode(_packable(rows))
    return packed[len(_array_header(len(rows))) :]


def msgpack_point_tail(error: str | None = None, level: str | None = None) -> bytes:
    """Return the end of a point: `"error": error`, and `"level": level` where it has one."""
    encode = msgspec.msgpack.encode
    said = b"" if level is None else encode("level") + encode(level)
    return encode("error") + encode(error) + said


def msgpack_tail(meta: object) -> bytes:
    """Return the end of a MessagePack answer: `"_meta": meta`."""
    return msgspec.msgpack.encode("_meta") + msgspec.msgpack.encode(meta)


def _map_header(count: int) -> bytes:
    return _header(count, 0x80, 0xDE)


def _array_header(count: int) -> bytes:
    return _header(count, 0x90, 0xDC)


def _header(count: int, fixed: int, marker16: int) -> bytes:
    """Return the shortest header of a map or array; the 32-bit marker is next to the 16-bit one."""
    if count <= _FIXED_MAX:
        return bytes([fixed | count])
    if count <= _UINT16_MAX:
        return bytes([marker16]) + count.to_bytes(2, "big")
    return bytes([marker16 + 1]) + count.to_bytes(4, "big")


def _packable(value: Any) -> Any:
    """Return a value that MessagePack can hold."""
    if type(value) is list:
        return [_packable(each) for each in value]
    if type(value) is dict:
        return {name: _packable(each) for name, each in value.items()}
    if type(value) is int and not _INT64_MIN <= value <= _UINT64_MAX:
        try:
            return float(value)
        except OverflowError:
            return None
    if type(value) is float and value in _INFINITIES:
        return None
    return value


class MessagePack(TextEncoder):
    """The JSON answer's structure as MessagePack."""

    is_counted = True

    def __init__(self, options: BodyOptions) -> None:
        super().__init__(options)
        self._is_leveled = options.is_leveled
        self._emit(msgpack_head(options.points_count))

    def _opening(self) -> bytes:
        return msgpack_point_head(self._point, self._announced, is_leveled=self._is_leveled)

    def _rows(self, text: bytes) -> bytes:
        return msgpack_buckets(text) if self._columns else msgpack_rows(text)

    def _closing(self, error: str | None, level: str | None) -> bytes:
        return msgpack_point_tail(error, level)

    def _end(self, meta: object) -> bytes:
        return msgpack_tail(meta)


MSGPACK = AnswerFormat(
    content_type="application/msgpack",
    media_types=("application/msgpack", "application/x-msgpack", "application/vnd.msgpack"),
    encoder=MessagePack,
)
