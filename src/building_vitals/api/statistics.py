"""`/api/stats`."""

from __future__ import annotations

from building_vitals.access.caller import Caller
from building_vitals.api.messages import HttpRequest, Reply, json_reply
from building_vitals.app import App


async def read_statistics(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Say how the Worker does."""
    return json_reply(await app.statistics.read(), 200, [("Cache-Control", "no-store")])
