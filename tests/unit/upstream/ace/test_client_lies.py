"""Tests of fetching samples: what the client does when the upstream lies or fails."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.errors import (
    UpstreamLimited,
    UpstreamTimeout,
)
from building_vitals.ports import HttpAnswer, HttpFailure
from building_vitals.upstream.ace import page_stream
from fakes.ace import FOUND, HOUR, NOW_MS, PATH, Bench, T
from fakes.http import SentRequest, answer, page

ONE, TWO = ("p", "1", T[0]), ("p", "2", T[1])

LIES: dict[str, tuple[HttpAnswer, str]] = {
    "has_more without cursor": (page(TWO, more=True), "says has_more but gives no cursor"),
    "cursor is empty": (page(TWO, cursor="", more=True), "says has_more but gives no cursor"),
    "no word of what follows": (answer(200, {"point_samples": []}), "does not say whether"),
    "HTML with 200": (answer(200, b"<html>"), "sent what is not a page (JSON is malformed"),
    "cut JSON": (answer(200, page(TWO).body[:-9]), "sent what is not a page (Input data was trun"),
    "nothing": (answer(200, b""), "sent what is not a page (Input data was truncated)"),
    "another shape": (answer(200, {"error": "x"}), "sent what is not a page (Object missing req"),
    "null": (answer(200, None), "sent what is not a page (Expected `object`, got `null`)"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_lie_that_passes_costs_one_more_request(lie: str) -> None:
    """A page that can't be true is asked for again, and nothing of it is kept."""
    bench = Bench(page(ONE, cursor="x"), LIES[lie][0], page(TWO))
    report = await bench.fetch("p")

    assert bench.sink.samples == [ONE, TWO]
    assert bench.queries("cursor") == [None, "x", "x"]
    assert 3 == report.requests


@pytest.mark.parametrize("lie", LIES)
async def test_lie_that_stays_is_an_error(lie: str) -> None:
    """A page that stays untrue ends the fetch with what it did."""
    bench = Bench(page(ONE, cursor="x"), otherwise=LIES[lie][0])
    failure = await bench.failure("p")

    assert failure.detail.startswith(f"upstream {PATH} {LIES[lie][1]}")
    assert failure.detail.endswith(" after 5 attempts")
    assert failure.status == 502
    assert failure.retryable
    assert len(bench.http.requests) == 6


async def test_cursor_loop_over_several_pages_is_seen() -> None:
    """A cursor that leads to the page it has led to before leads nowhere."""
    cursors = {None: "a", "a": "b", "b": "c", "c": "a"}

    def loop(sent: SentRequest) -> HttpAnswer:
        return page(ONE, cursor=cursors[sent.query.get("cursor")])

    bench = Bench(otherwise=loop)
    failure = await bench.failure("p")

    assert "repeats a page it gave before" in failure.detail
    assert bench.queries("cursor") == [None, "a", "b", "c", *["a"] * 5]


async def test_cursor_that_stays_the_same_while_pages_differ_is_followed() -> None:
    """A scroll's identity is the same on every page: all pages come, each once."""
    rows = [("p", str(minute), T[minute]) for minute in range(4)]
    pages = [page(row, cursor="scroll") for row in rows[:3]]
    bench = Bench(*pages, page(rows[3]))
    report = await bench.fetch("p")

    assert rows == bench.sink.samples
    assert 4 == report.requests


async def test_page_equal_to_the_one_before_is_asked_for_again_and_then_an_error() -> None:
    """With the same cursor and the same rows nothing goes on: the page is kept once."""
    again = page(TWO, cursor="x")
    passing = Bench(page(ONE, cursor="x"), again, again, page(("p", "3", T[2])))
    await passing.fetch("p")
    lasting = Bench(page(ONE, cursor="x"), otherwise=again)
    failure = await lasting.failure("p")

    assert [ONE, TWO, ("p", "3", T[2])] == passing.sink.samples
    assert [ONE, TWO] == lasting.sink.samples
    assert f"upstream {PATH} repeats a page it gave before after 5 attempts" == failure.detail


async def test_first_page_may_lie_and_then_be_absent() -> None:
    """A first page asked for again may still turn out to be nothing."""
    bench = Bench(answer(200, b"<html>"), answer(404, {}), FOUND)

    assert (await bench.fetch("p")).samples_received == 0


async def test_bare_nan_is_null() -> None:
    """NaN literals, which JSON does not have, become null."""
    body = page(("p", 5, T[0]), ("p", "7", T[1])).body.replace(b"5", b"NaN", 1)
    bench = Bench(answer(200, body))
    await bench.fetch("p")

    assert bench.sink.samples == [("p", None, T[0]), ("p", "7", T[1])]


async def test_empty_pages_in_between_are_followed() -> None:
    """An empty page that has a next one is not the end."""
    bench = Bench(page(cursor="a"), page(ONE, cursor="b"), page(cursor="c"), page(TWO))
    await bench.fetch("p")

    assert bench.sink.samples == [ONE, TWO]


async def test_endless_empty_pages_are_an_error() -> None:
    """Empty pages with ever new cursors end at a named limit."""

    def endless(sent: SentRequest) -> HttpAnswer:
        return page(cursor=f"c{int(sent.query.get('cursor', 'c0')[1:]) + 1}")

    bench = Bench(otherwise=endless)
    failure = await bench.failure("p")

    assert len(bench.http.requests) == page_stream.EMPTY_PAGES_MAX
    assert failure.detail == f"upstream {PATH} sent 1000 empty pages in a row and says has_more"


async def test_only_empty_pages_in_a_row_count() -> None:
    """Any number of empty pages is right as long as samples come in between."""
    last = 3 * page_stream.EMPTY_PAGES_MAX

    def every_other(sent: SentRequest) -> HttpAnswer:
        number = int(sent.query.get("cursor", "0")) + 1
        samples = [ONE] if number % 2 else []
        return page(*samples, cursor=None if number == last else str(number))

    bench = Bench(otherwise=every_other)

    assert last == (await bench.fetch("p")).requests


async def test_failure_on_a_later_page_is_the_failure_of_all() -> None:
    """What was folded before does not make a result."""
    bench = Bench(page(ONE, cursor="x"), otherwise=HttpFailure("reset"))

    assert "gave no whole answer (reset)" in (await bench.failure("p")).detail


async def test_deadline_is_for_the_whole() -> None:
    """Pages that are each in time still end at the deadline of the whole."""

    def slow(sent: SentRequest) -> HttpAnswer:
        bench.clock.advance(4_000)
        return page(ONE, cursor=f"c{len(bench.http.requests)}")

    bench = Bench(otherwise=slow)
    failure = await bench.failure("p", deadline_ms=NOW_MS + 10_000)

    assert isinstance(failure, UpstreamTimeout)
    assert [sent.timeout_ms for sent in bench.http.requests] == [10_000, 6_000, 2_000]


async def test_rate_limit_beyond_the_deadline_says_when() -> None:
    """A fetch that has no time for a Retry-After fails at once and passes it on."""
    bench = Bench(answer(429, b"", headers={"retry-after": "90"}))
    failure = await bench.failure("p", deadline_ms=NOW_MS + 10_000)

    assert isinstance(failure, UpstreamLimited)
    assert failure.retry_after_s == 90


async def test_cancelled_fetch_leaves_nothing_running() -> None:
    """Whoever gives up on a fetch gives up on its requests."""
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang(sent: SentRequest) -> HttpAnswer:
        asked.set()
        await never.wait()
        return page()

    bench = Bench(page(ONE, cursor="x"), otherwise=hang)
    fetch = asyncio.create_task(bench.client.fetch_samples("hq", ["p"], HOUR, bench.sink))
    await asked.wait()
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch

    assert bench.http.aborted == 1
    assert {asyncio.current_task()} == asyncio.all_tasks()
