"""Tests of one stream of pages: the defect of cursors, what is complete, sizes that shrink."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from building_vitals.ports import HttpAnswer
from building_vitals.upstream.ace.calls import AnswerCut
from building_vitals.upstream.ace.page_stream import PAGE_SIZE_LEAST
from building_vitals.upstream.profile import SiteProfile
from fakes.ace import HOUR, NOW_MS, PATH, Bench, FakeAce, T, Triple, place_cursor
from fakes.http import SentRequest, answer, page
from fakes.virtual_time import in_virtual_time

WHOLE_SITE: dict[str, Any] = {"calls": "site", "profile": SiteProfile()}
CUT = AnswerCut("upstream /x gave no whole answer", retryable=True)


def minutes(names: str, first: int, last: int) -> list[Triple]:
    """Return a sample of each point in each of some minutes."""
    return [(name, str(minute), T[minute]) for minute in range(first, last) for name in names]


async def test_one_request_is_ahead() -> None:
    """The straight path has one request under way at a time."""
    sent = minutes("p", 0, 60)
    bench = Bench(otherwise=FakeAce("hq", sent, page_size=10))
    await bench.fetch("p")

    assert bench.http.in_flight_max == 1
    assert sent == bench.sink.samples


@in_virtual_time
async def test_a_page_ahead_may_fail_before_it_is_wanted() -> None:
    """The failure of a page on its way waits for the page before, and nothing prints it."""
    bench = Bench(page(*minutes("ab", 0, 2), cursor="x"), otherwise=answer(400, {}), **WHOLE_SITE)

    async def rest(report: object) -> None:
        await asyncio.sleep(1)

    failure = await bench.failure("a", on_page=rest)
    assert 400 == failure.upstream_status


@pytest.mark.parametrize("is_naive", [False, True])
@pytest.mark.parametrize("page_size", [3, 5, 10, 11])
async def test_pages_within_one_moment_are_all_fetched(page_size: int, is_naive: bool) -> None:
    """The service's defective cursor would lead back to the page it came from, for ever."""
    sent = minutes("abcdefghijk", 0, 5)
    fake = FakeAce("hq", sent, page_size=page_size, cursors="defective", is_naive=is_naive)
    bench = Bench(otherwise=fake, **WHOLE_SITE)
    await bench.fetch("a")

    assert [each[:2] for each in sent] == [each[:2] for each in bench.sink.samples]


async def test_no_request_is_wasted_on_a_defective_cursor() -> None:
    """Where the end of a body may tell the wrong cursor, nothing is asked for before decoding."""
    sent = minutes("abcdefghijk", 0, 5)
    fake = FakeAce("hq", sent, page_size=3, cursors="defective")
    bench = Bench(otherwise=fake, **WHOLE_SITE)
    report = await bench.fetch("a")

    assert -(-len(sent) // 3) == report.requests
    assert 0 == bench.http.aborted


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        pytest.param(minutes("ab", 0, 2), [NOW_MS + 60_000], id="points take turns"),
        pytest.param(minutes("a", 0, 4), [], id="may be one point after the other"),
        pytest.param(minutes("a", 0, 2) + minutes("b", 2, 4), [], id="one point, then another"),
        pytest.param(minutes("ab", 2, 4)[::-1], [], id="backwards"),
        pytest.param([("a", 1, "noon"), ("b", 1, "noon"), ("a", 1, "x")], [], id="unreadable"),
    ],
)
async def test_cursors_without_a_time_say_what_is_complete_only_by_their_rows(
    first: Sequence[Triple], expected: list[int]
) -> None:
    """What is told to be complete is kept although the fetch fails: it must be so."""
    bench = Bench(page(*first, cursor="x"), otherwise=answer(400, {}), **WHOLE_SITE)
    await bench.failure("a")

    assert [(None, until_ms) for until_ms in expected] == bench.sink.advances


async def test_one_point_by_filter_is_complete_up_to_its_last_row() -> None:
    """Where one point alone was asked for, the rows in order are its time."""
    bench = Bench(page(*minutes("p", 0, 3), cursor="x"), otherwise=answer(400, {}))
    await bench.failure("p")

    assert [(frozenset("p"), NOW_MS + 120_000)] == bench.sink.advances


async def test_rows_that_go_back_end_what_is_known_to_be_complete() -> None:
    """Once a page begins before the last one's end, no page says what is complete."""
    pages = [
        page(*minutes("aba", 4, 6), cursor="x"),
        page(*minutes("aba", 2, 4), cursor="y"),
        page(*minutes("aba", 7, 9), cursor="z"),
    ]
    bench = Bench(*pages, otherwise=answer(400, {}), **WHOLE_SITE)
    await bench.failure("a")

    assert [(None, NOW_MS + 300_000)] == bench.sink.advances


async def test_time_of_a_cursor_counts_more_than_rows() -> None:
    """A cursor with a time tells what is complete, whatever the rows' order."""
    rows = [("a", 1, T[2]), ("a", 1, T[1])]
    bench = Bench(
        page(*rows, cursor=place_cursor(1, T[3])), otherwise=answer(400, {}), **WHOLE_SITE
    )
    await bench.failure("a")

    assert [(None, NOW_MS + 180_000)] == bench.sink.advances


async def test_pages_that_die_on_their_way_are_asked_for_smaller() -> None:
    """The same cursor with the next smaller size, for all pages after it too; it is learned."""
    rows = [page(row, cursor=f"c{at}") for at, row in enumerate(minutes("p", 0, 3))]
    bench = Bench(rows[0], CUT, CUT, rows[1], rows[2], page(), page_size=50_000)
    await bench.fetch("p")

    sizes = [int(size or 0) for size in bench.queries("page_size")]
    assert [50_000, 50_000, 10_000, 5_000, 5_000, 5_000] == sizes
    assert [None, "c0", "c0", "c0", "c1", "c2"] == bench.queries("cursor")
    assert minutes("p", 0, 3) == bench.sink.samples
    assert 5_000 == bench.learned.page_size
    assert 0 == len(bench.clock.sleeps)


async def test_next_fetch_begins_with_the_size_that_came_through() -> None:
    """What was learned of one fetch saves the next one the dead pages."""
    bench = Bench(CUT, otherwise=page(), page_size=50_000)
    await bench.fetch("p")
    await bench.fetch("p")

    assert ["50000", "10000", "10000"] == bench.queries("page_size")


async def test_page_of_an_invalid_answer_may_die_too() -> None:
    """An answer that is asked for again because it was no page can be cut as well."""
    bench = Bench(answer(200, b"<html>"), CUT, page(*minutes("p", 0, 1)), page_size=1_000)
    await bench.fetch("p")

    assert ["1000", "1000", "500"] == bench.queries("page_size")
    assert minutes("p", 0, 1) == bench.sink.samples


async def test_page_that_is_asked_for_again_and_dies_is_the_same_page() -> None:
    """What a body that is no page says at its end does not move the walk on."""
    refused = {"point_samples": [1], "next_cursor": "x", "has_more": True}

    def upstream(sent: SentRequest) -> HttpAnswer:
        firsts = bench.queries("cursor").count(None)
        if "cursor" in sent.query:
            return page(*minutes("p", 1, 2))
        if firsts == 1:
            return answer(200, refused)
        if firsts == 2:
            raise CUT
        return page(*minutes("p", 0, 1), cursor="x")

    bench = Bench(otherwise=upstream, page_size=1_000)
    await bench.fetch("p")

    assert minutes("p", 0, 2) == bench.sink.samples


async def test_smallest_pages_that_die_end_the_fetch() -> None:
    """Below some size it is not the size: the page is tried as often as any, then it fails."""
    bench = Bench(otherwise=CUT, page_size=1_000, max_retries=2)
    failure = await bench.failure("p")

    sizes = [int(size or 0) for size in bench.queries("page_size")]
    assert [1_000, PAGE_SIZE_LEAST, PAGE_SIZE_LEAST, PAGE_SIZE_LEAST] == sizes
    assert failure.detail == CUT.detail


async def test_absence_is_an_answer_for_the_first_page_only() -> None:
    """A later page that is not there would be an end too early, in the middle of a walk."""

    def gone(sent: SentRequest) -> HttpAnswer:
        if "cursor" in sent.query:
            return answer(404, {})
        return page(*minutes("p", 0, 1), cursor="x")

    failure = await Bench(otherwise=gone).failure("p")

    assert f"upstream {PATH} answered 404 after 5 attempts" == failure.detail


async def test_end_of_the_range_is_told_at_the_end() -> None:
    """When the last page has come, all of the range is complete."""
    bench = Bench(page(*minutes("p", 0, 2)))
    await bench.fetch("p")

    assert (frozenset("p"), HOUR.end_ms) == bench.sink.advances[-1]


async def test_a_stream_ends_where_no_more_is_wanted() -> None:
    """No page is asked for in vain; what came is complete as far as its cursor says."""
    fake = FakeAce("hq", minutes("ab", 0, 60), page_size=10, cursors="places")
    bench = Bench(otherwise=fake)
    await bench.clock.sleep(HOUR.duration_ms)

    def goes_on() -> bool:
        return len(bench.http.requests) < 3

    report = await bench.fetch_site(goes_on=goes_on)
    assert (3, 30) == (report.requests, report.samples_received)
    assert minutes("ab", 0, 15) == bench.sink.samples
    assert (None, NOW_MS + 14 * 60_000) == bench.sink.advances[-1]
    assert 0 == bench.profiles.known("hq").samples_per_day


async def test_an_end_before_anything_is_complete_is_no_observation() -> None:
    """Rows of one point after the other say nothing of time before the last one has come."""
    samples = minutes("a", 0, 60) + minutes("b", 0, 60)
    bench = Bench(otherwise=FakeAce("hq", samples, page_size=50))
    await bench.clock.sleep(HOUR.duration_ms)
    await bench.fetch_site(goes_on=lambda: False)
    assert [] == bench.sink.advances
    assert SiteProfile(is_filter_heeded=True) == bench.profiles.known("hq")
