"""
Measures the CPU time that importing the package takes in the Worker: medians over fresh isolates.

The platform allows one second for all that runs at the top level. Time is that of the thread which
runs the Worker, as the kernel counts it (Linux), so that other programs disturb it less.

Usage: python3 scripts/bench.py startup [--rounds N]
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.stack import running
from devtools.layout import PYTHON_MODULES, ROOT

ENTRY = Path(__file__).parent / "workers" / "importing.py"
NANOSECONDS = 1_000_000


def main(rounds: int) -> None:
    """Print the figures."""
    found = [_measure() for _ in range(rounds)]
    print(
        json.dumps(
            {
                "startup": "import of the package",
                "cpu_ms": round(statistics.median(cpu_ms for cpu_ms, _ in found)),
                "modules": found[0][1],
                "rounds": rounds,
                "machine": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
            }
        )
    )


def _measure() -> tuple[float, int]:
    """Return the milliseconds of CPU time, and the number of modules, of one import."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        skip = shutil.ignore_patterns("__pycache__", "entry.py")
        shutil.copytree(ROOT / "src", root / "src", ignore=skip)
        shutil.copy(ENTRY, root / "src" / "entry.py")
        for kept in (PYTHON_MODULES, ROOT / "schema.sql", ROOT / "scripts"):
            (root / kept.name).symlink_to(kept.resolve())
        with running(root=root) as stack:
            [runtime] = runtimes()
            before = cpu_by_thread(runtime)
            connection = http.client.HTTPConnection("127.0.0.1", stack.ports["app"])
            connection.request("GET", "/import")
            modules = int(json.load(connection.getresponse())["modules"])
            after = cpu_by_thread(runtime)
            connection.close()
    return max(time_ms - before.get(name, 0.0) for name, time_ms in after.items()), modules


def runtimes() -> list[int]:
    """Return the runtimes that this program has started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
            program = (entry / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
        except OSError:
            continue
        parents[int(entry.name)] = (parent, program)

    def is_ours(pid: int) -> bool:
        while pid in parents and pid != os.getpid():
            pid = parents[pid][0]
        return pid == os.getpid()

    return [
        pid
        for pid, (_, program) in parents.items()
        if program.endswith("/bin/workerd") and is_ours(pid)
    ]


def cpu_by_thread(pid: int) -> dict[str, float]:
    """Return the milliseconds that each thread of a process has run."""
    return {
        thread.name: int((thread / "schedstat").read_text().split()[0]) / NANOSECONDS
        for thread in Path(f"/proc/{pid}/task").iterdir()
    }
