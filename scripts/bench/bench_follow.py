"""
Measures following a site: the pages that its past takes beside the fewest that hold it, and charts
of an archive, the first time and later, beside a site that is not followed.

Usage: python3 scripts/bench.py follow [--rounds N]
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

from bench.bench_cached import DAY_MS, query
from bench.bench_site import POINTS, _ask
from bench.bench_sliding import ask
from bench.stack import Stack, running
from fakes.upstream import TIMESERIES

# As the Worker asks for them.
PAGE_SAMPLES = 50_000
INTERVAL_MS = 300_000
DAYS, ARCHIVE_DAYS = 3, 30
FOLLOWED_SECONDS = 3_000
CHART_POINTS = 20
MAX_POINTS = 600
SETTLE_SECONDS = 6.0
LATER = 8
SITE, PLAIN = "followed", "plain"
# Blocks are merged a quarter of an hour after they were fetched: as if that had passed.
SETTLED = {
    "building_vitals/cache/lease.py": {
        "FETCH_MS_MAX = 15 * MINUTE_MS": "FETCH_MS_MAX = 0 * MINUTE_MS"
    }
}


def main(rounds: int = 5) -> None:
    """Measure it all."""
    with running(edits=SETTLED) as stack:
        now_ms = time.time_ns() // 1_000_000
        first_ms = now_ms - (ARCHIVE_DAYS + 2) * DAY_MS
        names = stack.upstream.add_generated(
            SITE, points=POINTS, start_ms=first_ms, end_ms=now_ms + DAY_MS
        )
        plain = stack.upstream.add_generated(
            PLAIN, points=CHART_POINTS, start_ms=first_ms, end_ms=now_ms + DAY_MS
        )
        for days in (DAYS, ARCHIVE_DAYS):
            _follow(stack, days)
        _settle(stack)
        _charts(stack, names, plain, rounds)
        _zoomed(stack, names, rounds)


def _follow(stack: Stack, days: int) -> None:
    """Follow the site from some days back on, and wait until all of that is read."""
    app = stack.ports["app"]
    stack.upstream.clear_log(SITE)
    before = _follow_of(app)
    began = time.perf_counter()
    status, found, _ = _ask(
        app, f"/api/sites/{SITE}/follow", "PUT", {"since": f"now-{days}d", "every": "5m"}
    )
    if status >= 300:  # noqa: PLR2004 - HTTP
        raise SystemExit(f"bench: the follow was answered {status}: {found}")
    while found["state"] != "following" or found["backfill"]["progress"] < 100:  # noqa: PLR2004
        if time.perf_counter() - began > FOLLOWED_SECONDS:
            raise SystemExit(f"bench: not followed: {found}")
        time.sleep(1)
        found = _follow_of(app) or found
    seconds = time.perf_counter() - began
    asked = stack.upstream.log(SITE, *TIMESERIES)
    new_days = days - (DAYS if before else 0)
    samples = POINTS * new_days * DAY_MS // INTERVAL_MS
    fewest = -(-samples // PAGE_SAMPLES)
    # A round while it goes on asks for a page of its own.
    rounds = 1 + int(seconds * 1000 // INTERVAL_MS)
    print(
        f"following {POINTS:,} points from {days} days back: {samples:,} samples of {new_days} days"
        f" in {seconds:.0f} s with {len(asked)} pages of {PAGE_SAMPLES:,}, of which about {rounds}"
        f" of rounds; the fewest are {fewest}: {len(asked) / fewest:.3f} x, without rounds"
        f" {(len(asked) - rounds) / fewest:.3f} x"
    )


def _follow_of(app: int) -> dict[str, Any] | None:
    status, found, _ = _ask(app, f"/api/sites/{SITE}/follow")
    return found if status == 200 else None  # noqa: PLR2004 - HTTP


def _settle(stack: Stack) -> None:
    """Run maintenance until there is nothing left to merge."""
    began = time.perf_counter()
    runs = 0
    while True:
        _, done, _ = _ask(stack.ports["app"], "/api/maintenance/run", "POST")
        runs += 1
        merged = [step["changed"] for step in done["steps"] if step["name"] == "merged blocks"]
        if not any(merged):
            break
    print(f"merging: {runs} runs of maintenance, {time.perf_counter() - began:.0f} s")


def _charts(stack: Stack, names: list[str], plain: list[str], rounds: int) -> None:
    """Charts of random points over the archive, the first time and later ones by turns."""
    app = stack.ports["app"]
    end_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    begin_ms = end_ms - (ARCHIVE_DAYS - 1) * DAY_MS
    ask(app, query(PLAIN, plain, begin_ms, end_ms, route="cached"))
    time.sleep(SETTLE_SECONDS)
    first: list[float] = []
    took: dict[str, list[float]] = {SITE: [], PLAIN: []}
    sizes: dict[str, int] = {}
    for n in range(rounds):
        chosen = random.Random(n).sample(names, CHART_POINTS)  # noqa: S311 - no secret
        stack.upstream.clear_log(SITE)
        for turn in range(1 + LATER):
            # In another order it is another answer: none of them is at hand.
            for site, points in ((SITE, chosen), (PLAIN, plain)):
                random.Random(turn).shuffle(points)  # noqa: S311 - no secret
                answer = ask(app, query(site, points, begin_ms, end_ms, route="cached"))
                if answer.headers.get("X-Cache-Status") != "hit":
                    raise SystemExit(f"bench: {site} was no hit, but {answer.headers}")
                sizes[site] = len(answer.body)
                if turn:
                    took[site].append(answer.whole_ms)
                elif site == SITE:
                    first.append(answer.whole_ms)
            if not turn:
                time.sleep(SETTLE_SECONDS)
        if stack.upstream.log(SITE, *TIMESERIES):
            print("beside a round")
    later, raw = statistics.median(took[SITE]), statistics.median(took[PLAIN])
    print(
        f"chart of {CHART_POINTS} random points x {ARCHIVE_DAYS - 1} days of {POINTS:,}"
        f" ({sizes[SITE]:,} bytes): first {statistics.median(first):.0f} ms,"
        f" at most {max(first):.0f}; later {later:.1f} ms; a raw hit of a site that is not followed"
        f" ({sizes[PLAIN]:,} bytes) {raw:.1f} ms: {later / raw:.2f} x"
    )


def _zoomed(stack: Stack, names: list[str], rounds: int) -> None:
    """Charts of random points that show few samples of each, the first time and later."""
    app = stack.ports["app"]
    end_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    begin_ms = end_ms - (ARCHIVE_DAYS - 1) * DAY_MS
    first: list[float] = []
    later: list[float] = []
    for n in range(rounds):
        chosen = random.Random(f"zoomed {n}").sample(names, CHART_POINTS)  # noqa: S311 - no secret
        for turn in range(1 + LATER):
            random.Random(turn).shuffle(chosen)  # noqa: S311 - no secret
            path = query(SITE, chosen, begin_ms, end_ms, route="cached", max_points=str(MAX_POINTS))
            answer = ask(app, path)
            if answer.headers.get("X-Cache-Status") != "hit":
                raise SystemExit(f"bench: {SITE} was no hit, but {answer.headers}")
            (later if turn else first).append(answer.whole_ms)
            if not turn:
                time.sleep(SETTLE_SECONDS)
    print(
        f"the same with max_points={MAX_POINTS}: first {statistics.median(first):.0f} ms,"
        f" at most {max(first):.0f}; later {statistics.median(later):.1f} ms"
    )
