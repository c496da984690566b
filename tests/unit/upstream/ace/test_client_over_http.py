"""
The client against the fake upstream over real HTTP: every fault it knows, passing and lasting.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Coroutine, Iterator, Sequence
from typing import Any, Final

import pytest

from building_vitals.errors import (
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
    UpstreamTimeout,
)
from building_vitals.instants import parse_iso
from building_vitals.ranges import Range
from building_vitals.series.columns import Sample
from building_vitals.series.values import value_text
from building_vitals.upstream.ace.calls import AnswerCut, AnswerTooLarge
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.page_stream import EMPTY_PAGES_MAX
from building_vitals.upstream.ace.settings import CallsVar, UpstreamSettings
from building_vitals.upstream.profile import SiteProfile
from building_vitals.upstream.profiles import ProfileMemory, SiteProfiles
from fakes.clock import VirtualClock
from fakes.invocation import invocation
from fakes.profiles import RememberedProfiles
from fakes.socket_http import SocketHttp
from fakes.upstream import FakeUpstream
from fakes.upstream_faults import OF_PAGES

DAY = Range(1_735_689_600_000, 1_735_776_000_000)

# Faults after which the answer is still there to be had.
HARMLESS = (
    "gzip", "empty_pages", "ignores_point_names", "unordered", "duplicates", "nan_literals",
    "outside_range", "time_formats", "trickle",
)  # fmt: skip
PASSING = (
    "429", "500", "502", "503", "cut", "invalid_json", "invalid_utf8", "wrong_shape", "html",
    "html_502", "reset", "hang", "repeating_cursor", "no_cursor",
)  # fmt: skip
# What ends a fetch by pages where it lasts; one by point, too, unless it is left out below.
LASTING = {
    "429": (UpstreamLimited, "answered 429 after 3 attempts"),
    "500": (UpstreamError, "answered 500 after 3 attempts"),
    "cut": (AnswerCut, "gave no whole answer"),
    "invalid_json": (UpstreamError, "sent what is not a page"),
    "invalid_utf8": (UpstreamError, "sent what is not a page"),
    "wrong_shape": (UpstreamError, "sent what is not a page"),
    "html": (UpstreamError, "sent what is not a page"),
    "html_502": (UpstreamError, "answered 502 after 3 attempts"),
    "redirect": (UpstreamError, "answered 302: a redirect, which is not followed"),
    "reset": (UpstreamError, "gave no whole answer"),
    "hang": (UpstreamTimeout, "did not answer within"),
    "repeating_cursor": (UpstreamError, "repeats a page it gave before"),
    "cursor_cycle": (UpstreamError, "repeats a page it gave before"),
    "no_cursor": (UpstreamError, "says has_more but gives no cursor"),
    "endless_empty_pages": (
        UpstreamError,
        f"sent {EMPTY_PAGES_MAX} empty pages in a row",
    ),
    "400": (UpstreamError, "answered 400"),
    "401": (UpstreamError, "it refuses the Worker's token (ACE_API_TOKEN)"),
    "403": (UpstreamSiteUnknown, "or the Worker's token may not read it"),
}


class LastWins:
    """A sink that does what the real one does, by a dict."""

    def __init__(self, points: list[str]) -> None:
        self.samples: dict[str, dict[int, str]] = {point: {} for point in points}

    def add_page(self, samples: Sequence[Sample]) -> None:
        """Keep the samples asked for, the last of each instant."""
        for sample in samples:
            instant_ms = parse_iso(sample.time)
            if sample.name in self.samples and DAY.start_ms <= instant_ms < DAY.end_ms:
                self.samples[sample.name][instant_ms] = value_text(sample.value)

    def advance(self, points: Collection[str] | None, until_ms: int) -> None:
        """What is complete before the end is not this sink's business."""

    def rows(self, point: str) -> list[list[object]]:
        """Return a point's samples by time."""
        return [[ms, json.loads(text)] for ms, text in sorted(self.samples[point].items())]


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    """One server for the module; tests keep apart by site."""
    with FakeUpstream() as running:
        yield running


# Both ways of asking meet every fault, but those of cursors, which only pages have.
WAYS: Final[tuple[CallsVar, ...]] = ("site", "points")


def by_both_ways(kinds: Collection[str], *not_by_point: str) -> list[tuple[CallsVar, str]]:
    """Return each kind of fault with each way that it can strike."""
    return [
        (calls, kind)
        for calls in WAYS
        for kind in kinds
        if calls == "site" or kind not in {*OF_PAGES, *not_by_point}
    ]


class Guest:
    """
    A client of the running upstream for one site, with waits that take no time.

    Attributes:
        table: Where what it learns is kept.
    """

    def __init__(
        self, upstream: FakeUpstream, site: str, calls: CallsVar = "site", **options: Any
    ) -> None:
        """
        Args:
            upstream: The server.
            site: Its site.
            calls: The way to ask.
            options: Of `UpstreamSettings`; small pages and two retries unless they say otherwise.
        """
        options = {"page_size": 100, "max_retries": 2, "request_line_max": 900, **options}
        settings = UpstreamSettings(
            base_url=upstream.url, token="test-token", calls=calls, **options
        )
        clock, self.table = VirtualClock(DAY.end_ms), RememberedProfiles(upstream.url)
        self._upstream, self._site = upstream, site
        self._works: list[Coroutine[Any, Any, None]] = []
        profiles = SiteProfiles(
            table=self.table,
            memory=ProfileMemory(),
            invocation=invocation(clock, run_later=self._works.append),
        )
        self._client = AceClient(SocketHttp(), clock, settings, profiles=profiles)

    async def fetch(self, points: list[str]) -> None:
        """Fetch the day of the points, and assert that it is what the fake's oracle says."""
        sink = LastWins(points)
        await self._client.fetch_samples(self._site, points, DAY, sink)
        while self._works:
            await self._works.pop(0)
        for point in points:
            expected = self._upstream.expected(self._site, point, DAY.start_ms, DAY.end_ms)
            assert expected == sink.rows(point)

    @property
    def profile(self) -> SiteProfile:
        """What it has learned."""
        return self.table.rows[self._upstream.url, self._site].profile


def new_site(upstream: FakeUpstream, name: str, points: int) -> list[str]:
    """Return the points of a site with 288 samples of each in the day."""
    return upstream.add_generated(name, points=points, start_ms=DAY.start_ms, end_ms=DAY.end_ms)


@pytest.mark.parametrize(("calls", "kind"), by_both_ways(HARMLESS))
async def test_odd_answers_are_whole(upstream: FakeUpstream, calls: CallsVar, kind: str) -> None:
    """Warts that leave all samples in place cost none of them."""
    site = f"odd-{kind}-{calls}"
    points = new_site(upstream, site, 12)
    options: dict[str, Any] = {"pause_ms": 1} if kind == "trickle" else {}
    upstream.faults.always(site, kind, **options)

    await Guest(upstream, site, calls).fetch(points[:9])


@pytest.mark.parametrize(("calls", "kind"), by_both_ways(PASSING))
async def test_faults_that_pass_cost_nothing(
    upstream: FakeUpstream, calls: CallsVar, kind: str
) -> None:
    """A fault on the second page, or on the one call, leaves the result whole."""
    site = f"passing-{kind}-{calls}"
    points = new_site(upstream, site, 2)
    upstream.faults.once(site, kind, skip=1 if calls == "site" else 0)

    await Guest(upstream, site, calls, page_timeout_ms=2_000).fetch(points)
    upstream.faults.clear(site)


@pytest.mark.parametrize(("calls", "kind"), by_both_ways(LASTING, "403"))
async def test_faults_that_last_are_told(
    upstream: FakeUpstream, calls: CallsVar, kind: str
) -> None:
    """A fault that lasts is an error of the right kind that says what was seen."""
    site = f"lasting-{kind}-{calls}"
    points = new_site(upstream, site, 2)
    upstream.faults.always(site, kind)
    guest = Guest(upstream, site, calls, page_timeout_ms=200 if kind == "hang" else 20_000)
    error, detail = LASTING[kind]
    with pytest.raises(error) as caught:
        await guest.fetch(points)

    assert error is type(caught.value)
    assert detail in caught.value.detail
    upstream.faults.clear(site)


@pytest.mark.parametrize("calls", WAYS)
async def test_answers_that_die_when_large_are_asked_for_in_parts(
    upstream: FakeUpstream, calls: CallsVar
) -> None:
    """Smaller pages, or halves of the time; the next fetch begins with the smaller pages."""
    site = f"dying-{calls}"
    points = new_site(upstream, site, 12)
    upstream.faults.always(site, "dies_large", samples=1_000)
    guest = Guest(upstream, site, calls, page_size=10_000)
    await guest.fetch(points)

    asked = upstream.log(site)
    if calls == "points":
        # 3,456 samples in one; its halves have 1,728 each, and only theirs have 864.
        assert ["points_timeseries"] * 7 == [each.kind for each in asked]
        return
    sizes = [int(each.params["page_size"]) for each in asked]
    assert [10_000, 5_000, 1_000] == list(dict.fromkeys(sizes))
    assert [10_000, 5_000, 1_000, 1_000, 1_000, 1_000] == sizes
    assert 1_000 == guest.profile.page_size
    await guest.fetch(points)
    assert {"1000"} == {each.params["page_size"] for each in upstream.log(site)[6:]}


@pytest.mark.parametrize("kind", ["gzip_bomb", "endless_body"])
@pytest.mark.parametrize("calls", WAYS)
async def test_answer_larger_than_the_worker_reads_is_asked_for_in_parts(
    upstream: FakeUpstream, calls: CallsVar, kind: str
) -> None:
    """Once: the result is whole. For ever: the error says so, and comes soon."""
    site = f"{kind}-{calls}"
    points = new_site(upstream, site, 3)
    options: dict[str, Any] = {"bytes": 3_000_000} if kind == "gzip_bomb" else {}
    upstream.faults.once(site, kind, **options)
    limits = {"page_size": 1_000, "page_bytes_max": 1_000_000}
    await Guest(upstream, site, calls, **limits).fetch(points)
    assert 3 == upstream.requests_for(site)

    upstream.faults.always(site, kind, **options)
    with pytest.raises(AnswerTooLarge, match="sent a larger answer than the Worker reads"):
        await Guest(upstream, site, calls, **limits).fetch(points)
    # Pages of 1,000 and of 500; parts of 24 hours, 12, 6, 3 and less, down to one, then of one
    # point, then of minutes.
    assert (2 if calls == "site" else 13) == upstream.requests_for(site) - 3
    upstream.faults.clear(site)


async def test_awkward_names_are_asked_for_rightly(upstream: FakeUpstream) -> None:
    """Names with commas, quotes, slashes, blanks and emoji get their own samples."""
    names = ["a,b", "a", "b", "p q/r.s", 'say "on"', "50%+&=#?", "é😀", "constructor", " x "]
    samples = {name: [(DAY.start_ms + each, str(each))] for each, name in enumerate(names)}
    upstream.set_points("awkward", samples)

    for calls in WAYS:
        await Guest(upstream, "awkward", calls).fetch(names)
