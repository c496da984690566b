"""
Runs the benchmarks and prints what they measure.

Usage: python3 scripts/bench.py [cached|jobs]... [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("tests", "src")]

from bench import bench_cached, bench_jobs  # noqa: E402

BENCHMARKS = {"cached": bench_cached.main, "jobs": bench_jobs.main}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="cached|jobs")
    asked = parser.parse_args()
    for name in asked.names or BENCHMARKS:
        BENCHMARKS[name](asked.rounds)
