"""
Maintenance from ordinary traffic, should nobody else run it.

Cron invocations of Python Workers have been seen to die before any user code runs: then requests
find out, behind their answers, that the last run was long ago, and one of them does the work.
"""

from __future__ import annotations

from collections.abc import Callable

from building_vitals.errors import AppError
from building_vitals.instants import MINUTE_MS, is_recent
from building_vitals.maintenance.run import Maintenance
from building_vitals.maintenance.state_table import MaintenanceState
from building_vitals.ports import Invocation

# Of the cron trigger in wrangler.toml.
INTERVAL_MS = 5 * MINUTE_MS
OVERDUE_MS = 3 * INTERVAL_MS
# How often an isolate looks.
LOOK_MS = MINUTE_MS
# Who has claimed a run and not ended it by then is dead: an invocation has 30 s after its answer.
CLAIM_MS = 2 * MINUTE_MS


class LastLook:
    """When an isolate last looked whether maintenance is overdue; epoch milliseconds."""

    def __init__(self) -> None:
        self.at_ms = 0


class OverdueMaintenance:
    """Looks behind an answer whether maintenance is overdue, and runs it then."""

    def __init__(
        self,
        *,
        state: MaintenanceState,
        last_look: LastLook,
        maintenance: Callable[[], Maintenance],
        invocation: Invocation,
    ) -> None:
        """
        Args:
            state: When the last run ended.
            last_look: The isolate's.
            maintenance: Makes the run, which few requests need.
            invocation: Clock, work after the answer, faults.
        """
        self._state = state
        self._last_look = last_look
        self._maintenance = maintenance
        self._clock = invocation.clock
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault

    def look_later(self) -> None:
        """Have it looked at behind the answer, once a minute in each isolate."""
        now_ms = self._clock.now_ms()
        if not is_recent(self._last_look.at_ms, now_ms, LOOK_MS):
            self._last_look.at_ms = now_ms
            self._run_later(self._look())

    async def _look(self) -> None:
        try:
            now_ms = self._clock.now_ms()
            is_mine = await self._state.claim(
                now_ms=now_ms, overdue_ms=OVERDUE_MS, claim_ms=CLAIM_MS
            )
            if is_mine:
                await self._maintenance().run()
        except AppError as error:
            self._on_fault("overdue maintenance", error)
