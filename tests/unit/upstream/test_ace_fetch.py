"""
Tests of fetching samples: pages, filters, slices, and every way the upstream lies.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.core.errors import (
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
    UpstreamTimeout,
)
from building_vitals.core.instant import format_instant
from building_vitals.core.ports import HttpAnswer, HttpFailure
from building_vitals.core.ranges import Range
from building_vitals.upstream import streams
from building_vitals.upstream.client import AceClient
from building_vitals.upstream.settings import UpstreamSettings
from building_vitals.upstream.wire import WireSample
from fakes.clock import VirtualClock
from fakes.http import FakeAce, ScriptedHttp, SentRequest, Step, answer, page

Triple = tuple[str, Any, str]

NOW_MS = 1_735_689_600_000
HOUR = Range(NOW_MS, NOW_MS + 3_600_000)
T = [format_instant(NOW_MS + minute * 60_000) for minute in range(60)]
FOUND = answer(200, {"name": "hq"})
EMPTY_END = page()
PATH = "/sites/hq/timeseries/paginated"


class Sink:
    """
    Keeps what it is given.
    """

    def __init__(self, on_add: Callable[[], None] | None = None) -> None:
        self.pages: list[list[Triple]] = []
        self._on_add = on_add

    def add_page(self, samples: list[WireSample]) -> None:
        """
        Keep a page.
        """
        self.pages.append([(each.name, each.value, each.time) for each in samples])
        if self._on_add is not None:
            self._on_add()

    @property
    def samples(self) -> list[Triple]:
        """
        All samples in the order they came.
        """
        return [sample for each in self.pages for sample in each]


class Bench:
    """
    A client over a script.
    """

    def __init__(self, *steps: Step, otherwise: Step | None = None, **options: Any) -> None:
        self.clock = VirtualClock(NOW_MS)
        self.http = ScriptedHttp(*steps, otherwise=otherwise)
        options = {"base_url": "https://u/api", "token": None, **options}
        self.client = AceClient(self.http, self.clock, UpstreamSettings(**options))
        self.sink = Sink()

    async def fetch(self, *points: str, **options: Any) -> Any:
        """
        Fetch an hour of the points, and assert that nothing is left running.
        """
        try:
            return await self.client.fetch_samples("hq", points, HOUR, self.sink, **options)
        finally:
            assert {asyncio.current_task()} == asyncio.all_tasks()

    async def failure(self, *points: str, **options: Any) -> UpstreamError:
        """
        Return the error that fetching the points ends in.
        """
        with pytest.raises(UpstreamError) as caught:
            await self.fetch(*points, **options)
        return caught.value

    def queries(self, name: str) -> list[str | None]:
        """
        Return one query parameter of all requests for pages.
        """
        return [sent.query.get(name) for sent in self.http.requests if "?" in sent.url]


# Pages


async def test_pages_are_followed_to_the_end() -> None:
    """
    Pages come whole and in order, and the report says what they cost.
    """
    a, b, c = ("p", "1", T[0]), ("p", "2", T[1]), ("p", None, T[2])
    bench = Bench(page(a, cursor="x"), page(b, c, cursor="y"), EMPTY_END)
    report = await bench.fetch("p")

    assert bench.sink.pages == [[a], [b, c], []]
    assert bench.queries("cursor") == [None, "x", "y"]
    assert bench.queries("point_names") == ["p"] * 3
    assert (report.requests, report.pages, report.samples_received) == (3, 3, 3)
    assert report.bytes_received == len(page(a, cursor="x").body + page(b, c, cursor="y").body) + (
        len(EMPTY_END.body)
    )


async def test_next_page_is_on_its_way_while_one_is_folded() -> None:
    """
    When the sink gets a page, the next has been asked for.
    """
    bench = Bench(page(("p", 1, T[0]), cursor="x"), page(("p", 2, T[1]), cursor="y"), page())
    asked: list[int] = []
    bench.sink = Sink(lambda: asked.append(len(bench.http.requests)))
    await bench.fetch("p")

    assert asked == [2, 3, 3]


async def test_page_by_page_the_report_is_given() -> None:
    """
    The caller hears of each page once the sink has it.
    """
    bench = Bench(page(("p", 1, T[0]), cursor="x"), page(("p", 2, T[1])))
    heard: list[tuple[int, int]] = []

    async def on_page(report: Any) -> None:
        heard.append((report.samples_received, len(bench.sink.pages)))

    await bench.fetch("p", on_page=on_page)

    assert heard == [(1, 1), (2, 2)]


async def test_nothing_asked_is_nothing_fetched() -> None:
    """
    Without points, or in an empty range, no request is sent.
    """
    bench = Bench()
    nowhere = Range(NOW_MS, NOW_MS)

    assert (await bench.fetch()).requests == 0
    assert (await bench.client.fetch_samples("hq", ["p"], nowhere, bench.sink)).requests == 0


async def test_duplicate_points_count_once() -> None:
    """
    A name asked for twice is in the filter once.
    """
    bench = Bench(page())
    await bench.fetch("p", "q", "p")

    assert bench.queries("point_names") == ["p,q"]


@pytest.mark.parametrize("values", [[1, "45.50", True, None, "occupied", [1]]])
async def test_pages_pass_through_as_they_were_sent(values: list[Any]) -> None:
    """
    Disorder, duplicates, other points and other times are the sink's business.
    """
    sent = [("p", value, T[9 - index]) for index, value in enumerate(values)]
    sent += [("p", "1", T[0]), ("p", "2", T[0]), ("other", 1, T[0]), ("p", 1, "1999-01-01")]
    bench = Bench(page(*sent))
    await bench.fetch("p")

    assert sent == bench.sink.samples


# Nothing there


async def test_404_of_a_known_site_is_an_empty_answer() -> None:
    """
    404 means no data, once the site is known to exist; that is asked once.
    """
    bench = Bench(answer(404, {}), FOUND, answer(404, {}))

    assert (await bench.fetch("p")).samples_received == 0
    await bench.fetch("p")
    assert [sent.path.removeprefix("/api") for sent in bench.http.requests] == [
        PATH,
        "/sites/hq",
        PATH,
    ]


async def test_404_of_an_unknown_site_says_so() -> None:
    """
    404 for the site itself is an error of its own, remembered for a while only.
    """
    bench = Bench(*[answer(404, {})] * 3, FOUND)
    failure = await bench.failure("p")

    assert isinstance(failure, UpstreamSiteUnknown)
    assert failure.detail == "the upstream knows no site 'hq'"
    with pytest.raises(UpstreamSiteUnknown):
        await bench.fetch("p")
    assert len(bench.http.requests) == 3
    bench.clock.advance(60_000)
    await bench.client.require_site("hq")


async def test_404_between_pages_is_repeated() -> None:
    """
    After a first page, 404 can't mean that there is nothing.
    """
    first, last = page(("p", 1, T[0]), cursor="x"), page(("p", 2, T[1]))
    bench = Bench(first, answer(404, {}), last)
    await bench.fetch("p")
    stuck = Bench(first, otherwise=answer(404, {}))

    assert len(bench.sink.samples) == 2
    assert (await stuck.failure("p")).detail == f"upstream {PATH} answered 404 after 5 attempts"


@pytest.mark.parametrize("slices", [1, 8])
async def test_site_is_asked_once_however_many_streams_find_nothing(slices: int) -> None:
    """
    Streams that find nothing at the same time share one question for the site.
    """
    bench = Bench(otherwise=FakeAce("hq", []))
    await bench.fetch("p", "a,b", slices=slices)

    assert [sent.path for sent in bench.http.requests].count("/api/sites/hq") == 1


@pytest.mark.parametrize("site", ["..", ".", ""])
async def test_site_that_walks_up_is_never_asked_for(site: str) -> None:
    """
    Such a site is unknown without a request.
    """
    bench = Bench()
    for question in (
        bench.client.fetch_samples(site, ["p"], HOUR, bench.sink),
        bench.client.require_site(site),
        bench.client.list_points(site),
    ):
        with pytest.raises(UpstreamSiteUnknown):
            await question

    assert bench.http.requests == []


# Lies and faults

ONE, TWO = ("p", "1", T[0]), ("p", "2", T[1])

LIES: dict[str, tuple[HttpAnswer, str]] = {
    "cursor repeats itself": (page(TWO, cursor="x"), "repeats a cursor it gave before"),
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
    """
    A page that can't be true is asked for again, and nothing of it is kept.
    """
    bench = Bench(page(ONE, cursor="x"), LIES[lie][0], page(TWO))
    report = await bench.fetch("p")

    assert bench.sink.samples == [ONE, TWO]
    assert bench.queries("cursor") == [None, "x", "x"]
    assert (report.requests, report.retries) == (3, 1)


@pytest.mark.parametrize("lie", LIES)
async def test_lie_that_stays_is_an_error(lie: str) -> None:
    """
    A page that stays untrue ends the fetch with what it did.
    """
    bench = Bench(page(ONE, cursor="x"), otherwise=LIES[lie][0])
    failure = await bench.failure("p")

    assert failure.detail.startswith(f"upstream {PATH} {LIES[lie][1]}")
    assert failure.detail.endswith(" after 5 attempts")
    assert failure.status == 502
    assert failure.retryable
    assert len(bench.http.requests) == 6


async def test_cursor_loop_over_several_pages_is_seen() -> None:
    """
    A cursor of any page before counts, not of the last one alone.
    """
    cursors = {None: "a", "a": "b", "b": "c", "c": "a"}

    def loop(sent: SentRequest) -> HttpAnswer:
        return page(ONE, cursor=cursors[sent.query.get("cursor")])

    failure = await Bench(otherwise=loop).failure("p")

    assert "repeats a cursor it gave before" in failure.detail


async def test_first_page_may_lie_and_then_be_absent() -> None:
    """
    A first page asked for again may still turn out to be nothing.
    """
    bench = Bench(answer(200, b"<html>"), answer(404, {}), FOUND)

    assert (await bench.fetch("p")).samples_received == 0


async def test_bare_nan_is_null() -> None:
    """
    NaN literals, which JSON does not have, become null.
    """
    body = page(("p", 5, T[0]), ("p", "7", T[1])).body.replace(b"5", b"NaN", 1)
    bench = Bench(answer(200, body))
    await bench.fetch("p")

    assert bench.sink.samples == [("p", None, T[0]), ("p", "7", T[1])]


async def test_empty_pages_in_between_are_followed() -> None:
    """
    An empty page that has a next one is not the end.
    """
    bench = Bench(page(cursor="a"), page(ONE, cursor="b"), page(cursor="c"), page(TWO))
    await bench.fetch("p")

    assert bench.sink.samples == [ONE, TWO]


async def test_endless_empty_pages_are_an_error() -> None:
    """
    Empty pages with ever new cursors end at a named limit.
    """

    def endless(sent: SentRequest) -> HttpAnswer:
        return page(cursor=f"c{int(sent.query.get('cursor', 'c0')[1:]) + 1}")

    bench = Bench(otherwise=endless)
    failure = await bench.failure("p")

    assert len(bench.http.requests) == streams.EMPTY_PAGES_MAX
    assert failure.detail == f"upstream {PATH} sent 1000 empty pages in a row and says has_more"


async def test_only_empty_pages_in_a_row_count() -> None:
    """
    Any number of empty pages is right as long as samples come in between.
    """
    last = 3 * streams.EMPTY_PAGES_MAX

    def every_other(sent: SentRequest) -> HttpAnswer:
        number = int(sent.query.get("cursor", "0")) + 1
        samples = [ONE] if number % 2 else []
        return page(*samples, cursor=None if number == last else str(number))

    bench = Bench(otherwise=every_other)

    assert (await bench.fetch("p")).pages == last


async def test_failure_on_a_later_page_is_the_failure_of_all() -> None:
    """
    What was folded before does not make a result.
    """
    bench = Bench(page(ONE, cursor="x"), otherwise=HttpFailure("reset"))

    assert "gave no whole answer (reset)" in (await bench.failure("p")).detail


async def test_unreadable_sample_is_the_upstreams_fault() -> None:
    """
    When the sink cannot read a sample, the error says so and the next page is given up.
    """
    bench = Bench(page(ONE, cursor="x"), otherwise=page())

    def refuse() -> None:
        raise ValueError("not an ISO 8601 time: 'noon'")

    bench.sink = Sink(refuse)
    failure = await bench.failure("p")

    assert failure.detail == (
        f"upstream {PATH} sent a sample that cannot be read: not an ISO 8601 time: 'noon'"
    )
    assert bench.http.aborted == 1


async def test_deadline_is_for_the_whole() -> None:
    """
    Pages that are each in time still end at the deadline of the whole.
    """
    bench = Bench()

    def slow(sent: SentRequest) -> HttpAnswer:
        bench.clock.advance(4_000)
        return page(ONE, cursor=f"c{len(bench.http.requests)}")

    bench.http = ScriptedHttp(otherwise=slow)
    bench.client = AceClient(
        bench.http, bench.clock, UpstreamSettings(base_url="https://u", token=None)
    )
    failure = await bench.failure("p", deadline_ms=NOW_MS + 10_000)

    assert isinstance(failure, UpstreamTimeout)
    assert [sent.timeout_ms for sent in bench.http.requests] == [10_000, 6_000, 2_000]


async def test_rate_limit_beyond_the_deadline_says_when() -> None:
    """
    A fetch that has no time for a Retry-After fails at once and passes it on.
    """
    bench = Bench(answer(429, b"", headers={"retry-after": "90"}))
    failure = await bench.failure("p", deadline_ms=NOW_MS + 10_000)

    assert isinstance(failure, UpstreamLimited)
    assert failure.retry_after_s == 90


async def test_cancelled_fetch_leaves_nothing_running() -> None:
    """
    Whoever gives up on a fetch gives up on its requests.
    """
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


# Many points

NAMES = [f"{'building/floor one/air handler ' * 3}{number:04}" for number in range(300)]
SAMPLES = [(name, str(minute), T[minute]) for minute in range(3) for name in NAMES]


async def test_many_names_go_into_several_addresses() -> None:
    """
    Every address keeps its limit, every name is asked for once, no more than 4 requests at once.
    """
    bench = Bench(otherwise=FakeAce("hq", SAMPLES, page_size=30))
    await bench.fetch(*NAMES)
    firsts = [
        sent.query["point_names"].split(",")
        for sent in bench.http.requests
        if "cursor" not in sent.query
    ]

    assert sorted(SAMPLES) == sorted(bench.sink.samples)
    assert [name for names in firsts for name in names] == NAMES
    assert len(firsts) > 4
    assert all(len(sent.url) <= 7_000 for sent in bench.http.requests)
    assert bench.http.in_flight_max == 4


async def test_second_filter_waits_for_the_first_ones_samples_and_no_longer() -> None:
    """
    The first filter is sent alone until its first samples show that it is heeded.
    """
    fake = FakeAce("hq", SAMPLES, page_size=10)
    sent_with: list[tuple[str | None, str]] = []

    def upstream(sent: SentRequest) -> HttpAnswer:
        names = sent.query["point_names"]
        sent_with.append((sent.query.get("cursor"), names))
        if NAMES[0] in names and "cursor" not in sent.query:
            return page(cursor="at-0")
        return fake(sent)

    bench = Bench(otherwise=upstream)
    await bench.fetch(*NAMES)
    others = [index for index, (_, names) in enumerate(sent_with) if NAMES[0] not in names]
    firsts = [index for index, (_, names) in enumerate(sent_with) if NAMES[0] in names]

    assert min(others) in (2, 3)
    assert min(others) < max(firsts) - 2
    assert sorted(SAMPLES) == sorted(bench.sink.samples)


async def test_samples_of_a_batch_come_in_their_order() -> None:
    """
    Batches interleave, but each one's pages arrive as they were paged.
    """
    bench = Bench(otherwise=FakeAce("hq", SAMPLES, page_size=30))
    await bench.fetch(*NAMES)

    for name in NAMES:
        assert [each for each in SAMPLES if each[0] == name] == [
            each for each in bench.sink.samples if each[0] == name
        ]


async def test_ignored_filter_does_not_multiply_the_site() -> None:
    """
    When filters are ignored, the site is fetched once without one, at the price of one page.
    """
    others = [(f"other {number}", 1, T[0]) for number in range(50)]
    bench = Bench(otherwise=FakeAce("hq", others + SAMPLES, page_size=100, heeds_filter=False))
    await bench.fetch(*NAMES)

    assert set(SAMPLES) <= set(bench.sink.samples)
    assert len(bench.http.requests) == 1 + 10 + bench.http.aborted
    assert bench.http.aborted <= 1
    assert bench.queries("point_names").count(None) == 10


async def test_filter_found_to_be_ignored_late_is_still_right() -> None:
    """
    First pages that look filtered don't hide that later ones are not.
    """
    first = set(NAMES[:20])
    looks_filtered = [each for each in SAMPLES if each[0] in first]
    rest = [each for each in SAMPLES if each[0] not in first]
    fake = FakeAce("hq", looks_filtered + rest, page_size=20, heeds_filter=False)
    bench = Bench(otherwise=fake)
    await bench.fetch(*NAMES)

    assert set(SAMPLES) == set(bench.sink.samples)
    assert len(bench.http.requests) < 2 * 45 + 4


async def test_ignored_filter_of_a_single_address_changes_nothing() -> None:
    """
    With one filter there is nothing to multiply: the one stream goes on.
    """
    sent = [("p", 1, T[0]), ("other", 1, T[1]), ("p", 2, T[2]), ("other", 1, T[3])]
    bench = Bench(otherwise=FakeAce("hq", sent, heeds_filter=False))
    await bench.fetch("p")

    assert sent == bench.sink.samples
    assert len(bench.http.requests) == 2


async def test_failing_batch_ends_the_others() -> None:
    """
    When one batch fails, nothing goes on in the background and the error is the batch's own.
    """
    fake = FakeAce("hq", SAMPLES, page_size=30)

    def broken(sent: SentRequest) -> HttpAnswer:
        if NAMES[100] in sent.query.get("point_names", ""):
            return answer(400, {})
        return fake(sent)

    bench = Bench(otherwise=broken)

    assert (await bench.failure(*NAMES)).detail == f"upstream {PATH} answered 400"


async def test_names_with_commas_go_into_a_body() -> None:
    """
    A name that a comma-separated list would break up is asked for by itself, others by filter.
    """
    sent = [("a,b", 1, T[0]), ("p", 2, T[1]), ("a", 3, T[2]), (" padded ", 4, T[3])]
    bench = Bench(otherwise=FakeAce("hq", sent))
    await bench.fetch("p", "a,b", " padded ")
    post = next(each for each in bench.http.requests if each.method == "POST")

    assert sorted(sent[:2] + sent[3:]) == sorted(bench.sink.samples)
    assert json.loads(post.body or b"") == {"points": [{"name": "a,b"}, {"name": " padded "}]}
    assert post.headers["content-type"] == "application/json"
    assert bench.queries("point_names").count("p") == 1


async def test_call_without_pages_repeats_what_is_no_answer() -> None:
    """
    The call by body has the same patience as pages have.
    """
    bench = Bench(answer(503, b""), answer(200, b"<html>"), answer(200, {"point_samples": []}))
    report = await bench.fetch("a,b")

    assert (report.requests, report.retries, report.pages) == (3, 2, 1)


# Slices


async def test_slices_are_fetched_side_by_side_and_given_in_order() -> None:
    """
    The parts of the range are asked for at once, yet the sink gets them by time.
    """
    sent = [("p", str(minute), T[minute]) for minute in range(60)]
    bench = Bench(otherwise=FakeAce("hq", sent, page_size=10))
    report = await bench.fetch("p", slices=6)

    assert sent == bench.sink.samples
    assert bench.http.in_flight_max == 4
    assert report.requests == 6


async def test_slices_keep_their_order_when_answers_do_not() -> None:
    """
    A slice whose page comes first waits for those before it.
    """
    sent = [("p", str(minute), T[minute]) for minute in range(60)]
    fake = FakeAce("hq", sent, page_size=10)

    async def backwards(request: SentRequest) -> HttpAnswer:
        minute = int(request.query["start_time"][14:16])
        for _ in range(200 - minute * 3):
            await asyncio.sleep(0)
        return fake(request)

    bench = Bench(otherwise=backwards)
    await bench.fetch("p", slices=3)

    assert sent == bench.sink.samples


async def test_without_slices_one_request_is_ahead() -> None:
    """
    The straight path has one request under way at a time.
    """
    sent = [("p", str(minute), T[minute]) for minute in range(60)]
    bench = Bench(otherwise=FakeAce("hq", sent, page_size=10))
    await bench.fetch("p")

    assert bench.http.in_flight_max == 1
    assert sent == bench.sink.samples


# All at once


@contextmanager
def _faults(fake: FakeAce, faults: list[str]) -> Iterator[Step]:
    """
    Give an upstream that has each of the faults once, then none.
    """
    pending = list(faults)

    def upstream(sent: SentRequest) -> HttpAnswer | Awaitable[HttpAnswer]:
        fault = pending.pop(0) if pending else "none"
        right = fake(sent)
        if fault == "cut":
            raise HttpFailure("cut")
        if fault in ("429", "500"):
            return answer(int(fault), b"", headers={"retry-after": "1"})
        if fault == "json":
            return HttpAnswer(200, {}, right.body[:-3] + b"<")
        if fault == "loop" and "cursor" in sent.query:
            return page(cursor=sent.query["cursor"])
        return right

    yield upstream


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_result_is_whole_whatever_happens_on_the_way(data: st.DataObject) -> None:
    """
    With any faults that pass, filters heeded or not, the sink gets every sample asked for.
    """
    names = data.draw(st.lists(st.sampled_from(["a", "b b", "c,c", "d/d", "é" * 30]), unique=True))
    moments = data.draw(
        st.lists(st.tuples(st.sampled_from([*names, "other"]), st.integers(0, 59)), unique=True)
    )
    sent = [(name, str(minute), T[minute]) for name, minute in sorted(moments, key=lambda m: m[1])]
    fake = FakeAce(
        "hq",
        sent,
        page_size=data.draw(st.integers(1, 7)),
        heeds_filter=data.draw(st.booleans()),
    )
    faults = data.draw(st.lists(st.sampled_from(["none", "cut", "429", "500", "json", "loop"])))
    slices = data.draw(st.integers(1, 5))

    with _faults(fake, faults) as upstream:
        bench = Bench(otherwise=upstream, max_retries=len(faults), url_length_max=850)
        report = asyncio.run(bench.fetch(*names, slices=slices))

    wanted = {each for each in sent if each[0] in names}
    assert wanted == {each for each in bench.sink.samples if each[0] in names}
    assert len(bench.sink.samples) == report.samples_received
