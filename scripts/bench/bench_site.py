"""
Measures what a real site costs: 2,174 points of 5-minute data behind an upstream like the real one,
which has no filter and takes 3 seconds an answer.

Usage: python3 scripts/bench.py site [--rounds N]
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from bench.bench_cached import DAY_MS, MISS_WARM_UP, MISSES, START_MS, STORED_SECONDS, query
from bench.stack import Stack, running
from demo.traits import FAITHFUL
from fakes.upstream import TIMESERIES, FakeUpstream, LoggedRequest

LATENCY_MS = 3_000
POINTS = 2_174
YEAR_DAYS = 365
JOB_SECONDS = 900


def _ask(
    port: int, path: str, method: str = "GET", body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any], float]:
    """Return the status, document and seconds of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.request(
        method,
        path,
        None if body is None else json.dumps(body),
        {} if body is None else {"Content-Type": "application/json"},
    )
    answer = connection.getresponse()
    document = json.loads(answer.read())
    return answer.status, document, time.perf_counter() - began


def _call_seconds(fake: FakeUpstream, asked: LoggedRequest) -> float:
    """Return how long the upstream takes for a request that it has had, asked by itself."""
    address = urlsplit(fake.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80)
    query_text = "&".join(f"{name}={value}" for name, value in asked.params.items())
    began = time.perf_counter()
    connection.request(
        asked.method,
        f"{asked.path}?{query_text}",
        asked.body or None,
        {"Authorization": f"Bearer {fake.token}", "Content-Type": "application/json"},
    )
    connection.getresponse().read()
    return time.perf_counter() - began


def _answer(port: int, path: str) -> tuple[dict[str, Any], float]:
    status, document, seconds = _ask(port, path)
    if status != http.HTTPStatus.OK:
        raise SystemExit(f"bench: {path[:80]} answered {status}: {document}")
    return document, seconds


def charts(stack: Stack, rounds: int) -> None:
    """Charts of a site that was never asked for: the list of points is read beside them."""
    fake, app = stack.upstream, stack.ports["app"]
    for label, count, days in (("1 point, 24 hours", 1, 1), ("20 points, 30 days", 20, 30)):
        took, calls, lone, samples = [], 0, [], 0
        for n in range(rounds):
            site = f"real-{count}-{n}"
            points = fake.add_generated(
                site, points=POINTS, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
            )
            fake.latency_ms[site] = LATENCY_MS
            path = query(site, points[:count], START_MS, START_MS + days * DAY_MS)
            document, seconds = _answer(app, path)
            took.append(seconds)
            asked = fake.log(site, *TIMESERIES)
            calls, samples = len(asked), document["_meta"]["samplesCount"]
            lone.append(_call_seconds(fake, asked[0]))
        ratio = statistics.median(a / b for a, b in zip(took, lone, strict=True))
        print(
            f"{label}: {samples:,} samples in {statistics.median(took):.2f} s with {calls} "
            f"request{'s' if calls > 1 else ''}; one of them alone {statistics.median(lone):.2f} s:"
            f" {ratio:.2f} x"
        )


def jobs(stack: Stack) -> None:
    """All of a site over four days, and one point over a year."""
    fake = stack.upstream
    everything = fake.add_generated(
        "all", points=400, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
    )
    fake.latency_ms["all"] = LATENCY_MS
    job, seconds = _job_of(stack, "all", everything, 4)
    asked = fake.log("all", *TIMESERIES)
    distinct = {tuple(each.params.items()) for each in asked}
    print(
        f"job of all 400 points, 4 days: {job['samplesCount']:,} samples in {seconds:.1f} s with "
        f"{len(asked)} requests, {len(distinct)} of them distinct"
    )
    points = fake.add_generated(
        "year", points=POINTS, start_ms=START_MS - YEAR_DAYS * DAY_MS, end_ms=START_MS
    )
    fake.latency_ms["year"] = LATENCY_MS
    job, seconds = _job_of(stack, "year", points[:1], -YEAR_DAYS)
    print(
        f"job of 1 point, 1 year: {job['samplesCount']:,} samples in {seconds:.1f} s with "
        f"{fake.requests_for('year')} requests"
    )


def _job_of(stack: Stack, site: str, points: list[str], days: int) -> tuple[dict[str, Any], float]:
    """Queue a request for some points over some days from the start, or before it."""
    first, last = sorted((START_MS, START_MS + days * DAY_MS))
    began = time.perf_counter()
    body = {
        "site": site,
        "points": points,
        "start_time": first,
        "end_time": last,
        "route": "queued",
    }
    app = stack.ports["app"]
    status, document, _ = _ask(app, "/api/timeseries", "POST", body)
    if status != http.HTTPStatus.ACCEPTED:
        raise SystemExit(f"bench: the job was answered {status}: {document}")
    while time.perf_counter() - began < JOB_SECONDS:
        _, job, _ = _ask(app, f"/api/jobs/{document['jobId']}")
        if job["status"] in ("completed", "failed", "cancelled"):
            break
        time.sleep(0.1)
    if job["status"] != "completed":
        raise SystemExit(f"bench: the job is {job['status']}: {job['error']}")
    return job, time.perf_counter() - began


def spellings(rounds: int) -> None:
    """A miss of 50,400 samples with times as the upstream writes them, and with a zone."""
    with running(traits=FAITHFUL) as naive, running(traits=replace(FAITHFUL, times="z")) as zoned:
        took: dict[str, list[float]] = {"naive": [], "zoned": []}
        for n in range(MISS_WARM_UP + MISSES * rounds):
            for name, stack in (("naive", naive), ("zoned", zoned)):
                site = f"spelt-{n}"
                points = stack.upstream.add_generated(
                    site, points=50, start_ms=START_MS, end_ms=START_MS + 7 * DAY_MS
                )
                path = query(site, points[:25], START_MS, START_MS + 7 * DAY_MS)
                _, seconds = _answer(stack.ports["app"], path)
                if n >= MISS_WARM_UP:
                    took[name].append(seconds * 1000)
                # What was fetched is being stored: not at the other one's expense.
                time.sleep(STORED_SECONDS)
        ratio = statistics.median(a / b for a, b in zip(took["naive"], took["zoned"], strict=True))
        print(
            f"miss of 50,400 samples, times without a zone: {statistics.median(took['naive']):.0f} "
            f"ms; with Z {statistics.median(took['zoned']):.0f} ms: {ratio:.2f} x"
        )


def main(rounds: int) -> None:
    """Measure it all."""
    with running(traits=FAITHFUL) as stack:
        print(f"an upstream like the real one: {POINTS:,} points, {LATENCY_MS} ms an answer")
        charts(stack, rounds)
        jobs(stack)
    spellings(rounds)
