"""Tests of the lists of sites and points."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.errors import UpstreamError, UpstreamSiteUnknown, UpstreamTimeout
from building_vitals.ports import HttpAnswer
from building_vitals.upstream.ace import listings
from fakes.ace import FOUND, NOW_MS, Bench
from fakes.http import answer

MISSING = answer(404, {})


def listing(*names: str, page: int = 1, pages: int | None = 1) -> HttpAnswer:
    """Return a page of a list."""
    items = [{"id": 1.5, "name": name, "latitude": None} for name in names]
    return answer(200, {"page": page, "pages": pages, "per_page": 2, "total": 9, "items": items})


def names_of(items: list[dict[str, Any]]) -> list[str]:
    """Return the names of items."""
    return [item["name"] for item in items]


async def test_whole_list_of_sites() -> None:
    """All pages are fetched, and items are as the upstream describes them."""
    bench = Bench(listing("a", "b", pages=2), listing("c", page=2, pages=2))
    items = await bench.client.list_sites()

    assert names_of(items) == ["a", "b", "c"]
    assert items[0] == {"id": 1.5, "name": "a", "latitude": None}
    assert [(sent.path, sent.query) for sent in bench.http.requests] == [
        ("/api/sites/", {"page": "1", "per_page": "1000"}),
        ("/api/sites/", {"page": "2", "per_page": "1000"}),
    ]


async def test_whole_list_of_points() -> None:
    """A site's points are fetched below its path."""
    bench = Bench(listing("p", "q"))

    assert names_of(await bench.client.list_points("h q")) == ["p", "q"]
    (sent,) = bench.http.requests
    assert sent.path == "/api/sites/h%20q/configured_points"
    assert sent.query == {"page": "1", "per_page": "5000"}


@pytest.mark.parametrize("pages", [0, None, 1])
async def test_empty_list(pages: int | None) -> None:
    """A list without items is empty, whatever it says of its pages."""
    bench = Bench(listing(pages=pages))

    assert await bench.client.list_points("hq") == []


async def test_points_of_a_site_without_a_list() -> None:
    """404 is an empty list when the site is known, and an unknown site otherwise."""
    known, unknown = Bench(MISSING, FOUND), Bench(MISSING, MISSING)

    assert await known.client.list_points("hq") == []
    with pytest.raises(UpstreamSiteUnknown):
        await unknown.client.list_points("hq")


async def test_missing_list_of_sites_is_an_error() -> None:
    """There is always a list of sites, so 404 is a fault of the address."""
    with pytest.raises(UpstreamError, match=r"^upstream /sites/ answered 404: .+ACE_API_URL"):
        await Bench(MISSING).client.list_sites()


async def test_site_that_is_forbidden_is_unknown() -> None:
    """A 403 for a list of points, or for its site, is an unknown site, and is remembered as one."""
    text = "^the upstream knows no site 'hq', or the Worker's token may not read it$"
    for steps in ((answer(403, b""),), (MISSING, answer(403, b""), MISSING)):
        bench = Bench(*steps, otherwise=answer(403, b""))
        for _ in range(2):
            with pytest.raises(UpstreamSiteUnknown, match=text) as caught:
                await bench.client.list_points("hq")
            assert 403 == caught.value.upstream_status
        assert max(2, len(steps)) == len(bench.http.requests)


async def test_names_are_as_the_upstream_has_them() -> None:
    """Names of any letters and of 512 characters pass, and items without a name stay."""
    names = ["hq/é:a~b (1)", "a b,c", "😀" * 512, "x" * 512, ""]
    nameless: list[dict[str, Any]] = [{"id": 1}, {"id": 2}, {"name": None}, {"name": 5}]
    items = [{"name": name} for name in names] + nameless
    bench = Bench(answer(200, {"items": items, "pages": 1}))

    assert items == await bench.client.list_points("hq")


async def test_list_that_changes_while_it_is_read_has_each_name_once() -> None:
    """An item that moves to the next page comes twice: it is given once, as it was last."""
    first = answer(200, {"items": [{"name": "a"}, {"name": "b", "id": 1}], "pages": 2})
    second = answer(200, {"items": [{"name": "b", "id": 2}, {"name": "c"}], "pages": 2})
    expected = [{"name": "a"}, {"name": "b", "id": 2}, {"name": "c"}]

    assert expected == await Bench(first, second).client.list_sites()


@pytest.mark.parametrize(
    "lie", [answer(200, b"<html>"), answer(503, b""), MISSING, listing(page=2, pages=3)]
)
async def test_faults_in_a_list_are_repeated(lie: HttpAnswer) -> None:
    """A page of a list that can't be true is asked for again; an empty one in between can't."""
    rest = listing("b", page=2, pages=3), listing("c", page=3, pages=3)
    bench = Bench(listing("a", pages=3), lie, *rest)

    assert names_of(await bench.client.list_sites()) == ["a", "b", "c"]
    assert len(bench.clock.sleeps) == 1


async def test_lists_are_bounded_and_never_cut() -> None:
    """A list with more pages than the limit is an error, not the beginning of the list."""
    pages = listings.LIST_PAGES_MAX + 1
    bench = Bench(otherwise=listing("a", pages=pages))
    with pytest.raises(UpstreamError, match="too many pages: 101, limit 100"):
        await bench.client.list_sites()

    assert len(bench.http.requests) == 1


async def test_lists_keep_their_deadline() -> None:
    """A list gives up at its deadline."""
    with pytest.raises(UpstreamTimeout):
        await Bench().client.list_sites(deadline_ms=NOW_MS)
