"""
Measures the cached route beside what it is compared with, in one run, and prints medians.

Usage: python3 scripts/bench.py cached [--rounds N]
"""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Callable
from urllib.parse import urlencode

from bench.stack import Stack, running

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
CLIENTS = 4
SECONDS = 2.0


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[bytes, dict[str, str]]:
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise SystemExit(f"bench: {path[:80]} answered {answer.status}: {body[:300]!r}")
    return body, dict(answer.getheaders())


def throughput(port: int, path: str, seconds: float = SECONDS) -> float:
    """Return requests a second, with CLIENTS connections that each ask one after the other."""
    counts = [0] * CLIENTS
    deadline = time.monotonic() + seconds

    def client(n: int) -> None:
        connection = _connection(port)
        while time.monotonic() < deadline:
            _get(connection, path)
            counts[n] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def latency_ms(port: int, path: str, times: int = 30) -> float:
    """Return the median of one request after the other."""
    connection = _connection(port)
    found = []
    for _ in range(times):
        began = time.perf_counter()
        _get(connection, path)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def query(site: str, points: list[str], start_ms: int, end_ms: int, **more: str) -> str:
    """Return the path of a request."""
    times = {"start_time": str(start_ms), "end_time": str(end_ms)}
    return "/api/timeseries?" + urlencode(
        [("site", site), *(("point", point) for point in points), *{**times, **more}.items()]
    )


def hits(stack: Stack, rounds: int) -> None:
    """A hit of 100,800 samples against streaming and against re-coding the same bytes."""
    points = stack.upstream.add_generated(
        "hits", points=50, start_ms=START_MS, end_ms=START_MS + 8 * DAY_MS
    )
    path = query("hits", points, START_MS, START_MS + 7 * DAY_MS)
    app = stack.ports["app"]
    body, headers = _get(_connection(app), path)
    deadline = time.monotonic() + 20
    while headers.get("X-Cache-Status") != "hit" and time.monotonic() < deadline:
        body, headers = _get(_connection(app), path)
    connection = _connection(stack.ports["bare"])
    connection.request("PUT", "/answer", body=body)
    connection.getresponse().read()
    pairs: dict[str, Callable[[], float]] = {
        "app": lambda: throughput(app, path),
        "bare": lambda: throughput(stack.ports["bare"], "/answer"),
        "inflating": lambda: throughput(stack.ports["inflating"], "/answer"),
    }
    rates: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(rounds):
        for name, measure in pairs.items():
            rates[name].append(measure())
    median = {name: statistics.median(found) for name, found in rates.items()}
    ratio = [a / b for a, b in zip(rates["app"], rates["bare"], strict=True)]
    against = [a / b for a, b in zip(rates["app"], rates["inflating"], strict=True)]
    print(
        f"hit of {int(100_800):,} samples ({len(body):,} bytes): {median['app']:.0f} requests/s; "
        f"bare JavaScript stream {median['bare']:.0f}; "
        f"inflate-parse-serialise-deflate {median['inflating']:.1f}"
    )
    print(f"  of the bare stream's throughput: {statistics.median(ratio):.0%}")
    print(f"  times the re-coding Worker's: {statistics.median(against):.1f}")
    print(
        f"  one after the other: {latency_ms(app, path):.1f} ms; "
        f"bare {latency_ms(stack.ports['bare'], '/answer'):.1f} ms"
    )


def main(rounds: int = 5) -> None:
    """Run every measurement."""
    with running() as stack:
        hits(stack, rounds)
