"""The document of `/api/upstream`."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from building_vitals.errors import Unavailable
from building_vitals.upstream.ace.planning import SiteCosts
from building_vitals.upstream.ace.report import UpstreamReports
from building_vitals.upstream.profile import SiteProfile
from fakes.ace import BASE_URL, NOW_MS
from fakes.clock import VirtualClock
from fakes.profiles import RememberedProfiles


def reports(table: RememberedProfiles) -> UpstreamReports:
    """Return what makes the document."""
    return UpstreamReports(
        table=table,
        costs=partial(SiteCosts, calls="auto", page_size=50_000),
        lateness_of=lambda learned: 60_000 if learned is None else learned,
        url=BASE_URL,
        calls="auto",
        page_size=50_000,
        clock=VirtualClock(NOW_MS),
    )


async def test_what_is_known_of_a_site() -> None:
    """Figures are whole numbers; what a chart and a whole site go by is told."""
    table = RememberedProfiles(BASE_URL)
    profile = SiteProfile(
        points=2_174,
        samples_per_day=626_112.4,
        point_samples_per_day=288.0,
        page_ms=7_000.6,
        call_ms=900.0,
        page_size=10_000,
        names_max=50,
        is_filter_heeded=False,
        is_same=True,
        newest_age_ms=0,
        late_by_ms=(1, 2, 3),
        lateness_ms=90_000,
        checked_ms=NOW_MS,
        seen_ms=NOW_MS + 1,
    )
    await table.keep("hq", profile, 1)
    document = msgspec.to_builtins(await reports(table).read())

    assert document == {
        "url": BASE_URL,
        "calls": "auto",
        "pageSize": 50_000,
        "sites": [
            {
                "site": "hq",
                "chartCalls": "points",
                "siteCalls": "points",
                "points": 2_174,
                "samplesPerDay": 626_112,
                "pointSamplesPerDay": 288,
                "pageSize": 10_000,
                "pageMs": 7_001,
                "callMs": 900,
                "namesPerCall": 50,
                "filterHeeded": False,
                "sameSamples": True,
                "newestAgeMs": 0,
                "latenessMs": 90_000,
                "comparedAt": "2025-01-01T00:00:00.000Z",
                "seenAt": "2025-01-01T00:00:00.001Z",
            }
        ],
        "timestamp": "2025-01-01T00:00:00.000Z",
    }


async def test_what_is_not_known_is_null() -> None:
    """A site of which nothing was learned has the usual sizes, and no figures."""
    table = RememberedProfiles(BASE_URL)
    await table.claim("hq", 1, 1)
    [site] = msgspec.to_builtins(await reports(table).read())["sites"]

    assert {"chartCalls": "points", "siteCalls": "points", "pageSize": 50_000} == {
        name: site[name] for name in ("chartCalls", "siteCalls", "pageSize")
    }
    assert 60_000 == site["latenessMs"]
    known = {"site", "chartCalls", "siteCalls", "pageSize", "namesPerCall", "latenessMs"}
    assert {None} == {value for name, value in site.items() if name not in known}


async def test_whole_site_goes_by_its_pages() -> None:
    """Where that takes fewer requests, the document says so."""
    table = RememberedProfiles(BASE_URL)
    await table.keep("hq", SiteProfile(points=2_174), 1)
    [site] = (await reports(table).read()).sites

    assert ("points", "site") == (site.chart_calls, site.site_calls)


async def test_sites_that_changed_last_come_first() -> None:
    """A site that somebody works on is at the top."""
    table = RememberedProfiles(BASE_URL)
    for at, site in enumerate(("a", "c", "b")):
        await table.keep(site, SiteProfile(), at)

    assert ["b", "c", "a"] == [each.site for each in (await reports(table).read()).sites]


async def test_database_that_is_down_is_told() -> None:
    """There is nothing to show then."""
    table = RememberedProfiles(BASE_URL)
    table.failure = Unavailable("D1 is down")
    with pytest.raises(Unavailable):
        await reports(table).read()
