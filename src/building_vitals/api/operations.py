"""Health, the API's description, and the administrators' view of the cache."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from building_vitals.access.caller import Caller
from building_vitals.api.messages import HttpRequest, Reply, json_reply
from building_vitals.api.openapi import openapi_document
from building_vitals.api.requests import parse_cache_list_query, parse_cache_purge_query
from building_vitals.app import App
from building_vitals.maintenance.health import VERSION


async def read_health(request: HttpRequest, app: App) -> Reply:
    """Say whether the Worker and what it stands on are well."""
    document = await app.health.check()
    status = 200 if document["status"] == "healthy" else 503
    return json_reply(document, status, [("Cache-Control", "no-store")])


async def read_openapi(request: HttpRequest, app: App) -> Reply:
    """Describe the API."""
    return Reply(
        status=200,
        headers=[("Content-Type", "application/json"), ("Cache-Control", "public, max-age=300")],
        body=_openapi(app.settings.routing.direct_timeout),
    )


@lru_cache(maxsize=1)
def _openapi(timeout_ms_max: int) -> bytes:
    return msgspec.json.encode(openapi_document(VERSION, timeout_ms_max=timeout_ms_max))


async def list_cache_objects(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """List the bucket's objects, a page at a time."""
    query = parse_cache_list_query(request.query)
    return json_reply(
        await app.cache_admin.list_objects(
            prefix=query.prefix, limit=query.limit, cursor=query.cursor
        )
    )


async def purge_cache(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Forget what is known of a site, of some points, of a range."""
    query = parse_cache_purge_query(request.query)
    deleted = await app.cache_admin.purge(query.site, query.points, query.time_range)
    return json_reply({"deleted": deleted}, site=query.site)
