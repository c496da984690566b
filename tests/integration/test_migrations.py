"""The migrations by the tool that applies them in production."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

from devtools.children import Children
from devtools.layout import MIGRATIONS, SCHEMA_SQL, WRANGLER_TOML
from devtools.local_database import prepare_database
from devtools.signals import StopSignals
from devtools.toolchain import Toolchain
from devtools.wrangler import Wrangler
from integration.harness.state_files import opened

NAMES = """
SELECT type || ' ' || name AS entry FROM sqlite_schema
WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> 'd1_migrations'
ORDER BY 1
"""
SECONDS = 120


def test_wrangler_applies_the_migrations(tools: Toolchain, tmp_path: Path) -> None:
    """Migrations, then schema.sql on top: nothing fails, and schema.sql adds nothing."""
    wrangler = Wrangler(tools, tmp_path / "home")
    settings = tomllib.loads(WRANGLER_TOML.read_text(encoding="utf-8"))
    name = settings["d1_databases"][0]["database_name"]
    state = tmp_path / "state"
    found = []
    for arguments in (
        ("migrations", "apply", name),
        ("execute", name, "--yes", "--file", SCHEMA_SQL),
    ):
        done = subprocess.run(  # noqa: S603 - the project's own wrangler
            [str(each) for each in wrangler.command("d1", *arguments)]
            + ["--local", "--persist-to", str(state)],
            env=wrangler.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        with opened(state, "queue_jobs") as connection:
            found.append([row["entry"] for row in connection.execute(NAMES)])
    assert found[0] == found[1]
    assert "view v_request_stats" in found[0]


def test_a_local_database_lacks_no_migration(tools: Toolchain, tmp_path: Path) -> None:
    """It is made from schema.sql, and wrangler finds every migration applied."""
    wrangler, state = Wrangler(tools, tmp_path), tmp_path / "state"
    with Children(StopSignals()) as children:
        prepare_database(wrangler, state, children)
        (state / ".migrations").write_text("those of an older version")
        prepare_database(wrangler, state, children)
    with opened(state, "queue_jobs") as connection:
        names = [row["name"] for row in connection.execute("SELECT name FROM d1_migrations")]
    assert sorted(path.name for path in MIGRATIONS.glob("*.sql")) == names
