"""
Measures rows of days, hours and months of a year, in a time zone that changes its clocks.

Means come of stored sums, the other aggregates of all samples. Beside each, by turns, a raw hit.

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
# What each is asked beside, by turns: a machine's pace shows in it.
RAW_DAYS = 30
CACHED = {"route": "cached"}
# V8 compiles what runs often, and takes its time to.
WARM_UP = 4
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
    wishes = {"interval": interval, "aggregate": aggregate, "tz": ZONE}
    times: dict[str, list[float]] = {"rows": [], "raw": []}
    computed: dict[str, list[float]] = {"rows": [], "raw": []}
    size, [runtime], connection = 0, runtimes(), _connection(stack.ports["app"])
    for turn in range(WARM_UP + rounds):
        start_ms = START_MS + turn * DAY_MS
        paths = {
            "rows": query(YEAR.site, YEAR.names, start_ms, start_ms + 365 * DAY_MS, **wishes),
            "raw": query(YEAR.site, YEAR.names, start_ms, start_ms + RAW_DAYS * DAY_MS, **CACHED),
        }
        for name, path in paths.items():
            before, began = cpu_by_thread(runtime), time.perf_counter()
            body, headers = _get(connection, path)
            times[name].append((time.perf_counter() - began) * 1_000)
            after = cpu_by_thread(runtime)
            computed[name].append(max(ms - before.get(key, 0.0) for key, ms in after.items()))
            size = len(body) if name == "rows" else size
            if headers.get("X-Cache-Status") != "hit":
                raise SystemExit(f"bench: days are no hit: {headers.get('X-Cache-Status')}")
    took = {name: statistics.median(each[WARM_UP:]) for name, each in times.items()}
    cpu = {name: statistics.median(each[WARM_UP:]) for name, each in computed.items()}
    return (
        f"{YEAR.points} points x 365 d ({SAMPLES:,} samples), interval={interval} "
        f"aggregate={aggregate}: {took['rows']:,.0f} ms, {cpu['rows']:,.0f} ms of CPU "
        f"({size:,} bytes); raw hit of {RAW_DAYS} d {took['raw']:,.0f} ms, {cpu['raw']:,.0f} of CPU"
    )
