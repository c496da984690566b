"""`/api/sites/{site}/follow`: sites that administrators have read all the time."""

from __future__ import annotations

from typing import cast

from building_vitals.api import admin_parameters as ap
from building_vitals.api.documents import CancelAnswer
from building_vitals.api.messages import NO_STORE, Call, Reply, json_reply
from building_vitals.api.parameters import BODY_BYTES_MAX
from building_vitals.api.requests import parse_follow, parse_site, require_plain_body


async def put_follow(call: Call) -> Reply:
    """Follow a site, or change how."""
    request = call.request
    require_plain_body(request.headers)
    wish = parse_follow(
        call.captured[0],
        await request.read_body(BODY_BYTES_MAX),
        request.headers.get("content-type"),
        call.parameters,
        now_ms=request.started_ms,
        query=request.query,
    )
    call.caller.require_site(wish.site)
    call.facts.site = wish.site
    found = await call.app.follow.put(
        wish.site, since_ms=wish.since_ms, every_ms=wish.every_ms, every=wish.every
    )
    return json_reply(found, 200, NO_STORE)


async def read_follow(call: Call) -> Reply:
    """Show how a follow goes."""
    return json_reply(await call.app.follow.read(_site_of(call)), 200, NO_STORE)


async def end_follow(call: Call) -> Reply:
    """Follow a site no longer."""
    forgets = cast(bool, call.values()[ap.FORGET.name])
    site = _site_of(call)
    await call.app.follow.end(site, forgets=forgets)
    kept = "forgotten" if forgets else "kept"
    message = f"The site is no longer followed; what was stored is {kept}."
    return json_reply(CancelAnswer(True, message), 200, NO_STORE)


def _site_of(call: Call) -> str:
    """Return the site that the path names, which the caller may read."""
    site = parse_site(call.captured[0])
    call.caller.require_site(site)
    call.facts.site = site
    return site
