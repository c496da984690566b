"""
Measures charts that slide: a year of which a minute is missing, beside the upstream's own time for
that minute; and a hit that joins an old segment and its refetched tail, beside one of one segment.

Usage: python3 scripts/bench.py sliding [--rounds N]
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from bench.bench_cached import DAY_MS, query
from bench.seeding import START_MS, Shape, write_seed
from bench.stack import Stack, running
from fakes.upstream import TIMESERIES, FakeUpstream

MINUTE_MS = 60_000
YEARS = (
    Shape("hourly", points=20, days=365, interval_ms=3_600_000),
    Shape("dense", points=20, days=365, interval_ms=300_000),
)
LATENCIES_MS = (0, 500)
# What is allowed: of the upstream's time for the gap, and beside it.
BAR_RATIO, BAR_MS = 1.2, 50
WARM_UP = 3
# So little is trusted that a tail is refetched after half a minute, and trusted for as long.
HASTY = {"TRUST_RATIO": "0.1", "LATENESS": "0"}
TAIL_AGE_MS, TAIL_TRUST_S = 320_000, 31.0
HIT_DAYS, HIT_POINTS = 30, 20
HITS, HITS_WARM_UP = 60, 10


class Timed(NamedTuple):
    """
    An answer and its times, milliseconds.

    Attributes:
        first_ms: Up to its headers.
        whole_ms: Up to its end.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    first_ms: float
    whole_ms: float


def ask(port: int, path: str) -> Timed:
    """Return the answer to a request on a connection of its own, and how long it took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.connect()
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    first = time.perf_counter()
    body = answer.read()
    whole = time.perf_counter()
    connection.close()
    headers = dict(answer.getheaders())
    return Timed(answer.status, headers, body, (first - began) * 1000, (whole - began) * 1000)


def upstream_ms(fake: FakeUpstream, site: str) -> float:
    """Return how long the upstream takes for what it was asked last of a site, by itself."""
    asked = fake.log(site, *TIMESERIES)
    address = urlsplit(fake.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80)
    headers = {"Authorization": f"Bearer {fake.token}", "Content-Type": "application/json"}
    began = time.perf_counter()
    for each in asked:
        target = f"{each.path}?{urlencode(each.params)}" if each.params else each.path
        connection.request(each.method, target, each.body or None, headers)
        connection.getresponse().read()
    return (time.perf_counter() - began) * 1000


def meta_of(answer: Timed) -> dict[str, Any]:
    """Return the `_meta` of an answer."""
    found: dict[str, Any] = json.loads(gzip.decompress(answer.body))["_meta"]
    return found


def year(stack: Stack, shape: Shape, rounds: int) -> None:
    """A year of 20 points slides by a minute: each time 200, with a minute fetched."""
    fake = stack.upstream
    fake.add_generated(
        shape.site,
        names=shape.names,
        start_ms=START_MS,
        end_ms=shape.end_ms + 30 * DAY_MS,
        interval_s=shape.interval_ms // 1000,
    )
    app, minutes = stack.ports["app"], 0
    for latency_ms in LATENCIES_MS:
        fake.latency_ms[shape.site] = latency_ms
        found: list[list[float]] = []
        for n in range(WARM_UP + rounds):
            minutes += 1
            slid_ms = minutes * MINUTE_MS
            end_ms = shape.end_ms + slid_ms
            path = query(shape.site, shape.names, START_MS + slid_ms, end_ms)
            fake.clear_log(shape.site)
            answer = ask(app, path)
            if answer.status != http.HTTPStatus.OK:
                raise SystemExit(f"bench: a year that slides was answered {answer.status}")
            gap = [end_ms - MINUTE_MS, end_ms]
            if n == 0 and (fetched := meta_of(answer)["cache"]["fetched"]) != [gap]:
                raise SystemExit(f"bench: more than the gap was fetched: {fetched}")
            time.sleep(0.3)
            own_ms = upstream_ms(fake, shape.site)
            hit = ask(app, path)
            if n < WARM_UP:
                continue
            over_ms = answer.first_ms - BAR_RATIO * own_ms
            times_ms = answer.first_ms, answer.whole_ms, hit.first_ms, hit.whole_ms
            found.append([*times_ms, own_ms, over_ms])
        first, whole, hit_first, hit_whole, own, over = map(
            statistics.median, zip(*found, strict=True)
        )
        print(
            f"a year x 20 points each {shape.interval_ms // MINUTE_MS} min,"
            f" {len(answer.body):,} bytes, slid by a minute, {latency_ms} ms per answer:"
            f" 200 after {first:.0f} ms, all after {whole:.0f};"
            f" a hit after {hit_first:.0f} ms, all after {hit_whole:.0f};"
            f" upstream alone for the gap {own:.0f} ms;"
            f" {over:+.0f} ms over {BAR_RATIO} x that, {BAR_MS} are allowed:"
            f" {'kept' if over <= BAR_MS else 'MISSED'}"
        )


def joined(stack: Stack) -> None:
    """A hit of an old segment with its refetched tail, and a hit of one segment, by turns."""
    fake, app = stack.upstream, stack.ports["app"]
    now_ms = time.time_ns() // 1_000_000
    end_ms = (now_ms - TAIL_AGE_MS) // 1000 * 1000
    begin_ms = end_ms - HIT_DAYS * DAY_MS
    points = {
        site: fake.add_generated(
            site, points=HIT_POINTS, start_ms=begin_ms - DAY_MS, end_ms=end_ms + DAY_MS
        )
        for site in ("joined", "single")
    }
    paths = {
        site: query(site, names, begin_ms, end_ms, route="cached") for site, names in points.items()
    }
    ask(app, paths["joined"])
    time.sleep((TAIL_AGE_MS + 20_000) / 10_000 + 1)
    fetched = meta_of(ask(app, paths["joined"]))["cache"]["fetched"]
    ask(app, paths["single"])
    until = time.monotonic() + TAIL_TRUST_S - 4
    time.sleep(1.5)
    took: dict[str, list[float]] = {site: [] for site in paths}
    rows = 0
    while rows < HITS_WARM_UP + HITS and time.monotonic() < until:
        for site, names in points.items():
            # In another order it is another answer: none of them is at hand.
            random.Random(rows).shuffle(names)  # noqa: S311 - no secret
            path = query(site, names, begin_ms, end_ms, route="cached")
            answer = ask(app, path)
            if answer.headers.get("X-Cache-Status") != "hit":
                raise SystemExit(f"bench: {site} was no hit, but {answer.headers}")
            if rows >= HITS_WARM_UP:
                took[site].append(answer.whole_ms)
        rows += 1
    medians = {site: statistics.median(found) for site, found in took.items()}
    [[tail_ms, _]] = fetched
    print(
        f"hit of {HIT_POINTS} points x {HIT_DAYS} days ({len(answer.body):,} bytes):"
        f" an old segment with its tail of {(end_ms - tail_ms) / MINUTE_MS:.0f} min refetched"
        f" {medians['joined']:.1f} ms, one segment {medians['single']:.1f} ms:"
        f" {medians['joined'] / medians['single']:.2f} x, 1.2 are allowed"
        f" ({len(took['joined'])} hits each)"
    )


def main(rounds: int = 5) -> None:
    """Run both."""
    with TemporaryDirectory() as home:
        write_seed(Path(home), YEARS, time.time_ns() // 1_000_000)
        with running(seed=Path(home)) as stack:
            for shape in YEARS:
                year(stack, shape, rounds)
    with running(HASTY) as stack:
        joined(stack)
