"""
The client against the fake upstream over real HTTP: every fault it knows, passing and lasting.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

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
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.page_stream import EMPTY_PAGES_MAX
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.profile import SiteProfile
from building_vitals.upstream.profiles import ProfileMemory, SiteProfiles
from fakes.clock import VirtualClock
from fakes.invocation import invocation
from fakes.profiles import RememberedProfiles
from fakes.socket_http import SocketHttp
from fakes.upstream import FakeUpstream

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
LASTING = {
    "429": (UpstreamLimited, "answered 429 after 3 attempts"),
    "500": (UpstreamError, "answered 500 after 3 attempts"),
    "cut": (UpstreamError, "gave no whole answer"),
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


def client_of(upstream: FakeUpstream, site: str, page_timeout_ms: int = 20_000) -> AceClient:
    """
    Return a client with small pages, two retries and waits that take no time, for a site that is
    known to heed filters.
    """
    settings = UpstreamSettings(
        base_url=upstream.url,
        token="test-token",
        page_size=100,
        page_timeout_ms=page_timeout_ms,
        max_retries=2,
        request_line_max=900,
    )
    clock, table = VirtualClock(DAY.end_ms), RememberedProfiles(upstream.url)
    table.put(site, SiteProfile(is_filter_heeded=True, is_same=False))
    profiles = SiteProfiles(
        table=table,
        memory=ProfileMemory(),
        invocation=invocation(clock, run_later=lambda work: work.close()),
    )
    return AceClient(SocketHttp(), clock, settings, profiles=profiles)


async def assert_whole(
    upstream: FakeUpstream, site: str, points: list[str], **options: int
) -> None:
    """Assert that a fetch gives what the fake's oracle says."""
    sink = LastWins(points)
    await client_of(upstream, site, **options).fetch_samples(site, points, DAY, sink)

    for point in points:
        assert sink.rows(point) == upstream.expected(site, point, DAY.start_ms, DAY.end_ms)


@pytest.mark.parametrize("kind", HARMLESS)
async def test_odd_answers_are_whole(upstream: FakeUpstream, kind: str) -> None:
    """Warts that leave all samples in place cost none of them, with several filters too."""
    site = f"odd-{kind}"
    points = upstream.add_generated(site, points=12, start_ms=DAY.start_ms, end_ms=DAY.end_ms)
    options: dict[str, Any] = {"pause_ms": 1} if kind == "trickle" else {}
    upstream.faults.always(site, kind, **options)

    await assert_whole(upstream, site, points[:9])


@pytest.mark.parametrize("kind", PASSING)
async def test_faults_that_pass_cost_nothing(upstream: FakeUpstream, kind: str) -> None:
    """A fault on the second page leaves the result whole."""
    site = f"passing-{kind}"
    points = upstream.add_generated(site, points=2, start_ms=DAY.start_ms, end_ms=DAY.end_ms)
    upstream.faults.once(site, kind, skip=1)

    await assert_whole(upstream, site, points, page_timeout_ms=2_000)
    upstream.faults.clear(site)


@pytest.mark.parametrize("kind", LASTING)
async def test_faults_that_last_are_told(upstream: FakeUpstream, kind: str) -> None:
    """A fault that lasts is an error of the right kind that says what was seen."""
    site = f"lasting-{kind}"
    points = upstream.add_generated(site, points=2, start_ms=DAY.start_ms, end_ms=DAY.end_ms)
    upstream.faults.always(site, kind)
    client = client_of(upstream, site, page_timeout_ms=200 if kind == "hang" else 20_000)
    error, detail = LASTING[kind]
    with pytest.raises(error) as caught:
        await client.fetch_samples(site, points, DAY, LastWins(points))

    assert error is type(caught.value)
    assert detail in caught.value.detail
    upstream.faults.clear(site)


async def test_awkward_names_are_asked_for_rightly(upstream: FakeUpstream) -> None:
    """Names with commas, quotes, slashes, blanks and emoji get their own samples."""
    names = ["a,b", "a", "b", "p q/r.s", 'say "on"', "50%+&=#?", "é😀", "constructor", " x "]
    samples = {name: [(DAY.start_ms + each, str(each))] for each, name in enumerate(names)}
    upstream.set_points("awkward", samples)

    await assert_whole(upstream, "awkward", names)
