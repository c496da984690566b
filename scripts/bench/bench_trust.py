"""
What trust costs and what it misses: a month of a chart on a wall, in simulated time.

A 30-day chart of one 5-minute point hangs on a wall for 30 days, 8 hours a day, and reloads every 5
minutes. The product decides what is known (`coverage`, `freshness`) and how gaps are fetched
(`fetch_plan`); beside it stands the rule of release 1.0, restated here. Run with every sample there
at once, and with samples that come late by a lognormal time.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from building_vitals.cache.coverage import cover, covers, gaps_of, superseded
from building_vitals.cache.fetch_plan import plan_fetches
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.options import CacheOptions
from building_vitals.cache.segments import Segment, segment_of
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.series.frames import Series
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.profile import Observation, SiteProfile, learned

BEGIN_MS = 1_767_225_600_000
STEP_MS = 5 * MINUTE_MS
DAYS = 30
OPENS_MS, OPEN_MS = 9 * HOUR_MS, 8 * HOUR_MS
# Of the lognormal time by which samples are late.
LATE_MEDIAN_MS, LATE_SIGMA = 2 * MINUTE_MS, 1.2
# Release 1.0: young data lived an hour, data older than two hours when fetched a day.
OLD_PROVISIONAL_MS, OLD_SETTLED_MS, OLD_SETTLE_AFTER_MS = HOUR_MS, DAY_MS, 2 * HOUR_MS

# Takes the segments, the range, the present and the lateness learned so far; gives the gaps.
Rule = Callable[[Sequence[Segment], Range, int, int | None], list[Range]]


class Month(NamedTuple):
    """
    What a month has come to.

    Attributes:
        fetches: Samples fetched per distinct sample.
        requests: Upstream requests per reload.
        segments: The most that were known of the point at once.
        unseen_ms: How long samples were there and unseen, of those that came in the hours in
            which somebody looked, but for the last; sorted.
        lateness_ms: What was learned of the site.
    """

    fetches: float
    requests: float
    segments: int
    unseen_ms: list[int]
    lateness_ms: int | None


class Upstream:
    """Samples, and when each is there."""

    def __init__(self, *, is_late: bool) -> None:
        chance = random.Random(1)  # noqa: S311 - no secret
        self.times = list(range(BEGIN_MS - DAYS * DAY_MS, BEGIN_MS + DAYS * DAY_MS, STEP_MS))
        self.there_ms = [
            at_ms
            + (round(chance.lognormvariate(math.log(LATE_MEDIAN_MS), LATE_SIGMA)) if is_late else 0)
            for at_ms in self.times
        ]

    def within(self, time_range: Range) -> range:
        """Return the numbers of the samples whose time lies in a range."""
        return range(
            bisect_left(self.times, time_range.start_ms), bisect_left(self.times, time_range.end_ms)
        )


def reloads() -> list[int]:
    """Return when the chart reloads."""
    return [
        BEGIN_MS + day * DAY_MS + OPENS_MS + at_ms
        for day in range(DAYS)
        for at_ms in range(0, OPEN_MS, STEP_MS)
    ]


def known_segments(parts: Iterable[Range], fetched_ms: int) -> list[Segment]:
    """Return what is known after a fetch; the samples themselves do not matter here."""
    return [
        segment_of("p", each, Series((), b""), fetched_ms=fetched_ms, key="", offset=0)
        for each in parts
    ]


def new_rule(freshness: Freshness) -> Rule:
    """Return the product's rule; with `auto`, it goes by what it has learned."""

    def missing(
        segments: Sequence[Segment], needed: Range, now_ms: int, lateness_ms: int | None
    ) -> list[Range]:
        rule = freshness.of_site(lateness_ms)
        found = covers(["p"], segments, needed, freshness=rule, now_ms=now_ms)
        return gaps_of(found).get("p", [])

    return missing


def old_rule(
    segments: Sequence[Segment], needed: Range, now_ms: int, lateness_ms: int | None
) -> list[Range]:
    """Return the gaps by the rule of release 1.0, which learned nothing."""
    del lateness_ms
    known = [
        each
        for each in segments
        if now_ms - each.fetched_ms
        < (
            OLD_SETTLED_MS
            if each.start_ms < each.fetched_ms - OLD_SETTLE_AFTER_MS
            else OLD_PROVISIONAL_MS
        )
    ]
    return cover("p", known, needed).gaps


def old_parts(fetched: Range, now_ms: int) -> list[Range]:
    """Return a fetch cut where release 1.0 cut it."""
    line_ms = now_ms - OLD_SETTLE_AFTER_MS
    if not fetched.start_ms < line_ms < fetched.end_ms:
        return [fetched]
    return [Range(fetched.start_ms, line_ms), Range(line_ms, fetched.end_ms)]


def month(rule: Rule, *, is_late: bool, cuts: Callable[[Range, int], list[Range]]) -> Month:
    """Let a month pass."""
    upstream, watched = Upstream(is_late=is_late), reloads()
    costs = SiteCosts(SiteProfile(), "auto", 50_000, is_awaited=True)
    segments: list[Segment] = []
    seen_ms: dict[int, int] = {}
    fetched = requests = most = 0
    profile = SiteProfile()
    for now_ms in watched:
        needed = Range(now_ms - DAYS * DAY_MS, now_ms)
        missing = rule(segments, needed, now_ms, profile.lateness_ms)
        for fetch in plan_fetches({"p": missing}, costs) if missing else ():
            requests += 1
            numbers = upstream.within(fetch.time_range)
            there = [n for n in numbers if upstream.there_ms[n] <= now_ms]
            fetched += len(there)
            for n in there:
                seen_ms.setdefault(n, now_ms)
            segments += known_segments(cuts(fetch.time_range, now_ms), now_ms)
            profile = _learned(profile, fetch.time_range, upstream, there, now_ms)
        segments = [each for each in segments if each.end_ms > needed.start_ms]
        useless = set(map(id, superseded(segments)))
        segments = [each for each in segments if id(each) not in useless]
        most = max(most, len(segments))
    unseen = [
        at_ms - upstream.there_ms[n]
        for n, at_ms in seen_ms.items()
        if upstream.times[n] >= BEGIN_MS
        and OPENS_MS <= upstream.there_ms[n] % DAY_MS < OPENS_MS + OPEN_MS - HOUR_MS
    ]
    return Month(
        fetched / len(seen_ms), requests / len(watched), most, sorted(unseen), profile.lateness_ms
    )


def _learned(
    profile: SiteProfile, time_range: Range, upstream: Upstream, there: list[int], now_ms: int
) -> SiteProfile:
    newest_ms = upstream.times[there[-1]] if there else None
    return learned(
        profile,
        Observation(
            is_by_point=True,
            is_whole_site=False,
            points_count=1,
            time_range=time_range,
            newest_ms=newest_ms,
            now_ms=now_ms,
        ),
    )


def percentile(values: Sequence[int], share: float) -> int:
    """Return a percentile of sorted values; 0 of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0


def main(rounds: int) -> None:
    """Print a month by both rules; *rounds* does not matter, for chance is the same each time."""
    del rounds
    rules: list[tuple[str, Rule, Callable[[Range, int], list[Range]]]] = [
        ("release 1.0", old_rule, old_parts),
        ("LATENESS=60", new_rule(CacheOptions(lateness=60).freshness()), lambda each, _: [each]),
        ("LATENESS=auto", new_rule(CacheOptions().freshness()), lambda each, _: [each]),
    ]
    print("A 30-day chart of a 5-minute point on a wall, 30 days, 8 hours a day, every 5 minutes")
    for is_late in (False, True):
        print("samples late by 2 min in the median, sigma 1.2" if is_late else "samples on time")
        for name, rule, cuts in rules:
            found = month(rule, is_late=is_late, cuts=cuts)
            print(
                f"  {name:13} {found.fetches:5.2f} fetches per sample,"
                f" {found.requests:4.2f} requests per reload,"
                f" at most {found.segments} segments,"
                f" unseen for {percentile(found.unseen_ms, 0.95) / MINUTE_MS:.0f} min"
                " (95th percentile)"
                f", {(found.lateness_ms or 0) / 1000:.0f} s of lateness learned at the end"
            )
