"""
Measures jobs end to end beside a plain program that does the same work, in one run: medians.

Usage: python3 scripts/bench.py jobs [--rounds N]
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bench_cached import PlainRequest, plain_python
from bench.page_upstream import DAY_MS, START_MS, TOKEN, point_names
from bench.stack import START_SECONDS, Stack, running
from devtools.children import Children
from devtools.servers import start_announced
from devtools.signals import StopSignals

# Points and days of 5-minute samples: 1,008,000, 3,024,000 and 10,080,000.
SHAPES = {"million": (100, 35), "three": (100, 105), "ten": (100, 350)}
POLL_S = 0.2
SLOW_MS = 500
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Pages:
    """
    The upstream.

    Attributes:
        port: Where it answers.
    """

    port: int

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}/api"

    def set_latency(self, latency_ms: int) -> None:
        """Let each answer wait; forget the log."""
        ask(self.port, "POST", f"/control?latency_ms={latency_ms}")

    def first_pages(self) -> list[str]:
        """Return the targets of all first pages since the log was forgotten."""
        log = json.loads(ask(self.port, "GET", "/control")[0])
        return [target for target in log if "/paginated" in target and "cursor=" not in target]


def ask(
    port: int, method: str, path: str, body: bytes | None = None
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of an answer; the body as it came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"Accept-Encoding": "gzip"}
    if body is not None and path.startswith("/api"):
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise SystemExit(f"bench: {method} {path[:80]} answered {answer.status}: {data[:300]!r}")
    return data, dict(answer.getheaders())


@contextmanager
def pages() -> Iterator[Pages]:
    """Run the upstream for as long as the block lasts."""
    script = Path(__file__).with_name("page_upstream.py")
    shapes = [f"{name}={points}x{days}" for name, (points, days) in SHAPES.items()]
    with Children(StopSignals()) as children:
        command = [sys.executable, script, *shapes]
        _, url = start_announced(
            children, command, name="the upstream", seconds=START_SECONDS, env=os.environ
        )
        yield Pages(int(url.rpartition(":")[2]))


def run_job(stack: Stack, site: str) -> tuple[float, dict[str, Any]]:
    """Run a job of all of a site, nothing of it known; return seconds and the job."""
    app = stack.ports["app"]
    ask(app, "DELETE", f"/api/cache?site={site}")
    points, days = SHAPES[site]
    request = {
        "site": site,
        "points": point_names(site, points),
        "start_time": START_MS,
        "end_time": START_MS + days * DAY_MS,
        "route": "queued",
    }
    began = time.perf_counter()
    found, _ = ask(app, "POST", "/api/timeseries", json.dumps(request).encode())
    job_id = json.loads(found)["jobId"]
    while True:
        job = json.loads(ask(app, "GET", f"/api/jobs/{job_id}")[0])
        if job["status"] in ("completed", "failed"):
            break
        time.sleep(POLL_S)
    seconds = time.perf_counter() - began
    if job["status"] != "completed":
        raise SystemExit(f"bench: the job failed: {job['error']}")
    return seconds, job


def end_to_end(stack: Stack, upstream: Pages, rounds: int) -> dict[str, Any]:
    """3,024,000 samples, against the plain program, and with a slow upstream."""
    run_job(stack, "three")
    job: dict[str, Any] = {}
    for latency_ms in (0, SLOW_MS):
        ours, theirs = [], []
        for _ in range(rounds if not latency_ms else max(1, rounds // 3)):
            upstream.set_latency(latency_ms)
            seconds, job = run_job(stack, "three")
            ours.append(seconds)
            began = time.perf_counter()
            targets = [PlainRequest("GET", each) for each in upstream.first_pages()]
            count, _, _ = plain_python(upstream.url, TOKEN, targets)
            theirs.append(time.perf_counter() - began)
            # The upstream counts both ends in: a sample more for each chunk and point.
            surplus = count - job["samplesCount"]
            assert 0 <= surplus <= job["totalChunks"] * job["pointsCount"], (count, job)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"job of {job['samplesCount']:,} samples, {latency_ms} ms per page: "
            f"{statistics.median(ours):.1f} s; plain CPython {statistics.median(theirs):.1f} s: "
            f"{ratio:.2f} x"
        )
    upstream.set_latency(0)
    return job


def download(stack: Stack, job: dict[str, Any], rounds: int) -> None:
    """The result against a bare JavaScript stream of the same bytes."""
    app, bare = stack.ports["app"], stack.ports["bare"]
    body, _ = ask(app, "GET", job["dataUrl"])
    ask(bare, "PUT", "/job", body)
    times: dict[str, list[float]] = {"app": [], "bare": []}
    for _ in range(3 * rounds):
        for name, path in (("app", job["dataUrl"]), ("bare", "/job")):
            began = time.perf_counter()
            ask(stack.ports[name], "GET", path)
            times[name].append(time.perf_counter() - began)
    ratio = statistics.median(b / a for a, b in zip(times["app"], times["bare"], strict=True))
    print(
        f"download of {len(body):,} bytes: {statistics.median(times['app']) * 1000:.0f} ms; bare "
        f"JavaScript stream {statistics.median(times['bare']) * 1000:.0f} ms: "
        f"{ratio:.0%} of its speed"
    )


def heap(stack: Stack) -> int:
    """Return the WebAssembly heap so far, bytes."""
    return int(ask(stack.ports["app"], "GET", "/api/jobs?limit=1")[1]["X-Heap-Bytes"])


def main(rounds: int = 5) -> None:
    """Run every measurement."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with pages() as upstream:
        options = {"ACE_API_URL": upstream.url, "ACE_API_TOKEN": TOKEN, "DEV_METRICS": "1"}
        with running(options) as stack:
            for site in ("million", "ten"):
                seconds, job = run_job(stack, site)
                ask(stack.ports["app"], "GET", job["dataUrl"])
                print(
                    f"WebAssembly heap after a job of {job['samplesCount']:,} samples and its "
                    f"download: {heap(stack) / 1e6:.0f} MB ({seconds:.0f} s, pages being made)"
                )
            job = end_to_end(stack, upstream, rounds)
            download(stack, job, rounds)
            print(f"WebAssembly heap in the end: {heap(stack) / 1e6:.0f} MB")
