"""Work begun ahead: its failure is told to who waits for it, and to nobody else."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.ahead import begin_ahead, call_off
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


@in_virtual_time
async def test_what_is_called_off_has_ended() -> None:
    """Its last words are heard before the caller goes on."""
    said = []

    async def work() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(1)
            said.append("done")

    task = begin_ahead(work())
    await asyncio.sleep(1)
    await call_off(task)
    assert ["done"] == said


@in_virtual_time
async def test_a_caller_that_is_thrown_away_does_not_wait() -> None:
    """Closed by the garbage collector in the middle, it ends, and its work is cancelled."""
    work = begin_ahead(asyncio.sleep(5))

    async def caller() -> None:
        try:
            await work
        finally:
            await call_off(work)

    waiting = caller()
    waiting.send(None)
    # "coroutine ignored GeneratorExit", where it awaits then.
    waiting.close()
    await asyncio.sleep(0)
    assert work.cancelled()
