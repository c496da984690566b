"""
Measures the cached route beside what it is compared with, in one run, and prints medians.

Usage: python3 scripts/bench.py cached [--rounds N]
"""

from __future__ import annotations

import gzip
import http.client
import json
import math
import os
import platform
import statistics
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from bench.stack import Stack, running
from fakes.upstream import TIMESERIES

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
CLIENTS = 4
SECONDS = 2.0
SLICES = 4
# Rounds that are not counted: V8 compiles what runs often, and takes its time to.
WARM_UP = 3
MISS_WARM_UP = 15
# Misses per round, where they take but a moment.
MISSES = 5
STORED_SECONDS = 0.2


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
    """Return requests per second, with CLIENTS connections that each ask one after the other."""
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
        "app": lambda: throughput(app, path, SECONDS / SLICES),
        "bare": lambda: throughput(stack.ports["bare"], "/answer", SECONDS / SLICES),
        "inflating": lambda: throughput(stack.ports["inflating"], "/answer"),
    }
    for _ in range(WARM_UP * SLICES):
        for name in ("app", "bare"):
            pairs[name]()
    rates: dict[str, list[float]] = {name: [] for name in pairs}
    # The two that are close take turns every half second: a machine changes its pace by the minute.
    for turn in range(SLICES * rounds):
        for name, measure in pairs.items():
            if name != "inflating" or turn % SLICES == 0:
                rates[name].append(measure())
    median = {name: statistics.median(found) for name, found in rates.items()}
    ratio = [a / b for a, b in zip(rates["app"], rates["bare"], strict=True)]
    against = [a / b for a, b in zip(rates["app"][::SLICES], rates["inflating"], strict=True)]
    print(
        f"hit of 100,800 samples ({len(body):,} bytes): {median['app']:.0f} requests/s; "
        f"bare JavaScript stream {median['bare']:.0f}; "
        f"inflate-parse-serialise-deflate {median['inflating']:.1f}"
    )
    print(f"  of the bare stream's throughput: {statistics.median(ratio):.0%}")
    print(f"  times the re-coding Worker's: {statistics.median(against):.1f}")
    print(
        f"  one after the other: {latency_ms(app, path):.1f} ms; "
        f"bare {latency_ms(stack.ports['bare'], '/answer'):.1f} ms"
    )


def settled(port: int, path: str, seconds: float = 20) -> tuple[dict[str, Any], dict[str, str]]:
    """Ask until the answer comes from the cache; return its `_meta` and headers."""
    deadline = time.monotonic() + seconds
    while True:
        body, headers = _get(_connection(port), path)
        meta = json.loads(gzip.decompress(body))["_meta"]
        if meta["cache"]["status"] == "hit" or time.monotonic() > deadline:
            return meta, headers
        time.sleep(0.02)


def sliding(stack: Stack) -> None:
    """20 requests of a 30-day range that slides by a day; then one point more."""
    fake, app = stack.upstream, stack.ports["app"]
    points = fake.add_generated(
        "sliding", points=21, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
    )
    for day in range(20):
        begin = START_MS + day * DAY_MS
        settled(app, query("sliding", points[:20], begin, begin + 30 * DAY_MS))
    distinct = 20 * 49 * 288
    print(
        f"20 requests of 30 days sliding by a day: fetched {fake.samples_sent('sliding'):,} samples"
        f" for {distinct:,} distinct ones: {fake.samples_sent('sliding') / distinct:.3f} x"
    )
    fake.clear_log("sliding")
    begin = START_MS + 19 * DAY_MS
    settled(app, query("sliding", points, begin, begin + 30 * DAY_MS))
    print(
        f"one point more in a chart of 20: {fake.requests_for('sliding')} request, "
        f"{fake.samples_sent('sliding') / (30 * 288):.2f} x the samples of that point"
    )


def reloads(stack: Stack, times: int = 500) -> None:
    """A 24-hour chart of 20 points, reloaded every 5 minutes of its own time."""
    fake, app = stack.upstream, stack.ports["app"]
    end_ms = START_MS + DAY_MS + (times + 1) * 300_000
    points = fake.add_generated("reloads", points=20, start_ms=START_MS, end_ms=end_ms)
    for n in range(times):
        begin = START_MS + n * 300_000
        settled(app, query("reloads", points, begin, begin + DAY_MS))
    distinct = 20 * (288 + times - 1)
    print(
        f"{times} reloads of 24 hours, 5 minutes later each: fetched "
        f"{fake.samples_sent('reloads') / distinct:.3f} x the distinct samples, "
        f"{fake.requests_for('reloads')} upstream requests"
    )


def plain_python(
    url: str, token: str, requests: Sequence[PlainRequest]
) -> tuple[int, float, float]:
    """
    Send requests one after the other, follow their pages, decode, group and deflate.

    Returns:
        Samples; milliseconds in all; those of them that the upstream took.
    """
    decoder = msgspec.json.Decoder(Page)
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80)
    headers = {"Authorization": f"Bearer {token}"}
    began = time.perf_counter()
    groups: dict[str, list[str]] = {}
    count, waited = 0, 0.0
    for each in requests:
        cursor = ""
        while True:
            asked = time.perf_counter()
            connection.request(each.method, each.target + cursor, each.body, headers)
            body = connection.getresponse().read()
            waited += time.perf_counter() - asked
            page = decoder.decode(body)
            for sample in page.point_samples:
                groups.setdefault(sample.name, []).append(f"[{sample.time},{sample.value}]")
            count += len(page.point_samples)
            cursor = f"&cursor={quote(page.next_cursor or '')}"
            if not page.has_more:
                break
    for texts in groups.values():
        zlib.compress(",".join(texts).encode(), 6)
    return count, (time.perf_counter() - began) * 1000, waited * 1000


class PlainRequest(NamedTuple):
    """A request for samples; one of pages is the first of them."""

    method: str
    target: str
    body: bytes | None = None


class PlainSample(msgspec.Struct):
    """A sample as the upstream sends it."""

    name: str
    value: Any
    time: str


class Page(msgspec.Struct):
    """A page of samples."""

    point_samples: list[PlainSample]
    next_cursor: str | None = None
    has_more: bool = False


def misses(stack: Stack, rounds: int) -> None:
    """A miss of 50,400 samples beside a plain CPython program that does the same."""
    fake, app = stack.upstream, stack.ports["app"]
    for latency_ms_ in (0, 500):
        ratios, upstream_ratios, ours, theirs, upstreams = [], [], [], [], []
        for n in range(rounds if latency_ms_ else MISS_WARM_UP + MISSES * rounds):
            site = f"miss-{latency_ms_}-{n}"
            points = fake.add_generated(
                site, points=25, start_ms=START_MS, end_ms=START_MS + 7 * DAY_MS
            )
            fake.latency_ms[site] = latency_ms_
            began = time.perf_counter()
            _get(_connection(app), query(site, points, START_MS, START_MS + 7 * DAY_MS))
            took_ms = (time.perf_counter() - began) * 1000
            if not latency_ms_ and n < MISS_WARM_UP:
                continue
            ours.append(took_ms)
            # What was fetched is being stored: not at the other program's expense.
            time.sleep(STORED_SECONDS)
            asked = [
                PlainRequest(
                    each.method, f"{each.path}?{urlencode(each.params)}", each.body or None
                )
                for each in fake.log(site, *TIMESERIES)
                if "cursor" not in each.params
            ]
            count, plain_ms, upstream_ms = plain_python(fake.url, fake.token, asked)
            theirs.append(plain_ms)
            upstreams.append(upstream_ms)
            ratios.append(took_ms / plain_ms)
            upstream_ratios.append(took_ms / upstream_ms)
        print(
            f"miss of {count:,} samples, {latency_ms_} ms per page: "
            f"{statistics.median(ours):.0f} ms;"
            f" plain CPython {statistics.median(theirs):.0f} ms: {statistics.median(ratios):.2f} x;"
            f" upstream alone {statistics.median(upstreams):.0f} ms: "
            f"{statistics.median(upstream_ratios):.2f} x"
        )


def storage(stack: Stack) -> None:
    """Bytes per stored sample: two decimals, 5 minutes, made like a room temperature."""
    fake, app = stack.upstream, stack.ports["app"]
    wave = {
        f"zone-{n}": [
            (START_MS + k * 300_000, f"{21 + n % 3 + math.sin(k / 46) + (k * 7919 % 13) / 50:.2f}")
            for k in range(30 * 288)
        ]
        for n in range(10)
    }
    fake.set_points("storage", wave)
    settled(app, query("storage", list(wave), START_MS, START_MS + 30 * DAY_MS))
    body, _ = _get(_connection(app), "/api/cache/objects?prefix=timeseries/storage/")
    found = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)["objects"]
    size, samples = sum(each["size"] for each in found), sum(each["samples"] for each in found)
    print(f"stored: {size / samples:.2f} bytes per sample ({samples:,} samples)")


def heap(stack: Stack, requests: int = 100) -> None:
    """The WebAssembly heap after mixed requests of 100,000 samples each."""
    fake, app = stack.upstream, stack.ports["app"]
    points = fake.add_generated("heap", points=60, start_ms=START_MS, end_ms=START_MS + 40 * DAY_MS)
    formats = ("json", "csv", "ndjson", "msgpack", "json")
    size = 0
    for n in range(requests):
        begin = START_MS + n % 20 * DAY_MS + n * 60_000
        path = query("heap", points[n % 10 :][:50], begin, begin + 7 * DAY_MS)
        _, headers = _get(_connection(app), f"{path}&format={formats[n % 5]}")
        size = int(headers["X-Heap-Bytes"])
    print(f"WebAssembly heap after {requests} mixed requests: {size / 1e6:.0f} MB")


def main(rounds: int = 5) -> None:
    """Run every measurement."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with running() as stack:
        hits(stack, rounds)
    with running({"DEV_METRICS": "1"}) as stack:
        misses(stack, rounds)
        sliding(stack)
        reloads(stack)
        storage(stack)
        heap(stack)
