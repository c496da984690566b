"""Calls wrangler for a local run: its flags, its environment and what of its output is shown."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.children import LineFilter
from devtools.layout import WRANGLER_TOML
from devtools.scratch import REDIRECTION
from devtools.toolchain import Toolchain

# With room for all that its start allocates, a fifth of it is saved.
NODE_FLAGS = ("--no-warnings", "--min-semi-space-size=64", "--max-semi-space-size=64")
LOCAL_FLAGS = ("python_workers_development", "experimental")
FOREIGN = ("CLOUDFLARE_", "WRANGLER_", "MINIFLARE_", "CF_", "X_LOCAL_")
MIN_SECRET = 6
# An API key in an address: wrangler writes a line for each request, and knows no keys.
KEY_LIKE = re.compile(rb"bv(_|%5f)(?:[a-z0-9_-]|%5f|%2d){16,}", re.IGNORECASE)
# Colours, and links as terminals know them; wrangler's warnings have some whatever NO_COLOR says.
ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
NOISE = re.compile(
    rb"\s*$"
    rb"|\[wrangler:info\] (Updated and r|R)eady on "
    rb"|env\.\w+ .* local$|Binding +Resource +Mode|Your Worker has access to the following "
    # The page's files: two dozen lines for each visit.
    rb"|\[wrangler:info\] GET /page/|\[custom build\] "
    rb"|\[wrangler:info\] \xe2\x9c\xa8 Parsed \d+ valid (redirect|header) rules?\."
    rb"|Attaching additional modules:|\xe2\x94[\x80-\xbf]|Using secrets defined in "
    rb"|\xe2\x8e\x94 (Starting local server|Connection status updated)"
    # One warning at each start, as long as wrangler.toml has a cron; docs/local-runtime.md has it.
    rb"|.*Scheduled Workers are not automatically triggered during local development"
    rb"|  To manually trigger a scheduled event, run:"
    rb"|    curl \"http://[\w.:]+/cdn-cgi/local/scheduled\""
    rb"|  For more details, see https://developers\.cloudflare\.com/.*cron-triggers"
)


@dataclass(frozen=True, slots=True)
class Wrangler:
    """
    wrangler with a home of its own.

    Args:
        tools: The set-up.
        home: Folder of this run; its settings and temporary files go there.
        runtime: "packed" or "official".
    """

    tools: Toolchain
    home: Path
    runtime: str = "packed"

    def environment(self) -> dict[str, str]:
        """Return an environment in which neither the user's settings nor other runs have a say."""
        mine = self.tools.environment()
        kept = {name: value for name, value in mine.items() if not name.startswith(FOREIGN)}
        registry, temporary = self.home / "registry", self.home / "tmp"
        for folder in (registry, temporary):
            folder.mkdir(parents=True, exist_ok=True)
        own = {
            "CI": "1",
            "NO_COLOR": "1",
            "FORCE_COLOR": "0",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "TMPDIR": str(temporary),
            "WRANGLER_CACHE_DIR": str(self.home / "wrangler-cache"),
            "WRANGLER_HIDE_BANNER": "true",
            # Of each line that it prints it would write a copy, opening the file for it.
            "WRANGLER_WRITE_LOGS": "false",
            "WRANGLER_REGISTRY_PATH": str(registry),
            "MINIFLARE_REGISTRY_PATH": str(registry),
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_SEND_ERROR_REPORTS": "false",
            # Local runs need no copy of Cloudflare's request metadata, which takes a download.
            "CLOUDFLARE_CF_FETCH_ENABLED": "false",
            # wrangler's own collector of traces: 0.7 ms per request, in a database of its own.
            "X_LOCAL_EXPLORER": "false",
            "X_LOCAL_OBSERVABILITY": "false",
        }
        if self.runtime == "packed":
            own["MINIFLARE_WORKERD_PATH"] = str(self.tools.workerd)
        return kept | own

    def command(self, *arguments: object) -> list[object]:
        """Return the command line for wrangler with *arguments*."""
        return [self.tools.node, *NODE_FLAGS, self.tools.wrangler, *arguments]

    def dev(self, *, port: int, state: Path, env_files: Sequence[Path]) -> list[object]:
        """Return the command that serves the Worker on 127.0.0.1:*port*."""
        flags = LOCAL_FLAGS if self.runtime == "packed" else ()
        return [
            *(self.tools.node, *NODE_FLAGS, "--require", REDIRECTION, self.tools.wrangler),
            "dev",
            *("--ip", "127.0.0.1", "--port", str(port), "--persist-to", state),
            # A free one: wrangler looks from 9229 on, and runs that start at once find the same.
            *("--inspector-port", "0"),
            *("--show-interactive-dev-session", "false", "--local"),
            *(part for file in env_files for part in ("--env-file", file)),
            *(part for flag in flags for part in ("--compatibility-flags", flag)),
        ]

    def migrate(self, state: Path, database: str) -> list[object]:
        """Return the command that applies the migrations to a local D1 database."""
        return self._d1(state, "migrations", "apply", database)

    def execute(self, state: Path, database: str, file: Path) -> list[object]:
        """Return the command that runs the statements of a file on a local D1 database."""
        return self._d1(state, "execute", database, "--yes", "--file", file)

    def _d1(self, state: Path, *arguments: object) -> list[object]:
        return self.command("d1", *arguments, "--local", "--persist-to", state)


def database_names() -> list[str]:
    """Return the D1 databases of wrangler.toml; the one for statistics may be among them."""
    settings = tomllib.loads(WRANGLER_TOML.read_text(encoding="utf-8"))
    return [str(each["database_name"]) for each in settings["d1_databases"]]


def shown_lines(secrets: Sequence[str]) -> LineFilter:
    """
    Return a filter for wrangler's output.

    It drops wrangler's tables, its warning about crons, and its own "Ready on", which comes before
    the Worker can answer; it takes out terminal escapes and blots out *secrets* and what looks like
    an API key. What the Worker logs goes through.
    """
    hidden = [secret.encode() for secret in secrets if len(secret) >= MIN_SECRET]

    def show(line: bytes) -> bytes | None:
        line = ESCAPE.sub(b"", line)
        if NOISE.match(line):
            return None
        for secret in hidden:
            line = line.replace(secret, b"***")
        return KEY_LIKE.sub(b"bv_***", line)

    return show
