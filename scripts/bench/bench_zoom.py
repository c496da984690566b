"""
Measures charts with few samples of long ranges beside raw hits of the same bytes.

Usage: python3 scripts/bench.py zoom [--rounds N]
"""

from __future__ import annotations

import gzip
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench import bench_days
from bench.bench_cached import _connection, _get, query
from bench.seeding import DAY_MS, START_MS, Shape, added_share, write_seed
from bench.stack import Stack, running

YEAR = Shape("year", points=10, days=441, interval_ms=300_000)
MONTHS = Shape("months", points=20, days=105, interval_ms=300_000)
SAMPLES_PER_DAY = DAY_MS // YEAR.interval_ms
# Asked in turns for each figure, per round.
TIMES = 4
WARM_UP = 6
# What a range is moved by so that it cuts the buckets of every level.
CUT_MS = 5_437_000
ALIGNED_MS = 7 * DAY_MS


class Chart(NamedTuple):
    """A request that is measured: some points of a site over some days, and how many samples."""

    shape: Shape
    points: int
    days: int
    max_points: int | None
    is_cut: bool = False

    @property
    def label(self) -> str:
        """What is printed of it."""
        kind = "raw" if self.max_points is None else f"max_points={self.max_points}"
        where = ", cut" if self.is_cut else ""
        return f"{self.points} points x {self.days} d, {kind}{where}"

    def path(self, turn: int) -> str:
        """Return the path of a request that the isolate has not answered a moment ago."""
        weeks = (self.shape.days - self.days) * DAY_MS // ALIGNED_MS - 2
        # Epoch weeks begin on Thursdays.
        first = START_MS - START_MS % ALIGNED_MS + (1 + turn % weeks) * ALIGNED_MS
        if self.is_cut:
            first += CUT_MS + turn * 1_000
        more = {} if self.max_points is None else {"max_points": str(self.max_points)}
        names = self.shape.names[: self.points]
        return query(self.shape.site, names, first, first + self.days * DAY_MS, **more)


def charts() -> list[Chart]:
    """Return all that is measured."""
    return [
        Chart(shape, points, days, most, is_cut)
        for shape, points, days, limits in (
            (MONTHS, 20, 28, (1_000, 500, 2_000)),
            (MONTHS, 10, 28, (1_000,)),
            (YEAR, 10, 364, (1_000, 500)),
        )
        for most in limits
        for is_cut in (False, True)
    ]


def main(rounds: int = 5) -> None:
    """Measure and print medians."""
    with TemporaryDirectory() as home:
        write_seed(Path(home), (YEAR, MONTHS, bench_days.YEAR), int(time.time() * 1000))
        print(f"levels add {added_share(YEAR):.0%} to the stored bytes", flush=True)
        with running(seed=Path(home)) as stack:
            for chart in charts():
                print(_measured(stack, chart, rounds), flush=True)
            for line in bench_days.days(stack, rounds):
                print(line, flush=True)


def _measured(stack: Stack, chart: Chart, rounds: int) -> str:
    """Return what is printed of a chart, beside a raw hit of about as many bytes."""
    port = stack.ports["app"]
    connection = _connection(port)
    samples = _samples(port, chart)
    days = max(1, round(samples / chart.points / SAMPLES_PER_DAY))
    raw = chart._replace(days=days, max_points=None, is_cut=chart.is_cut)
    found: dict[Chart, list[float]] = {chart: [], raw: []}
    sizes: dict[Chart, int] = {}
    for turn in range(WARM_UP + rounds * TIMES):
        for each, times in found.items():
            path = each.path(turn)
            began = time.perf_counter()
            body, _ = _get(connection, path)
            times.append((time.perf_counter() - began) * 1_000)
            sizes[each] = len(body)
    own, other = (statistics.median(times[WARM_UP:]) for times in found.values())
    return (
        f"{chart.label}: {own:.1f} ms for {samples:,} samples ({sizes[chart]:,} bytes); "
        f"raw hit of {sizes[raw]:,} bytes {other:.1f} ms: x {own / other:.2f}"
    )


def _samples(port: int, chart: Chart) -> int:
    """Return how many samples an answer has, seeing that it is a hit."""
    body, headers = _get(_connection(port), chart.path(0))
    if headers.get("X-Cache-Status") != "hit":
        raise SystemExit(f"bench: {chart.label} is no hit: {headers.get('X-Cache-Status')}")
    return int(json.loads(gzip.decompress(body))["_meta"]["samplesCount"])
