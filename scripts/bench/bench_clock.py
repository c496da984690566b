"""
Charts of a followed site for a while, at a clock ten times as fast: each is to be a hit that has
the truth up to the last round, and nothing but rounds is to ask the upstream.

Usage: python3 scripts/bench.py clock [--rounds MINUTES]

The Worker takes its time from a clock that runs faster; its sources are changed for that on their
way into the runtime. Only what waits for the runtime itself, as for an answer of the upstream,
takes the time that it takes.
"""

from __future__ import annotations

import gzip
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

from bench.bench_cached import DAY_MS, query
from bench.bench_site import POINTS, _ask
from bench.bench_sliding import Timed, ask
from bench.stack import Stack, running
from fakes.upstream import TIMESERIES, FakeUpstream
from integration.harness.oracle import Question, exact_samples, read_exact

FASTER = 10
DAYS = 3
CHART_POINTS = 20
# Between two charts, and as often as the cron trigger runs maintenance; on this machine's clock.
PAUSE_S = 1.0
MAINTENANCE_S = 300 / FASTER
FOLLOWED_S = 600
SITE = "followed"
NEVER = -1.0


@dataclass
class Seen:
    """
    What the charts were.

    Attributes:
        statuses: Of the cache, with their numbers.
        samples, differences: Samples that were compared, and points whose samples were others.
        lag_s: The age of the last round at most, on the Worker's clock.
        took_ms: How long each took, on this machine's clock.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    samples: int = 0
    differences: int = 0
    lag_s: int = 0
    took_ms: list[float] = field(default_factory=list)


class FastClock:
    """The Worker's clock: the same as here at one moment, and faster ever since."""

    def __init__(self) -> None:
        self._begun_ms = time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        """Return the Worker's present moment, epoch milliseconds."""
        return self._begun_ms + FASTER * (time.time_ns() // 1_000_000 - self._begun_ms)

    def edits(self) -> dict[str, dict[str, str]]:
        """Return what is changed in the sources, by their path below `src`."""
        begun_ms = self._begun_ms
        return {
            "building_vitals/platform/http.py": {
                "clock_ms = js.Date.now": (
                    f"clock_ms = lambda: {begun_ms} + {FASTER} * (js.Date.now() - {begun_ms})"
                ),
                "await asyncio.sleep(delay_ms / 1000)": (
                    f"await asyncio.sleep(delay_ms / {1000 * FASTER})"
                ),
            },
            "building_vitals/platform/queues.py": {
                '{"delaySeconds": min(delay_s, DELAY_S_MAX)} if': (
                    f'{{"delaySeconds": min(-(-delay_s // {FASTER}), DELAY_S_MAX)}} if'
                ),
                'self._message.retry({"delaySeconds": min(max(delay_s, 0), DELAY_S_MAX)})': (
                    f'self._message.retry({{"delaySeconds": max(-(-delay_s // {FASTER}), 0)}})'
                ),
            },
        }


def main(rounds: int = 5) -> None:
    """Ask for charts for so many minutes."""
    clock = FastClock()
    with running(edits=clock.edits()) as stack:
        now_ms = clock.now_ms()
        names = stack.upstream.add_generated(
            SITE,
            points=POINTS,
            start_ms=now_ms - (DAYS + 2) * DAY_MS,
            end_ms=now_ms + FASTER * (rounds + FOLLOWED_S) * 60_000,
        )
        _follow(stack)
        stack.upstream.clear_log(SITE)
        began_ms, began = clock.now_ms(), time.monotonic()
        seen = _look(stack, clock, names, began + 60 * rounds)
        _report(stack.upstream, seen, (clock.now_ms() - began_ms) / 3_600_000)


def _follow(stack: Stack) -> None:
    """Follow the site, and wait until all is read."""
    app, began = stack.ports["app"], time.monotonic()
    path = f"/api/sites/{SITE}/follow"
    status, found, _ = _ask(app, path, "PUT", {"since": f"now-{DAYS}d", "every": "5m"})
    while status == HTTPStatus.OK and found["state"] != "following":
        if time.monotonic() - began > FOLLOWED_S:
            raise SystemExit(f"bench: not followed: {found}")
        time.sleep(1)
        status, found, _ = _ask(app, path)
    if status != HTTPStatus.OK:
        raise SystemExit(f"bench: the follow was answered {status}: {found}")
    asked = len(stack.upstream.log(SITE, *TIMESERIES))
    print(f"followed {POINTS:,} points from {DAYS} days back: {asked} pages", flush=True)


def _look(stack: Stack, clock: FastClock, names: list[str], until: float) -> Seen:
    """Ask for a chart after the other."""
    app, chance, seen = stack.ports["app"], random.Random(1), Seen()  # noqa: S311 - no secret
    maintained = NEVER
    while time.monotonic() < until:
        if time.monotonic() - maintained > MAINTENANCE_S:
            maintained = time.monotonic()
            _ask(app, "/api/maintenance/run", "POST")
            _, found, _ = _ask(app, f"/api/sites/{SITE}/follow")
            seen.lag_s = max(seen.lag_s, found["lagSeconds"])
        end_ms = clock.now_ms()
        chart = Question(SITE, chance.sample(names, CHART_POINTS), end_ms - DAY_MS, end_ms)
        answer = ask(app, query(SITE, list(chart.points), *chart[2:], route="cached"))
        seen.took_ms.append(answer.whole_ms)
        _judge(stack.upstream, chart, answer, seen)
        time.sleep(PAUSE_S)
    return seen


def _judge(upstream: FakeUpstream, chart: Question, answer: Timed, seen: Seen) -> None:
    """Compare a chart with the truth up to the last round."""
    seen.statuses[answer.headers.get("X-Cache-Status", str(answer.status))] += 1
    if answer.status != HTTPStatus.OK:
        return
    document = read_exact(gzip.decompress(answer.body))
    until_ms = int(document["_meta"]["cache"]["knownUntil"].text)
    seen.lag_s = max(seen.lag_s, (chart.end_ms - until_ms) // 1000)
    known = chart._replace(end_ms=min(chart.end_ms, until_ms))
    for name in chart.points:
        expected = exact_samples(upstream, known, name)
        found = document["data"][name]["samples"]
        seen.samples += len(expected)
        seen.differences += expected != [row for row in found if int(row[0].text) < until_ms]


def _report(upstream: FakeUpstream, seen: Seen, hours: float) -> None:
    """Print what was seen."""
    asked = Counter(each.path.rsplit("/", 1)[-1] for each in upstream.log(SITE))
    took = sorted(seen.took_ms)
    print(
        f"{len(took)} charts of {CHART_POINTS} random points x 24 h in {hours:.1f} hours of the"
        f" Worker's clock: {dict(seen.statuses)}; {seen.samples:,} samples compared,"
        f" {seen.differences} points differ; the last round was {seen.lag_s} s old at most;"
        f" median {took[len(took) // 2]:.0f} ms, 95 of 100 within {took[len(took) * 95 // 100]:.0f}"
    )
    print(f"upstream: {dict(asked)}; rounds are due {hours * 12:.0f} times")
