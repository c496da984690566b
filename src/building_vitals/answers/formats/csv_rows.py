"""
An answer's samples as JSON text, CSV, NDJSON and MessagePack.

Separate because every format starts from the same thing, a run of one point's samples as frames
hold them (`[1735689600000,72.5],[1735689900000,"on"]`), and is made run by run, never as a whole.

That text is of our own making: valid, compact (no white space between tokens), ascending. The work
is left to C wherever that is possible (split, join, map, msgspec), because the interpreter's own
loops are what WebAssembly slows most; `scripts/bench/bench_formats.py` measures it.

Rows are put together as `str` that hold UTF-8 bytes read as Latin-1: one byte a character whatever
the point is called, so that no name makes the joins and the final encoding slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from building_vitals.errors import CorruptSegment
from building_vitals.series.sample_text import make_well_formed, read_value, split_samples

Samples: TypeAlias = list[tuple[int, msgspec.Raw]]

CSV_HEADER = b"time,point,value\r\n"

# A chart's points mostly share their times, so that each is written once and looked up after.
# 16,384 are 56 days at 5 minutes and take about 3 MB; the cache starts again when it is full.
ISO_TIMES_MAX = 16_384
_iso_times: dict[str, str] = {}

_FRACTIONS = [f".{ms:03}Z" for ms in range(1000)]
_QUOTE = ord('"')
_FIXED_MAX, _UINT16_MAX = 15, 2**16 - 1
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
_INFINITIES = frozenset({float("inf"), float("-inf")})

_samples_decoder = msgspec.json.Decoder(Samples)
_pairs_decoder = msgspec.json.Decoder(list[tuple[int, Any]])


def decode_samples(text: bytes) -> Samples:
    """
    Return the samples of a run, their values as the JSON text they came in.

    Args:
        text: Samples as a frame holds them, without the outer brackets; may be empty.

    Returns:
        Pairs of epoch milliseconds and a value whose digits are unchanged.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    try:
        return _samples_decoder.decode(b"[%b]" % text)
    except msgspec.MsgspecError as exc:
        if b"\\u" in text:
            return split_samples(text)
        raise CorruptSegment(
            f"samples cannot be read: {exc}; allowed are [ms,value] pairs"
        ) from exc


def encode_samples(samples: Samples) -> bytes:
    """
    Return the run that *samples* are, without the outer brackets; the inverse of `decode_samples`.
    """
    return msgspec.json.encode(samples)[1:-1]


def decode_values(raws: Sequence[msgspec.Raw]) -> list[Any]:
    """
    Return each value as Python has it: an int, float, str, bool or None, rarely a list or dict.

    A number beyond double becomes an infinity of its sign; an int may stay an int. A lone surrogate
    becomes U+FFFD.

    Args:
        raws: One JSON value each, as `decode_samples` returns them.
    """
    try:
        values: list[Any] = msgspec.json.decode(b"[%b]" % b",".join(raws))
    except msgspec.MsgspecError:
        return [read_value(bytes(raw)) for raw in raws]
    return values


def csv_rows(point: str, text: bytes) -> bytes:
    r"""
    Return the rows that follow `CSV_HEADER`: RFC 4180, UTF-8, each ended by CRLF.

    Times are ISO 8601 in UTC with milliseconds; numbers keep their digits; booleans are `true` and
    `false`; null is an empty field and empty text `""`, so that the two can be told apart. Arrays
    and objects are their JSON text.

    A *text* cell (point or value) that begins with `=`, `+`, `-`, `@`, a tab or a carriage return
    gets an apostrophe in front, because spreadsheets would run it as a formula. Numbers never do.

    Args:
        point: The point's name.
        text: A run of its samples, as in `decode_samples`.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    if not text:
        return b""
    times, values, is_plain = _columns(text)
    cells = {"null": ""}
    if not is_plain:
        cells |= {value: _csv_value(_utf8(value)) for value in set(values) if value[0] in '"[{'}
    if not is_plain or b"null" in text:
        values = list(map(cells.get, values, values))
    return _join_rows("", times, f",{_csv_cell(point)},", values, "\r\n")


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
    times, values, _ = _columns(text)
    head = f'{{"point":{_latin(msgspec.json.encode(point))},"time":"'
    return _join_rows(head, times, '","value":', values, "}\n")


def _latin(utf8: bytes) -> str:
    return utf8.decode("latin-1")


def _utf8(latin: str) -> bytes:
    return latin.encode("latin-1")


def _columns(text: bytes) -> tuple[list[str], list[str], bool]:
    """
    Return the times as ISO 8601, the values as JSON text, and whether all values are plain.

    Plain are numbers, booleans and null. They hold nothing that the text is split at, and splitting
    is faster than decoding. The bracket that opens an array stays when those between samples are
    gone, because it follows the time.
    """
    if b'"' not in text and b"{" not in text:
        flat = _latin(text)[1:-1].replace("],[", ",")
        if "[" not in flat:
            parts = flat.split(",")
            return _format_times(parts[::2]), parts[1::2], True
    samples = decode_samples(text)
    stamps = [str(time_ms) for time_ms, _ in samples]
    return _format_times(stamps), [_latin(bytes(raw)) for _, raw in samples], False


def _format_times(stamps: list[str]) -> list[str]:
    """
    Return ISO 8601 in UTC with milliseconds for each epoch milliseconds in decimal.
    """
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


def _join_rows(
    head: str, times: Iterable[str], middle: str, values: Iterable[str], tail: str
) -> bytes:
    """
    Return *head*, time, *middle*, value, *tail* of each sample, one after the other.
    """
    rows = map(middle.join, zip(times, values, strict=True))
    return _utf8(f"{head}{(tail + head).join(rows)}{tail}")


def _csv_value(raw: bytes) -> str:
    """
    Return the field for text, an array or an object.
    """
    return _csv_cell(read_value(raw) if raw[0] == _QUOTE else raw.decode())


def _csv_cell(content: str) -> str:
    """
    Return text as one CSV field, harmless to spreadsheets, quoted where it must be.
    """
    if content.startswith(("=", "+", "-", "@", "\t", "\r")):
        content = f"'{content}"
    if not content or any(mark in content for mark in '",\r\n'):
        content = '"' + content.replace('"', '""') + '"'
    try:
        return _latin(content.encode())
    except UnicodeEncodeError:
        return _latin(make_well_formed(content).encode())


def msgpack_head(points_count: int) -> bytes:
    """
    Return the beginning of a MessagePack answer: `{"data": {` of *points_count* points.

    What follows is, for each point, `msgpack_point_head`, any number of `msgpack_rows` that have
    as many samples together as the head says, and `msgpack_point_tail`; then `msgpack_tail`. The
    whole is the structure of the JSON answer (a map's order means nothing in either).
    """
    return b"\x82" + msgspec.msgpack.encode("data") + _map_header(points_count)


def msgpack_point_head(point: str, count: int) -> bytes:
    """
    Return the beginning of a point: its name, `"count": count` and `"samples": [`.
    """
    encode = msgspec.msgpack.encode
    samples = encode("samples") + _array_header(count)
    return encode(point) + b"\x83" + encode("count") + encode(count) + samples


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


def msgpack_point_tail(error: str | None = None) -> bytes:
    """
    Return the end of a point: `"error": error`.
    """
    return msgspec.msgpack.encode("error") + msgspec.msgpack.encode(error)


def msgpack_tail(meta: Mapping[str, Any]) -> bytes:
    """
    Return the end of a MessagePack answer: `"_meta": meta`.
    """
    return msgspec.msgpack.encode("_meta") + msgspec.msgpack.encode(meta)


def _map_header(count: int) -> bytes:
    return _header(count, 0x80, 0xDE)


def _array_header(count: int) -> bytes:
    return _header(count, 0x90, 0xDC)


def _header(count: int, fixed: int, marker16: int) -> bytes:
    """
    Return the shortest header of a map or array; the 32-bit marker is next to the 16-bit one.
    """
    if count <= _FIXED_MAX:
        return bytes([fixed | count])
    if count <= _UINT16_MAX:
        return bytes([marker16]) + count.to_bytes(2, "big")
    return bytes([marker16 + 1]) + count.to_bytes(4, "big")


def _packable(value: Any) -> Any:
    """
    Return a value that MessagePack can hold.
    """
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
