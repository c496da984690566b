"""The memory that requests of an isolate share."""

from __future__ import annotations

import asyncio
from typing import Any

from building_vitals.errors import Overloaded
from building_vitals.memory import POLL_MS, POLL_MS_MAX, SILENT_MS, MemoryBudget
from fakes.virtual_time import LoopClock, in_virtual_time


class StoppedClock(LoopClock):
    """The clock of a request that was killed: it never goes on."""

    async def sleep(self, delay_ms: int) -> None:
        """Never return."""
        await asyncio.Event().wait()


class Requests:
    """
    Requests that share a budget of 100 bytes, of which jobs may hold 60.

    Attributes:
        log: Who got a share, and who was refused one.
    """

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.budget = MemoryBudget(100, 60)
        self.log: list[str] = []
        self.held = self.most = 0

    def start(
        self, name: str, size: int, ms: int, *, patience_ms: int | None = None, **options: Any
    ) -> asyncio.Task[None]:
        """Let a request hold so many bytes for so long."""
        return asyncio.create_task(self._run(name, size, ms, patience_ms, **options))

    async def _run(
        self, name: str, size: int, ms: int, patience_ms: int | None, **options: Any
    ) -> None:
        now_ms = self.clock.now_ms()
        until = {"until_ms": now_ms + 1_000_000, **options}
        wait_until_ms = None if patience_ms is None else now_ms + patience_ms
        try:
            async with self.budget.share(
                size, clock=self.clock, wait_until_ms=wait_until_ms, **until
            ):
                self.log.append(name)
                self.held += size
                self.most = max(self.most, self.held)
                await self.clock.sleep(ms)
                self.held -= size
        except Overloaded as error:
            assert error.status == 503
            assert error.retry_after_s
            self.log.append(f"{name} refused")

    def free(self, **options: Any) -> int:
        """Return what a newcomer could take."""
        return self.budget.free_bytes(self.clock.now_ms(), **options)


@in_virtual_time
async def test_no_more_is_held_than_there_is_and_nobody_is_passed_over() -> None:
    """Twenty that need a third each take turns, in the order of their coming."""
    requests = Requests()
    await asyncio.gather(*(requests.start(f"{n:02}", 33, 1_000) for n in range(20)))
    assert 99 == requests.most
    assert sorted(requests.log) == requests.log
    assert (20, 100) == (len(requests.log), requests.free())


@in_virtual_time
async def test_a_small_one_does_not_overtake_a_large_one() -> None:
    """Who needs much would otherwise wait for ever."""
    requests = Requests()
    tasks = [requests.start("first", 60, 1_000), requests.start("large", 80, 10)]
    await requests.clock.sleep(1)
    assert 0 == requests.free()
    tasks.append(requests.start("small", 10, 10))
    await asyncio.gather(*tasks)
    assert ["first", "large", "small"] == requests.log


@in_virtual_time
async def test_people_come_before_jobs() -> None:
    """Jobs hold a part at most, and wait for all for whom somebody waits."""
    requests = Requests()
    tasks = [requests.start("job 1", 60, 1_000, is_awaited=False)]
    await requests.clock.sleep(1)
    assert (40, 0) == (requests.free(), requests.free(is_awaited=False))
    tasks.append(requests.start("job 2", 60, 10, is_awaited=False))
    await requests.clock.sleep(1)
    assert 40 == requests.free()
    tasks += [requests.start("chart 1", 40, 2_000), requests.start("chart 2", 100, 10)]
    await asyncio.gather(*tasks)
    assert ["job 1", "chart 1", "chart 2", "job 2"] == requests.log


@in_virtual_time
async def test_beyond_its_patience_a_request_is_refused() -> None:
    """It hears of it before its time is over, and those behind it go on."""
    requests = Requests()
    tasks = [requests.start("first", 90, 1_000)]
    await requests.clock.sleep(1)
    tasks += [requests.start("large", 50, 10, patience_ms=500), requests.start("small", 10, 10)]
    began_ms = requests.clock.now_ms()
    await tasks[1]
    assert 500 - 2 * POLL_MS <= requests.clock.now_ms() - began_ms <= 500
    await asyncio.gather(*tasks)
    assert ["first", "large refused", "small"] == requests.log


@in_virtual_time
async def test_who_is_far_behind_looks_seldom() -> None:
    """Many waiters would else keep an isolate busy; nothing stays free for long all the same."""
    requests = Requests()
    looks = 0
    sleep = requests.clock.sleep

    async def counted(delay_ms: int) -> None:
        nonlocal looks
        looks += delay_ms <= POLL_MS_MAX
        await sleep(delay_ms)

    requests.clock.sleep = counted  # type: ignore[method-assign]
    began_ms = requests.clock.now_ms()
    await asyncio.gather(*(requests.start(f"{n:02}", 50, 1_000) for n in range(20)))
    assert sorted(requests.log) == requests.log
    assert 10_000 <= requests.clock.now_ms() - began_ms <= 10_000 + 10 * POLL_MS_MAX
    # Every 40 ms each, they would be 2,250.
    assert looks < 700


@in_virtual_time
async def test_a_cancelled_request_gives_back_what_it_held() -> None:
    """Also one that waited: nobody waits for it."""
    requests = Requests()
    holder = requests.start("holder", 100, 10_000)
    await requests.clock.sleep(1)
    waiter = requests.start("waiter", 100, 10)
    await requests.clock.sleep(1)
    for each in (waiter, holder):
        each.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    assert 100 == requests.free()


@in_virtual_time
async def test_a_killed_request_does_not_hold_for_ever() -> None:
    """No block of its runs: its share ends by itself, and its place in the queue."""
    requests = Requests()
    now_ms = requests.clock.now_ms()
    shares = [
        requests.budget.share(100, clock=StoppedClock(), wait_until_ms=None, until_ms=until_ms)
        for until_ms in (now_ms + 5_000, now_ms + 1_000_000)
    ]
    dead = [asyncio.create_task(each.__aenter__()) for each in shares]
    await requests.clock.sleep(1)
    assert 0 == requests.free()
    await requests.start("alive", 100, 10)
    assert ["alive"] == requests.log
    assert 5_000 <= requests.clock.now_ms() - now_ms <= 5_000 + SILENT_MS
    dead[1].cancel()
    await asyncio.gather(*dead, return_exceptions=True)


@in_virtual_time
async def test_who_asks_for_more_than_there_is_gets_all() -> None:
    """It would never be free; an estimate is no reason to refuse."""
    requests = Requests()
    await asyncio.gather(
        requests.start("a", 5_000, 10), requests.start("b", 5_000, 10, is_awaited=False)
    )
    assert ["a", "b"] == requests.log
