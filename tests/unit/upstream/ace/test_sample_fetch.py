"""Tests of one fetch: the streams it is made of, by the way that is cheaper."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.errors import UpstreamSiteUnknown
from building_vitals.instants import DAY_MS
from building_vitals.ports import HttpAnswer, HttpFailure
from building_vitals.ranges import Range
from building_vitals.upstream.ace.fetch_report import FetchReport
from building_vitals.upstream.profile import SiteProfile
from fakes.ace import FILTER_HEEDED, HOUR, NOW_MS, PATH, Bench, Cursors, FakeAce, T, Triple
from fakes.http import SentRequest, Step, answer, page

NAMES = [f"{'building/floor one/air handler ' * 3}{number:04}" for number in range(300)]
CURSORS: list[Cursors] = ["rows", "places", "defective"]
SAMPLES: list[Triple] = [(name, str(minute), T[minute]) for minute in range(3) for name in NAMES]


async def test_many_names_go_into_several_addresses() -> None:
    """
    Every address keeps its limit, every name is asked for once, no more than 4 requests at once.
    """
    bench = Bench(otherwise=FakeAce("hq", SAMPLES, page_size=30), calls="site")
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


async def test_samples_of_a_batch_come_in_their_order() -> None:
    """Batches interleave, but each one's pages arrive as they were paged."""
    bench = Bench(otherwise=FakeAce("hq", SAMPLES, page_size=30), calls="site")
    await bench.fetch(*NAMES)

    for name in NAMES:
        assert [each for each in SAMPLES if each[0] == name] == [
            each for each in bench.sink.samples if each[0] == name
        ]


async def test_ignored_filter_does_not_multiply_the_site() -> None:
    """
    When filters are ignored, the site is fetched once without one, at the price of the pages that
    were under way; the next fetch knows it.
    """
    others: list[Triple] = [(f"other {number}", 1, T[0]) for number in range(50)]
    fake = FakeAce("hq", others + SAMPLES, page_size=100, heeds_filter=False)
    bench = Bench(otherwise=fake, calls="site")
    await bench.fetch(*NAMES)
    filtered = [names for names in bench.queries("point_names") if names is not None]

    assert sorted(others + SAMPLES) == sorted(bench.sink.samples)
    assert len(filtered) <= 2 * 4
    assert bench.queries("point_names").count(None) == 10
    assert bench.learned.is_filter_heeded is False
    await bench.fetch(*NAMES)
    assert bench.queries("point_names").count(None) == 20
    assert len(bench.http.requests) == len(filtered) + 20


async def test_filter_found_to_be_ignored_late_is_still_right() -> None:
    """First pages that look filtered don't hide that later ones are not."""
    first = set(NAMES[:20])
    looks_filtered = [each for each in SAMPLES if each[0] in first]
    rest = [each for each in SAMPLES if each[0] not in first]
    fake = FakeAce("hq", looks_filtered + rest, page_size=20, heeds_filter=False)
    bench = Bench(otherwise=fake, calls="site")
    await bench.fetch(*NAMES)

    assert set(SAMPLES) == set(bench.sink.samples)
    assert len(bench.http.requests) < 2 * 45 + 4


async def test_ignored_filter_of_one_chart_goes_on_by_point() -> None:
    """Where filters turn out to be ignored, the cheaper way is found again: one call more."""
    sent = [("p", 1, T[0]), ("other", 1, T[1]), ("p", 2, T[2]), ("other", 1, T[3])]
    bench = Bench(otherwise=FakeAce("hq", sent, heeds_filter=False))
    await bench.fetch("p")

    assert [sent[0], sent[2]] == bench.sink.samples
    assert [["p"]] == bench.names_asked()


@pytest.mark.parametrize(
    ("calls", "profile", "methods"),
    [
        pytest.param("auto", SiteProfile(), ["POST"], id="a chart of a site of unknown size"),
        pytest.param("auto", FILTER_HEEDED, ["GET"], id="a filter that is heeded"),
        pytest.param("points", FILTER_HEEDED, ["POST"], id="by point, by hand"),
        pytest.param("site", SiteProfile(), ["GET", "GET"], id="by site, by hand"),
        pytest.param("auto", SiteProfile(points=2), ["GET", "GET"], id="a good part of the site"),
    ],
)
async def test_the_cheaper_way_is_taken(
    calls: str, profile: SiteProfile, methods: list[str]
) -> None:
    """The plan decides between a call by point and pages, with a filter or of the whole site."""
    sent = [("p", 1, T[0]), ("other", 1, T[1]), ("p", 2, T[2]), ("other", 1, T[3])]
    bench = Bench(otherwise=FakeAce("hq", sent), calls=calls, profile=profile)
    await bench.fetch("p")

    assert methods == [each.method for each in bench.http.requests]
    assert {sent[0], sent[2]} <= set(bench.sink.samples)


async def test_twenty_points_over_a_month_are_four_calls_in_order_of_time() -> None:
    """The range is cut so that an answer is about a page; the sink hears of each part."""
    month = Range(NOW_MS, NOW_MS + 30 * DAY_MS)
    names = [f"p{number}" for number in range(20)]
    bench = Bench(otherwise=page(), profile=SiteProfile())
    await bench.fetch(*names, time_range=month)

    assert [names] * 4 == bench.names_asked()
    untils = [month.start_ms + 30 * DAY_MS * part // 4 for part in (1, 2, 3, 4)]
    assert [(frozenset(names), until) for until in untils] == bench.sink.advances


async def test_whole_site_is_complete_up_to_each_cursor() -> None:
    """Pages go forward in time: what a cursor has passed is complete, of all points."""
    sent = [(name, "1", T[minute]) for minute in range(4) for name in "ab"]
    fake = FakeAce("hq", sent, cursors="places")
    bench = Bench(otherwise=fake, calls="site", profile=SiteProfile())
    await bench.fetch("a")

    minutes = [NOW_MS + 60_000, NOW_MS + 120_000, HOUR.end_ms]
    assert [(None, until_ms) for until_ms in minutes] == bench.sink.advances


async def test_what_was_seen_is_learned() -> None:
    """Each fetch says how many samples an answer brings."""
    sent = [("p", "1", T[minute]) for minute in range(60)]
    bench = Bench(otherwise=FakeAce("hq", sent), profile=SiteProfile())
    await bench.fetch("p")
    fake = FakeAce("hq", sent, page_size=30)
    by_site = Bench(otherwise=fake, calls="site", profile=SiteProfile())
    await by_site.fetch("p")

    assert (60.0, 0.0) == (bench.learned.call_samples, bench.learned.page_samples)
    assert (0.0, 30.0) == (by_site.learned.call_samples, by_site.learned.page_samples)


async def test_calls_of_two_kinds_in_one_fetch_teach_nothing() -> None:
    """Where pages and calls by point are mixed, no figure says what it is of."""
    sent = [("a,b", 1, T[0]), ("p", 2, T[1])]
    bench = Bench(otherwise=FakeAce("hq", sent))
    await bench.fetch("p", "a,b")

    assert bench.learned == FILTER_HEEDED


async def test_failing_batch_ends_the_others() -> None:
    """When one batch fails, nothing goes on in the background and the error is the batch's own."""
    fake = FakeAce("hq", SAMPLES, page_size=30)

    def broken(sent: SentRequest) -> HttpAnswer:
        if NAMES[100] in sent.query.get("point_names", ""):
            return answer(400, {})
        return fake(sent)

    bench = Bench(otherwise=broken, calls="site")

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


@contextmanager
def _faults(fake: FakeAce, faults: list[str]) -> Iterator[Step]:
    """Give an upstream that has each of the faults once, then none."""
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
    """With any faults that pass, any way and any cursors, the sink gets every sample asked for."""
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
        cursors=data.draw(st.sampled_from(CURSORS)),
        is_naive=data.draw(st.booleans()),
    )
    profile = data.draw(st.sampled_from([SiteProfile(), SiteProfile(points=3), FILTER_HEEDED]))
    calls = data.draw(st.sampled_from(["auto", "points", "site"]))
    faults = data.draw(st.lists(st.sampled_from(["none", "cut", "429", "500", "json", "loop"])))

    with _faults(fake, faults) as upstream:
        bench = Bench(
            otherwise=upstream,
            max_retries=len(faults),
            request_line_max=850,
            calls=calls,
            profile=profile,
        )
        report = asyncio.run(bench.fetch(*names))

    expected = {(name, value, time[:19]) for name, value, time in sent if name in names}
    found = {(name, value, time[:19]) for name, value, time in bench.sink.samples if name in names}
    assert expected == found
    assert all(until_ms <= HOUR.end_ms for _, until_ms in bench.sink.advances)
    assert len(bench.sink.samples) == report.samples_received


async def test_all_points_of_a_site_are_fetched_without_their_names() -> None:
    """Where filters are heeded, too; the site's rate is learned, and its end is told."""
    bench = Bench(otherwise=FakeAce("hq", SAMPLES, page_size=400, cursors="places"))
    await bench.clock.sleep(HOUR.duration_ms)
    told: list[int] = []

    async def on_page(report: FetchReport) -> None:
        told.append(report.samples_received)

    report = await bench.fetch_site(on_page=on_page)
    assert SAMPLES == bench.sink.samples
    assert (3, False) == (report.requests, report.is_by_point)
    assert {None} == set(bench.queries("point_names"))
    assert [400, 800, 900] == told
    assert (None, HOUR.end_ms) == bench.sink.advances[-1]
    assert 900 * 24 == bench.profiles.known("hq").samples_per_day


async def test_a_site_without_samples_has_to_exist() -> None:
    """An empty range is told from a wrong name."""
    bench = Bench(otherwise=FakeAce("hq", []))
    assert 2 == (await bench.fetch_site()).requests
    with pytest.raises(UpstreamSiteUnknown) as caught:
        await bench.fetch_site("nowhere")
    assert 2 == caught.value.upstream_requests
