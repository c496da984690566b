"""
Measures how long those wait who stay, while two users zoom about in the same charts for a minute
and leave half of them with a reset.

Usage: python3 scripts/bench.py leaving [--rounds N]
"""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from dataclasses import dataclass, field

from bench.bench_cached import DAY_MS, START_MS, query
from bench.stack import Stack, running
from demo.traits import FAITHFUL
from fakes.upstream import TIMESERIES
from fakes.zooming import CHARTS, POINTS_PER_CHART, looks
from integration.harness.leaving import leave

LATENCY_MS = 2_000
DAYS = 400
INTERVAL_S = 3600
SECONDS = 60
USERS = 2
TIMEOUT_S = 120
LEFT_AFTER_S = 0.8
RATIO_MAX = 1.5


@dataclass(slots=True)
class User:
    """
    A user.

    Attributes:
        missed: Seconds of each answer that needed the upstream, or somebody else's fetch.
        known: Seconds of the others.
        left: How often he left.
        failed: What went wrong.
    """

    missed: list[float] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    left: int = 0
    failed: list[str] = field(default_factory=list)

    def use(self, stack: Stack, site: str, points: list[str], seed: str) -> None:
        """Zoom about for a while."""
        port, latency_s = stack.ports["app"], LATENCY_MS / 1000
        until_s = time.monotonic() + SECONDS
        for look in looks(seed, points, START_MS, START_MS + DAYS * DAY_MS):
            if time.monotonic() > until_s:
                break
            target = query(site, list(look.points), look.start_ms, look.end_ms, route="cached")
            if look.leaves_after is not None:
                leave(port, target, after_s=look.leaves_after * latency_s)
                self.left += 1
            else:
                self._stay(port, target, latency_s)
            time.sleep(look.pause * latency_s)

    def _stay(self, port: int, target: str, latency_s: float) -> None:
        status, _, seconds = ask(port, target)
        if status != http.HTTPStatus.OK:
            self.failed.append(f"{status} after {seconds:.1f} s")
        # Who shares the last moments of somebody else's fetch has a hit, and has waited.
        elif seconds > latency_s / 10:
            self.missed.append(seconds)
        else:
            self.known.append(seconds)


def ask(port: int, target: str) -> tuple[int, bytes, float]:
    """Return status, body and seconds of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    began = time.monotonic()
    connection.request("GET", target)
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.monotonic() - began
    connection.close()
    return answer.status, body, seconds


def zoomed_out(stack: Stack, rounds: int) -> None:
    """
    Seven days of a miss, left after 0.8 s; then fourteen days of the same points.

    Beside it the same fourteen days of a site of which nothing else was asked: that is the
    upstream's own time, with what the Worker does to so many samples.
    """
    took: dict[bool, list[float]] = {False: [], True: []}
    statuses = []
    for n in range(rounds):
        for is_left, seconds_taken in took.items():
            site = f"out-{n}-{'left' if is_left else 'alone'}"
            points = stack.upstream.add_generated(
                site, points=4, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
            )
            stack.upstream.latency_ms[site] = LATENCY_MS
            end_ms = START_MS + 40 * DAY_MS
            if is_left:
                target = query(site, points, end_ms - 7 * DAY_MS, end_ms, route="cached")
                leave(stack.ports["app"], target, after_s=LEFT_AFTER_S)
            target = query(site, points, end_ms - 14 * DAY_MS, end_ms, route="cached")
            status, body, seconds = ask(stack.ports["app"], target)
            seconds_taken.append(seconds)
            statuses.append(status if status != http.HTTPStatus.OK else _cache_status(body))
    alone = statistics.median(took[False])
    print(
        f"14 days alone: median {alone:.2f} s, most {max(took[False]):.2f} s; behind 7 days of the "
        f"same left after {LEFT_AFTER_S} s: median {statistics.median(took[True]):.2f} s, most "
        f"{max(took[True]):.2f} s, {max(took[True]) / alone:.2f} of the time alone "
        f"({LATENCY_MS / 1000:.0f} s a request): {', '.join(map(str, statuses))}"
    )


def _cache_status(body: bytes) -> str:
    found: str = json.loads(body)["_meta"]["cache"]["status"]
    return found


def main(rounds: int) -> None:
    """Measure it all."""
    with running(traits=FAITHFUL) as stack:
        zoomed_out(stack, rounds)
        site = "zoomed"
        points = stack.upstream.add_generated(
            site,
            points=CHARTS * POINTS_PER_CHART,
            start_ms=START_MS,
            end_ms=START_MS + DAYS * DAY_MS,
            interval_s=INTERVAL_S,
        )
        stack.upstream.latency_ms[site] = LATENCY_MS
        users = [User() for _ in range(USERS)]
        threads = [
            threading.Thread(target=user.use, args=(stack, site, points, f"leaving-{n}"))
            for n, user in enumerate(users)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ratios = sorted(each * 1000 / LATENCY_MS for user in users for each in user.missed)
        known = sum(len(user.known) for user in users)
        failed = [each for user in users for each in user.failed]
        requests = stack.upstream.log(site, *TIMESERIES)
        print(
            f"{USERS} users, {SECONDS} s, {LATENCY_MS} ms a request: left "
            f"{sum(user.left for user in users)}, stayed {len(ratios) + known + len(failed)}, of "
            f"these {known} known, {len(failed)} failed {failed}"
        )
        if ratios:
            slow = sum(each > RATIO_MAX for each in ratios)
            print(
                f"waits in times of the upstream's: median {statistics.median(ratios):.2f}, most "
                f"{ratios[-1]:.2f}, over {RATIO_MAX}: {slow} of "
                f"{len(ratios)}; {len(requests)} requests upstream, "
                f"{stack.upstream.samples_sent(site):,} samples"
            )
