"""
Measures charts with few samples of long ranges, and what it costs to store levels for them.

Beside each, in turns: the raw hit of about as many bytes, and a bare JavaScript stream of as many.

Usage: python3 scripts/bench.py zoom [--rounds N]
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.bench_cached import STORED_SECONDS, _connection, _get, query
from bench.bench_jobs import SHAPES as JOB_SHAPES
from bench.bench_jobs import pages, run_job
from bench.bench_startup import cpu_by_thread, runtimes
from bench.page_upstream import TOKEN
from bench.seeding import DAY_MS, START_MS, Shape, added_share, write_seed
from bench.stack import Stack, running
from devtools.layout import ROOT

MINUTE_MS = 60_000
# As jobs store it: a quarter of a million samples of 20 points at once.
FEW = Shape("few", 20, 1_900, 5 * MINUTE_MS, segment_days=60, series_count=4)
# Charts of 200 points over years: with a sample in half an hour, or a run would take gigabytes.
MANY = Shape("many", 200, 1_900, 30 * MINUTE_MS, segment_days=300, series_count=4)
MONTH = Shape("month", 200, 60, 5 * MINUTE_MS, series_count=4)
SHAPES = (FEW, MANY, MONTH)
SPANS = {"1 d": 1, "30 d": 30, "1 y": 365, "5 y": 1_825}
MAX_POINTS = (500, 1_000, 2_000)
# Asked in turns for each figure, per round, behind some that are not counted.
TIMES = 4
WARM_UP = 4
# What a range is moved by so that it cuts the buckets of every level.
CUT_MS = 5_437_000
WEEK_MS = 7 * DAY_MS
# Misses of 20 points over a month of five-minute samples.
MISS_POINTS, MISS_DAYS, MISSES = 10, 30, 3
JOB = "million"
SETTLE_SECONDS = 2.0


class Chart(NamedTuple):
    """A request that is measured: some points of a site over some days, and how many samples."""

    shape: Shape
    points: int
    days: int
    max_points: int | None
    is_cut: bool = False

    def path(self, turn: int) -> str:
        """Return the path of a request that the isolate has not answered a moment ago."""
        # Epoch weeks begin on Thursdays.
        first = START_MS - START_MS % WEEK_MS + WEEK_MS
        room = (self.shape.end_ms - first - (self.days + 1) * DAY_MS) // WEEK_MS
        first += turn % max(1, room) * WEEK_MS
        if self.is_cut:
            first += CUT_MS + turn * 1_000
        more = {} if self.max_points is None else {"max_points": str(self.max_points)}
        names = self.shape.names[: self.points]
        return query(self.shape.site, names, first, first + self.days * DAY_MS, **more)


def charts() -> Iterator[tuple[str, Chart]]:
    """Yield all that is measured, with a label each."""
    for points, shapes in ((1, (FEW, FEW)), (20, (FEW, FEW)), (200, (MONTH, MANY))):
        for span, days in SPANS.items():
            shape = shapes[days > MONTH.days]
            for most in MAX_POINTS:
                for is_cut in (False, True):
                    where = ", cut" if is_cut else ""
                    label = f"{points} points x {span}, max_points={most}{where}"
                    yield label, Chart(shape, points, days, most, is_cut)


def main(rounds: int = 5) -> None:
    """Measure and print medians; BENCH_ONLY in the environment chooses by a part of the label."""
    asked = os.environ.get("BENCH_ONLY", "")
    for shape in SHAPES:
        minutes = shape.interval_ms // MINUTE_MS
        share = added_share(shape)
        print(f"samples each {minutes} min: levels add {share:.0%} to the stored bytes", flush=True)
    with TemporaryDirectory() as home:
        write_seed(Path(home), SHAPES, int(time.time() * 1000))
        with running(seed=Path(home)) as stack:
            for label, chart in charts():
                if asked in label:
                    print(f"{label}: {_measured(stack, chart, rounds)}", flush=True)
    if asked in "storing":
        storing(rounds)


def _measured(stack: Stack, chart: Chart, rounds: int) -> str:
    """Return what is printed of a chart, beside others of about as many bytes."""
    connection, bare = _connection(stack.ports["app"]), _connection(stack.ports["bare"])
    body, headers = _get(connection, chart.path(0))
    if headers.get("X-Cache-Status") != "hit":
        raise SystemExit(f"bench: no hit: {headers.get('X-Cache-Status')}")
    samples = int(json.loads(gzip.decompress(body))["_meta"]["samplesCount"])
    per_day = DAY_MS // chart.shape.interval_ms
    days = max(1, round(samples / chart.points / per_day))
    raw = chart._replace(days=days, max_points=None)
    bare.request("PUT", "/answer", body=body)
    bare.getresponse().read()
    [runtime] = runtimes()
    times: dict[str, list[float]] = {"zoom": [], "raw": [], "bare": []}
    cpu: dict[str, list[float]] = {"zoom": [], "raw": [], "bare": []}
    sizes = dict.fromkeys(times, 0)
    for turn in range(WARM_UP + rounds * TIMES):
        paths = {"zoom": chart.path(turn), "raw": raw.path(turn), "bare": "/answer"}
        for name, path in paths.items():
            before, began = _cpu_ms(runtime), time.perf_counter()
            answer, _ = _get(bare if name == "bare" else connection, path)
            times[name].append((time.perf_counter() - began) * 1_000)
            cpu[name].append(_cpu_ms(runtime) - before)
            sizes[name] = len(answer)
    own, other, plain = (statistics.median(each[WARM_UP:]) for each in times.values())
    own_cpu, other_cpu, _ = (statistics.median(each[WARM_UP:]) for each in cpu.values())
    return (
        f"{own:.1f} ms, {own_cpu:.1f} of CPU, for {samples:,} samples ({sizes['zoom']:,} bytes); "
        f"raw hit of {sizes['raw']:,} bytes {other:.1f} ms, {other_cpu:.1f} of CPU: "
        f"x {own / other:.2f}, of CPU x {own_cpu / other_cpu:.2f}; "
        f"bare JavaScript stream {plain:.1f} ms"
    )


def _cpu_ms(runtime: int) -> float:
    """Return the milliseconds that the runtime has computed so far, in all threads."""
    return sum(cpu_by_thread(runtime).values())


@contextmanager
def without_levels() -> Iterator[Path]:
    """Give the folder of a project that is the same, but makes no levels."""
    with TemporaryDirectory() as home:
        root = Path(home)
        for each in ROOT.iterdir():
            if each.name != "src":
                (root / each.name).symlink_to(each)
        shutil.copytree(ROOT / "src", root / "src")
        module = root / "src" / "building_vitals" / "cache" / "leveling.py"
        text = module.read_text()
        changed = text.replace("LEVELED_BYTES_MIN = 2_048", "LEVELED_BYTES_MIN = 10**12")
        if changed == text:
            raise SystemExit("bench: leveling.py has no such bound")
        module.write_text(changed)
        yield root


class Stored(NamedTuple):
    """What it took to answer a miss and to store it, and to carry out a job."""

    miss_ms: float
    miss_cpu_ms: float
    job_s: float
    job_cpu_s: float


def storing(rounds: int) -> None:
    """A miss and a job, with levels and without."""
    found: dict[str, Stored] = {}
    with without_levels() as bare_root:
        for name, root in (("with", ROOT), ("without", bare_root)):
            found[name] = _stored(root, rounds)
    own, bare = found["with"], found["without"]
    samples = MISS_POINTS * MISS_DAYS * 288
    points, days = JOB_SHAPES[JOB]
    print(
        f"storing levels: a miss of {samples:,} samples is answered in {own.miss_ms:.0f} ms, "
        f"without {bare.miss_ms:.0f}; computed {own.miss_cpu_ms:.0f} ms, without "
        f"{bare.miss_cpu_ms:.0f}"
    )
    print(
        f"  a job of {points * days * 288:,} samples: {own.job_s:.1f} s, without "
        f"{bare.job_s:.1f}: {bare.job_s / own.job_s:.2f} of its rate; computed "
        f"{own.job_cpu_s:.1f} s, without {bare.job_cpu_s:.1f}"
    )


def _stored(root: Path, rounds: int) -> Stored:
    """Measure medians with the project of a folder."""
    with running(root=root) as stack:
        [runtime] = runtimes()
        misses: list[tuple[float, float]] = []
        for n in range(WARM_UP + MISSES * rounds):
            points = stack.upstream.add_generated(
                f"miss-{n}",
                points=MISS_POINTS,
                start_ms=START_MS,
                end_ms=START_MS + MISS_DAYS * DAY_MS,
            )
            before, began = _cpu_ms(runtime), time.perf_counter()
            path = query(f"miss-{n}", points, START_MS, START_MS + MISS_DAYS * DAY_MS)
            _get(_connection(stack.ports["app"]), path)
            took_ms = (time.perf_counter() - began) * 1_000
            # It is stored behind the answer.
            time.sleep(SETTLE_SECONDS if n >= WARM_UP else STORED_SECONDS)
            misses.append((took_ms, _cpu_ms(runtime) - before))
    jobs: list[tuple[float, float]] = []
    with (
        pages() as upstream,
        running({"ACE_API_URL": upstream.url, "ACE_API_TOKEN": TOKEN}, root=root) as stack,
    ):
        [runtime] = runtimes()
        for _ in range(1 + rounds):
            before = _cpu_ms(runtime)
            seconds, _ = run_job(stack, JOB)
            jobs.append((seconds, (_cpu_ms(runtime) - before) / 1_000))
    return Stored(
        statistics.median(took for took, _ in misses[WARM_UP:]),
        statistics.median(cpu for _, cpu in misses[WARM_UP:]),
        statistics.median(took for took, _ in jobs[1:]),
        statistics.median(cpu for _, cpu in jobs[1:]),
    )
