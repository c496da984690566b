"""
How deep the arrays and objects of a JSON text are nested, found without decoding it.

Separate because a decoder calls itself for each level: a few kilobytes of brackets overflow its
stack, which ends the isolate and everybody's requests in it. So the depth is known before.
"""

from __future__ import annotations

import re
from itertools import accumulate, count
from operator import sub

# The end of one object of an array and the beginning of the next.
_SEPARATOR = re.compile(rb"\},[ \t\r\n]*\{[^{}]{0,6}")
_SEPARATOR_WITHIN = 4_096

_OPENING, _CLOSING = b"[{", b"]}"
_MARKS = bytes(2 if each in _OPENING else 0 for each in range(256))
_NO_BRACKETS = bytes(each for each in range(256) if each not in _OPENING + _CLOSING)
# Bytes that are split at their quotes at once: the parts of a whole page would fill the memory.
_BLOCK_BYTES = 256 * 1024


def is_deeper(body: bytes, levels_max: int) -> bool:
    """
    Return whether more than *levels_max* arrays and objects are open at once.

    Of a body that is not JSON, the part before its first fault counts rightly: a decoder comes no
    further.

    Args:
        body: UTF-8.
        levels_max: Levels allowed; a number has none, `[]` one, `[{}]` two.
    """
    return not _is_plainly_within(body, levels_max) and depth(body) > levels_max


def depth(body: bytes) -> int:
    """Return the largest number of arrays and objects that are open at once."""
    # Without escaped backslashes, what is left of them before a quote makes it part of its string.
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets: list[bytes] = []
    is_string = False
    for start in range(0, len(text), _BLOCK_BYTES):
        parts = text[start : start + _BLOCK_BYTES].split(b'"')
        brackets += [b"".join(parts[is_string::2]).translate(_MARKS, _NO_BRACKETS)]
        is_string ^= len(parts) % 2 == 0
    # Two for each opening bracket minus one for each bracket: the level after it.
    return max(0, max(map(sub, accumulate(b"".join(brackets)), count(1)), default=0))


def _is_plainly_within(body: bytes, levels_max: int) -> bool:
    """
    Return whether counting alone shows that *body* keeps the limit, as of a page as it should be.

    In a chain of containers, each in the one before, there are no more arrays than the text has
    brackets `[`. Each object in the chain is the outermost container, or in an array of the chain,
    which has but one of them, or the value of a key, and then no comma stands before its brace. So
    the chain has at most one level more than twice the brackets and the other braces together.
    Brackets and braces in strings only make that number larger.
    """
    levels = 1
    at = body.find(b"[")
    while at >= 0:
        levels += 2
        if levels > levels_max:
            return False
        at = body.find(b"[", at + 1)
    separator = _SEPARATOR.search(body, 0, _SEPARATOR_WITHIN)
    objects = body.count(b"{") - (body.count(separator[0]) if separator else 0)
    return levels + objects <= levels_max
