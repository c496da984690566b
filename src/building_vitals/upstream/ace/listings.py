"""
The upstream's lists, of sites and of a site's points: all pages of each, or an error.

Separate because they have pages of their own, and little to do with samples.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from building_vitals.errors import UpstreamError, UpstreamSiteUnknown
from building_vitals.upstream.ace.calls import Calls
from building_vitals.upstream.ace.targets import SITES_PATH, list_target, site_path, site_target
from building_vitals.upstream.ace.wire import Listing, PageRefused, decode_listing
from building_vitals.upstream.port import Items

# Items per page, of the sizes that the upstream takes.
SITES_PER_PAGE = 1_000
POINTS_PER_PAGE = 5_000
LIST_PAGES_MAX = 100


async def list_sites(calls: Calls) -> Items:
    """
    Return the sites the upstream knows, as it describes them, each name once.

    Raises:
        UpstreamError: a page could not be fetched, or there are more than LIST_PAGES_MAX.
    """
    items = await _list(calls, SITES_PATH, SITES_PER_PAGE)
    if items is None:
        raise UpstreamError(
            f"upstream {SITES_PATH} answered 404: it is no address of the upstream's API "
            "(ACE_API_URL), which ends in /api",
            upstream_status=404,
        )
    return items


async def list_points(calls: Calls, site: str) -> Items | None:
    """
    Return the points of a site, as the upstream describes them, each name once; None without one.

    Raises:
        UpstreamError: a page could not be fetched, or there are more than LIST_PAGES_MAX.
    """
    return await _list(calls, f"{site_path(site)}/configured_points", POINTS_PER_PAGE)


async def site_fault(calls: Calls, site: str) -> UpstreamSiteUnknown | None:
    """Return what the upstream has against a site; None where it knows it."""
    try:
        is_known = await calls.begin(site_target(site), may_be_absent=True).answer() is not None
    except UpstreamSiteUnknown as unknown:
        return UpstreamSiteUnknown(unknown.detail, upstream_status=unknown.upstream_status)
    if is_known:
        return None
    return UpstreamSiteUnknown(f"the upstream knows no site {site!r}", upstream_status=404)


async def _list(calls: Calls, path: str, per_page: int) -> Items | None:
    """
    Return the items of all pages; None when the list is not there.

    A list that changes while it is read moves items from page to page: of one that comes twice the
    later is kept, in the place of the earlier.
    """
    items: dict[object, dict[str, Any]] = {}
    number, pages = 1, 1
    while number <= pages:
        listing = await calls.read(
            list_target(path, number, per_page),
            partial(_decode_page, number),
            may_be_absent=number == 1,
        )
        if listing is None:
            return None
        for item in listing.items:
            name = item.get("name")
            # An item without a name is kept: the directory judges it.
            items[name if isinstance(name, str) else (len(items),)] = item
        pages = listing.pages or 1
        if pages > LIST_PAGES_MAX:
            raise UpstreamError(
                f"upstream {path} has too many pages: {pages}, limit {LIST_PAGES_MAX}",
                upstream_status=200,
            )
        number += 1
    return list(items.values())


def _decode_page(number: int, body: bytes) -> Listing:
    """Return a page of a list; one without items cannot be followed by others."""
    listing = decode_listing(body)
    if not listing.items and number < (listing.pages or 1):
        raise PageRefused(f"sent an empty page {number} of {listing.pages}")
    return listing
