"""
Measures the WebAssembly heap: what each kind of large request makes of a fresh isolate.

Usage: python3 scripts/bench.py memory [--only a part of a label]

The heap never shrinks, so its size behind a request is its peak. JavaScript's own memory is not in
it: the isolate has 128 MB for both.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench.bench_cached import query
from bench.bench_startup import cpu_by_thread, runtimes
from bench.page_upstream import START_MS as FETCH_START_MS
from bench.seeding import DAY_MS, START_MS, Shape, write_seed
from bench.stack import Stack, running
from building_vitals.answers.question import AGGREGATES
from building_vitals.ranges import Range

PATH = "/api/timeseries"
BAR_BYTES = 90_000_000
TIMEOUT_S = 300
READ_BYTES = 65_536
JOB_SECONDS = 240
# Clients that read slowly: so many bytes after each wait, some times.
SLOW_CLIENTS, SLOW_SECONDS, SLOW_ROUNDS = 30, 1.0, 6
SLOW_BYTES = MEBI = 1_048_576

LONG = Shape("long", points=1, days=998, interval_ms=60_000)
DENSE = Shape("dense", points=1, days=340, interval_ms=30_000)
WIDE = Shape("wide", points=1_000, days=1, interval_ms=60_000)
SHAPES = (LONG, DENSE, WIDE)
# The most points and the longest range that a request may have: a sample a day, as jobs and charts
# leave it.
DECADES = Shape(
    "decades",
    points=5_000,
    days=7_300,
    interval_ms=DAY_MS,
    segment_days=1_825,
    series_count=4,
    start_ms=1_136_073_600_000,
    object_points=50,
)
# A miss of 195,840 samples.
MISS_POINTS, MISS_HOURS = 34, 480
HOUR_MS = 3_600_000
# Of so many points of a site a job asks for some.
LARGE_POINTS, LARGE_DAYS, ASKED_POINTS = 7_327, 2, 5_000


class Result(NamedTuple):
    """
    What one scenario showed.

    Attributes:
        before, after: The heap, bytes.
        seconds: What it took.
        cpu_seconds: What the Worker's thread computed of it: no scenario can be quicker.
        outcome: Statuses and sizes, for people.
    """

    before: int
    after: int
    seconds: float
    cpu_seconds: float
    outcome: str


class Received(NamedTuple):
    """An answer: its status, body bytes, whether it came whole, and its first bytes."""

    status: int
    size: int
    is_whole: bool
    head: bytes


def fetch(
    port: int, path: str, *, method: str = "GET", body: Any = None, gzip: bool = True
) -> Received:
    """Send a request and read its answer, forgetting it on the way."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    headers = {"Accept-Encoding": "gzip" if gzip else "identity"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    size, head = 0, b""
    try:
        while part := answer.read(READ_BYTES):
            head = head or part
            size += len(part)
    except (http.client.IncompleteRead, ConnectionError):
        return Received(answer.status, size, is_whole=False, head=head)
    finally:
        connection.close()
    return Received(answer.status, size, is_whole=True, head=head)


def heap(port: int) -> int:
    """Return the isolate's heap, bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("GET", "/api/health")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return int(answer.headers["X-Heap-Bytes"])


def _told(answers: list[Received]) -> str:
    statuses = Counter(str(each.status) + ("" if each.is_whole else " cut") for each in answers)
    said = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    return f"{said}; {sum(each.size for each in answers) / MEBI:.1f} MiB"


def stored(
    shape: Shape, *, gzip: bool, stack: Stack, times: int = 1, method: str = "GET", **more: Any
) -> str:
    """Ask for all that is known of a shape."""
    app = stack.ports["app"]
    body = {
        "site": shape.site,
        "points": shape.names,
        "start_time": shape.start_ms,
        "end_time": shape.end_ms,
        "route": "cached",
        **more,
    }
    if shape.points == 1:
        path = f"/api/timeseries?{urlencode({**body, 'points': shape.names[0]})}"
        return _told(at_once(times, lambda _: fetch(app, path, method=method, gzip=gzip)))
    # Long lists of points do not fit an address.
    return _told(at_once(times, lambda _: fetch(app, PATH, method="POST", body=body, gzip=gzip)))


def at_once(count: int, ask: Callable[[int], Received]) -> list[Received]:
    """Send requests side by side."""
    answers: list[Received] = []

    def one(n: int) -> None:
        answers.append(ask(n))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def misses(count: int, stack: Stack, points: int = MISS_POINTS, hours: int = MISS_HOURS) -> str:
    """Ask for samples of as many sites, of which nothing is known, at once."""
    app, end_ms = stack.ports["app"], FETCH_START_MS + hours * HOUR_MS
    asked = [
        stack.upstream.add_generated(
            f"cold-{n}",
            points=points,
            start_ms=FETCH_START_MS,
            end_ms=end_ms,
        )
        for n in range(count)
    ]

    def ask(n: int) -> Received:
        body = {
            "site": f"cold-{n}",
            "points": asked[n],
            "start_time": FETCH_START_MS,
            "end_time": end_ms,
            "route": "cached",
        }
        return fetch(app, PATH, method="POST", body=body)

    return _told(at_once(count, ask))


def job(stack: Stack) -> str:
    """Have a job fetch 30-second data of a site that was never seen."""
    app, days = stack.ports["app"], 20
    names = stack.upstream.add_generated(
        "jobs",
        points=20,
        interval_s=30,
        start_ms=FETCH_START_MS,
        end_ms=FETCH_START_MS + days * DAY_MS,
    )
    found = _completed(app, "jobs", names, Range(FETCH_START_MS, FETCH_START_MS + days * DAY_MS))
    answer = fetch(app, f"/api/jobs/{found['jobId']}/data?format=csv")
    return f"{found['status']}, {found['samplesCount']:,} samples; data {_told([answer])}"


def _completed(app: int, site: str, names: list[str], time_range: Range) -> dict[str, Any]:
    """Have a job fetch some points; return it when it has ended, or takes too long."""
    body = {
        "site": site,
        "points": names,
        "start_time": time_range.start_ms,
        "end_time": time_range.end_ms,
        "route": "queued",
    }
    queued = fetch(app, PATH, method="POST", body=body, gzip=False)
    job_id = json.loads(queued.head)["jobId"]
    deadline = time.monotonic() + JOB_SECONDS
    while True:
        found: dict[str, Any] = json.loads(fetch(app, f"/api/jobs/{job_id}", gzip=False).head)
        if found["status"] in ("completed", "failed") or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def whole_site(stack: Stack) -> str:
    """Have jobs fetch most points of a large site: all that the pages bring is stored."""
    app, end_ms = stack.ports["app"], FETCH_START_MS + LARGE_DAYS * DAY_MS
    names = stack.upstream.add_generated(
        "large", points=LARGE_POINTS, start_ms=FETCH_START_MS, end_ms=end_ms
    )
    days = [Range(at, at + DAY_MS) for at in range(FETCH_START_MS, end_ms, DAY_MS)]
    done = [_completed(app, "large", names[:ASKED_POINTS], day) for day in days]
    return f"{sum(job['samplesCount'] for job in done):,} samples"


def large_page(stack: Stack) -> str:
    """Ask for a day of one point where the day is a page of 172,800 samples."""
    names = stack.upstream.add_generated(
        "pages",
        points=2,
        interval_s=1,
        start_ms=FETCH_START_MS,
        end_ms=FETCH_START_MS + DAY_MS,
    )
    path = query("pages", names, FETCH_START_MS, FETCH_START_MS + DAY_MS, route="cached")
    return _told([fetch(stack.ports["app"], path)])


def flawed(kind: str, stack: Stack) -> str:
    """Ask for samples of which each answer is larger than any should be."""
    site = f"flawed-{kind}"
    end_ms = FETCH_START_MS + DAY_MS
    names = stack.upstream.add_generated(site, points=2, start_ms=FETCH_START_MS, end_ms=end_ms)
    stack.upstream.faults.always(site, kind)
    path = query(site, names, FETCH_START_MS, end_ms, route="cached")
    try:
        return _told([fetch(stack.ports["app"], path)])
    finally:
        stack.upstream.faults.release(site)


def slow(stack: Stack) -> str:
    """Ask for large answers side by side, read each slowly, and leave them."""
    app = stack.ports["app"]
    opened: list[tuple[http.client.HTTPConnection, http.client.HTTPResponse]] = []
    query_text = urlencode(
        {
            "site": LONG.site,
            "points": LONG.names[0],
            "start_time": START_MS,
            "end_time": LONG.end_ms,
            "route": "cached",
            "format": "csv",
        }
    )
    for _ in range(SLOW_CLIENTS):
        connection = http.client.HTTPConnection("127.0.0.1", app, timeout=TIMEOUT_S)
        connection.request("GET", f"{PATH}?{query_text}", headers={"Accept-Encoding": "identity"})
        opened.append((connection, connection.getresponse()))
    statuses = Counter(answer.status for _, answer in opened)
    for _ in range(SLOW_ROUNDS):
        time.sleep(SLOW_SECONDS)
        for _, answer in opened:
            answer.read(SLOW_BYTES)
    for connection, _ in opened:
        connection.close()
    told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    return f"{told}; the first {SLOW_ROUNDS * SLOW_BYTES / MEBI:.1f} MiB of each"


@contextmanager
def _seeded(shapes: Sequence[Shape], now_ms: int) -> Iterator[Path]:
    with TemporaryDirectory() as home:
        write_seed(Path(home), shapes, now_ms)
        yield Path(home)


def decades() -> dict[str, Callable[[Stack], str]]:
    """Return what is measured with the largest cache."""
    ask = partial(_stored, DECADES)
    return {
        "5,000 points x 20 y, 1 d: max_points=1000": ask(gzip=True, max_points=1_000),
        "5,000 points x 20 y, 1 d: max_points=100": ask(gzip=True, max_points=100),
    }


def scenarios() -> dict[str, Callable[[Stack], str]]:
    """Return what is measured, each for an isolate of its own."""
    found: dict[str, Callable[[Stack], str]] = {}
    labels = {
        LONG: "1 point x 998 d, 1 min",
        DENSE: "1 point x 340 d, 30 s",
        WIDE: "1,000 points x 1 d, 1 min",
    }
    for shape, label in labels.items():
        ask = partial(_stored, shape)
        found[f"{label}: CSV"] = ask(gzip=False, format="csv")
        found[f"{label}: CSV, gzip"] = ask(gzip=True, format="csv")
        found[f"{label}: NDJSON"] = ask(gzip=False, format="ndjson")
        found[f"{label}: MessagePack"] = ask(gzip=True, format="msgpack")
        found[f"{label}: JSON"] = ask(gzip=False, format="json")
        found[f"{label}: JSON, gzip"] = ask(gzip=True, format="json")
        found[f"{label}: max_points=1000"] = ask(gzip=True, max_points=1000)
        found[f"{label}: days"] = ask(gzip=True, interval="1d", tz="Europe/Berlin")
    ask = partial(_stored, LONG)
    found["1 point x 998 d, 1 min: 95,808 rows, MessagePack"] = ask(
        gzip=True, format="msgpack", interval="15m", aggregate=",".join(AGGREGATES)
    )
    found["1 point x 998 d, 1 min: max_points=100000"] = ask(gzip=True, max_points=100_000)
    found["1 point x 998 d, 1 min: HEAD"] = ask(gzip=True, format="csv", method="HEAD")
    found["1 point x 998 d, 1 min: CSV, 10 at once"] = ask(gzip=True, format="csv", times=10)
    found["30 slow downloads of 1 point x 998 d, CSV"] = slow
    found["a miss of 195,840 samples"] = partial(misses, 1)
    found["misses of 195,840 samples, 8 at once"] = partial(misses, 8)
    found["misses of 195,840 samples, 20 at once"] = partial(misses, 20)
    found["misses of 204,000 samples of 1,000 points, 8 at once"] = partial(
        misses, 8, points=1_000, hours=17
    )
    found["job of 30-s data never seen, 1,152,000 samples"] = job
    found["jobs of 5,000 of 7,327 points x 48 h"] = whole_site
    found["a page of 172,800 samples"] = large_page
    found["an answer of 300 MB in 0.3 MB of gzip"] = partial(flawed, "gzip_bomb")
    found["an endless answer"] = partial(flawed, "endless_body")
    return found


def _stored(shape: Shape, **options: Any) -> Callable[[Stack], str]:
    return lambda stack: stored(shape, stack=stack, **options)


def measure(run: Callable[[Stack], str], seed: Path) -> Result:
    """Run a scenario in an isolate of its own."""
    with running({"DEV_METRICS": "1"}, seed=seed) as stack:
        app = stack.ports["app"]
        before, [runtime] = heap(app), runtimes()
        cpu_ms, began = cpu_by_thread(runtime), time.perf_counter()
        outcome = run(stack)
        seconds = time.perf_counter() - began
        after = cpu_by_thread(runtime)
        computed = max(each - cpu_ms.get(name, 0.0) for name, each in after.items())
        return Result(before, heap(app), seconds, computed / 1_000, outcome)


def main(_rounds: int = 1) -> None:
    """Measure it all; --only chooses scenarios by a part of their name."""
    asked = os.environ.get("BENCH_ONLY", "")
    print(f"WebAssembly heap, MB, a fresh isolate each; the bar is {BAR_BYTES / 1e6:.0f}")
    print(f"{'':52} before  after      s  CPU s  outcome")
    worst = 0
    for shapes, listed in ((SHAPES, scenarios()), ((DECADES,), decades())):
        chosen = {label: run for label, run in listed.items() if asked in label}
        if not chosen:
            continue
        with _seeded(shapes, int(time.time() * 1000)) as seed:
            for label, run in chosen.items():
                found = measure(run, seed)
                worst = max(worst, found.after)
                mark = "" if found.after <= BAR_BYTES else "  OVER"
                print(
                    f"{label:52} {found.before / 1e6:6.0f} {found.after / 1e6:6.0f} "
                    f"{found.seconds:6.1f} {found.cpu_seconds:6.1f}  {found.outcome}{mark}",
                    flush=True,
                )
    print(f"largest: {worst / 1e6:.0f} MB: {'within' if worst <= BAR_BYTES else 'beyond'} the bar")
