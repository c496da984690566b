"""
The maintenance run: the periodic work of every room, step by step.

Cron invocations of Python Workers are known to fail before any user code runs
(cloudflare/workerd issue 6624), so the same run can be started over HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from building_vitals.errors import AppError
from building_vitals.fields import Count
from building_vitals.maintenance.state_table import MaintenanceState
from building_vitals.ports import Invocation
from building_vitals.upkeep import Step


class StepOutcome(msgspec.Struct, frozen=True):
    """A step of a maintenance run; `error` only where it failed."""

    name: str
    changed: Count
    error: str | msgspec.UnsetType = msgspec.UNSET


class MaintenanceRun(msgspec.Struct, frozen=True):
    """The steps of a maintenance run."""

    steps: list[StepOutcome]


class Maintenance:
    """Runs the steps one after the other."""

    def __init__(
        self,
        steps: Sequence[Step],
        state: MaintenanceState,
        invocation: Invocation,
    ) -> None:
        """
        Args:
            steps: All of them.
            state: Takes the end of each run.
            invocation: Clock, faults.
        """
        self._state = state
        self._steps = sorted(steps, key=lambda step: step.rank)
        self._clock = invocation.clock
        self._on_fault = invocation.on_fault

    async def run(self) -> MaintenanceRun:
        """Run every step, and note the end; a step that fails stops no other."""
        done: list[StepOutcome] = []
        for step in self._steps:
            try:
                changed = await step.run(self._clock.now_ms())
            except Exception as error:
                failure = error if isinstance(error, AppError) else _unforeseen(error)
                self._on_fault(f"maintenance: {step.name}", failure)
                done.append(StepOutcome(step.name, 0, failure.detail))
            else:
                done.append(StepOutcome(step.name, changed))
        try:
            await self._state.note_run(self._clock.now_ms())
        except AppError as error:
            self._on_fault("maintenance: end", error)
        return MaintenanceRun(done)


def _unforeseen(error: Exception) -> AppError:
    """Return a bug as a failure, so that the other steps still run."""
    return AppError(f"{type(error).__name__}: {error}")
