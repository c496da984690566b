"""
Measures rows of days, hours and months of a year, in a time zone that changes its clocks.

Means come of stored sums, the other aggregates of all samples.

Usage: python3 scripts/bench.py days [--rounds N]
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.bench_cached import _connection, _get, query
from bench.bench_startup import cpu_by_thread, runtimes
from bench.seeding import DAY_MS, START_MS, Shape, write_seed
from bench.stack import Stack, running

YEAR = Shape("days", 20, 420, 300_000)
SAMPLES = YEAR.points * 365 * DAY_MS // YEAR.interval_ms
ZONE = "Europe/Berlin"
ASKED = (
    ("1d", "mean"),
    ("1d", "min,max"),
    ("1d", "mean,min,max,sum,count,first,last,twa,delta"),
    ("1mo", "mean"),
    ("1h", "mean"),
)


def main(rounds: int = 5) -> None:
    """Measure and print medians of requests of which none was asked before."""
    with TemporaryDirectory() as home:
        write_seed(Path(home), (YEAR,), int(time.time() * 1000))
        with running(seed=Path(home)) as stack:
            for interval, aggregate in ASKED:
                print(_measured(stack, interval, aggregate, rounds), flush=True)


def _measured(stack: Stack, interval: str, aggregate: str, rounds: int) -> str:
    """Return what is printed of one question."""
    port, [runtime] = stack.ports["app"], runtimes()
    connection = _connection(port)
    times: list[float] = []
    computed: list[float] = []
    size = 0
    for turn in range(rounds + 1):
        start_ms = START_MS + turn * DAY_MS
        wishes = {"interval": interval, "aggregate": aggregate, "tz": ZONE}
        path = query(YEAR.site, YEAR.names, start_ms, start_ms + 365 * DAY_MS, **wishes)
        before, began = cpu_by_thread(runtime), time.perf_counter()
        body, headers = _get(connection, path)
        times.append((time.perf_counter() - began) * 1_000)
        after = cpu_by_thread(runtime)
        computed.append(max(ms - before.get(name, 0.0) for name, ms in after.items()))
        size = len(body)
        if headers.get("X-Cache-Status") != "hit":
            raise SystemExit(f"bench: days are no hit: {headers.get('X-Cache-Status')}")
    return (
        f"{YEAR.points} points x 365 d ({SAMPLES:,} samples), interval={interval} "
        f"aggregate={aggregate}: {statistics.median(times[1:]):,.0f} ms, "
        f"{statistics.median(computed[1:]):,.0f} ms of CPU ({size:,} bytes)"
    )
