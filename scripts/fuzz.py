"""
Sends many hostile requests to a Worker of its own, and sees that none does harm.

Usage: python3 scripts/fuzz.py [--requests 20000] [--seed N] [--threads N]

Prints how often each status came. The status is 0 when there was no 5xx but for the site whose
upstream is made to fail, no answer that took over 30 s, no growth of memory beyond the bound, and
no line in the log that is not JSON.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - says it in one line where an older Python would not
    sys.exit("fuzz.py: needs Python 3.11 or newer")

import argparse
import tempfile
import time
from pathlib import Path

sys.path.extend(str(Path(__file__).resolve().parents[1] / part) for part in ("tests", "src"))

from devtools.console import complain, say
from fakes.upstream import FakeUpstream
from integration.harness.fuzzing import (
    DAY_MS,
    START_MS,
    Findings,
    Ground,
    is_readable_log,
    send_all,
)
from integration.harness.worker_server import WorkerServer

REQUESTS_MAX = 1_000_000
MEBIBYTE = 1024 * 1024
# What caches and the largest answers take; a leak of 2 kB per request would be past it.
HEAP_GROWTH_MAX = 40 * MEBIBYTE


def main(arguments: list[str]) -> int:
    """Fuzz; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="fuzz.py",
        description="Sends hostile requests to a Worker of its own, and sees that none does harm.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--requests", type=int, default=20_000, metavar="N", help="how many; default 20000"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=time.time_ns() % 1_000_000,
        metavar="N",
        help="the same seed sends the same requests; default another one per run, which is printed",
    )
    parser.add_argument(
        "--threads", type=int, default=4, metavar="N", help="that send at once; default 4"
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.requests <= REQUESTS_MAX or options.threads < 1:
        parser.error(f"--requests must be from 1 to {REQUESTS_MAX}, --threads at least 1")
    with tempfile.TemporaryDirectory() as folder, FakeUpstream() as upstream:
        ground = _ground(upstream)
        variables = {"DEV_METRICS": "1", "UPSTREAM_MAX_RETRIES": "0"}
        say(f"starting the Worker; seed {options.seed}")
        with WorkerServer(
            Path(folder), upstream=upstream.url, token=upstream.token, variables=variables
        ) as server:
            began = time.monotonic()
            findings = send_all(
                server.url,
                ground,
                count=options.requests,
                seed=options.seed,
                threads=options.threads,
            )
            return _report(findings, server.log, time.monotonic() - began)


def _ground(upstream: FakeUpstream) -> Ground:
    points = upstream.add_generated(
        "fuzz", start_ms=START_MS, end_ms=START_MS + 5 * DAY_MS, points=4, interval_s=900
    )
    upstream.add_generated("faulty", start_ms=START_MS, end_ms=START_MS + DAY_MS, names=points)
    for kind in ("500", "html", "cut", "invalid_json"):
        upstream.faults.rate("faulty", kind, 0.5, len(kind))
    return Ground("fuzz", points, "faulty")


def _report(findings: Findings, log: str, took_s: float) -> int:
    count = findings.statuses.total()
    say(f"{count} requests in {took_s:.0f} s, {count / took_s:.0f} per second")
    for status, times in sorted(findings.statuses.items()):
        say(f"  {status}: {times}")
    first, last = (size / MEBIBYTE for size in findings.heap_bytes)
    say(f"slowest {findings.slowest_s:.2f} s; heap {first:.1f} MiB, at the end {last:.1f} MiB")
    wrong = [*findings.wrong, *(f"log: {line}" for line in is_readable_log(log))]
    if findings.heap_growth_bytes > HEAP_GROWTH_MAX:
        wrong.append(f"the heap grew by {findings.heap_growth_bytes / MEBIBYTE:.1f} MiB")
    for each in wrong:
        complain(f"WRONG {each}")
    say("nothing wrong" if not wrong else f"{len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
