"""Runs SQL of the key command on the Worker's D1 database, local or deployed, through wrangler."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.api_keys import KeyOptions
from devtools.children import Children
from devtools.console import StepFailed
from devtools.layout import WRANGLER_TOML
from devtools.local_database import prepare_database
from devtools.private import keep_private
from devtools.toolchain import Toolchain
from devtools.wrangler import Wrangler


@dataclass(frozen=True, slots=True)
class KeyDatabase:
    """
    The database that holds the keys.

    Args:
        tools: The set-up.
        home: Empty folder of this run.
        children: Takes what is started.
        options: Which database.
    """

    tools: Toolchain
    home: Path
    children: Children
    options: KeyOptions

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """
        Return the rows of one statement.

        Raises:
            StepFailed: wrangler or the database refused.
        """
        wrangler = Wrangler(self.tools, self.home)
        if not self.options.is_remote:
            keep_private(self.options.state)
            prepare_database(wrangler, self.options.state, self.children)
        settings = tomllib.loads(WRANGLER_TOML.read_text(encoding="utf-8"))
        databases = {each["binding"]: each["database_name"] for each in settings["d1_databases"]}
        name = databases["DB"]
        where: tuple[object, ...] = ("--local", "--persist-to", self.options.state)
        if self.options.is_remote:
            where = ("--remote",)
        # Not sent where it would be a log: output is read here and shown only when it fails.
        lines: list[bytes] = []
        child = self.children.start(
            wrangler.command("d1", "execute", name, *where, "--yes", "--json", "--command", sql),
            # The deployed database is found with the user's own settings and login.
            env=self.tools.environment() if self.options.is_remote else wrangler.environment(),
            on_line=lines.append,
        )
        status = child.wait()
        output = b"".join(lines).decode(errors="replace")
        if status != 0:
            raise StepFailed(f"wrangler d1 execute failed with status {status}", output.rstrip())
        return _first_result(output)


def _first_result(output: str) -> list[dict[str, Any]]:
    """Return the rows of the first statement; wrangler may have said something before them."""
    for start, character in enumerate(output):
        if character != "[" or (start and output[start - 1] != "\n"):
            continue
        try:
            results, _ = json.JSONDecoder().raw_decode(output, start)
            rows: list[dict[str, Any]] = results[0]["results"]
        except (ValueError, LookupError, TypeError):
            continue
        return rows
    raise StepFailed("wrangler d1 execute did not say what the statement did", output.rstrip())
