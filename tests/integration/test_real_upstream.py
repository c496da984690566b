"""The Worker on an upstream that is as slow and as large as the real one, and as odd."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from demo.instants import BUCKET_MS, MINUTE_MS, naive_text
from demo.sources import bucket_text
from fakes.upstream import (
    WORKER_MARGIN_MS,
    FakeUpstream,
    LoggedRequest,
    default_traits,
    expected_value,
)
from fakes.upstream_series import Wire, wire_text
from fakes.upstream_warts import readable_times, unreadable_times
from integration.harness.client import Answer, Client, until
from integration.harness.oracle import (
    DAY_MS,
    FORMATS,
    HOUR_MS,
    START_MS,
    Question,
    assert_exact,
    assert_problem,
    assert_same_data,
    cache_of,
)
from integration.harness.worker_server import WorkerServer

# Points of the real site that report.
POINTS = 2_174
DAYS = 30
LATENCY_MS = 100
PER_DAY = 288
UNKNOWN = "unknown point"
TOKEN = "bucketed-token-51f0"


@pytest.fixture
def campus(upstream: FakeUpstream, site: str) -> list[str]:
    """The points of a large site that takes its time."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + DAYS * DAY_MS, points=POINTS
    )
    upstream.latency_ms[site] = LATENCY_MS
    return points


def asked_by_point(upstream: FakeUpstream, site: str) -> list[LoggedRequest]:
    """Return the requests for samples of a site, which must all be calls by point."""
    fetches = upstream.fetches(site)
    assert {"points_timeseries"} >= {each.kind for each in fetches}
    return fetches


def learned(client: Client, site: str) -> dict[str, Any]:
    """Return what the Worker has found out of a site; it does so behind a first chart."""

    def compared() -> dict[str, Any] | None:
        sites: list[dict[str, Any]] = client.get("/api/upstream").json()["sites"]
        found = [each for each in sites if each["site"] == site and each["sameSamples"] is not None]
        return found[0] if found else None

    found = until(compared, what=f"comparison for {site}")
    assert found is not None
    return found


def test_a_point_over_a_day_is_one_call(
    client: Client, upstream: FakeUpstream, site: str, campus: list[str]
) -> None:
    """A chart of one point costs one call, and once the site's list; what is seen is told."""
    point = campus[1_000]
    question = Question(site, [point], START_MS, START_MS + DAY_MS)
    answer = question.ask(client)
    assert_exact(upstream, question, answer)
    assert ("miss", [[START_MS, START_MS + DAY_MS]], PER_DAY, 0, 1) == cache_of(answer)
    assert [(point,)] == [each.names for each in asked_by_point(upstream, site)]
    assert 1 == upstream.requests_for(site, "configured_points")
    found = learned(client, site)
    is_heeded = upstream.traits.filter == "heeded"
    assert (is_heeded, True, POINTS) == (
        found["filterHeeded"],
        found["sameSamples"],
        found["points"],
    )
    assert ("filter" if is_heeded else "points", "site") == (
        found["chartCalls"],
        found["siteCalls"],
    )
    assert found["callMs"] >= LATENCY_MS
    # One page has shown it, and no other chart asks for one.
    other = question._replace(points=campus[5:6])
    assert_exact(upstream, other, other.ask(client, "direct"))
    assert 1 == sum(each.is_comparison for each in upstream.log(site))
    assert 1 == upstream.requests_for(site, "configured_points")


def test_twenty_points_over_thirty_days_are_four_calls(
    client: Client, upstream: FakeUpstream, site: str, campus: list[str]
) -> None:
    """Calls by point are as large as is good for them, and hold nothing of other points."""
    question = Question(site, campus[::109], START_MS, START_MS + DAYS * DAY_MS)
    assert 20 == len(question.points)
    answer = question.ask(client)
    assert_exact(upstream, question, answer)
    assert ("miss", 20 * DAYS * PER_DAY, 0, 4) == (cache_of(answer)[0], *cache_of(answer)[2:])
    assert 4 == len(asked_by_point(upstream, site))
    assert 20 * DAYS * PER_DAY == upstream.samples_sent(site)
    assert [(question.start_ms, question.end_ms)] == upstream.fetched_ranges(site, is_merged=True)
    assert "hit" == cache_of(question.ask(client))[0]


def test_an_unknown_point_says_so(
    client: Client, upstream: FakeUpstream, site: str, campus: list[str]
) -> None:
    """Direct, missed and hit, alone and among others: no samples, the reason, no second call."""
    stranger = f"{site}/nobody/knows this"
    question = Question(site, [campus[0], stranger, campus[1]], START_MS, START_MS + DAY_MS)
    for route, status in (("direct", "bypass"), ("cached", "miss"), ("cached", "hit")):
        answer = question.ask(client, route)
        data = assert_exact(upstream, question, answer)["data"]
        assert {"samples": [], "count": 0, "error": UNKNOWN} == data[stranger]
        assert [None, None] == [data[name]["error"] for name in campus[:2]]
        assert status == answer.headers["X-Cache-Status"]
        for output in FORMATS:
            assert_same_data(upstream, question, question.ask(client, route, format=output), output)
    packed = msgspec.msgpack.decode(question.ask(client, format="msgpack").body)
    assert UNKNOWN == packed["data"][stranger]["error"]
    assert stranger not in question.ask(client, format="csv").text
    before = upstream.requests_for("", "points_timeseries")
    alone = question._replace(points=[stranger])
    for route in ("direct", "cached", "cached"):
        assert_exact(upstream, alone, alone.ask(client, route))
    assert before == upstream.requests_for("", "points_timeseries")
    # Once the list was there, nobody was asked for it again.
    asked = [stranger in (each.names or ()) for each in asked_by_point(upstream, site)]
    assert [False] * (len(asked) - 1) == asked[1:]


@pytest.mark.parametrize("route", ["direct", "cached"])
def test_an_unknown_site_is_told_in_words(
    client: Client, upstream: FakeUpstream, site: str, route: str
) -> None:
    """A site that is not there, or not for this token, is 404 and says both."""
    status = int(upstream.traits.unknown_site)
    rest = ", or the Worker's token may not read it" if status == 403 else ""
    question = Question(site, [f"{site}/a"], START_MS, START_MS + DAY_MS)
    document = assert_problem(question.ask(client, route), 404)
    assert f"the upstream knows no site '{site}'{rest}" == document["detail"]
    assert status == document["upstreamStatus"]


def odd_samples(number: int) -> list[tuple[int, Wire]]:
    """Return samples at odd times, some twice, with values of all kinds."""
    values: Sequence[Wire] = ("45.50", "-0.0", "active", "1.6100000143051147", None, "71.0", "")
    samples: list[tuple[int, Wire]] = []
    for at in range(96):
        ms = START_MS + at * 15 * MINUTE_MS + 7 * number + at % 3
        if at % 11 == 0:
            samples.append((ms, "-1"))
        samples.append((ms, values[(at + number) % len(values)]))
    return samples


def test_both_ways_give_the_same_samples(client: Client, upstream: FakeUpstream, site: str) -> None:
    """A few points come by point and all by the site's pages: the same, to the last digit."""
    points = [f"{site}/{number:02d}" for number in range(12)]
    upstream.set_points(site, {name: odd_samples(at) for at, name in enumerate(points)})
    whole = Question(site, points, START_MS, START_MS + DAY_MS)
    few = whole._replace(points=points[3:6])
    by_point = assert_exact(upstream, few, few.ask(client))["data"]
    # The rest, and without the cache all, are so much of the site that its pages are no dearer.
    assert_exact(upstream, whole, whole.ask(client))
    by_page = assert_exact(upstream, whole, whole.ask(client, "direct"))["data"]
    assert ["points_timeseries", "timeseries", "timeseries"] == [
        each.kind for each in upstream.fetches(site)
    ]
    assert [None, None] == [each.names for each in upstream.fetches(site)[1:]]
    assert by_point == {name: by_page[name] for name in few.points}
    assert "hit" == cache_of(whole.ask(client))[0]


def test_unreadable_times_are_counted(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Samples whose times mean nothing are left out and counted, once; the others are right."""
    (point,) = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS)
    upstream.faults.always(site, "bad_times")
    question = Question(site, [point], START_MS, START_MS + DAY_MS)
    unreadable = 0
    for number, (ms, _) in enumerate(upstream.samples(site, point, START_MS, START_MS + DAY_MS)):
        # The first of them, with a blank and UTC, is taken for what it says.
        odd, *bad = unreadable_times(ms)
        times = [*readable_times(ms), odd, *bad]
        unreadable += times[number % len(times)] in bad
    assert unreadable > 100
    for route, told in (("direct", unreadable), ("cached", unreadable), ("cached", 0)):
        document = assert_exact(upstream, question, question.ask(client, route))
        assert told == document["_meta"]["unreadableSamples"]


def test_naive_times_are_exact_to_the_millisecond(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Times without a zone, with six digits behind the second, are UTC and lose nothing."""
    chosen = [START_MS + ms for ms in (1, 36_055, 59_999, 60_000, 3_599_001, DAY_MS - 1)]
    assert "2025-01-01T00:00:36.055000" == naive_text(chosen[1])
    upstream.set_points(site, {f"{site}/p": [(ms, str(ms)) for ms in chosen]})
    for first, last in ((0, 6), (1, 5), (2, 3)):
        question = Question(site, [f"{site}/p"], chosen[first], chosen[last - 1] + 1)
        for route in ("direct", "cached", "cached"):
            data = assert_exact(upstream, question, question.ask(client, route))["data"]
            assert [[ms, ms] for ms in chosen[first:last]] == data[f"{site}/p"]["samples"]


@dataclass(frozen=True, slots=True)
class BucketedWorker:
    """
    A Worker whose upstream has five-minute values for who asks by point.

    Attributes:
        refused: An answer from when the Worker's token was wrong.
    """

    client: Client
    upstream: FakeUpstream
    refused: Answer


@pytest.fixture(scope="module")
def bucketed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketedWorker]:
    """The Worker; its upstream learns its token after a first question."""
    traits = replace(default_traits(os.environ), point_calls="5min")
    with FakeUpstream("another-token-0000", traits, margin_ms=WORKER_MARGIN_MS) as upstream:
        (point,) = upstream.add_generated("refused", start_ms=START_MS, end_ms=START_MS + HOUR_MS)
        folder = tmp_path_factory.mktemp("bucketed")
        with WorkerServer(folder, upstream=upstream.url, token=TOKEN).healthy() as server:
            question = Question("refused", [point], START_MS, START_MS + HOUR_MS)
            refused = question.ask(server.client)
            # From the next site on.
            upstream.token = TOKEN
            yield BucketedWorker(server.client, upstream, refused)


def test_a_wrong_token_is_told_in_words(bucketed: BucketedWorker) -> None:
    """The upstream's answer to a wrong token looks like a failure; the Worker finds out."""
    document = assert_problem(bucketed.refused, 502)
    status = int(bucketed.upstream.traits.wrong_token)
    if status == 500:
        reason = "and 500 to the list of sites as well: the Worker's token may be wrong"
    else:
        reason = "it refuses the Worker's token"
    assert f"{reason} (ACE_API_TOKEN)" in document["detail"]
    assert status == document["upstreamStatus"]
    assert TOKEN not in bucketed.refused.text


def bucket_samples(upstream: FakeUpstream, question: Question, point: str) -> list[list[object]]:
    """Return what a call by point has of a point with numbers each minute."""
    found: dict[int, list[str]] = {}
    for ms, value in upstream.samples(question.site, point, question.start_ms, question.end_ms):
        found.setdefault(ms // BUCKET_MS * BUCKET_MS, []).append(wire_text(value))
    return [
        [ms, expected_value(json.loads(bucket_text(texts)))] for ms, texts in sorted(found.items())
    ]


def test_five_minute_values_are_called_so(bucketed: BucketedWorker) -> None:
    """Where calls by point give other samples than pages, answers say which they have."""
    client, upstream, site = bucketed.client, bucketed.upstream, "bucketed"
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=12, interval_s=60
    )
    chart = Question(site, points[:1], START_MS, START_MS + 2 * HOUR_MS)
    before = chart.ask(client).json()
    # Nobody could know it then.
    assert "resolution" not in before["_meta"]
    assert bucket_samples(upstream, chart, points[0]) == before["data"][points[0]]["samples"]
    is_heeded = upstream.traits.filter == "heeded"
    found = learned(client, site)
    assert (False, is_heeded) == (found["sameSamples"], found["filterHeeded"])
    later = chart._replace(start_ms=START_MS + HOUR_MS, end_ms=START_MS + 4 * HOUR_MS)
    for route in ("cached", "cached", "direct"):
        answer = later.ask(client, route)
        document = answer.json()
        # Where filtered pages can be had, they are raw, and quick enough.
        assert ("raw" if is_heeded else "5min") == document["_meta"]["resolution"]
        if is_heeded:
            assert_exact(upstream, later, answer)
        else:
            expected = bucket_samples(upstream, later, points[0])
            assert expected == document["data"][points[0]]["samples"]
    whole = later._replace(points=points, start_ms=START_MS + 6 * HOUR_MS, end_ms=START_MS + DAY_MS)
    document = assert_exact(upstream, whole, whole.ask(client, "direct"))
    assert "raw" == document["_meta"]["resolution"]
