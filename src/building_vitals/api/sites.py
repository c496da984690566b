"""`/api/sites`: what there is to ask about."""

from __future__ import annotations

from building_vitals.access.caller import Caller
from building_vitals.api.messages import HttpRequest, Reply, json_reply
from building_vitals.api.parameters import PAGE, PER_PAGE, SEARCH
from building_vitals.api.requests import parse_page_query, parse_site
from building_vitals.app import App

# What a caller may see depends on its key, so no cache between may keep it.
_PRIVATE = [("Cache-Control", "private, no-cache")]


async def list_sites(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """List the sites that the caller may read."""
    return json_reply(await app.sites.sites(caller), headers=_PRIVATE)


async def list_points(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """List the points of a site, a page at a time."""
    site = parse_site(request.captured[0])
    caller.require_site(site)
    values = parse_page_query(request.query, SEARCH, PAGE, PER_PAGE)
    return json_reply(await app.sites.points(site, **values), headers=_PRIVATE, site=site)
