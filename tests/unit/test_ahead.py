"""Work begun ahead: its failure is told to who waits for it, and to nobody else."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.ahead import begin_ahead
from building_vitals.upkeep import repeat_rounds
from fakes.virtual_time import VirtualTimeLoop, in_virtual_time


async def fail() -> int:
    """Fail at once."""
    raise ValueError("too early")


@in_virtual_time
async def test_a_failure_waits_for_who_asks_later() -> None:
    """Whoever comes after the failure gets it, and the loop has not printed it before."""
    work = begin_ahead(repeat_rounds(fail))
    await asyncio.sleep(1)
    assert work.done()
    with pytest.raises(ValueError, match="too early"):
        await work


@in_virtual_time
async def test_the_loop_minds_a_failure_that_nobody_waits_for() -> None:
    """Without it, the stand-in for Pyodide's loop takes the same failure for an unhandled one."""
    work = asyncio.ensure_future(repeat_rounds(fail))
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    assert ["too early"] == [str(error) for error in loop.unheard]
    loop.unheard.clear()
    with pytest.raises(ValueError, match="too early"):
        await work


@in_virtual_time
async def test_what_is_cancelled_has_not_failed() -> None:
    """Work that nobody wants any more is let go of."""
    work = begin_ahead(asyncio.sleep(5))
    await asyncio.sleep(1)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert work.cancelled()
