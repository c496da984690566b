"""Tests of what the client finds out by itself: the two ways of asking, compared behind a chart."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.ports import HttpAnswer
from building_vitals.ranges import Range
from building_vitals.upstream.ace.calibration import CHECK_AGAIN_MS, CHECK_DELAY_MS
from building_vitals.upstream.ace.comparison import SETTLED_AFTER_MS
from building_vitals.upstream.profile import CHECK_EVERY_MS, SiteProfile
from fakes.ace import HOUR, NOW_MS, Bench, FakeAce, T, Triple
from fakes.http import SentRequest, answer

# When the hour has been over for a while.
LATER_MS = HOUR.end_ms + SETTLED_AFTER_MS
RAW: list[Triple] = [(name, str(at), T[at]) for at in range(60) for name in ("p", "q", "r", "s")]
BUCKETS = [row for row in RAW if row[2] in T[::5]]


def bench_over(fake: Any, **options: Any) -> Bench:
    """Return a client that compares, of a site of which nothing is known."""
    options = {"profile": SiteProfile(), **options}
    bench = Bench(otherwise=fake, is_checked=True, **options)
    bench.clock.advance(LATER_MS - NOW_MS)
    return bench


def pages_asked(bench: Bench) -> int:
    """Return how many pages were asked for."""
    return sum(sent.method == "GET" for sent in bench.http.requests)


@pytest.mark.parametrize("is_naive", [False, True])
@pytest.mark.parametrize("heeds_filter", [False, True])
@pytest.mark.parametrize(("by_point", "is_same"), [(None, True), (BUCKETS, False)])
async def test_two_ways_are_compared_once(
    by_point: list[Triple] | None, is_same: bool, heeds_filter: bool, is_naive: bool
) -> None:
    """
    One page, some seconds after the answer, tells whether a filter is heeded, whether calls by
    point give raw samples, and how many samples the site makes; for a week nobody asks again. Where
    they differ, both are read once more.
    """
    fake = FakeAce(
        "hq",
        RAW,
        page_size=None,
        heeds_filter=heeds_filter,
        is_naive=is_naive,
        by_point=by_point,
    )
    bench = bench_over(fake)
    await bench.fetch("p", "q")
    learned = bench.learned

    assert (heeds_filter, is_same) == (learned.is_filter_heeded, learned.is_same)
    assert [CHECK_DELAY_MS] == bench.clock.sleeps
    assert LATER_MS + CHECK_DELAY_MS == learned.checked_ms
    if not heeds_filter:
        assert learned.samples_per_day == pytest.approx(4 * DAY_MS / MINUTE_MS, rel=0.15)
    pages = 1 if is_same else 2
    assert pages == pages_asked(bench)
    assert ["p,q"] * pages == [names for names in bench.queries("point_names")[1:] if names]
    await bench.fetch("p")
    assert [CHECK_DELAY_MS] == bench.clock.sleeps
    bench.clock.advance(CHECK_EVERY_MS)
    await bench.fetch("p", "a,b")
    assert heeds_filter or 2 * pages == pages_asked(bench)


async def test_data_that_were_corrected_meanwhile_are_no_other_samples() -> None:
    """What differs is read once more, both ways, before a site counts as one of 5-minute values."""
    fake = FakeAce("hq", RAW, page_size=None)
    corrected = FakeAce("hq", [(name, f"{value}7", at) for name, value, at in RAW], page_size=None)
    asked: list[str] = []

    def changing(sent: SentRequest) -> HttpAnswer:
        asked.append(sent.method)
        return (fake if len(asked) == 1 else corrected)(sent)

    bench = bench_over(changing)
    await bench.fetch("p", "q")
    assert ["POST", "GET", "POST", "GET"] == asked
    assert True is bench.learned.is_same


async def test_week_later_the_second_finding_is_kept_too() -> None:
    """Else every isolate would compare again, each minute."""
    bench = bench_over(FakeAce("hq", RAW, page_size=None, heeds_filter=False))
    await bench.fetch("p")
    first_ms = bench.learned.checked_ms
    bench.clock.advance(CHECK_EVERY_MS)
    await bench.fetch("p")

    assert 2 == pages_asked(bench)
    assert first_ms + CHECK_EVERY_MS + CHECK_DELAY_MS == bench.learned.checked_ms


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(answer(404, {}), id="absent"),
        pytest.param(answer(200, {"point_samples": [], "has_more": False}), id="empty"),
        pytest.param(answer(401, {}), id="refused"),
        pytest.param(answer(503, b""), id="down"),
        pytest.param(
            answer(
                200,
                {
                    "point_samples": [{"name": "p", "value": 1, "time": "noon"}],
                    "next_cursor": "x",
                    "has_more": True,
                },
            ),
            id="unreadable",
        ),
    ],
)
async def test_what_could_not_be_compared_is_tried_again_in_an_hour(page: Any) -> None:
    """Nobody hears of the failure, and nothing is known that was not shown."""
    fake = FakeAce("hq", RAW)
    bench = bench_over(lambda sent: page if sent.method == "GET" else fake(sent), max_retries=0)
    await bench.fetch("p")
    learned = bench.learned

    assert (None, None) == (learned.is_filter_heeded, learned.is_same)
    tried_ms = LATER_MS + CHECK_DELAY_MS
    assert not learned.is_due(tried_ms + CHECK_AGAIN_MS - 1)
    assert learned.is_due(tried_ms + CHECK_AGAIN_MS)
    await bench.fetch("p")
    assert 1 == pages_asked(bench)
    bench.clock.advance(CHECK_AGAIN_MS)
    await bench.fetch("p")
    assert 2 == pages_asked(bench)


async def test_only_one_isolate_compares() -> None:
    """Another one has claimed: this one leaves it."""
    bench = bench_over(FakeAce("hq", RAW))
    await bench.table.claim("hq", LATER_MS + CHECK_DELAY_MS - 1, 1)
    await bench.fetch("p")

    assert 0 == pages_asked(bench)
    assert 0 == bench.learned.checked_ms


async def test_charts_drawn_at_once_compare_once() -> None:
    """Each fetch means to; the first that comes to it is the only one."""
    bench = bench_over(FakeAce("hq", RAW, page_size=None))
    for name in "pqr":
        await bench.client.fetch_samples("hq", [name], HOUR, bench.sink)
    await bench.settle()

    assert (1, 1) == (pages_asked(bench), bench.table.claims)


@pytest.mark.parametrize(
    ("options", "points"),
    [
        pytest.param({"calls": "points"}, ["p"], id="by point, by hand"),
        pytest.param({"calls": "site"}, ["p"], id="by site, by hand"),
    ],
)
async def test_what_the_operator_decides_is_not_compared(
    options: dict[str, Any], points: list[str]
) -> None:
    """The finding would change nothing."""
    bench = bench_over(FakeAce("hq", RAW, page_size=None), **options)
    await bench.fetch(*points)

    assert [] == bench.clock.sleeps


async def test_nothing_is_compared_without_samples_or_without_work_afterwards() -> None:
    """An empty answer shows nothing, and a job's consumer has no time for it."""
    empty = bench_over(FakeAce("hq", []))
    await empty.fetch("p")
    in_a_job = Bench(otherwise=FakeAce("hq", RAW), profile=SiteProfile())
    await in_a_job.fetch("p")

    assert [] == empty.clock.sleeps == in_a_job.clock.sleeps


async def test_points_that_fit_no_filter_are_compared_without_one() -> None:
    """A page of the whole site then; a filter is not known to be heeded by it."""
    rows = [("a,b", str(at), T[at]) for at in range(60)] + [("c", "1", T[59])]
    bench = bench_over(FakeAce("hq", rows, page_size=None))
    await bench.fetch("a,b")

    assert [None] == bench.queries("point_names")[1:]
    assert (False, True) == (bench.learned.is_filter_heeded, bench.learned.is_same)


async def test_finding_leaves_alone_what_it_did_not_show() -> None:
    """A filtered page tells no rate of the site: the one kept stays."""
    kept = SiteProfile(points=9, samples_per_day=77.0, is_same=True)
    bench = bench_over(FakeAce("hq", RAW, page_size=None), profile=kept)
    await bench.fetch("p")

    assert replace(kept, is_filter_heeded=True, checked_ms=LATER_MS + CHECK_DELAY_MS) == replace(
        bench.learned, call_samples=0.0, point_samples_per_day=0.0, newest_age_ms=None, seen_ms=0
    )


async def test_young_samples_are_not_compared() -> None:
    """Late ones join them between the call and the page: that would be no difference of the two."""
    sent: list[Triple] = list(RAW)
    bench = bench_over(FakeAce("hq", sent, page_size=None))
    bench.clock.advance(-10 * MINUTE_MS)
    await bench.client.fetch_samples("hq", ["p"], HOUR, bench.sink)
    sent.append(("p", "late", "2025-01-01T00:50:30.000Z"))
    await bench.settle()

    assert bench.learned.is_same is True
    bench.clock.advance(CHECK_EVERY_MS)
    await bench.client.fetch_samples("hq", ["p"], HOUR, bench.sink)
    await bench.settle()
    assert bench.learned.is_same is True


async def test_chart_of_the_last_minutes_compares_nothing() -> None:
    """All of it is young."""
    bench = bench_over(FakeAce("hq", RAW, page_size=None))
    bench.clock.advance(-(SETTLED_AFTER_MS + 50 * MINUTE_MS))
    await bench.fetch("p", time_range=Range(NOW_MS, NOW_MS + 10 * MINUTE_MS))

    assert [] == bench.clock.sleeps
    assert 0 == pages_asked(bench)


async def test_sizes_that_shrank_are_tried_again_after_a_comparison() -> None:
    """A week later the upstream may take larger questions: only a comparison that is done says."""
    is_down = True
    fake = FakeAce("hq", RAW, page_size=None)

    def upstream(sent: SentRequest) -> HttpAnswer:
        return answer(503, b"") if is_down and sent.method == "GET" else fake(sent)

    shrunk = SiteProfile(page_size=500, names_max=50)
    bench = bench_over(upstream, profile=shrunk, max_retries=0)
    await bench.fetch("p")
    assert (500, 50) == (bench.learned.page_size, bench.learned.names_max)
    is_down = False
    bench.clock.advance(CHECK_AGAIN_MS)
    await bench.fetch("p")

    assert (0, 0) == (bench.learned.page_size, bench.learned.names_max)
    assert ["500", "500"] == [size for size in bench.queries("page_size") if size]
    await bench.fetch(*(f"p{number}" for number in range(60)))
    assert 60 == len(bench.names_asked()[-1])
