"""The production configuration can be deployed as it is: wrangler packs it, off-line."""

from __future__ import annotations

import os
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

from devtools.layout import ROOT, WRANGLER_TOML
from devtools.toolchain import Toolchain
from devtools.wrangler import LOCAL_FLAGS, Wrangler

SETTINGS = tomllib.loads(WRANGLER_TOML.read_text(encoding="utf-8"))
BINDINGS = (
    [bucket["binding"] for bucket in SETTINGS["r2_buckets"]]
    + [database["binding"] for database in SETTINGS["d1_databases"]]
    + [producer["binding"] for producer in SETTINGS["queues"]["producers"]]
    + [dataset["binding"] for dataset in SETTINGS["analytics_engine_datasets"]]
    + [limit["name"] for limit in SETTINGS["ratelimits"]]
    + list(SETTINGS["vars"])
)


def test_wrangler_packs_the_worker_with_every_binding(tools: Toolchain, tmp_path: Path) -> None:
    """`wrangler deploy --dry-run` passes, and its list holds every binding and var."""
    wrangler = Wrangler(tools, tmp_path / "home")
    packed = tmp_path / "packed"
    done = subprocess.run(  # noqa: S603 - the wrangler of package-lock.json
        list(map(str, wrangler.command("deploy", "--dry-run", "--outdir", packed))),
        cwd=ROOT,
        env=wrangler.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert [] == [name for name in BINDINGS if f"env.{name} " not in output], output
    assert (packed / "entry.py").is_file()
    assert (packed / "python_modules" / "workers" / "__init__.py").is_file(), os.listdir(packed)


def test_configuration_has_no_local_flags() -> None:
    """What only a local run needs is not in the production configuration."""
    assert SETTINGS["compatibility_flags"] == ["python_workers"]
    assert not set(LOCAL_FLAGS) & set(SETTINGS["compatibility_flags"])


def test_every_var_has_a_comment() -> None:
    """A line of comment stands before each option."""
    lines = WRANGLER_TOML.read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for before, line in pairwise(lines)
        if line.partition(" = ")[0] in SETTINGS["vars"] and not before.startswith("#")
    ]
    assert [] == bare


def test_every_queue_ends_in_the_dead_letter_queue_that_is_consumed() -> None:
    """Each producer's queue has a consumer, and its dead letters have one too."""
    consumers = {consumer["queue"]: consumer for consumer in SETTINGS["queues"]["consumers"]}
    produced = [producer["queue"] for producer in SETTINGS["queues"]["producers"]]
    assert {consumers[queue]["dead_letter_queue"] for queue in produced} == {"chart-processing-dlq"}
    assert "dead_letter_queue" not in consumers["chart-processing-dlq"]
