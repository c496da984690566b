"""Migrates the local D1 database of a state folder, as a deployment migrates the remote one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from devtools.children import Children
from devtools.console import progress
from devtools.layout import MIGRATIONS
from devtools.toolchain import write_whole
from devtools.wrangler import Wrangler


def migrate(wrangler: Wrangler, state: Path, children: Children, hold: Sequence[int] = ()) -> None:
    """
    Apply the migrations that the database in *state* lacks.

    Args:
        wrangler: Applies them.
        state: Folder of the local database; a stamp in it saves the call when nothing is new.
        children: Takes the program.
        hold: Descriptors of locks that it holds to its end.
    """
    digest = hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted(MIGRATIONS.glob("*.sql")))
    )
    stamp = state / ".migrations"
    is_applied = stamp.is_file() and stamp.read_text() == digest.hexdigest()
    if is_applied and (state / "v3" / "d1").is_dir():
        return
    with progress("D1: applying migrations"):
        children.run(
            "migrations", wrangler.migrate(state), env=wrangler.environment(), hold=[*hold]
        )
        write_whole(stamp, digest.hexdigest().encode())
