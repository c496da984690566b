"""Tests of calls by point: parts where an answer dies, names where a call takes fewer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from building_vitals.errors import UpstreamError
from building_vitals.instants import DAY_MS, HOUR_MS, parse_iso
from building_vitals.ports import HttpAnswer, HttpTooLarge
from building_vitals.ranges import Range
from building_vitals.upstream.ace.calls import AnswerCut
from building_vitals.upstream.profile import SiteProfile
from fakes.ace import HOUR, NOW_MS, Bench, FakeAce, T
from fakes.http import SentRequest, answer, page

CUT = AnswerCut("upstream /x gave no whole answer", retryable=True)
BY_POINT: dict[str, Any] = {"calls": "points", "profile": SiteProfile()}


def ranges_asked(bench: Bench) -> list[tuple[float, float]]:
    """Return the ranges of the calls in hours; the margin before each left out."""
    return [
        (
            (parse_iso(sent.query["start_time"]) + 1_000 - NOW_MS) / HOUR_MS,
            (parse_iso(sent.query["end_time"]) - NOW_MS) / HOUR_MS,
        )
        for sent in bench.http.requests
    ]


async def test_call_without_pages_repeats_what_is_no_answer() -> None:
    """The call by body has the same patience as pages have."""
    bench = Bench(answer(503, b""), answer(200, b"<html>"), answer(200, {"point_samples": []}))
    report = await bench.fetch("a,b")

    assert 3 == report.requests


async def test_answer_that_says_it_is_not_all_is_not_taken() -> None:
    """There is no next page to ask for: such an answer would be an end too early."""
    first = page(("p", 1, T[0]), cursor="x")
    failure = await Bench(otherwise=first, **BY_POINT).failure("p")

    assert "says has_more in an answer without pages after 5 attempts" in failure.detail


async def test_absence_is_an_empty_answer() -> None:
    """Where nothing is found, 404 may be said instead of an empty list."""
    bench = Bench(answer(404, {}), **BY_POINT)
    await bench.fetch("p")

    assert [] == bench.sink.samples
    assert [(frozenset("p"), HOUR.end_ms)] == bench.sink.advances


async def test_answer_that_dies_is_asked_for_in_halves() -> None:
    """Each half in order of time, halved again where it dies too; each is complete when it came."""
    rows = [("p", str(hour), f"2025-01-01T0{hour}:00:00Z") for hour in range(4)]
    fake = FakeAce("hq", rows)

    def upstream(sent: SentRequest) -> HttpAnswer:
        hours = (parse_iso(sent.query["end_time"]) - parse_iso(sent.query["start_time"])) // HOUR_MS
        if hours > 2 or (hours == 2 and parse_iso(sent.query["start_time"]) < NOW_MS):
            raise CUT
        return fake(sent)

    bench = Bench(otherwise=upstream, **BY_POINT)
    await bench.fetch("p", time_range=Range(NOW_MS, NOW_MS + 4 * HOUR_MS))

    assert [(0, 4), (0, 2), (0, 1), (1, 2), (2, 4)] == ranges_asked(bench)
    assert rows == bench.sink.samples
    untils = [until_ms for _, until_ms in bench.sink.advances]
    assert [NOW_MS + hours * HOUR_MS for hours in (1, 2, 4)] == untils


async def test_short_parts_that_die_end_the_fetch() -> None:
    """Below an hour it is not the size: the call is tried as often as any, then it fails."""
    bench = Bench(otherwise=CUT, max_retries=2, **BY_POINT)
    failure = await bench.failure("p", time_range=Range(NOW_MS, NOW_MS + 2 * HOUR_MS))

    assert [(0, 2), (0, 1), (0, 1), (0, 1)] == ranges_asked(bench)
    assert CUT.detail == failure.detail


async def test_an_hour_that_is_too_much_is_divided_by_names_then_by_time() -> None:
    """Dense points: what is more than the Worker reads comes in parts, and the whole is there."""
    rows = [(name, str(n), T[n]) for n in range(3) for name in "abcd"]
    fake = FakeAce("hq", rows)

    def upstream(sent: SentRequest) -> HttpAnswer:
        asked = {each["name"] for each in json.loads(sent.body or b"")["points"]}
        minutes = parse_iso(sent.query["end_time"]) - parse_iso(sent.query["start_time"])
        if len(asked) > 1 or (asked == {"a"} and minutes > HOUR_MS / 2 + 1_000):
            raise HttpTooLarge("the body has more than 9 bytes")
        return fake(sent)

    bench = Bench(otherwise=upstream, **BY_POINT)
    await bench.fetch(*"abcd")

    assert [4, 2, 1, 1, 1, 1, 2, 1, 1] == [len(each) for each in bench.names_asked()]
    assert sorted(rows) == sorted(bench.sink.samples)


async def test_too_many_names_are_divided_and_the_number_is_learned() -> None:
    """A call refused for its names goes out in halves; the next fetch begins with fewer."""
    names = [f"p{number:03}" for number in range(90)]
    rows = [(name, "1", T[0]) for name in names]
    bench = Bench(otherwise=FakeAce("hq", rows, names_max=50), **BY_POINT)
    await bench.fetch(*names)

    assert [90, 45, 45] == [len(each) for each in bench.names_asked()]
    assert rows == sorted(bench.sink.samples)
    assert 45 == bench.learned.names_max
    await bench.fetch(*names)
    assert [45, 45] == [len(each) for each in bench.names_asked()[3:]]


async def test_largest_number_that_went_through_everywhere_is_learned() -> None:
    """Of several groups, the one that had to be divided most counts."""
    names = [f"p{number:03}" for number in range(800)]

    def upstream(sent: SentRequest) -> HttpAnswer:
        asked = {each["name"] for each in json.loads(sent.body or b"")["points"]}
        limit = 30 if "p000" in asked else 60
        return answer(400, {}) if len(asked) > limit else page()

    bench = Bench(otherwise=upstream, **BY_POINT)
    await bench.fetch(*names)

    assert 25 == bench.learned.names_max


@pytest.mark.parametrize(("status", "count"), [(400, 19), (401, 90), (500, 90)])
async def test_refusals_for_another_reason_end_the_fetch(status: int, count: int) -> None:
    """Few names are not too many, and other refusals are not about names."""
    bench = Bench(otherwise=answer(status, {}), max_retries=0, **BY_POINT)
    failure = await bench.failure(*[f"p{number}" for number in range(count)])

    assert status == failure.upstream_status
    assert 1 == len(bench.http.requests)


async def test_samples_at_the_ends_reach_the_sink_once() -> None:
    """Parts meet: what both send, an end that is included and a margin, comes from one of them."""
    names = [f"p{number}" for number in range(50)]
    two_days = Range(NOW_MS, NOW_MS + 4 * DAY_MS)
    rows = [(name, "1", f"2025-01-0{day}T00:00:00Z") for day in range(1, 6) for name in names]
    bench = Bench(otherwise=FakeAce("hq", rows, is_inclusive=True), **BY_POINT)
    await bench.fetch(*names, time_range=two_days)

    assert 2 == len(bench.http.requests)
    assert [row for row in rows if "01-05" not in row[2]] == bench.sink.samples


async def test_parts_of_a_group_reach_the_sink_in_order_of_time() -> None:
    """Calls run at once; a later part that comes first waits."""
    names = [f"p{number}" for number in range(50)]
    second_is_here = asyncio.Event()

    async def upstream(sent: SentRequest) -> HttpAnswer:
        is_first = parse_iso(sent.query["start_time"]) < NOW_MS
        if is_first:
            await second_is_here.wait()
            return page(("p0", "1", T[0]))
        second_is_here.set()
        return page(("p0", "2", "2025-01-04T00:00:00Z"))

    bench = Bench(otherwise=upstream, **BY_POINT)
    await bench.fetch(*names, time_range=Range(NOW_MS, NOW_MS + 4 * DAY_MS))

    assert ["1", "2"] == [value for _, value, _ in bench.sink.samples]
    assert sorted(bench.sink.advances, key=lambda each: each[1]) == bench.sink.advances


async def test_failing_part_ends_the_others() -> None:
    """When one call fails, nothing goes on in the background and the error is its own."""
    names = [f"p{number}" for number in range(50)]

    def upstream(sent: SentRequest) -> HttpAnswer:
        return page() if parse_iso(sent.query["start_time"]) >= NOW_MS else answer(401, {})

    bench = Bench(otherwise=upstream, **BY_POINT)
    with pytest.raises(UpstreamError, match="answered 401"):
        await bench.fetch(*names, time_range=Range(NOW_MS, NOW_MS + 4 * DAY_MS))

    assert [] == bench.sink.advances
