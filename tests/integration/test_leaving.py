"""
Clients that leave, on the runtime without a proxy in between: a reset reaches the Worker.

Whatever they leave behind, who asks for the same afterwards is not made to wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from bench.stack import Stack, running
from fakes.upstream import TIMESERIES
from integration.harness.client import Client, until
from integration.harness.leaving import leave

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
INTERVAL_MS = 300_000
# A request of the upstream's; no more than half as much again may be waited for.
LATENCY_MS = 3000
PATIENCE_MS = 4500


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The Worker, listening by itself."""
    with running() as found:
        yield found


def path_of(site: str, points: list[str], first: float, last: float, **options: object) -> str:
    """Return the target of a request for days from the start."""
    times = {
        "start_time": START_MS + round(first * DAY_MS),
        "end_time": START_MS + round(last * DAY_MS),
    }
    points_query = [("point", point) for point in points]
    return "/api/timeseries?" + urlencode(
        [("site", site), *points_query, *times.items(), *options.items()]
    )


def days_asked(stack: Stack, site: str) -> list[tuple[float, float]]:
    """Return what was asked of the upstream, in days from the start."""
    found = []
    for each in stack.upstream.log(site, *TIMESERIES):
        if not each.is_comparison:
            first, last = each.range_ms
            found.append(
                (round((first - START_MS) / DAY_MS, 3), round((last - START_MS) / DAY_MS, 3))
            )
    return sorted(found)


def test_a_miss_that_is_left_is_in_nobodys_way(stack: Stack) -> None:
    """Seven days left after 0.8 s, then fourteen of the same: answered in the upstream's time."""
    upstream, client = stack.upstream, Client(f"http://127.0.0.1:{stack.ports['app']}")
    points = upstream.add_generated(
        "left", points=3, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
    )
    # What is first is slow for reasons of its own.
    assert 200 == client.get(path_of("left", points, 40, 41)).status
    upstream.latency_ms["left"] = LATENCY_MS
    assert b"" == leave(stack.ports["app"], path_of("left", points, 0, 7), after_s=0.8)
    answer = client.get(path_of("left", points, 0, 14, timeout=PATIENCE_MS))
    assert 200 == answer.status, answer.text
    assert 3 * 14 * DAY_MS // INTERVAL_MS == answer.json()["_meta"]["samplesCount"]
    upstream.latency_ms["left"] = 0
    client.get(path_of("left", points, 0, 14))
    assert "hit" == client.get(path_of("left", points, 0, 14)).json()["_meta"]["cache"]["status"]


@pytest.mark.parametrize("route", ["direct", "cached"])
def test_a_list_that_was_being_read_is_in_nobodys_way(stack: Stack, route: str) -> None:
    """Who leaves while the site's list of points is read leaves nobody waiting for that."""
    upstream, client = stack.upstream, Client(f"http://127.0.0.1:{stack.ports['app']}")
    site = f"listed-{route}"
    points = upstream.add_generated(site, points=3, start_ms=START_MS, end_ms=START_MS + 2 * DAY_MS)
    upstream.latency_ms[site] = LATENCY_MS
    assert b"" == leave(stack.ports["app"], path_of(site, points, 0, 0.5, route=route), after_s=1.0)
    upstream.latency_ms[site] = 0
    answer = client.get(path_of(site, points, 1, 1.5, route=route, timeout=2 * PATIENCE_MS))
    assert 200 == answer.status, answer.text
    assert 3 * DAY_MS // 2 // INTERVAL_MS == answer.json()["_meta"]["samplesCount"]


def test_a_miss_that_is_left_is_stored(stack: Stack) -> None:
    """Nobody asks again until it is there: a hit then, fetched once."""
    upstream, client = stack.upstream, Client(f"http://127.0.0.1:{stack.ports['app']}")
    points = upstream.add_generated(
        "stored", points=3, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
    )
    upstream.latency_ms["stored"] = 1000
    leave(stack.ports["app"], path_of("stored", points, 0, 7), after_s=0.4)

    def status() -> str:
        found: str = client.get(path_of("stored", points, 0, 7)).json()["_meta"]["cache"]["status"]
        return found

    assert until(lambda: status() == "hit", what="a hit")
    assert 1 == len(days_asked(stack, "stored"))


def test_a_download_that_is_left_spoils_nothing(stack: Stack) -> None:
    """The next one is whole, and the upstream is not asked."""
    upstream, client = stack.upstream, Client(f"http://127.0.0.1:{stack.ports['app']}")
    points = upstream.add_generated(
        "download", points=20, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
    )
    target = path_of("download", points, 0, 40, route="cached")
    assert 200 == client.get(target).status
    until(lambda: client.get(target).json()["_meta"]["cache"]["status"] == "hit", what="a hit")
    before = len(days_asked(stack, "download"))
    for size in (1, 20_000, 200_000):
        assert b" 200 " in leave(stack.ports["app"], target, after_bytes=size)
    answer = client.get(target).json()
    assert 20 * 40 * DAY_MS // INTERVAL_MS == answer["_meta"]["samplesCount"]
    wanted = upstream.expected("download", points[7], START_MS, START_MS + 40 * DAY_MS)
    assert wanted == answer["data"][points[7]]["samples"]
    assert before == len(days_asked(stack, "download"))


def test_events_that_are_left_stop_no_job(stack: Stack) -> None:
    """The job goes on, and what it fetched is fetched once; a chart of it does not wait."""
    upstream, client = stack.upstream, Client(f"http://127.0.0.1:{stack.ports['app']}")
    points = upstream.add_generated(
        "events", points=10, start_ms=START_MS, end_ms=START_MS + 60 * DAY_MS
    )
    upstream.latency_ms["events"] = LATENCY_MS
    job = client.get(path_of("events", points, 0, 30, route="queued")).json()["jobId"]
    until(lambda: bool(days_asked(stack, "events")), what="a request of the job")
    left = leave(
        stack.ports["app"], f"/api/jobs/{job}/events", after_s=0.5, accept="text/event-stream"
    )
    assert b"event:" in left
    chart = client.get(path_of("events", points[:1], 0, 2, timeout=PATIENCE_MS))
    assert 200 == chart.status, chart.text

    def is_complete() -> bool:
        found = client.get(f"/api/jobs/{job}").json()
        return bool(found["status"] == "completed")

    assert until(is_complete, 60, what="the job's end")
    before = len(days_asked(stack, "events"))
    whole = client.get(path_of("events", points, 0, 30, route="cached")).json()
    assert 10 * 30 * DAY_MS // INTERVAL_MS == whole["_meta"]["samplesCount"]
    assert before == len(days_asked(stack, "events"))
