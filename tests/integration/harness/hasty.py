"""
A Worker whose hours are minutes, with its bindings and its runtime as they always are.

Only the clock that it is given differs: a copy of the project has another one at the end of its
entry module. So what it remembers, trusts and waits for passes as fast.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from devtools.toolchain import Toolchain
from fakes.upstream import FakeUpstream
from integration.harness.project_copy import ProjectCopy

# `asyncio.sleep` of less is none to the runtime: those who poll would never let anybody else run.
SLEEP_MS_MIN = 4
# What is meant for people and machines, not for data, takes as long as without the haste.
PATIENT = {"DIRECT_TIMEOUT": "600000", "LEASE_SECONDS": "600"}

_PLANTED = """

import asyncio as _asyncio
from building_vitals.platform.http import RuntimeClock as _Clock
from building_vitals.platform.steady import SteadyTime as _SteadyTime


def _init(self):
    from js import Date

    clock_ms = Date.now
    self._time = _SteadyTime(lambda: {began_ms} + {speed} * (int(clock_ms()) - {began_ms}))


async def _sleep(self, delay_ms):
    await _asyncio.sleep(max(delay_ms / {speed}, {sleep_ms_min}) / 1000)


_Clock.__init__ = _init
_Clock.sleep = _sleep
"""


class HastyTime:
    """
    Time that begins with the machine's and goes faster.

    Args:
        speed: How many times faster.
    """

    def __init__(self, speed: int) -> None:
        self.speed = speed
        self.began_ms = time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        """Return the present instant, epoch milliseconds."""
        passed_ns = time.time_ns() - self.began_ms * 1_000_000
        return self.began_ms + passed_ns * self.speed // 1_000_000

    def sleep_until(self, at_ms: int) -> None:
        """Return when an instant has come."""
        time.sleep(max(0, at_ms - self.now_ms()) / self.speed / 1000)


def hasty_project(
    folder: Path,
    tools: Toolchain,
    upstream: FakeUpstream,
    hasty: HastyTime,
    variables: Mapping[str, str] | None = None,
) -> ProjectCopy:
    """Return a copy of the project in which time goes as fast as *hasty*."""
    planted = _PLANTED.format(began_ms=hasty.began_ms, speed=hasty.speed, sleep_ms_min=SLEEP_MS_MIN)
    return ProjectCopy(
        folder, tools, upstream, planted=planted, variables={**PATIENT, **(variables or {})}
    )
