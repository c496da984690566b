"""What the streams of one fetch share: counts, cuts, and who waits for whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from building_vitals.ranges import Range
from building_vitals.upstream.ace.calls import Call, Calls
from building_vitals.upstream.ace.context import FetchContext, run_streams, time_of
from building_vitals.upstream.ace.fetch_report import FetchReport
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.targets import Target
from building_vitals.upstream.ace.wire import WireSample
from building_vitals.upstream.profile import Observation
from fakes.ace import BASE_URL, HOUR, NOW_MS, Sink, T
from fakes.clock import VirtualClock
from fakes.http import ScriptedHttp


class Desk:
    """A context over nothing."""

    def __init__(self, **options: Any) -> None:
        settings = UpstreamSettings(base_url=BASE_URL, token=None)
        self.clock = VirtualClock(NOW_MS)
        self.calls = Calls(ScriptedHttp(), self.clock, settings, None, None)
        self.sink = Sink()
        self.heard: list[FetchReport] = []
        self.site_questions = 0
        self.context = FetchContext(
            self.calls,
            self.sink,
            self.on_page,
            self.require_site,
            page_size=10,
            seen=Observation(
                is_by_point=True, is_whole_site=False, points_count=1, time_range=HOUR
            ),
            **options,
        )

    async def on_page(self, report: FetchReport) -> None:
        """Note that a page has come."""
        self.heard.append(report)

    async def require_site(self) -> None:
        """Note that somebody asked."""
        self.site_questions += 1

    def call(self, took_ms: int) -> Call:
        """Return a call that took some time."""
        call = self.calls.begin(Target("GET", "/x"))
        call.took_ms = took_ms
        return call


def test_answers_are_counted() -> None:
    """Requests, samples, time, and the newest of all samples."""
    desk = Desk()
    desk.context.add(desk.call(300), [WireSample("p", 1, T[7])])
    desk.context.add(desk.call(200), [WireSample("p", 1, T[3]), WireSample("p", 1, "noon")])
    desk.context.add(desk.call(0), [])
    seen = desk.context.seen

    assert (3, 3, 500) == (seen.requests, seen.samples, seen.busy_ms)
    assert NOW_MS + 7 * 60_000 == seen.newest_ms
    assert 3 == desk.calls.report.samples_received
    assert [1, 2, 0] == [len(page) for page in desk.sink.pages]


def test_samples_of_other_parts_are_dropped() -> None:
    """Of a part of the range; what can't be read is the sink's to count."""
    desk = Desk()
    part = Range(NOW_MS + 60_000, NOW_MS + 180_000)
    samples = [WireSample("p", 1, time) for time in (T[0], T[1], T[2], T[2], T[3], "noon")]
    desk.context.add(desk.call(0), samples, part)

    assert [T[1], T[2], T[2], "noon"] == [time for _, _, time in desk.sink.samples]
    assert 6 == desk.calls.report.samples_received


@pytest.mark.parametrize("keeps_tail", [False, True])
def test_tail_is_kept_for_those_who_compare(keeps_tail: bool) -> None:
    """Of the last answer with samples."""
    desk = Desk(keeps_tail=keeps_tail)
    desk.clock.advance(2 * HOUR.duration_ms)
    for name, minute in (("a", 5), ("b", 3)):
        desk.context.add(desk.call(0), [WireSample(name, 1, T[minute])], HOUR)
    desk.context.add(desk.call(0), [], HOUR)

    tail = desk.context.tail
    assert (("b",) if keeps_tail else None) == (tail and tail.names)


async def test_what_is_complete_is_told_before_the_page() -> None:
    """The sink first, then whoever follows the fetch; without news, the latter alone."""
    desk = Desk()
    await desk.context.advance(["p"], NOW_MS)
    await desk.context.advance(None, None)
    await desk.context.advance(None, NOW_MS + 1)

    assert [(frozenset("p"), NOW_MS), (None, NOW_MS + 1)] == desk.sink.advances
    assert 3 == len(desk.heard)


def test_times_that_cannot_be_read_have_no_instant() -> None:
    """One bad sample is none, not a failure."""
    assert NOW_MS == time_of(WireSample("p", 1, T[0]))
    assert time_of(WireSample("p", 1, "noon")) is None


class Work:
    """A stream that waits for another, notes its turn, and may fail."""

    def __init__(self, log: list[str], name: str, failure: Exception | None = None) -> None:
        self._log = log
        self._name = name
        self._failure = failure

    async def run(self) -> None:
        """Note the beginning and the end."""
        self._log.append(f"+{self._name}")
        await asyncio.sleep(0)
        if self._failure is not None:
            raise self._failure
        await asyncio.sleep(0)
        self._log.append(f"-{self._name}")


async def test_streams_run_in_their_order_so_many_at_once() -> None:
    """A third one begins when one of two has ended."""
    log: list[str] = []
    await run_streams([Work(log, name) for name in "abcd"], width=2)

    assert ["+a", "+b"] == log[:2]
    assert log.index("+c") > min(log.index("-a"), log.index("-b"))
    assert ["+a", "+b", "+c", "+d"] == [each for each in log if "+" in each]
    assert ["-a", "-b", "-c", "-d"] == sorted(each for each in log if "-" in each)


async def test_no_stream_is_nothing_to_do() -> None:
    """A fetch without streams ends at once."""
    await run_streams([], width=4)


@pytest.mark.parametrize("count", [1, 3])
async def test_first_failure_is_the_failure_of_all(count: int) -> None:
    """It is raised as it is, the others are cancelled, and no further stream begins."""
    log: list[str] = []
    failure = ValueError("first")
    streams = [Work(log, "bad", failure), *(Work(log, str(n)) for n in range(count - 1))]
    with pytest.raises(ValueError, match="first") as caught:
        await run_streams(streams, width=2)

    assert failure is caught.value
    assert [] == [each for each in log if "-" in each]
    assert {asyncio.current_task()} == asyncio.all_tasks()
