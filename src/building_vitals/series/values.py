"""
What a value the upstream sent becomes in our JSON.

Separate because the rule is the API's promise (digits unchanged, no NaN) and is needed wherever
samples turn into text.
"""

from __future__ import annotations

import json
import re
from math import isinf, isnan
from typing import Any

import msgspec

# Arrays and objects as values are rare and shallow. What is nested deeper than this becomes null,
# because the readers of stored samples give up on deep nesting.
NESTING_MAX = 32

# Below these sizes a number without an exponent is surely within an IEEE double.
_SAFE_DIGITS = 300
_SAFE_BITS = 1_000

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LOOSE_NUMBER = re.compile(
    r"([+-]?)(?:(0|[1-9][0-9]*)(?:\.([0-9]*))?|\.([0-9]+))([eE][+-]?[0-9]+)?"
)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_LITERALS = {None: "null", True: "true", False: "false"}
_BLANKS = " \t\r\n\f\v"


class NumberText(str):
    """
    A JSON number as it was written.

    Made by decoders instead of a float, so that `45.50` stays `45.50`.
    """

    __slots__ = ()


def value_text(value: Any) -> str:
    """
    Return the JSON text our API gives for a value the upstream sent.

    Args:
        value: What a JSON decoder gives; numbers as int, float or NumberText.

    Returns:
        For a number, or text that is one, its digits as they were sent; looser spellings (`+5`,
        `.5`, `5.`, blanks around) become the nearest JSON number. `null` for text that says NaN or
        infinity and for numbers beyond IEEE double. Other text is a JSON string, in which `007`
        and `0x1F` count as text; arrays and objects are their JSON text.
    """
    if isinstance(value, str):
        return _text_text(value)
    if value is None or isinstance(value, bool):
        return _LITERALS[value]
    if isinstance(value, int):
        return _int_text(value)
    if isinstance(value, float):
        return "null" if isnan(value) or isinf(value) else repr(value)
    return _nested_text(value, NESTING_MAX)


def _text_text(value: str) -> str:
    """Return the JSON text of a text or NumberText."""
    match = _JSON_NUMBER.fullmatch(value)
    if match is not None:
        return _within_double(str(value), has_exponent=match[1] is not None)
    stripped = value.strip(_BLANKS)
    match = _LOOSE_NUMBER.fullmatch(stripped)
    if match is not None:
        sign, whole, fraction, bare_fraction, exponent = match.groups()
        digits = whole or "0"
        if fraction or bare_fraction:
            digits = f"{digits}.{fraction or bare_fraction}"
        text = f"{'-' if sign == '-' else ''}{digits}{exponent or ''}"
        return _within_double(text, has_exponent=exponent is not None)
    if _NOT_FINITE.fullmatch(stripped):
        return "null"
    return _string_text(value)


def _within_double(text: str, *, has_exponent: bool) -> str:
    """Return the number's text, or `null` when it is beyond IEEE double."""
    if (has_exponent or len(text) > _SAFE_DIGITS) and isinf(float(text)):
        return "null"
    return text


def _int_text(value: int) -> str:
    """Return the digits of an integer, or `null` when it is beyond IEEE double."""
    if value.bit_length() > _SAFE_BITS:
        try:
            float(value)
        except OverflowError:
            return "null"
    return str(value)


def _string_text(value: str) -> str:
    """Return text as a JSON string; lone surrogates, which UTF-8 can't express, as escapes."""
    try:
        return msgspec.json.encode(str(value)).decode()
    except UnicodeEncodeError:
        return json.dumps(str(value))


def _nested_text(value: Any, depth: int) -> str:
    """Return the JSON text of an array or object; text inside stays text, whatever it says."""
    if depth == 0:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(_member_text(each, depth) for each in value)}]"
    if isinstance(value, dict):
        members = (
            f"{_string_text(name)}:{_member_text(each, depth)}" for name, each in value.items()
        )
        return f"{{{','.join(members)}}}"
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def _member_text(value: Any, depth: int) -> str:
    """Return the JSON text of a member of an array or object."""
    if isinstance(value, str) and not isinstance(value, NumberText):
        return _string_text(value)
    if isinstance(value, list | dict):
        return _nested_text(value, depth - 1)
    return value_text(value)
