"""An hour of live charts on the real runtime, in a minute: what is late is found, and stays."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from devtools.toolchain import Toolchain
from fakes.live_hour import (
    HOUR_MS,
    LATENESS_MS,
    MIN_REFETCH_MS,
    MINUTE_MS,
    RATIO,
    SECOND_MS,
    SHOWN_MS,
    STEP_MS,
    Reload,
    described,
    distinct_times,
    faults_of,
    late_ms,
    unseen_ms,
)
from fakes.upstream import WORKER_MARGIN_MS, FakeUpstream
from integration.harness.client import Client
from integration.harness.hasty import HastyTime, hasty_project

SPEED = 60
# One that reloads more often than anything is asked for again is shown in virtual time: here it
# would take a core for a minute, and find what these find.
RELOADS_MS = (10 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS)
VARIABLES = {
    "TRUST_RATIO": str(RATIO),
    "LATENESS": str(LATENESS_MS // SECOND_MS),
    "MIN_REFETCH": str(MIN_REFETCH_MS // SECOND_MS),
}


class Feed:
    """
    Samples that come to the upstream late.

    Args:
        upstream: Gets them.
        sites: Each has all of them, in a point of its own name.
        hasty: The time.

    Attributes:
        there_ms: Since when the upstream has each sample, by its time.
    """

    def __init__(self, upstream: FakeUpstream, sites: Sequence[str], hasty: HastyTime) -> None:
        self._upstream, self._sites, self._hasty = upstream, sites, hasty
        now_ms = hasty.now_ms()
        first_ms = (now_ms - 2 * SHOWN_MS) // STEP_MS * STEP_MS
        times = range(first_ms, now_ms + 2 * HOUR_MS, STEP_MS)
        due = sorted((at_ms + late_ms(at_ms), at_ms) for at_ms in times)
        self._due = due[bisect_left(due, (now_ms, 0)) :]
        old = due[: len(due) - len(self._due)]
        self.there_ms = {at_ms: there_ms for there_ms, at_ms in old}
        for site in sites:
            upstream.set_points(site, {site: [(at_ms, "1") for _, at_ms in old]}, interval_s=60)

    def run(self, ended: threading.Event) -> None:
        """Let samples come until *ended*."""
        for due_ms, at_ms in self._due:
            self._hasty.sleep_until(due_ms)
            if ended.is_set():
                return
            for site in self._sites:
                self._upstream.add_samples(site, site, [(at_ms, "1")])
            self.there_ms[at_ms] = self._hasty.now_ms()


def watch(client: Client, site: str, every_ms: int, hasty: HastyTime, end_ms: int) -> list[Reload]:
    """Return the answers that a chart gets; a reload that is overdue is left out."""
    found: list[Reload] = []
    due_ms = hasty.now_ms()
    while due_ms < end_ms:
        hasty.sleep_until(due_ms)
        sent_ms = hasty.now_ms()
        asked = {"start_time": sent_ms - SHOWN_MS, "end_time": sent_ms, "route": "cached"}
        answer = client.get("/api/timeseries", {"site": site, "point": site, **asked})
        assert 200 == answer.status, answer.text
        [data] = answer.json()["data"].values()
        times = [at_ms for at_ms, _ in data["samples"]]
        assert len(times) == len(set(times))
        found.append(Reload(sent_ms, frozenset(times)))
        due_ms += max(1, -(-(hasty.now_ms() - due_ms) // every_ms)) * every_ms
    return found


def test_an_hour_of_live_charts(
    site: str, tools: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every sample is seen within the rule's bound, and none ever disappears."""
    hasty = HastyTime(SPEED)
    # A site for each chart, so that none profits from another.
    sites = {f"{site}-{each // SECOND_MS}": each for each in RELOADS_MS}
    with FakeUpstream("hour-token-7c1e", margin_ms=WORKER_MARGIN_MS) as upstream:
        copy = hasty_project(
            tmp_path_factory.mktemp("hour"), tools, upstream, hasty, variables=VARIABLES
        )
        with copy.running() as run, ThreadPoolExecutor() as threads:
            feed, ended = Feed(upstream, list(sites), hasty), threading.Event()
            feeding = threads.submit(feed.run, ended)
            end_ms = hasty.now_ms() + HOUR_MS
            charts = {
                name: threads.submit(watch, run.client, name, every_ms, hasty, end_ms)
                for name, every_ms in sites.items()
            }
            try:
                answers = {name: chart.result() for name, chart in charts.items()}
            finally:
                ended.set()
            feeding.result()
        for name, reloads in answers.items():
            requests = upstream.requests_for(name)
            print(  # noqa: T201 - what it costs
                f"\n{described(reloads, feed.there_ms, sites[name])}; {requests} upstream requests,"
                f" {upstream.samples_sent(name)} samples for {distinct_times(reloads)} distinct"
            )
            faults = faults_of(reloads, feed.there_ms)
            assert [] == faults[:3], name
            counts = [len(found) for found in unseen_ms(reloads, feed.there_ms).values()]
            assert min(counts) >= 5, "too few to tell"
            # One for a reload; now and then a second one, for what lies further back. That a pause
            # has one at most is shown in virtual time: here a request is seconds on its way, so
            # that it ends before the present, and what follows its end was not asked for.
            assert requests <= 1.2 * len(reloads) + 3
