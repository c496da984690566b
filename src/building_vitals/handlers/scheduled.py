"""The cron handler: the maintenance run, and one log line about it."""

from __future__ import annotations

import traceback

from building_vitals.api.context import Context


async def run(cron: str, context: Context) -> None:
    """Run the maintenance steps; nothing is raised, the next run is due anyway."""
    started_ms = context.clock.now_ms()
    try:
        done = await context.maintenance.run()
    except Exception as error:
        detail = "".join(traceback.format_exception(error))[-2000:]
        context.log("fault", where="scheduled", detail=detail)
        return
    context.log(
        "scheduled", cron=cron, durationMs=context.clock.now_ms() - started_ms, steps=done["steps"]
    )
