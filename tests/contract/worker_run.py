"""One run of the contract Worker on the real runtime, with the tools of scripts/dev.py."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contract.remote import Remote
from devtools.children import Children
from devtools.layout import PYTHON_MODULES, ROOT, WRANGLER_TOML
from devtools.scratch import scratch_of
from devtools.servers import free_port, is_listening, start_server
from devtools.signals import StopSignals
from devtools.toolchain import set_up
from devtools.wrangler import Wrangler

ENTRY = Path(__file__).with_name("worker") / "entry.py"
START_S = 180.0
FORBIDDEN = ("Uncaught", "never awaited", "borrowed proxy")
CONFIGURATION = """
name = "contract"
main = "src/entry.py"
compatibility_date = "{date}"
compatibility_flags = ["python_workers"]

[python_modules]
exclude = ["**/*.pyc"]

[[r2_buckets]]
binding = "BUCKET"
bucket_name = "contract-bucket"

[[d1_databases]]
binding = "DB"
database_name = "contract-db"
database_id = "00000000-0000-0000-0000-000000000000"

[[ratelimits]]
name = "LIMIT"
namespace_id = "1"
simple = {{ limit = 3, period = 60 }}
"""


@contextmanager
def contract_worker(folder: Path) -> Iterator[Remote]:
    """Serve the contract Worker from a new folder; at the end nothing of it is left running."""
    project = _project(folder)
    port, log = free_port(), folder / "wrangler.log"
    with scratch_of(folder / "home"), Children(StopSignals()) as children:
        wrangler = Wrangler(set_up(children), folder / "home")
        command = wrangler.dev(port=port, state=folder / "state", env_files=[])
        remote = Remote(port)
        start_server(
            children,
            [*command, "--config", project / "wrangler.toml"],
            name="wrangler",
            is_ready=lambda: _is_ready(remote),
            seconds=START_S,
            env=wrangler.environment(),
            log=log,
        )
        yield remote
    assert not is_listening(port)
    text = log.read_text(errors="replace")
    assert [] == [line for line in text.splitlines() if any(bad in line for bad in FORBIDDEN)]


def _project(folder: Path) -> Path:
    """Lay out a Worker of its own that holds the package and the contract's entry module."""
    project = folder / "project"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "building_vitals", project / "src/building_vitals", ignore=skip)
    shutil.copy(ENTRY, project / "src" / "entry.py")
    with Children(StopSignals()) as children:
        set_up(children)
    shutil.copytree(PYTHON_MODULES, project / "python_modules", ignore=skip)
    date = tomllib.loads(WRANGLER_TOML.read_text(encoding="utf-8"))["compatibility_date"]
    (project / "wrangler.toml").write_text(CONFIGURATION.format(date=date), encoding="utf-8")
    return project


def _is_ready(remote: Remote) -> bool:
    with suppress(OSError):
        return bool(remote.call_now("ready", {}) == "ready")
    return False
