"""`/api/stats`."""

from __future__ import annotations

from building_vitals.access.caller import Caller
from building_vitals.api.context import Context
from building_vitals.api.messages import HttpRequest, Reply, json_reply


async def read_statistics(request: HttpRequest, context: Context, caller: Caller) -> Reply:
    """Say how the Worker does."""
    return json_reply(await context.statistics.read(), 200, [("Cache-Control", "no-store")])
