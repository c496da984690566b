"""Deletes and overwrites objects of a stopped Worker's bucket, with wrangler's own programs."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from devtools.layout import NODE_MODULES, WRANGLER_TOML
from devtools.toolchain import Toolchain
from devtools.wrangler import Wrangler

SCRIPT = Path(__file__).with_name("tamper.mjs")
TAMPER_S = 120.0


def tamper(
    tools: Toolchain, home: Path, state: Path, changes: Mapping[str, bytes | None]
) -> list[int | None]:
    """
    Delete objects, or put others in their place.

    Args:
        tools: The set-up.
        home: Empty folder for the programs' own files.
        state: Of a Worker that is stopped.
        changes: By key; None deletes.

    Returns:
        The sizes the objects had before, in the order of *changes*; None where there was none.
    """
    asked = {
        "config": str(WRANGLER_TOML),
        "persist": str(state / "v3"),
        "changes": [
            [key, None if data is None else base64.b64encode(data).decode()]
            for key, data in changes.items()
        ],
    }
    home.mkdir(parents=True, exist_ok=True)
    # Modules are looked for from the script's folder upwards: node_modules lies at the top.
    assert NODE_MODULES.parent in SCRIPT.parents
    done = subprocess.run(  # noqa: S603 - our own script
        [str(tools.node), "--no-warnings", str(SCRIPT)],
        input=json.dumps(asked),
        env=Wrangler(tools, home).environment(),
        capture_output=True,
        text=True,
        timeout=TAMPER_S,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    sizes: list[int | None] = json.loads(done.stdout.splitlines()[-1])
    return sizes
