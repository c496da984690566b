"""What the fake upstream tells of its requests: those that were meant, without what goes beside."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from demo.traits import KIND, WORLDS
from fakes.upstream import FakeUpstream
from unit.test_fake_upstream import END_MS, RANGE, START_MS, call, names_of, page


@pytest.fixture(params=sorted(WORLDS))
def fake(request: pytest.FixtureRequest) -> Iterator[FakeUpstream]:
    """A server of each world."""
    with FakeUpstream(traits=WORLDS[request.param]) as upstream:
        yield upstream


@pytest.fixture
def site(fake: FakeUpstream) -> str:
    """A site of three generated points, one hour each."""
    fake.add_generated("counted", points=3, start_ms=START_MS, end_ms=END_MS)
    return "counted"


def test_what_a_margin_brings_is_not_counted(fake: FakeUpstream, site: str) -> None:
    """A client that asks a second earlier means what follows; what else is sent does not count."""
    name = f"{site}/listed"
    around = [START_MS - 1000, START_MS - 1, START_MS, END_MS - 1, END_MS, END_MS + 1]
    fake.set_points(f"{site}-listed", {name: [(ms, "1") for ms in around]})
    body = json.dumps({"points": [{"name": name}]})
    wider = {**RANGE, "start_time": "2024-12-31T23:59:59Z"}
    fake.margin_ms = 1000
    call(fake, "/points/get_timeseries", body=body, **wider)
    (asked,) = fake.fetches(f"{site}-listed")
    assert asked.samples == (5 if fake.traits.ends == "inclusive" else 4)
    assert fake.samples_sent(f"{site}-listed") == 2
    assert fake.fetched_ranges(f"{site}-listed") == [(START_MS, END_MS)]


def test_comparing_is_not_fetching(fake: FakeUpstream, site: str) -> None:
    """The first page with a filter behind calls by point is told apart; others are fetches."""
    names = names_of(fake, site)
    page(fake, site, point_names=names[0])
    assert [each.is_comparison for each in fake.log(site, "timeseries")] == [False]
    fake.clear_log(site)
    call(fake, "/points/get_timeseries", body=json.dumps({"points": [{"name": names[0]}]}), **RANGE)
    page(fake, site)
    for name in (names[1], names[1], names[2]):
        page(fake, site, point_names=name)
    logged = fake.log(site)
    assert [each.is_comparison for each in logged] == [False, False, True, True, False]
    assert fake.fetches(site) == [*logged[:2], logged[4]]
    assert fake.requests_for(site) == 3
    assert fake.requests_for(site, "timeseries") == 4


def test_what_came_too_late_is_not_counted(fake: FakeUpstream, site: str) -> None:
    """Of equal requests the later is left out only where the first had its time."""
    body = json.dumps({"points": [{"name": names_of(fake, site)[0]}]})
    for _ in range(3):
        call(fake, "/points/get_timeseries", body=body, **RANGE)
    first, second, third = fake.fetches(site)
    second.time_ms, third.time_ms = first.time_ms + 1499, first.time_ms + 2999
    each = fake.samples_sent(site) // 3
    assert each > 0
    assert 2 * each == fake.samples_sent(site, patience_ms=1500)


def test_sites_are_removed_by_their_beginning(fake: FakeUpstream, site: str) -> None:
    """A test's sites have names of one beginning; who has which point is told."""
    fake.set_points(f"{site}-b", {"b": []})
    assert fake.has_point(site, names_of(fake, site)[0])
    assert [fake.has_point(f"{site}-b", name) for name in "ab"] == [False, True]
    fake.remove_sites(site)
    unknown = 404 if fake.traits == KIND else 403
    assert [call(fake, f"/sites/{name}")[0] for name in (site, f"{site}-b")] == [unknown, unknown]
    assert not fake.has_point(f"{site}-b", "b")
