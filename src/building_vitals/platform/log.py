"""
One JSON line for each request, batch of messages and cron run: what `wrangler tail` shows.

Separate because this is the one place that writes to the log, so that it is also the one place to
look at for what may be in it.
"""

from __future__ import annotations

import json
import traceback
from typing import Any

import js

from building_vitals.access.api_keys import masked
from building_vitals.errors import AppError
from building_vitals.handlers.log_line import log_line

# Secrets of the Worker, which no line may hold whatever went wrong.
_secrets: list[str] = []


def hide(secret: str | None) -> None:
    """Keep a secret out of all lines from now on."""
    if secret is not None and secret not in _secrets:
        # As it is, and as a line has it.
        _secrets.extend({secret, json.dumps(secret)[1:-1]})


def write_line(event: str, **fields: Any) -> None:
    """
    Write one line; fields that are None are left out and long texts cut.

    Events are `request`, `queue`, `scheduled`, `start` and `fault`.
    """
    # Not print: standard output goes through Emscripten's terminal first, byte by byte, before the
    # runtime makes it the same log entry. Nor logging, which the runtime marks as an error.
    js.console.log(masked(log_line(event, fields), *_secrets))


def log_fault(where: str, error: BaseException) -> None:
    """Log a failure that no answer tells of; one that nobody foresaw with its traceback."""
    if isinstance(error, AppError):
        write_line("fault", where=where, code=error.code, detail=error.detail)
    else:
        write_line("fault", where=where, detail="".join(traceback.format_exception(error))[-2000:])
