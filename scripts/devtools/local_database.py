"""The local D1 database of a state folder: made from schema.sql, migrated like remote ones."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from devtools.children import Children
from devtools.console import progress
from devtools.layout import DATABASES, MIGRATIONS, PACKAGE_LOCK, SCHEMA_SQL, WRANGLER_TOML
from devtools.private import keep_private
from devtools.toolchain import write_whole
from devtools.wrangler import Wrangler, database_names

# What `wrangler d1 migrations apply` would have left: schema.sql is the sum of all migrations.
APPLIED = """
CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
);
INSERT OR IGNORE INTO d1_migrations (name) VALUES {names};
"""


def prepare_database(
    wrangler: Wrangler,
    state: Path,
    children: Children,
    hold: Sequence[int] = (),
    *,
    kept: Path = DATABASES,
) -> None:
    """
    Make the databases in *state*, or apply the migrations that they lack.

    schema.sql takes wrangler half the time that the migrations take, and a copy of an empty
    database takes next to none.

    Args:
        wrangler: Does it.
        state: Folder of the local database; a stamp in it saves the call when nothing is new.
        children: Takes the program.
        hold: Descriptors of locks that it holds to its end.
        kept: Folder of empty databases, each by what it was made of.
    """
    migrations = sorted(MIGRATIONS.glob("*.sql"))
    applied = _digest(migrations)
    stamp, files = state / ".migrations", state / "v3" / "d1"
    is_made = stamp.is_file() and files.is_dir()
    if is_made and stamp.read_text() == applied:
        return
    empty = kept / _ingredients(migrations)
    if not is_made and empty.is_dir():
        shutil.copytree(empty, files, dirs_exist_ok=True)
        keep_private(state)
        write_whole(stamp, applied.encode())
        return
    databases = database_names()
    if is_made:
        commands = [wrangler.migrate(state, name) for name in databases]
    else:
        names = ", ".join(f"('{path.name}')" for path in migrations)
        file = wrangler.home / "schema.sql"
        schema = SCHEMA_SQL.read_text(encoding="utf-8") + APPLIED.format(names=names)
        file.write_text(schema, encoding="utf-8")
        commands = [wrangler.execute(state, name, file) for name in databases]
    with progress("D1: applying schema.sql and migrations"):
        for command in commands:
            children.run("database", command, env=wrangler.environment(), hold=[*hold])
        if not is_made:
            _keep(files, empty)
        write_whole(stamp, applied.encode())


def _ingredients(migrations: Sequence[Path]) -> str:
    """Return a name for what an empty database is made of, and where wrangler looks for it."""
    return _digest([*migrations, SCHEMA_SQL, WRANGLER_TOML, PACKAGE_LOCK])[:16]


def _digest(files: Sequence[Path]) -> str:
    """Return a digest of files and their names, by which wrangler tells migrations apart."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _keep(files: Path, empty: Path) -> None:
    """Keep a copy of a database that is still empty, unless another run was faster."""
    fresh = empty.with_name(f"{empty.name}.{os.getpid()}.new")
    shutil.copytree(files, fresh)
    try:
        fresh.rename(empty)
    except OSError:
        shutil.rmtree(fresh)
