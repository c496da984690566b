"""
One JSON line for each request, batch of messages and cron run: what `wrangler tail` shows.

Separate because this is the one place that writes to the log, so that it is also the one place to
look at for what may be in it.
"""

from __future__ import annotations

from typing import Any

import msgspec

TEXT_MAX = 500


def write_line(event: str, **fields: Any) -> None:
    """
    Write one line; fields that are None are left out and long texts cut.

    Args:
        event: `request`, `queue`, `scheduled`, `start` or `fault`.
    """
    line = {"event": event}
    for name, value in fields.items():
        if value is not None:
            line[name] = value[:TEXT_MAX] if isinstance(value, str) else value
    # The runtime keeps standard output as one log entry a line; logging would mark it as an error.
    print(msgspec.json.encode(line).decode())  # noqa: T201
