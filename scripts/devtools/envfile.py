"""Writes values so that wrangler reads them from an --env-file (dotenv) to the letter."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from devtools.console import StepFailed

PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~-]*")
QUOTES = "'`\""


def format_line(name: str, value: str) -> str:
    """
    Return one line that is read back as *value*.

    Raises:
        StepFailed: The format has no way to write this value.
    """
    if PLAIN.fullmatch(value):
        return f"{name}={value}\n"
    for quote in QUOTES:
        # Only double quotes turn a backslash and an n into a line break.
        usable = quote not in value and not (quote == '"' and "\\" in value)
        if usable and not value.endswith("\\"):
            return f"{name}={quote}{value.replace('$', chr(92) + '$')}{quote}\n"
    raise StepFailed(f"--var {name}: its mix of quotes and backslashes cannot be passed on")


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Write *values* to a new file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(format_line(name, value) for name, value in values.items())
