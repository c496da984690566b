"""Keeps a state folder from other users of the machine: it holds samples and hashes of keys."""

from __future__ import annotations

import os
from pathlib import Path

OWNERS_ONLY = 0o077
FOLDER_MODE, FILE_MODE = 0o700, 0o600
# What wrangler keeps there, beside our own files.
STATE_PARTS = ("v3", ".migrations", ".lock")


def keep_private(state: Path) -> None:
    """
    Let only this user read a state folder, and whatever this process and its children write.

    What an earlier release left open is closed; other files that may lie in the folder stay as
    they are.
    """
    os.umask(OWNERS_ONLY)
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(FOLDER_MODE)
    for part in STATE_PARTS:
        path = state / part
        for each in [path, *path.rglob("*")] if path.exists() else []:
            if not each.is_symlink():
                each.chmod(FOLDER_MODE if each.is_dir() else FILE_MODE)
