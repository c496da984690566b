"""Every wart of the upstream on the direct route: right answers, or what went wrong."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fakes.upstream import TIMESERIES, FakeUpstream
from fakes.upstream_warts import WARTS
from integration.harness.brittle_worker import PAGE_SIZE, RETRIES, BrittleWorker
from integration.harness.client import Answer, until
from integration.harness.oracle import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    Question,
    assert_exact,
    assert_problem,
)

# What may strike one page and be gone with the next attempt.
PASSING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("429", {}),
    ("429", {"retry_after_s": 1}),
    ("429", {"retry_after_s": 1, "form": "imf"}),
    ("retry_after", {"retry_after_s": 1}),
    *((status, {}) for status in ("500", "502", "503", "504")),
    ("cut", {}),
    ("invalid_json", {}),
    ("invalid_utf8", {}),
    ("wrong_shape", {}),
    ("wrong_shape", {"document": []}),
    ("wrong_shape", {"document": {"point_samples": []}}),
    ("wrong_shape", {"document": {"point_samples": None, "has_more": False}}),
    ("html", {}),
    ("html_502", {}),
    ("echo", {"form": "html"}),
    ("echo", {"form": "json", "status": 500}),
    ("reset", {}),
    ("hang", {}),
    ("repeating_cursor", {}),
    ("no_cursor", {}),
)
# What is no failure but the upstream's way: always there, and the data come out right.
HABITS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("unordered", {}),
    ("duplicates", {}),
    ("nan_literals", {}),
    ("outside_range", {}),
    ("time_formats", {}),
    ("ignores_point_names", {}),
    ("gzip", {}),
    ("empty_pages", {}),
    ("scroll_id", {}),
    ("bad_times", {}),
    ("bad_times", {"replaces": True}),
    ("null_fields", {}),
    ("slow", {"delay_ms": 20}),
    ("trickle", {"pause_ms": 5}),
)
# What lasts: the status of our answer, the upstream's as we tell it, a part of the reason, and how
# often each page is asked for.
LASTING: tuple[tuple[str, dict[str, Any], int, int | None, str, int], ...] = (
    ("400", {}, 502, 400, "answered 400", 1),
    ("401", {}, 502, 401, "refuses the Worker's token", 1),
    ("403", {}, 404, 403, "or the Worker's token may not read it", 1),
    ("429", {}, 502, 429, "answered 429", RETRIES + 1),
    ("429", {"retry_after_s": 3600}, 502, 429, "answered 429", 1),
    *((str(status), {}, 502, status, f"answered {status}", RETRIES + 1) for status in (500, 502)),
    *((str(status), {}, 502, status, f"answered {status}", RETRIES + 1) for status in (503, 504)),
    ("cut", {}, 502, None, "gave no whole answer", RETRIES + 1),
    ("invalid_json", {}, 502, 200, "sent what is not a page", RETRIES + 1),
    ("invalid_utf8", {}, 502, 200, "sent what is not a page", RETRIES + 1),
    ("wrong_shape", {}, 502, 200, "sent what is not a page", RETRIES + 1),
    ("html", {}, 502, 200, "sent what is not a page", RETRIES + 1),
    ("html_502", {}, 502, 502, "answered 502", RETRIES + 1),
    ("redirect", {}, 502, 302, "redirect", 1),
    ("reset", {}, 502, None, "gave no whole answer", RETRIES + 1),
    ("hang", {}, 504, None, "did not answer within", RETRIES + 1),
    ("dies_large", {"samples": PAGE_SIZE - 1}, 502, None, "gave no whole answer", RETRIES + 1),
    ("deep_value", {}, 502, 200, "nested deeper", RETRIES + 1),
    ("repeating_cursor", {}, 502, 200, "repeats a page it gave before", RETRIES + 3),
    ("cursor_cycle", {}, 502, 200, "repeats a page it gave before", 0),
    ("no_cursor", {}, 502, 200, "has_more but gives no cursor", RETRIES + 1),
    ("endless_empty_pages", {}, 502, 200, "empty pages in a row", 1000),
)
# Answers without a bound: where there is not enough time to read too much, it is too late.
LARGE = ("endless_body", "gzip_bomb")


def name_of(fault: tuple[Any, ...]) -> str:
    """Return a fault as a test id."""
    return "-".join([fault[0], *(f"{name}={value}" for name, value in fault[1].items())])


@pytest.fixture
def upstream(brittle: BrittleWorker) -> FakeUpstream:
    """The brittle Worker's upstream."""
    return brittle.upstream


def three_pages(upstream: FakeUpstream, site: str, **more: Any) -> Question:
    """Make points that fill two pages and a half."""
    end_ms = START_MS + 25 * HOUR_MS
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=end_ms, points=10, interval_s=3600, **more
    )
    assert 2.5 * PAGE_SIZE == len(points) * 25
    return Question(site, points, START_MS, end_ms)


def test_every_wart_is_tested() -> None:
    """No kind of fault that the fake upstream knows is left out."""
    kinds = {fault[0] for fault in (*PASSING, *HABITS, *LASTING)}
    assert set(WARTS) == {*kinds, *LARGE, "404"}


@pytest.mark.parametrize("fault", PASSING, ids=name_of)
def test_passing_fault_is_overcome(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str, fault: tuple[str, dict[str, Any]]
) -> None:
    """A page that fails once is asked for again, first, middle or last, and all data are there."""
    kind, options = fault
    # Of a wart on cursors, the last page of the three has none to follow.
    skips = (0, 1) if "cursor" in kind else (0, 1, 2)
    # Those that take a second each strike but one page.
    for skip in skips[1:2] if kind == "hang" or "retry_after_s" in options else skips:
        name = f"{site}-{skip}"
        question = three_pages(upstream, name)
        upstream.faults.once(name, kind, skip=skip, **options)
        document = assert_exact(upstream, question, question.ask(brittle.client, "direct"))
        struck = [one for one in upstream.log(name) if one.faults]
        assert [(kind,)] == [one.faults for one in struck]
        # A kept connection that is reset before any answer is the runtime's to repair, unseen.
        unseen = int(kind == "reset")
        counted = document["_meta"]["cache"]["upstreamRequests"]
        assert counted <= upstream.requests_for(name) <= counted + unseen
        assert upstream.requests_for(name) >= 4


@pytest.mark.parametrize("fault", HABITS, ids=name_of)
def test_habit_changes_nothing(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str, fault: tuple[str, dict[str, Any]]
) -> None:
    """Disorder, duplicates, strays, odd times and the like are put right."""
    kind, options = fault
    question = three_pages(upstream, site)
    upstream.faults.always(site, kind, **options)
    assert_exact(upstream, question, question.ask(brittle.client, "direct"))
    few = question._replace(points=question.points[4:6], start_ms=START_MS + HOUR_MS)
    assert_exact(upstream, few, few.ask(brittle.client, "direct"))


def test_all_habits_at_once(brittle: BrittleWorker, upstream: FakeUpstream, site: str) -> None:
    """All of them together are put right too."""
    question = three_pages(upstream, site)
    for kind in ("duplicates", "outside_range", "unordered", "time_formats", "ignores_point_names"):
        upstream.faults.always(site, kind)
    upstream.faults.always(site, "gzip")
    for points in (question.points, question.points[7:8]):
        some = question._replace(points=points)
        assert_exact(upstream, some, some.ask(brittle.client, "direct"))


@pytest.mark.parametrize("fault", LASTING, ids=name_of)
def test_lasting_fault_is_told(
    brittle: BrittleWorker,
    upstream: FakeUpstream,
    site: str,
    fault: tuple[str, dict[str, Any], int, int | None, str, int],
) -> None:
    """A failure that lasts is answered with what happened, the upstream's status, and no data."""
    kind, options, status, upstream_status, reason, attempts = fault
    question = three_pages(upstream, site)
    upstream.faults.always(site, kind, **options)
    answer = question.ask(brittle.client, "direct")
    upstream.faults.clear(site)
    document = assert_problem(answer, status)
    assert reason in document["detail"]
    assert upstream_status == document.get("upstreamStatus")
    assert options.get("retry_after_s") in (None, int(answer.headers.get("Retry-After", -1)))
    if attempts:
        # Of requests that are reset, the runtime itself repeats some. Text that is no UTF-8, or too
        # deep, is only found by decoding, when the next page is under way.
        most = {"reset": 2 * attempts, "invalid_utf8": attempts + 1, "deep_value": attempts + 1}
        assert attempts <= len(upstream.log(site, *TIMESERIES)) <= most.get(kind, attempts)
    # The redirect was not followed, and nothing but this site was asked for.
    assert not [one for one in upstream.log("") if one.path == "/login"]
    # It was the upstream's fault alone: without it the same question is answered.
    assert_exact(upstream, question, question.ask(brittle.client, "direct"))


@pytest.mark.parametrize("kind", LARGE)
def test_answers_without_end_are_not_read(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str, kind: str
) -> None:
    """A body beyond all bounds is given up, told, and does no harm to what comes after."""
    question = three_pages(upstream, site)
    upstream.faults.always(site, kind)
    detail = assert_problem(question.ask(brittle.client, "direct"), 502, 504)["detail"]
    assert "larger answer than the Worker reads" in detail or "did not answer within" in detail
    upstream.faults.clear(site)
    assert_exact(upstream, question, question.ask(brittle.client, "direct"))


@pytest.mark.parametrize("kind", ["500", "400", "cut", "invalid_json", "html", "no_cursor", "404"])
def test_a_result_that_ends_early_is_no_answer(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str, kind: str
) -> None:
    """When a later page can't be had, nothing is answered, by any route; what came is kept."""
    question = three_pages(upstream, site)
    for route in ("direct", "cached"):
        upstream.faults.times(site, kind, 50, skip=1)
        document = assert_problem(question.ask(brittle.client, route), 502)
        assert "upstream" in document["detail"]
        assert {"data"}.isdisjoint(document)
        upstream.faults.clear(site)
    # The failure is remembered for some seconds, but concerns no small part of what failed.
    few = question._replace(points=question.points[:2])
    document = assert_exact(upstream, few, few.ask(brittle.client, "cached"))
    cache = document["_meta"]["cache"]
    assert "partial" == cache["status"]
    assert 0 < cache["samplesFromCache"] <= PAGE_SIZE // 5
    # Only the rest was fetched.
    assert cache["samplesFetched"] == document["_meta"]["samplesCount"] - cache["samplesFromCache"]


def test_no_data_is_no_failure(brittle: BrittleWorker, upstream: FakeUpstream, site: str) -> None:
    """404 on a call for samples means an empty result where the site is known."""
    question = three_pages(upstream, site)
    upstream.faults.always(site, "404")
    document = question.ask(brittle.client, "direct").json()
    assert {0} == {each["count"] for each in document["data"].values()}
    assert list(question.points) == list(document["data"])
    assert 1 == upstream.requests_for(site, "site")


@pytest.mark.parametrize("route", ["direct", "cached"])
def test_unknown_site_is_404(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str, route: str
) -> None:
    """A site that the upstream does not know is 404, and says so."""
    question = Question(site, ["a"], START_MS, START_MS + DAY_MS)
    document = assert_problem(question.ask(brittle.client, route), 404)
    assert site in document["detail"]
    assert int(upstream.traits.unknown_site) == document["upstreamStatus"]
    # Whether there is such a site is not known while the upstream fails: then it is its failure.
    upstream.faults.always(f"{site}-x", "404", on=("timeseries", "configured_points"))
    upstream.faults.always(f"{site}-x", "500", on=("site",))
    other = question._replace(site=f"{site}-x")
    assert 500 == assert_problem(other.ask(brittle.client, route), 502)["upstreamStatus"]


@pytest.mark.parametrize("route", ["direct", "cached"])
def test_slow_upstream_ends_in_time(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str, route: str
) -> None:
    """With `timeout`, the answer is 504 while the upstream is still thinking."""
    question = three_pages(upstream, site)
    upstream.faults.always(site, "hang")
    document = assert_problem(question.ask(brittle.client, route, timeout=300), 504)
    assert [False] == [one.is_done for one in upstream.fetches(site)]
    assert "did not answer within" in document["detail"]
    upstream.faults.clear(site)


def test_time_out_covers_all_pages(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str
) -> None:
    """Pages that are each quick enough are cut off where together they are not."""
    question = three_pages(upstream, site)
    upstream.faults.always(site, "slow", delay_ms=250)
    assert_problem(question.ask(brittle.client, "direct", timeout=400), 504)
    assert 2 == upstream.requests_for(site)
    assert_exact(upstream, question, question.ask(brittle.client, "direct", timeout=20_000))
    upstream.faults.clear(site)


def test_trickling_body_ends_in_time(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str
) -> None:
    """A body that comes drop by drop is no way around the time-out."""
    question = three_pages(upstream, site)
    upstream.faults.always(site, "trickle", pause_ms=200)
    assert_problem(question.ask(brittle.client, "direct", timeout=500), 504)
    upstream.faults.clear(site)


@pytest.mark.parametrize("route", ["direct", "cached"])
def test_upstream_that_is_down(brittle: BrittleWorker, site: str, route: str) -> None:
    """Nobody at the upstream's address is 502, told in words; when it is back, so are answers."""
    upstream = brittle.upstream
    question = three_pages(upstream, site)
    upstream.stop()
    try:
        document = assert_problem(question.ask(brittle.client, route), 502)
        assert 200 == brittle.client.get("/api/health").status
    finally:
        upstream.start()
    assert "gave no whole answer" in document["detail"]
    assert "upstreamStatus" not in document
    # The cached route remembers a failure for some seconds.
    until(lambda: question.ask(brittle.client, route).status == 200, what="answer")
    assert_exact(upstream, question, question.ask(brittle.client, route))


def test_faults_of_one_do_not_touch_others(
    brittle: BrittleWorker, upstream: FakeUpstream, site: str
) -> None:
    """While one client waits for a hanging upstream, others get their answers."""
    stuck, free = three_pages(upstream, f"{site}-stuck"), three_pages(upstream, f"{site}-free")
    upstream.faults.always(stuck.site, "hang")
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(stuck.ask(brittle.client, "direct")))
    thread.start()
    until(lambda: upstream.fetches(stuck.site), what="hanging request")
    for _ in range(10):
        assert_exact(upstream, free, free.ask(brittle.client, "direct"))
    assert [] == answers
    upstream.faults.clear(stuck.site)
    thread.join()
    assert_exact(upstream, stuck, answers[0])
