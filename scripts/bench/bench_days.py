"""
Measures days of a year, in a time zone that changes its clocks, which are made of all samples.

Run by `scripts/bench.py zoom`, beside what charts of samples cost.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.bench_cached import _connection, _get, query
from bench.seeding import DAY_MS, START_MS, Shape
from bench.stack import Stack

YEAR = Shape("days", points=20, days=420, interval_ms=300_000)
ZONE = "Europe/Berlin"
ASKED = (
    ("1d", "mean"),
    ("1d", "min,max"),
    ("1d", "mean,min,max,sum,count,first,last,twa,delta"),
    ("1mo", "mean"),
    ("1h", "mean"),
)


def days(stack: Stack, rounds: int) -> Iterator[str]:
    """Yield what is printed of each question: the median of some requests, none asked before."""
    port = stack.ports["app"]
    connection = _connection(port)
    for interval, aggregate in ASKED:
        times, size = [], 0
        for turn in range(rounds + 1):
            start_ms = START_MS + turn * DAY_MS
            wishes = {"interval": interval, "aggregate": aggregate, "tz": ZONE}
            path = query(YEAR.site, YEAR.names, start_ms, start_ms + 365 * DAY_MS, **wishes)
            began = time.perf_counter()
            body, headers = _get(connection, path)
            times.append((time.perf_counter() - began) * 1_000)
            size = len(body)
            if headers.get("X-Cache-Status") != "hit":
                raise SystemExit(f"bench: days are no hit: {headers.get('X-Cache-Status')}")
        yield (
            f"{YEAR.points} points x 365 d, interval={interval} aggregate={aggregate}: first "
            f"{times[0]:,.0f} ms, then {statistics.median(times[1:]):,.0f} ms ({size:,} bytes)"
        )
