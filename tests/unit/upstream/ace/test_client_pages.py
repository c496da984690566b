"""Tests of fetching samples: pages, and sites that have none."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.errors import (
    UpstreamSiteUnknown,
)
from building_vitals.ports import HttpAnswer
from building_vitals.ranges import Range
from building_vitals.upstream.ace import page_stream
from building_vitals.upstream.ace.wire import Page, decode_page
from building_vitals.upstream.profile import SiteProfile
from fakes.ace import FOUND, HOUR, NOW_MS, PATH, Bench, FakeAce, Sink, T
from fakes.http import SentRequest, answer, page


async def test_pages_are_followed_to_the_end() -> None:
    """Pages come whole and in order, and the report says what they cost."""
    a, b, c = ("p", "1", T[0]), ("p", "2", T[1]), ("p", None, T[2])
    answers = [page(a, cursor="x"), page(b, c, cursor="y"), page()]
    bench = Bench(*answers)
    report = await bench.fetch("p")

    assert bench.sink.pages == [[a], [b, c], []]
    assert bench.queries("cursor") == [None, "x", "y"]
    assert bench.queries("point_names") == ["p"] * 3
    assert (3, 3) == (report.requests, report.samples_received)


async def test_next_page_is_on_its_way_while_one_is_folded() -> None:
    """When the sink gets a page, the next has been asked for."""
    bench = Bench(page(("p", 1, T[0]), cursor="x"), page(("p", 2, T[1]), cursor="y"), page())
    asked: list[int] = []
    bench.sink = Sink(lambda: asked.append(len(bench.http.requests)))
    await bench.fetch("p")

    assert asked == [2, 3, 3]


async def test_next_page_is_asked_for_before_one_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Decoding takes as long as folding: the cursor at the end of a page is seen before it."""
    bench = Bench(page(("p", 1, T[0]), cursor="x"), page(("p", 2, T[1]), cursor="y"), page())
    asked: list[int] = []

    def decode(body: bytes) -> Page:
        asked.append(len(bench.http.requests))
        return decode_page(body)

    monkeypatch.setattr(page_stream, "decode_page", decode)
    await bench.fetch("p")

    assert asked == [2, 3, 3]
    assert bench.queries("cursor") == [None, "x", "y"]


SAMPLE = {"name": "p", "value": "1", "time": T[0]}


@pytest.mark.parametrize(
    ("content", "cursors"),
    [
        pytest.param(
            {"next_cursor": "x", "has_more": True, "point_samples": [SAMPLE]},
            [None, "x"],
            id="cursor first",
        ),
        pytest.param(
            {"point_samples": [SAMPLE], "next_cursor": 7, "has_more": True},
            [None, "7"],
            id="number",
        ),
        pytest.param(
            {"point_samples": [SAMPLE], "has_more": True, "links": [], "next_cursor": "x"},
            [None, "x"],
            id="another list in between",
        ),
        pytest.param(
            {"point_samples": [SAMPLE], "has_more": False, "links": [], "next_cursor": "x"},
            [None, "x"],
            id="guess is wrong",
        ),
        pytest.param(
            {"point_samples": ["p"], "next_cursor": "x", "has_more": True},
            [None, "x", None, "y"],
            id="page is none",
        ),
    ],
)
async def test_guess_at_the_next_page_is_only_a_guess(
    content: dict[str, Any], cursors: list[str | None]
) -> None:
    """
    Whether the end of a page tells the cursor, nothing, or what is not so, the pages are right.
    """
    last = ("p", "2", T[1])

    def upstream(sent: SentRequest) -> HttpAnswer:
        if "cursor" in sent.query:
            return page(last)
        if len(bench.http.requests) == 1:
            return answer(200, content)
        return page(("p", "1", T[0]), cursor="y")

    bench = Bench(otherwise=upstream)
    await bench.fetch("p")

    assert bench.queries("cursor") == cursors
    ends = content.get("has_more") is False
    assert bench.sink.samples == [("p", "1", T[0]), *([] if ends else [last])]


async def test_page_by_page_the_report_is_given() -> None:
    """The caller hears of each page once the sink has it."""
    bench = Bench(page(("p", 1, T[0]), cursor="x"), page(("p", 2, T[1])))
    heard: list[tuple[int, int]] = []

    async def on_page(report: Any) -> None:
        heard.append((report.samples_received, len(bench.sink.pages)))

    await bench.fetch("p", on_page=on_page)

    assert heard == [(1, 1), (2, 2)]


async def test_nothing_asked_is_nothing_fetched() -> None:
    """Without points, or in an empty range, no request is sent."""
    bench = Bench()
    nowhere = Range(NOW_MS, NOW_MS)

    assert (await bench.fetch()).requests == 0
    assert (await bench.client.fetch_samples("hq", ["p"], nowhere, bench.sink)).requests == 0


async def test_duplicate_points_count_once() -> None:
    """A name asked for twice is in the filter once."""
    bench = Bench(page())
    await bench.fetch("p", "q", "p")

    assert bench.queries("point_names") == ["p,q"]


@pytest.mark.parametrize("values", [[1, "45.50", True, None, "occupied", [1]]])
async def test_pages_pass_through_as_they_were_sent(values: list[Any]) -> None:
    """Disorder, duplicates, other points and other times are the sink's business."""
    sent = [("p", value, T[9 - index]) for index, value in enumerate(values)]
    sent += [("p", "1", T[0]), ("p", "2", T[0]), ("other", 1, T[0]), ("p", 1, "1999-01-01")]
    bench = Bench(page(*sent), calls="site", profile=SiteProfile())
    await bench.fetch("p")

    assert sent == bench.sink.samples


async def test_404_of_a_known_site_is_an_empty_answer() -> None:
    """404 means no data, once the site is known to exist; that is asked once."""
    bench = Bench(answer(404, {}), FOUND, answer(404, {}))

    assert (await bench.fetch("p")).samples_received == 0
    await bench.fetch("p")
    assert [sent.path.removeprefix("/api") for sent in bench.http.requests] == [
        PATH,
        "/sites/hq",
        PATH,
    ]


async def test_404_of_an_unknown_site_says_so() -> None:
    """404 for the site itself is an error of its own, remembered for a while only."""
    bench = Bench(*[answer(404, {})] * 4, FOUND)
    failure = await bench.failure("p")

    assert isinstance(failure, UpstreamSiteUnknown)
    assert failure.detail == "the upstream knows no site 'hq'"
    assert failure.upstream_requests == len(bench.http.requests) > 0
    with pytest.raises(UpstreamSiteUnknown):
        await bench.fetch("p")
    assert len(bench.http.requests) == 3
    bench.clock.advance(60_000)
    await bench.fetch("p")


async def test_404_between_pages_is_repeated() -> None:
    """After a first page, 404 can't mean that there is nothing."""
    first, last = page(("p", 1, T[0]), cursor="x"), page(("p", 2, T[1]))
    bench = Bench(first, answer(404, {}), last)
    await bench.fetch("p")
    stuck = Bench(first, otherwise=answer(404, {}))

    assert len(bench.sink.samples) == 2
    assert (await stuck.failure("p")).detail == f"upstream {PATH} answered 404 after 5 attempts"


async def test_site_is_asked_once_however_many_streams_find_nothing() -> None:
    """Streams that find nothing at the same time share one question for the site."""
    bench = Bench(otherwise=FakeAce("hq", []))
    await bench.fetch("p", "a,b")

    assert [sent.path for sent in bench.http.requests].count("/api/sites/hq") == 1


@pytest.mark.parametrize("site", ["..", ".", ""])
async def test_site_that_walks_up_is_never_asked_for(site: str) -> None:
    """Such a site is unknown without a request."""
    bench = Bench(calls="site")
    for question in (
        bench.client.fetch_samples(site, ["p"], HOUR, bench.sink),
        bench.client.list_points(site),
    ):
        with pytest.raises(UpstreamSiteUnknown):
            await question

    assert bench.http.requests == []
