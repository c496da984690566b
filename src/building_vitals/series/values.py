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

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
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
        infinity and for numbers beyond IEEE double. Other text is a JSON string, in which `007`,
        `0x1F` and what no double comes near to (`123E4567`, `12E-4567`: rather serial numbers)
        count as text; arrays and objects are their JSON text.
    """
    if isinstance(value, NumberText):
        return _number_text(value)
    if isinstance(value, str):
        return _text_text(value)
    if value is None or isinstance(value, bool):
        return _LITERALS[value]
    if isinstance(value, int):
        return _int_text(value)
    if isinstance(value, float):
        return "null" if isnan(value) or isinf(value) else repr(value)
    return _nested_text(value, NESTING_MAX)


def _number_text(value: NumberText) -> str:
    """Return the digits of a number, or `null` when it is beyond IEEE double."""
    has_exponent = "e" in value or "E" in value
    if (has_exponent or len(value) > _SAFE_DIGITS) and isinf(float(value)):
        return "null"
    return str(value)


def _text_text(value: str) -> str:
    """Return the JSON text of a text."""
    if _JSON_NUMBER.fullmatch(value):
        return value if _has_double(value) else _string_text(value)
    stripped = value.strip(_BLANKS)
    match = _LOOSE_NUMBER.fullmatch(stripped)
    if match is not None:
        sign, whole, fraction, bare_fraction, exponent = match.groups()
        digits = whole or "0"
        if fraction or bare_fraction:
            digits = f"{digits}.{fraction or bare_fraction}"
        text = f"{'-' if sign == '-' else ''}{digits}{exponent or ''}"
        return text if _has_double(text) else _string_text(value)
    if _NOT_FINITE.fullmatch(stripped):
        return "null"
    return _string_text(value)


def _has_double(text: str) -> bool:
    """Return whether a reader of doubles gets a number's size: no infinity, no 0 for another."""
    if len(text) <= _SAFE_DIGITS and "e" not in text and "E" not in text:
        return True
    number = float(text)
    return not isinf(number) if number else is_zero(text)


def is_zero(text: str) -> bool:
    """Return whether the text of a JSON number stands for 0 itself."""
    return not text.lower().partition("e")[0].strip("-0.")


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
