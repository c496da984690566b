"""
Which way to ask the upstream, and in how many requests.

Pure. The upstream has no filter: a page holds the whole site. It also takes names in a body, some
at a time and without pages. Which is cheaper depends on how many points of how large a site are
asked for: for work that nobody waits for, requests are counted first, then the samples that nobody
asked for. Where somebody waits, time is: calls by point go side by side, pages one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec
from msgspec.structs import replace

from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range, split_evenly
from building_vitals.upstream.ace.settings import CallsVar
from building_vitals.upstream.profile import SiteProfile, Source

# By point; by the pages of the whole site; by pages with a filter, where one is heeded.
Way = Literal["points", "site", "filter"]

# 5-minute data, the usual interval: what a fetch is sized by before a site's own rate is known.
USUAL_SAMPLES_PER_DAY = 288.0
# An answer without pages can't be stopped half-way: it is asked for in pieces of about this size.
ANSWER_SAMPLES = 50_000
# The vendor's client sends so many names in one call.
NAMES_MAX = 100
# Names of the usual length (100 characters) that fit a filter within the longest request line.
FILTER_NAMES = 30
# Calls by point that go side by side.
SIDE_BY_SIDE = 4
# What is known of the real upstream: a small answer takes about a second, one of 50,000 samples 6.
ANSWER_MS = 1_000
SAMPLE_MS = 0.1
# Ways to divide names into groups that are tried.
DIVISIONS_MAX = 64


class SiteCosts(msgspec.Struct, frozen=True):
    """
    The cost of fetches of one site: a `FetchCosts`.

    Attributes:
        profile: What is known of the site.
        calls: What the operator decided.
        page_size: Samples on a page, as configured.
        is_awaited: Whether somebody waits for the fetch.
        answer_samples: Of an answer without pages, about.
    """

    profile: SiteProfile
    calls: CallsVar
    page_size: int
    is_awaited: bool = True
    answer_samples: int = ANSWER_SAMPLES

    @property
    def samples_per_day(self) -> float:
        """Samples of one point in a day, estimated."""
        profile = self.profile
        if profile.point_samples_per_day:
            return profile.point_samples_per_day
        if profile.samples_per_day and profile.points:
            return profile.samples_per_day / profile.points
        return USUAL_SAMPLES_PER_DAY

    @property
    def names_max(self) -> int:
        """Names in one call by point."""
        return self.profile.names_max or NAMES_MAX

    @property
    def site_samples_per_day(self) -> float | None:
        """Samples of the whole site in a day; None where nothing tells."""
        if self.profile.samples_per_day:
            return self.profile.samples_per_day
        return self.profile.points * self.samples_per_day or None

    @property
    def page_samples(self) -> int:
        """Samples on a page."""
        return min(self.page_size, self.profile.page_size or self.page_size)

    @property
    def pages_per_day(self) -> float | None:
        """Pages that hold all samples of the site in a day; None where nothing tells."""
        rate = self.site_samples_per_day
        return None if rate is None else rate / self.page_samples

    def requests(self, points_count: int, duration_ms: int) -> int:
        """Return how many requests a fetch takes, by the cheaper way; at least 1."""
        way = self.way(points_count, duration_ms)
        if way == "points":
            return self.division(points_count, duration_ms)[1]
        return self._pages(way, points_count, duration_ms) or 1

    def fetch_ms(self, points_count: int, duration_ms: int) -> int:
        """Return how long a fetch takes, by the cheaper way: milliseconds, estimated."""
        profile = self.profile
        way = self.way(points_count, duration_ms)
        requests = turns = self.requests(points_count, duration_ms)
        per_day = points_count * self.samples_per_day
        seen_ms, seen_samples = profile.page_ms, profile.page_samples
        if way == "points":
            turns = -(-requests // SIDE_BY_SIDE)
            seen_ms, seen_samples = profile.call_ms, profile.call_samples
        elif way == "site":
            per_day = self.site_samples_per_day or per_day
        answer_ms = _usual_ms(per_day * duration_ms / DAY_MS / requests)
        if seen_ms:
            answer_ms *= seen_ms / _usual_ms(seen_samples)
        return round(turns * answer_ms)

    def takes_site(self, points_count: int, duration_ms: int) -> bool:
        """Return whether the cheaper way is that of the pages that hold the whole site."""
        return self.way(points_count, duration_ms) == "site"

    def is_all_of_site(self, points_count: int) -> bool:
        """Return whether the site is known to have no more points than so many."""
        return 0 < self.profile.points <= points_count

    def way(self, points_count: int, duration_ms: int, source: Source | None = None) -> Way:
        """
        Return the cheaper way for all of some points over a duration.

        With *source*, of those ways alone that get the samples from there.
        """
        if "points" in (self.calls, source):
            return "points"
        is_filtered = self.profile.is_filter_heeded is True
        if self.calls == "site" or source == "pages":
            return "filter" if is_filtered else "site"
        least = self.division(points_count, duration_ms)[1]
        filtered = self._pages("filter", points_count, duration_ms) if is_filtered else None
        # Filtered pages are raw samples in pieces that can be followed up: with nothing to choose
        # by, they are the better answer.
        if filtered is not None and (filtered <= least or self.profile.is_same is False):
            return "filter"
        pages = self._pages("site", points_count, duration_ms)
        if self.is_awaited:
            least = -(-least // SIDE_BY_SIDE)
        is_good_part = 2 * points_count >= self.profile.points > 0
        if pages is not None and (pages < least or (pages == least and is_good_part)):
            return "site"
        return "points"

    def division(self, points_count: int, duration_ms: int) -> tuple[int, int]:
        """
        Return into how many groups names are best divided, and how many calls that makes.

        Each group's calls cover the whole duration one after the other, so a group that fills its
        calls just badly costs one more: other numbers of groups are tried.
        """
        count = max(points_count, 1)
        first = -(-count // self.names_max)
        best = (first, self._calls(count, first, duration_ms))
        for groups in range(first + 1, min(first + DIVISIONS_MAX, count) + 1):
            if groups >= best[1]:
                break
            calls = self._calls(count, groups, duration_ms)
            if calls < best[1]:
                best = (groups, calls)
        return best

    def _calls(self, count: int, groups: int, duration_ms: int) -> int:
        return groups * self.parts(-(-count // groups), duration_ms)

    def samples(self, points_count: int, duration_ms: int) -> float:
        """Return the samples that answers to a fetch bring, surplus ones included, estimated."""
        per_day = points_count * self.samples_per_day
        if self.way(points_count, duration_ms) == "site":
            per_day = self.site_samples_per_day or per_day
        return per_day * duration_ms / DAY_MS

    def parts(self, names_count: int, duration_ms: int) -> int:
        """Return into how many calls the samples of one group of names are divided."""
        samples = names_count * duration_ms / DAY_MS * self.samples_per_day
        return max(1, -int(-samples // self.answer_samples))

    def _pages(self, way: Way, points_count: int, duration_ms: int) -> int | None:
        if way == "filter":
            groups = -(-max(points_count, 1) // FILTER_NAMES)
            per_day = -(-points_count // groups) * self.samples_per_day
        else:
            groups, rate = 1, self.site_samples_per_day
            if rate is None:
                return None
            per_day = rate
        samples = per_day * duration_ms / DAY_MS
        return groups * max(1, -int(-samples // self.page_samples))


def of_whole_site(costs: SiteCosts) -> SiteCosts:
    """Return the costs of fetches that want all points, by pages that no filter may cut."""
    profile = replace(costs.profile, is_filter_heeded=False)
    return replace(costs, profile=profile, calls="site")


def _usual_ms(samples: float) -> float:
    """Return how long an answer of so many samples usually takes."""
    return ANSWER_MS + SAMPLE_MS * samples


def point_calls(
    costs: SiteCosts, points: Sequence[str], time_range: Range
) -> list[tuple[list[str], list[Range]]]:
    """Return groups of names, each with the ranges of its calls, in order."""
    groups, _ = costs.division(len(points), time_range.duration_ms)
    bounds = [len(points) * n // groups for n in range(groups + 1)]
    return [
        (
            list(points[first:last]),
            split_evenly(time_range, costs.parts(last - first, time_range.duration_ms)),
        )
        for first, last in pairwise(bounds)
    ]
