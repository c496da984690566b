"""The cron handler: the maintenance run, and one log line about it."""

from __future__ import annotations

import traceback

import msgspec

from building_vitals.app import App
from building_vitals.instants import elapsed_ms


async def run(cron: str, app: App) -> None:
    """Run the maintenance steps; nothing is raised, the next run is due anyway."""
    started_ms = app.clock.now_ms()
    try:
        done = await app.maintenance.run()
    except Exception as error:
        detail = "".join(traceback.format_exception(error))[-2000:]
        app.log("fault", where="scheduled", detail=detail)
        return
    steps = msgspec.to_builtins(done.steps)
    duration_ms = elapsed_ms(started_ms, app.clock.now_ms())
    app.log("scheduled", cron=cron, durationMs=duration_ms, steps=steps)
