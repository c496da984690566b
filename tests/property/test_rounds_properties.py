"""Follows against a plain model of a site, through deaths, outages and changes of mind."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.follow.rounds import (
    Follow,
    Reading,
    after_failure,
    after_part,
    after_whole,
    backfill_of,
    next_due_ms,
    next_reading,
    state_of,
)
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range, gaps, merge

NOW_MS = 1_767_225_600_000
PAGE_MS = 6_000
ALL_PAGES = 1_000_000

EVENTS = st.one_of(
    st.tuples(st.just("work"), st.integers(0, 400)),
    st.tuples(st.just("die"), st.integers(0, 40)),
    st.tuples(st.just("fail"), st.integers(0, 40)),
    st.tuples(st.just("outage"), st.integers(1, 9 * DAY_MS)),
    st.tuples(st.just("every"), st.integers(MINUTE_MS, HOUR_MS)),
    st.tuples(st.just("since"), st.integers(0, 9 * DAY_MS)),
    st.tuples(st.just("lateness"), st.integers(0, 2 * HOUR_MS)),
)


class Site:
    """
    A site whose pages are read by a follow.

    Attributes:
        seen: Of each range that was read: the range, and when.
        pages: Pages that were read.
    """

    def __init__(self, follow: Follow, pages_per_day: float, lateness_ms: int = MINUTE_MS) -> None:
        self.follow = follow
        self.pages_per_day = pages_per_day
        self.lateness_ms = lateness_ms
        self.now_ms = NOW_MS
        self.seen: list[tuple[Range, int]] = []
        self.pages = 0

    def reading(self) -> Reading | None:
        """Return what is read next."""
        return next_reading(
            self.follow,
            self.now_ms,
            pages_per_day=self.pages_per_day,
            lateness_ms=self.lateness_ms,
        )

    def read(self, pages_max: float, *, is_stored: bool = True, fails: bool = False) -> bool:
        """Read up to so many pages of what is next; return whether there was something."""
        reading = self.reading()
        if reading is None:
            return False
        start_ms, end_ms = reading.time_range
        begun_ms, page_ms = self.now_ms, DAY_MS / self.pages_per_day
        until_ms = min(end_ms, start_ms + int(pages_max * page_ms))
        pages = math.ceil((until_ms - start_ms) / page_ms)
        self.pages += pages
        self.now_ms += PAGE_MS * pages + 1
        if not is_stored:
            return True
        if until_ms > start_ms:
            self.seen.append((Range(start_ms, until_ms), begun_ms))
        self.follow = after_part(self.follow, reading, until_ms, self.lateness_ms)
        if fails:
            self.follow = after_failure(self.follow, reading, self.now_ms)
        elif until_ms == end_ms:
            self.follow = after_whole(self.follow, reading, self.now_ms, self.lateness_ms)
        return True

    def settle(self) -> None:
        """Read as it comes until nothing remains, and a round has just ended without failure."""
        for _ in range(3_000):
            reading = self.reading()
            is_done = self.read(ALL_PAGES) and reading is not None and reading.is_round
            if is_done and not self.follow.backfill_failures + backfill_of(self.follow).left_ms:
                return
            if reading is None:
                # Of what begins this moment, nothing has happened yet.
                self.now_ms = max(next_due_ms(self.follow, self.now_ms), self.now_ms + 1)
        raise AssertionError(f"never ends: {self.follow}")

    def require_truth(self) -> None:
        """What counts as known has been read, and for good only what was old enough then."""
        assert [] == _missing([each for each, _ in self.seen], self.follow.known)


def _missing(seen: list[Range], claimed: list[Range]) -> list[Range]:
    return [gap for each in claimed for gap in gaps(merge(seen), each)]


def happen(site: Site, event: tuple[str, int]) -> None:
    """Let something happen to a follow."""
    kind, size = event
    change = msgspec.structs.replace
    match kind:
        case "work":
            site.read(size)
        case "die":
            site.read(size, is_stored=False)
        case "fail":
            site.read(size, fails=True)
        case "outage":
            site.now_ms += size
        case "every":
            site.follow = change(site.follow, every_ms=size, next_ms=site.now_ms)
        case "since":
            site.follow = change(site.follow, since_ms=site.now_ms - size, next_ms=site.now_ms)
        case "lateness":
            site.lateness_ms = size


@settings(max_examples=200, deadline=None)
@given(
    st.lists(EVENTS, max_size=25),
    st.floats(0.01, 300),
    st.integers(0, 30 * DAY_MS),
)
def test_in_the_end_all_has_been_read(
    events: list[tuple[str, int]], pages_per_day: float, since_ms: int
) -> None:
    """Whatever happens, nothing counts as read that was not, and in the end all is."""
    begun = Follow(
        since_ms=NOW_MS - since_ms, every_ms=5 * MINUTE_MS, begun_ms=NOW_MS, next_ms=NOW_MS
    )
    site = Site(begun, pages_per_day)
    for event in events:
        happen(site, event)
        site.require_truth()
    site.settle()
    site.require_truth()
    follow = site.follow
    end_ms = follow.known_until_ms
    assert end_ms is not None
    assert site.now_ms - end_ms <= follow.every_ms + PAGE_MS * (site.pages + 1)
    whole = [Range(follow.since_ms, end_ms)] if follow.since_ms < end_ms else []
    assert [] == _missing([each for each, _ in site.seen], whole)
    assert (100, 0, 0) == (
        backfill_of(follow).progress,
        backfill_of(follow).left_ms,
        backfill_of(follow).eta_ms,
    )
    assert state_of(follow, end_ms) == "following"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.integers(0, 2 * HOUR_MS),
    st.floats(1, 65),
)
def test_every_instant_is_read_when_late_samples_have_come(
    pauses_min: list[int], lateness_ms: int, pages_per_day: float
) -> None:
    """All that counts as read for good was read a lateness after it, or later."""
    begun = Follow(
        since_ms=NOW_MS - HOUR_MS, every_ms=5 * MINUTE_MS, begun_ms=NOW_MS, next_ms=NOW_MS
    )
    site = Site(begun, pages_per_day, lateness_ms)
    for pause_min in pauses_min:
        while site.read(ALL_PAGES):
            pass
        site.now_ms += pause_min * MINUTE_MS
    old = [
        part
        for each, at_ms in site.seen
        if (part := each.clip(Range(0, at_ms - lateness_ms))) is not None
    ]
    assert [] == _missing(old, list(site.follow.read))


@settings(max_examples=200, deadline=None)
@given(st.floats(13, 65), st.integers(3, 40), st.lists(st.integers(1, 60), max_size=20))
def test_a_backfill_costs_hardly_more_than_the_fewest_pages(
    pages_per_day: float, days: int, stops: list[int]
) -> None:
    """At most 2 % more, also where invocations end: the next goes on from there."""
    begun = Follow(
        since_ms=NOW_MS - days * DAY_MS, every_ms=DAY_MS, begun_ms=NOW_MS, next_ms=NOW_MS
    )
    # An hour of rounds would count along: there is none before the backfill's end.
    site = Site(msgspec.structs.replace(begun, every_ms=90 * DAY_MS), pages_per_day)
    for pages in stops:
        site.read(pages)
    while backfill_of(site.follow).left_ms:
        assert site.read(ALL_PAGES)
    read_ms = sum(each.duration_ms for each, _ in site.seen)
    fewest = math.ceil(read_ms * pages_per_day / DAY_MS)
    # Rows at the present came along while it went on.
    assert days * DAY_MS <= read_ms
    assert site.pages <= 1.02 * fewest
