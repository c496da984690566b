"""
Reads the valid JSON that msgspec refuses: lone surrogates (`"\\ud800"`) and numbers beyond double.

Separate because it is the slow way, taken only after msgspec has given up, so that one odd value of
an upstream does not cost a point its answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from building_vitals.errors import CorruptSegment

_SAMPLE_HEAD = re.compile(r"\[(-?[0-9]+),")


Samples: TypeAlias = list[tuple[int, msgspec.Raw]]
_samples_decoder = msgspec.json.Decoder(Samples)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"not JSON: {name}")


_scan = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant).raw_decode


def split_samples(text: bytes) -> list[tuple[int, msgspec.Raw]]:
    """
    Return the samples of a run, as `formats.decode_samples` does, whatever its strings hold.

    Args:
        text: Compact samples without the outer brackets, at least one.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    samples: list[tuple[int, msgspec.Raw]] = []
    try:
        content = text.decode()
        start = 0
        while start <= len(content):
            head = _SAMPLE_HEAD.match(content, start)
            if head is None:
                raise ValueError(f"no sample at {start}")
            _, end = _scan(content, head.end())
            if content[end : end + 2] not in ("]", "],"):
                raise ValueError(f"no end of a sample at {end}")
            raw = content[head.end() : end].encode()
            samples.append((int(head[1]), msgspec.Raw(raw)))
            start = end + 2
    except (ValueError, RecursionError) as exc:
        raise CorruptSegment(
            f"samples cannot be read: {exc}; allowed are [ms,value] pairs"
        ) from exc
    return samples


def read_value(raw: bytes) -> Any:
    """
    Return what one JSON value stands for, in characters that UTF-8 can hold.

    A number beyond double is an infinity of its sign (an int may stay an int); a lone surrogate is
    U+FFFD.

    Args:
        raw: Valid JSON.
    """
    text = raw.decode()
    value = json.loads(text, parse_int=_read_int)
    if "\\u" not in text:
        return value
    return json.loads(make_well_formed(json.dumps(value, ensure_ascii=False)))


def make_well_formed(text: str) -> str:
    """Return the text with U+FFFD in place of each lone surrogate."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read_int(digits: str) -> int | float:
    """Return the integer, or a float where Python refuses as many digits."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


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
    """Return samples as a run, without the outer brackets; the inverse of `decode_samples`."""
    return msgspec.json.encode(samples)[1:-1]


def decode_values(raws: Sequence[msgspec.Raw | bytes]) -> list[Any]:
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
