"""Plans against sets of instants, in a world of 60 milliseconds and of 60 days."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders import spans, stored
from building_vitals.cache.coverage import cover, covers
from building_vitals.cache.fetch_plan import (
    BRIDGE_MS_MAX,
    BRIDGE_SAMPLES_MAX,
    WASTE_MAX,
    UpstreamQuery,
    plan_fetches,
)
from building_vitals.cache.freshness import Freshness
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range, gaps, merge
from fakes.costs import SteadyCosts

RANGES = (
    st.tuples(st.integers(0, 60), st.integers(0, 60))
    .filter(lambda ends: ends[0] != ends[1])
    .map(lambda ends: Range(min(ends), max(ends)))
)
GAPS = st.lists(RANGES, min_size=1, max_size=5).map(merge)
# Of a chart's points, most miss the same.
ALIKE = st.lists(GAPS, min_size=1, max_size=3).flatmap(
    lambda few: st.lists(st.sampled_from(few), min_size=1, max_size=6)
)
MISSING = (st.lists(GAPS, min_size=1, max_size=6) | ALIKE).map(
    lambda lists: {f"p{i}": ranges for i, ranges in enumerate(lists)}
)
PAGE_SIZES = st.sampled_from([100, 288, 1000, 5000, 100_000])


def instants(ranges: Iterable[Range]) -> list[int]:
    """Return all instants of the ranges, those of overlapping ones as often as they occur."""
    return [instant_ms for each in ranges for instant_ms in range(*each)]


@settings(deadline=None)
@given(st.lists(RANGES, max_size=6), RANGES)
def test_known_and_gaps_make_up_the_need(ranges: list[Range], needed: Range) -> None:
    """Parts known and gaps hold each instant of the need once; a part lies in its segment."""
    segments = [stored(each).segment for each in ranges]
    found = cover("p", segments, needed)
    parts = [part for _, part in found.known]

    assert list(range(*needed)) == sorted(instants(parts + found.gaps))
    assert set(instants(found.gaps)) == set(range(*needed)) - set(instants(ranges))
    assert sorted(parts) == parts
    assert merge(found.gaps) == found.gaps
    assert all(part == part.clip(segment.range) for segment, part in found.known)


# Rules for a world of some days.
TRUST = st.builds(
    Freshness,
    trust_ratio=st.sampled_from([0.5, 1.0, 2.0, 10.0]),
    trust_max_ms=st.integers(1, 40).map(lambda days: days * DAY_MS),
    lateness_ms=st.sampled_from([0, 60_000, HOUR_MS]),
    grace_ms=st.integers(0, 5).map(lambda days: days * DAY_MS),
    max_age_ms=st.just(1),
)
HOURS = st.integers(0, 60 * 24).map(lambda hours: hours * HOUR_MS)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(HOURS, HOURS, HOURS), max_size=6), HOURS, TRUST, st.integers(1, 10**7))
def test_each_instant_is_judged_by_its_newest_copy(
    fetched: list[tuple[int, int, int]], now_ms: int, freshness: Freshness, since_ms: int
) -> None:
    """
    Known is what the newest copy of an instant says, as far as that is known; in need, as far as
    that is kept.
    """
    segments = []
    for n, (fetched_ms, start_ms, end_ms) in enumerate(fetched):
        last_ms = min(end_ms, fetched_ms)
        if start_ms < last_ms:
            known = Range(start_ms, last_ms)
            segments.append(stored(known, fetched_ms=fetched_ms + n).segment)
    needed = Range(0, 61 * DAY_MS)
    rule: dict[str, Any] = {"now_ms": now_ms, "since_ms": max(0, now_ms - since_ms)}
    [strict] = covers(["p"], segments, needed, freshness=freshness, **rule)
    [lenient] = covers(["p"], segments, needed, freshness=freshness, **rule, grace=True)
    for found, until in ((strict, freshness.known_until_ms), (lenient, freshness.kept_until_ms)):
        parts = [part for _, part in found.known]
        assert [needed] == merge([*parts, *found.gaps])
        ranges = [*(each.range for each in segments), *parts, *found.gaps]
        for at_ms in {edge for each in ranges for edge in ends(each)}:
            copies = [each for each in segments if each.start_ms <= at_ms < each.end_ms]
            newest = max(copies, key=lambda each: each.fetched_ms, default=None)
            is_known = newest is not None and at_ms < until(newest, **rule)
            assert is_known == any(at_ms in range(*part) for part in parts)
            if is_known:
                assert [newest] == [one for one, part in found.known if at_ms in range(*part)]


def ends(part: Range) -> list[int]:
    """Return instants at and beside the ends of a part."""
    return [part.start_ms, part.end_ms - 1, part.start_ms + 1]


def pages(fetch: UpstreamQuery, page_size: int) -> int:
    """Return the pages a fetch is estimated to take; the world's days have 288 samples a point."""
    return SteadyCosts(page_size).requests(len(fetch.points), fetch.time_range.duration_ms)


# A join that takes one point out of a fetch whose other point needs less of it.
LEFT_WASTEFUL = {"p0": "10-16 17-57", "p1": "10-41 42-44 45-57", "p2": "0-45 46-55"}
# A join that covers half of what another fetch asks for, among too many stretches to join.
HALF_ASKED = {"p": "0-50 51-120", "q": "0-100"} | {
    f"n{i}": f"{1000 + i}-{1400 - i}" for i in range(40)
}


@settings(deadline=None, max_examples=400)
@given(MISSING, PAGE_SIZES)
@example({point: spans(text) for point, text in LEFT_WASTEFUL.items()}, 100_000)
@example({point: spans(text) for point, text in HALF_ASKED.items()}, 100_000)
def test_fetches_cover_the_gaps(missing: dict[str, list[Range]], page_size: int) -> None:
    """
    All gaps are fetched, no point's instant twice, nothing of others, at most 2 % without need, and
    with no more pages than the gaps take one by one.
    """
    in_days = {
        point: [Range(each.start_ms * DAY_MS, each.end_ms * DAY_MS) for each in ranges]
        for point, ranges in missing.items()
    }
    fetches = plan_fetches(in_days, SteadyCosts(page_size))

    asked_count = needed_count = 0
    for point, ranges in missing.items():
        asked = instants(
            Range(each.time_range.start_ms // DAY_MS, each.time_range.end_ms // DAY_MS)
            for each in fetches
            if point in each.points
        )
        needed = instants(ranges)
        assert set(needed) <= set(asked)
        assert len(set(asked)) == len(asked)
        asked_count += len(asked)
        needed_count += len(needed)
    assert asked_count - needed_count <= WASTE_MAX * asked_count
    alone = [UpstreamQuery((point,), each) for point, ranges in in_days.items() for each in ranges]
    assert sum(pages(each, page_size) for each in fetches) <= sum(
        pages(each, page_size) for each in alone
    )
    assert sorted(fetches, key=lambda each: each.time_range) == fetches
    for each in fetches:
        assert len(set(each.points)) == len(each.points) > 0
        assert set(each.points) <= set(missing)


@settings(deadline=None)
@given(GAPS, st.integers(1, 30), PAGE_SIZES)
def test_the_same_gaps_are_fetched_together(
    ranges: list[Range], points_count: int, page_size: int
) -> None:
    """Where all points miss the same, every fetch is for all of them, at most one a gap."""
    points = tuple(f"p{i}" for i in range(points_count))
    in_days = [Range(each.start_ms * DAY_MS, each.end_ms * DAY_MS) for each in ranges]
    fetches = plan_fetches(dict.fromkeys(points, in_days), SteadyCosts(page_size))

    assert {points} == {each.points for each in fetches}
    assert len(fetches) <= len(ranges)


@settings(deadline=None)
@given(MISSING, PAGE_SIZES, st.floats(0.1, 3000))
def test_any_rate_gives_a_plan(
    missing: dict[str, list[Range]], page_size: int, samples_per_day: float
) -> None:
    """Whatever rate a site is seen to have, all gaps are fetched."""
    fetches = plan_fetches(missing, SteadyCosts(page_size, samples_per_day))
    for point, ranges in missing.items():
        asked = merge(each.time_range for each in fetches if point in each.points)
        assert set(instants(ranges)) <= set(instants(asked))


@settings(deadline=None)
@given(MISSING, PAGE_SIZES)
def test_small_gaps_close_together_cost_no_more(
    missing: dict[str, list[Range]], page_size: int
) -> None:
    """
    In a world of hours, where what lies between gaps may be fetched again: still all gaps, no
    instant of a point twice, no more pages than the gaps take one by one, and no known stretch
    that is long or full of samples.
    """
    in_hours = {
        point: [Range(each.start_ms * HOUR_MS, each.end_ms * HOUR_MS) for each in ranges]
        for point, ranges in missing.items()
    }
    fetches = plan_fetches(in_hours, SteadyCosts(page_size))
    for point, ranges in missing.items():
        asked = instants(
            Range(each.time_range.start_ms // HOUR_MS, each.time_range.end_ms // HOUR_MS)
            for each in fetches
            if point in each.points
        )
        needed = set(instants(ranges))
        assert needed <= set(asked)
        assert len(set(asked)) == len(asked)
    alone = [UpstreamQuery((point,), each) for point, ranges in in_hours.items() for each in ranges]
    assert sum(pages(each, page_size) for each in fetches) <= sum(
        pages(each, page_size) for each in alone
    )


@settings(deadline=None)
@given(GAPS, st.integers(1, 60), PAGE_SIZES, st.floats(1, 90_000))
def test_what_is_fetched_again_is_short_and_small(
    ranges: list[Range], points_count: int, page_size: int, samples_per_day: float
) -> None:
    """Of points that miss the same, what lies between two gaps keeps both limits."""
    in_hours = [Range(each.start_ms * HOUR_MS, each.end_ms * HOUR_MS) for each in ranges]
    costs = SteadyCosts(page_size, samples_per_day)
    missing = {f"p{n}": in_hours for n in range(points_count)}
    limit_ms = min(BRIDGE_MS_MAX, BRIDGE_SAMPLES_MAX * DAY_MS / (samples_per_day * points_count))
    waste_ms = 0
    for fetch in plan_fetches(missing, costs):
        for known in gaps(in_hours, fetch.time_range):
            waste_ms += known.duration_ms if known.duration_ms > limit_ms * 1.001 else 0
    assert waste_ms <= WASTE_MAX * 1.001 * 60 * HOUR_MS
