"""
One JSON line for each request, batch of messages and cron run: what `wrangler tail` shows.

Separate because this is the one place that writes to the log, so that it is also the one place to
look at for what may be in it.
"""

from __future__ import annotations

import json
import re
import traceback
from typing import Any

import msgspec

from building_vitals.core.errors import AppError

TEXT_MAX = 500
# For what is told of a fault: the cause stands at the end of it.
DETAIL_MAX = 2000
# What JSON leaves as it is, but a terminal or a log viewer may obey or take for a line's end: DEL,
# C1 controls, line and paragraph separators, marks that turn the direction of writing.
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def write_line(event: str, **fields: Any) -> None:
    """
    Write one line; fields that are None are left out and long texts cut.

    Args:
        event: `request`, `queue`, `scheduled`, `start` or `fault`.
    """
    line = {"event": event}
    for name, value in fields.items():
        if value is not None:
            most = DETAIL_MAX if name == "detail" else TEXT_MAX
            line[name] = value[:most] if isinstance(value, str) else value
    # The runtime keeps standard output as one log entry a line; logging would mark it as an error.
    print(encode_line(line))  # noqa: T201


def encode_line(line: dict[str, Any]) -> str:
    """
    Return one line of printable JSON, whatever the texts hold.
    """
    try:
        text = msgspec.json.encode(line).decode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: as good as any other replacement, but one that can be written.
        text = json.dumps(line, default=str)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def report_fault(where: str, error: AppError) -> None:
    """
    Log a failure that no answer tells of.
    """
    write_line("fault", where=where, code=error.code, detail=error.detail)


def report_crash(where: str, error: BaseException) -> None:
    """
    Log a failure that nobody foresaw.
    """
    write_line("fault", where=where, detail="".join(traceback.format_exception(error))[-2000:])
