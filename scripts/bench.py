"""
Runs the benchmarks and prints what they measure.

Usage: python3 scripts/bench.py [cached|jobs|formats]... [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("tests", "src")]

from bench import bench_cached  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    bench_cached.main(parser.parse_args().rounds)
