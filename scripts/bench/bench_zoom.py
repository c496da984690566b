"""
Measures charts with few samples of long ranges, and what it costs to store levels for them.

Beside each, in turns: the raw hit of about as many bytes, and a bare JavaScript stream of as many.
Then a year as a job leaves it: charts until it has become one, and those of a year beside those of
a month.

Usage: python3 scripts/bench.py zoom [--rounds N] [--only a part of a label]
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.bench_cached import STORED_SECONDS, _connection, _get, query
from bench.bench_days import ZONE
from bench.bench_jobs import SHAPES as JOB_SHAPES
from bench.bench_jobs import pages, run_job
from bench.bench_startup import cpu_by_thread, runtimes
from bench.page_upstream import TOKEN
from bench.seeding import DAY_MS, START_MS, Shape, added_share, write_seed
from bench.stack import Stack, running
from devtools.layout import ROOT

MINUTE_MS = 60_000
# The beginning of 2021: what is to come is not known.
YEARS_MS = 1_609_459_200_000
# As charts leave it that a job has filled: the most that becomes one.
FEW = Shape("few", 20, 1_900, 5 * MINUTE_MS, segment_days=540, series_count=4, start_ms=YEARS_MS)
# Charts of 200 points over years: with a sample in half an hour, or a run would take gigabytes.
MANY = FEW._replace(site="many", points=200, interval_ms=30 * MINUTE_MS, segment_days=1_900)
MONTH = Shape("month", 200, 60, 5 * MINUTE_MS, series_count=4)
SHAPES = (FEW, MANY, MONTH)
# As a job leaves it: no levels, and a segment for each chunk of a quarter of a million samples.
CHUNKS = FEW._replace(
    site="chunks", days=480, segment_days=43, apart_ms=MINUTE_MS, has_levels=False
)
# Charts until all of it has become one, 2 MB of samples each, and the wait for what goes on behind.
CHARTS, BEHIND_SECONDS = 9, 5.0
SPANS = {"1 d": 1, "30 d": 30, "1 y": 365, "5 y": 1_825}
MAX_POINTS = (500, 2_000)
# What the bars are about.
USUAL = 1_000
# Asked in turns for each figure, per round, behind some that are not counted.
TIMES = 4
WARM_UP = 4
# What a range is moved by so that it cuts the buckets of every level.
CUT_MS = 5_437_000
WEEK_MS = 7 * DAY_MS
# Figures of neighbouring limits are far apart, also modulo the weeks there are.
TURNS_APART = 7
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
        """Return the path of a request; the isolate remembers what it answered a moment ago."""
        # Epoch weeks begin on Thursdays.
        first = self.shape.start_ms - self.shape.start_ms % WEEK_MS + WEEK_MS
        room = (self.shape.end_ms - first - (self.days + 1) * DAY_MS) // WEEK_MS
        first += turn % max(1, room) * WEEK_MS
        if self.is_cut:
            first += CUT_MS + turn * 1_000
        # Small ones would not ask the cache.
        more = {"route": "cached"}
        if self.max_points is not None:
            more["max_points"] = str(self.max_points)
        names = self.shape.names[: self.points]
        return query(self.shape.site, names, first, first + self.days * DAY_MS, **more)


def charts() -> Iterator[tuple[str, Chart]]:
    """Yield all that is measured, with a label each."""
    for is_cut in (False, True):
        label = f"20 points x 30 d, max_points={USUAL}{', cut' if is_cut else ''}"
        yield label, Chart(FEW, 20, 30, USUAL, is_cut)
    for points, shapes in ((1, (FEW, FEW)), (20, (FEW, FEW)), (200, (MONTH, MANY))):
        for span, days in SPANS.items():
            shape = shapes[days > MONTH.days]
            for most in MAX_POINTS:
                label = f"{points} points x {span}, max_points={most}"
                yield label, Chart(shape, points, days, most)


def main(rounds: int = 5) -> None:
    """Measure and print medians; --only chooses by a part of the label."""
    asked = os.environ.get("BENCH_ONLY", "")
    if asked in "shares":
        for minutes in (1, 5, 15, 30, 60):
            share = added_share(FEW._replace(interval_ms=minutes * MINUTE_MS))
            print(f"samples each {minutes} min: levels and rollups add {share:.1%} to their bytes")
    chosen = [(label, chart) for label, chart in charts() if asked in label]
    shapes = [shape for shape in SHAPES if any(chart.shape == shape for _, chart in chosen)]
    if chosen:
        with _running(shapes) as stack:
            for label, chart in chosen:
                print(f"{label}: {_measured(stack, chart, rounds)}", flush=True)
    if asked in "chunks of a job":
        with _running([CHUNKS]) as stack:
            chunks(stack, rounds)
    if asked in "storing":
        storing(rounds)


@contextmanager
def _running(shapes: Sequence[Shape]) -> Iterator[Stack]:
    """Run everything, with some sites known."""
    with TemporaryDirectory() as home:
        write_seed(Path(home), shapes, int(time.time() * 1000))
        with running(seed=Path(home)) as stack:
            yield stack


def chunks(stack: Stack, rounds: int) -> None:
    """Ask for charts of what a job left until it has become one; then measure some by turns."""
    connection = _connection(stack.ports["app"])
    [runtime] = runtimes()
    whole = query(
        CHUNKS.site, CHUNKS.names, CHUNKS.start_ms, CHUNKS.end_ms, route="cached", max_points="2000"
    )
    for n in range(CHARTS):
        before, began = _cpu_ms(runtime), time.perf_counter()
        _get(connection, whole)
        took_ms = (time.perf_counter() - began) * 1_000
        time.sleep(BEHIND_SECONDS)
        computed_ms = _cpu_ms(runtime) - before
        print(
            f"  chart {n + 1} of a job's chunks: {took_ms:,.0f} ms; {computed_ms:,.0f} of CPU with "
            "what went on behind",
            flush=True,
        )
    asked = {
        f"10 points x {days} d, max_points={USUAL}{', cut' if is_cut else ''}": Chart(
            CHUNKS, 10, days, USUAL, is_cut
        ).path
        for days in (30, 365)
        for is_cut in (False, True)
    }
    asked[f"20 points x 365 d, daily means in {ZONE}"] = _means
    times: dict[str, list[float]] = {label: [] for label in asked}
    cpu: dict[str, list[float]] = {label: [] for label in asked}
    for turn in range(WARM_UP + rounds * TIMES):
        for label, path in asked.items():
            before, began = _cpu_ms(runtime), time.perf_counter()
            _get(connection, path(turn))
            times[label].append((time.perf_counter() - began) * 1_000)
            cpu[label].append(_cpu_ms(runtime) - before)
    took = [statistics.median(times[label][WARM_UP:]) for label in asked]
    for (label, computed), ms in zip(cpu.items(), took, strict=True):
        print(f"{label}: {ms:.1f} ms, {statistics.median(computed[WARM_UP:]):.1f} of CPU")
    month, cut_month, year, cut_year, _ = took
    print(f"a year beside 30 days: x {year / month:.2f}, cut x {cut_year / cut_month:.2f}")


def _means(turn: int) -> str:
    """Return the path of a year of daily means."""
    first = CHUNKS.start_ms + (turn + 1) % 100 * DAY_MS
    wishes = {"interval": "1d", "aggregate": "mean", "tz": ZONE}
    return query(CHUNKS.site, CHUNKS.names, first, first + 365 * DAY_MS, route="cached", **wishes)


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
    # Another one for each figure: other figures have the same raw hits beside them.
    raw_turn = TURNS_APART * (chart.max_points or 0)
    times: dict[str, list[float]] = {"zoom": [], "raw": [], "bare": []}
    cpu: dict[str, list[float]] = {"zoom": [], "raw": [], "bare": []}
    sizes = dict.fromkeys(times, 0)
    for turn in range(WARM_UP + rounds * TIMES):
        paths = {"zoom": chart.path(turn), "raw": raw.path(raw_turn + turn), "bare": "/answer"}
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
        module = root / "src" / "building_vitals" / "cache" / "segments.py"
        text = module.read_text()
        changed = text.replace("LEVELED_BYTES_MIN = 2_048", "LEVELED_BYTES_MIN = 10**12")
        if changed == text:
            raise SystemExit("bench: segments.py no longer has such a bound")
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
