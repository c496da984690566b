"""Tests of fetching samples: many points, and everything at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.ports import HttpAnswer, HttpFailure
from fakes.ace import PATH, Bench, FakeAce, T
from fakes.http import SentRequest, Step, answer, page

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
    """The first filter is sent alone until its first samples show that it is heeded."""
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
    """Batches interleave, but each one's pages arrive as they were paged."""
    bench = Bench(otherwise=FakeAce("hq", SAMPLES, page_size=30))
    await bench.fetch(*NAMES)

    for name in NAMES:
        assert [each for each in SAMPLES if each[0] == name] == [
            each for each in bench.sink.samples if each[0] == name
        ]


async def test_ignored_filter_does_not_multiply_the_site() -> None:
    """When filters are ignored, the site is fetched once without one, at the price of one page."""
    others = [(f"other {number}", 1, T[0]) for number in range(50)]
    bench = Bench(otherwise=FakeAce("hq", others + SAMPLES, page_size=100, heeds_filter=False))
    await bench.fetch(*NAMES)

    assert set(SAMPLES) <= set(bench.sink.samples)
    assert len(bench.http.requests) == 1 + 10 + bench.http.aborted
    assert bench.http.aborted <= 1
    assert bench.queries("point_names").count(None) == 10


async def test_filter_found_to_be_ignored_late_is_still_right() -> None:
    """First pages that look filtered don't hide that later ones are not."""
    first = set(NAMES[:20])
    looks_filtered = [each for each in SAMPLES if each[0] in first]
    rest = [each for each in SAMPLES if each[0] not in first]
    fake = FakeAce("hq", looks_filtered + rest, page_size=20, heeds_filter=False)
    bench = Bench(otherwise=fake)
    await bench.fetch(*NAMES)

    assert set(SAMPLES) == set(bench.sink.samples)
    assert len(bench.http.requests) < 2 * 45 + 4


async def test_ignored_filter_of_a_single_address_changes_nothing() -> None:
    """With one filter there is nothing to multiply: the one stream goes on."""
    sent = [("p", 1, T[0]), ("other", 1, T[1]), ("p", 2, T[2]), ("other", 1, T[3])]
    bench = Bench(otherwise=FakeAce("hq", sent, heeds_filter=False))
    await bench.fetch("p")

    assert sent == bench.sink.samples
    assert len(bench.http.requests) == 2


async def test_failing_batch_ends_the_others() -> None:
    """When one batch fails, nothing goes on in the background and the error is the batch's own."""
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
    """The call by body has the same patience as pages have."""
    bench = Bench(answer(503, b""), answer(200, b"<html>"), answer(200, {"point_samples": []}))
    report = await bench.fetch("a,b")

    assert 3 == report.requests


async def test_one_request_is_ahead() -> None:
    """The straight path has one request under way at a time."""
    sent = [("p", str(minute), T[minute]) for minute in range(60)]
    bench = Bench(otherwise=FakeAce("hq", sent, page_size=10))
    await bench.fetch("p")

    assert bench.http.in_flight_max == 1
    assert sent == bench.sink.samples


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
    """With any faults that pass, filters heeded or not, the sink gets every sample asked for."""
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

    with _faults(fake, faults) as upstream:
        bench = Bench(otherwise=upstream, max_retries=len(faults), url_length_max=850)
        report = asyncio.run(bench.fetch(*names))

    expected = {each for each in sent if each[0] in names}
    assert expected == {each for each in bench.sink.samples if each[0] in names}
    assert len(bench.sink.samples) == report.samples_received
