"""The lists of sites and points, over HTTP."""

from __future__ import annotations

from fakes.upstream import FakeUpstream
from integration.harness.client import Client, until

START_MS = 1_735_689_600_000
NAMES = [f"{building}/AHU-{n}, supply °C" for building in "AB" for n in range(60)]


def make(upstream: FakeUpstream, site: str) -> None:
    """Give the upstream a site with 120 points."""
    upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + 3_600_000, names=NAMES)


def test_points_are_listed_searched_and_paged(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Pages put together are the whole list; a search looks at names in any case."""
    make(upstream, site)
    pages = [
        client.get(f"/api/sites/{site}/points?per_page=50&page={page}").json()
        for page in (1, 2, 3, 4)
    ]
    assert [50, 50, 20, 0] == [len(page["items"]) for page in pages]
    assert sorted(NAMES) == sorted(item["name"] for page in pages for item in page["items"])
    assert {(3, 120)} == {(page["pages"], page["total"]) for page in pages}
    found = client.get(f"/api/sites/{site}/points?search=b%2Fahu-1%2C").json()
    assert ["B/AHU-1, supply °C"] == [item["name"] for item in found["items"]]


def test_lists_are_kept(client: Client, upstream: FakeUpstream, site: str) -> None:
    """A second question does not go upstream, and an upstream that is down does not matter."""
    make(upstream, site)
    path = f"/api/sites/{site}/points"

    def is_kept() -> bool:
        upstream.clear_log(site)
        client.get(path)
        return not upstream.log(site)

    until(is_kept, deadline_s=10, what="the list is kept")


def test_an_unknown_site_has_no_points(client: Client, site: str) -> None:
    """The upstream's 404 is a 404 that says so."""
    answer = client.get(f"/api/sites/{site}/points")
    assert 404 == answer.status
    assert "application/problem+json" == answer.headers["content-type"]


def test_sites_are_listed(client: Client, upstream: FakeUpstream, site: str) -> None:
    """A site the upstream has is in the list, with what the upstream says of it."""
    make(upstream, site)
    document = client.get("/api/sites").json()
    assert document["total"] == len(document["items"]) > 0
    assert all("name" in item for item in document["items"])


def test_bad_parameters_are_all_named(client: Client, site: str) -> None:
    """Every parameter that is wrong is in the answer."""
    answer = client.get(f"/api/sites/{site}/points?page=0&per_page=x")
    assert 400 == answer.status
    assert {"page", "per_page"} == {each["field"] for each in answer.json()["errors"]}
