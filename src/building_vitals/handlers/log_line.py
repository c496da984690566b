"""
The text of a log line: one line of printable JSON, whatever its fields hold.

Separate from the code that writes it, so that tests need no runtime.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

TEXT_MAX = 500
# A fault's cause stands at the end of its traceback.
DETAIL_MAX = 2000
# JSON leaves these as they are, but a terminal or a log viewer may obey them or end the line: DEL,
# C1 controls, line and paragraph separators, marks that turn the direction of writing.
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def log_line(event: str, fields: dict[str, Any]) -> str:
    """
    Return the line; fields that are None are left out, long texts are cut.

    Args:
        event: `request`, `queue`, `scheduled`, `start` or `fault`.
        fields: Values that JSON can hold, by name.
    """
    line = {"event": event}
    for name, value in fields.items():
        if value is not None:
            most = DETAIL_MAX if name == "detail" else TEXT_MAX
            line[name] = value[:most] if isinstance(value, str) else value
    return encode_line(line)


def encode_line(line: dict[str, Any]) -> str:
    """Return one line of printable JSON, whatever the texts hold."""
    try:
        text = msgspec.json.encode(line).decode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: as good as any other replacement, but one that can be written.
        text = json.dumps(line, default=str)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
