"""The API's description against the running Worker: schemathesis with all its checks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from building_vitals.api.routes import ENDPOINTS
from devtools.toolchain import Toolchain
from integration.harness.keyed_worker import ROBOTS, KeyedWorker

HOOKS = Path(__file__).parent / "harness" / "schemathesis_hooks.py"
SEED = os.environ.get("FUZZ_SEED", "20251")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "6")
RUN_S = 240.0


def test_every_endpoint_is_described(keyed: KeyedWorker) -> None:
    """The running Worker describes the endpoints of the table, and no others."""
    document = keyed.client(None).get("/openapi.json").json()
    described = {
        (path, method.upper()) for path, methods in document["paths"].items() for method in methods
    }
    assert {(each.path, each.method) for each in ENDPOINTS} == described


def test_answers_are_as_described(keyed: KeyedWorker, tools: Toolchain, tmp_path: Path) -> None:
    """Whatever is asked, status, type, headers and body are those that the description promises."""
    keys = ",".join(keyed.keys[name] for name in ROBOTS)
    command = [str(tools.python), "-m", "schemathesis.cli", "run"]
    command += [f"{keyed.server.url}/openapi.json", "--checks", "all", "--seed", SEED]
    command += ["--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing,stateful"]
    command += ["--continue-on-failure", "--no-shrink"]
    done = subprocess.run(  # noqa: S603 - a tool of our own set-up
        command,
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "API_KEYS": keys, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert 0 == done.returncode, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Rate limited" not in done.stdout
    assert not any(key in done.stdout for key in keys.split(","))
