"""`/api/sites`: the sites that a key may read, and their points."""

from __future__ import annotations

from building_vitals.api.messages import Call, Reply, json_reply
from building_vitals.api.requests import parse_site

# The answer depends on the key, so no shared cache may keep it.
_PRIVATE = ("Cache-Control", "private, no-cache")


async def list_sites(call: Call) -> Reply:
    """List the sites that the caller may read."""
    return json_reply(await call.app.sites.sites(call.caller), 200, _PRIVATE)


async def list_points(call: Call) -> Reply:
    """List a page of a site's points."""
    site = parse_site(call.captured[0])
    call.caller.require_site(site)
    values = call.values()
    call.facts.site = site
    return json_reply(await call.app.sites.points(site, **values), 200, _PRIVATE)
